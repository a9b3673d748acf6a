/* Committing a transaction: one Transact, which the machine carries out as a whole or not at all. */

#include "rpc/amqp/amqp_tx_commit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

struct commit {
    struct amqp_kept kept;
    struct amqp_channel *channel; /* A reference. */
    struct amqp_tx tx;
    struct slice content; /* Of all messages; a reference. */
};

static void commit_free(struct commit *commit)
{
    amqp_tx_empty(commit->channel->session, &commit->tx);
    slice_unref(&commit->content);
    list_remove(&commit->kept.node);
    amqp_channel_unref(commit->channel);
    free(commit);
}

static void kept_drop(struct amqp_kept *kept)
{
    struct commit *commit = container_of(kept, struct commit, kept);
    commit_free(commit);
}

/* ---- The command ---- */

/* By consumer, outcome and number: what becomes a range stands together. */
static int by_range(const void *a, const void *b)
{
    const struct amqp_tx_settlement *x = a;
    const struct amqp_tx_settlement *y = b;
    if (x->one.consumer != y->one.consumer) {
        return x->one.consumer < y->one.consumer ? -1 : 1;
    }
    if (x->outcome != y->outcome) {
        return x->outcome < y->outcome ? -1 : 1;
    }
    return x->one.number < y->one.number ? -1 : x->one.number > y->one.number;
}

/* What the settlements become, in memory of the arena's. */
struct settles {
    Holdfast__Settle **settles;
    size_t len;
    size_t ranges;
};

static void settle_add(struct settles *settles, const struct amqp_tx_settlement *settlement, Holdfast__Settle *spare,
                       uint64_t *firsts, uint64_t *lasts)
{
    Holdfast__Settle *last = settles->len > 0 ? settles->settles[settles->len - 1] : NULL;
    if (last == NULL || last->consumer != settlement->one.consumer ||
        (unsigned)last->outcome != (unsigned)settlement->outcome) {
        last = &spare[settles->len];
        *last = (Holdfast__Settle)HOLDFAST__SETTLE__INIT;
        last->consumer = settlement->one.consumer;
        last->outcome = (Holdfast__Settle__Outcome)settlement->outcome;
        last->first = firsts + settles->ranges;
        last->last = lasts + settles->ranges;
        settles->settles[settles->len++] = last;
    } else if (last->last[last->n_last - 1] + 1 == settlement->one.number) {
        last->last[last->n_last - 1]++;
        return;
    }
    last->first[last->n_first++] = settlement->one.number;
    last->last[last->n_last++] = settlement->one.number;
    settles->ranges++;
}

/* The settlements are sorted. ERR_NOMEM; ERR_TOO_BIG: more than a command may have. */
static int settles_make(const struct commit *commit, struct arena *arena, struct settles *ret_settles)
{
    const struct amqp_tx *tx = &commit->tx;
    uint64_t *firsts = arena_alloc(arena, tx->settlements_len * sizeof *firsts);
    uint64_t *lasts = arena_alloc(arena, tx->settlements_len * sizeof *lasts);
    Holdfast__Settle *spare = arena_alloc(arena, AMQP_TX_PARTS_MAX * sizeof *spare);
    struct settles settles = {.settles = arena_alloc(arena, AMQP_TX_PARTS_MAX * sizeof *settles.settles)};
    if (firsts == NULL || lasts == NULL || spare == NULL || settles.settles == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < tx->settlements_len; i++) {
        /* Of a consumer that has ended nothing is held any more. */
        if (amqp_consumer_find(commit->channel->session, tx->settlements[i].one.consumer) == NULL) {
            continue;
        }
        if (settles.len + tx->publishes_len >= AMQP_TX_PARTS_MAX || settles.ranges >= SETTLE_RANGES_MAX) {
            return ERR_TOO_BIG;
        }
        settle_add(&settles, &tx->settlements[i], spare, firsts, lasts);
    }
    *ret_settles = settles;
    return 0;
}

static int publishes_make(const struct commit *commit, struct arena *arena, Holdfast__Transact *transact)
{
    const struct amqp_tx *tx = &commit->tx;
    Holdfast__Publish *publishes = arena_alloc(arena, tx->publishes_len * sizeof *publishes);
    Holdfast__Publish **all = arena_alloc(arena, tx->publishes_len * sizeof *all);
    uint32_t *lens = arena_alloc(arena, 2 * (size_t)tx->messages * sizeof *lens);
    uint64_t *hashes = arena_alloc(arena, tx->messages * sizeof *hashes);
    if (publishes == NULL || all == NULL || lens == NULL || hashes == NULL) {
        return ERR_NOMEM;
    }
    LIST_FOR_EACH (node, &tx->publishes) {
        const struct amqp_gathered *publish = container_of(node, struct amqp_gathered, kept.node);
        all[transact->n_publish] = &publishes[transact->n_publish];
        amqp_gathered_describe(publish, lens, hashes, all[transact->n_publish]);
        all[transact->n_publish++]->no_gaps = publish->producer != NULL;
        lens += 2 * (size_t)publish->len;
        hashes += publish->len;
    }
    transact->publish = all;
    return 0;
}

/* All messages as one run of bytes. */
static int content_make(struct commit *commit)
{
    struct amqp_tx *tx = &commit->tx;
    if (tx->publishes_len == 1) {
        struct amqp_gathered *only = container_of(list_first(&tx->publishes), struct amqp_gathered, kept.node);
        commit->content = slice_ref(amqp_gathered_content(only));
        return 0;
    }
    struct blob *content = blob_new(tx->bytes);
    if (content == NULL) {
        return ERR_NOMEM;
    }
    size_t at = 0;
    LIST_FOR_EACH (node, &tx->publishes) {
        struct slice part = amqp_gathered_content(container_of(node, struct amqp_gathered, kept.node));
        memcpy(content->data + at, part.data, part.len);
        at += part.len;
    }
    commit->content = slice_of_blob(content);
    return 0;
}

/* ---- The answer ---- */

/* Each of its messages, in order, until `each` says false. */
static void commit_look(const struct commit *commit, const struct gateway_reply *reply,
                        bool (*each)(const struct commit *commit, const struct gateway_reply *reply, size_t i,
                                     const struct amqp_gathered_one *one, struct slice content))
{
    size_t at = 0;
    size_t n = 0;
    LIST_FOR_EACH (node, &commit->tx.publishes) {
        const struct amqp_gathered *publish = container_of(node, struct amqp_gathered, kept.node);
        for (unsigned i = 0; i < publish->len; i++) {
            const struct amqp_gathered_one *one = &publish->ones[i];
            size_t len = (size_t)one->head_len + one->body_len;
            if (!each(commit, reply, n++, one, slice_part(commit->content, at, len))) {
                return;
            }
            at += len;
        }
    }
}

static bool return_unrouted(const struct commit *commit, const struct gateway_reply *reply, size_t i,
                            const struct amqp_gathered_one *one, struct slice content)
{
    if (one->mandatory && amqp_bit_of(reply->unrouted, i)) {
        amqp_return(commit->channel, content, one->head_len);
    }
    return true;
}

static bool find_closed(const struct commit *commit, const struct gateway_reply *reply, size_t i,
                        const struct amqp_gathered_one *one, struct slice content)
{
    (void)reply;
    (void)i;
    char exchange[NAME_LEN_MAX + 1];
    amqp_exchange_of(slice_part(content, 0, one->head_len), exchange);
    return !amqp_exchange_was_closed(commit->channel, exchange);
}

static void commit_done(struct commit *commit, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = commit->channel;
    commit_look(commit, reply, return_unrouted);
    for (size_t i = 0; i < commit->tx.settlements_len; i++) {
        amqp_consumer_settled(channel->session, commit->tx.settlements[i].one.consumer);
    }
    union amqp_method ok = {.tx_commit_ok = {.id = AMQP_tx_commit_ok}};
    amqp_send(channel->session, channel->number, &ok);
}

/* Nothing of it was done. */
static void commit_refused(struct commit *commit, const struct gateway_reply *reply)
{
    if (reply->error == (uint32_t)-ERR_NOT_FOUND || reply->error == (uint32_t)-ERR_REFUSED) {
        commit_look(commit, reply, find_closed);
    }
    if (amqp_channel_is_open(commit->channel)) {
        amqp_channel_error(commit->channel, AMQP_PRECONDITION_FAILED, AMQP_tx_commit,
                           "nothing of the transaction was done: %s",
                           reply->detail[0] != '\0' ? reply->detail : err_text(-(int)reply->error));
    }
}

static void on_committed(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct commit *commit = order->arg;
    struct amqp_session *session = commit->channel->session;
    session->batch->unanswered--;
    if (reply != NULL && amqp_publish_keep_refused(session, &commit->kept, true, reply)) {
        amqp_publish_answered(session);
        return;
    }
    if (reply != NULL && amqp_channel_is_open(commit->channel)) {
        if (reply->error == 0) {
            commit_done(commit, reply);
        } else {
            commit_refused(commit, reply);
        }
    }
    commit_free(commit);
    if (reply != NULL) {
        amqp_publish_answered(session);
    }
}

/* ---- Submitting ---- */

static void commit_submit(struct commit *commit);

static void kept_again(struct amqp_kept *kept)
{
    commit_submit(container_of(kept, struct commit, kept));
}

static int transact_make(const struct commit *commit, struct arena *arena, Holdfast__Transact *ret_transact)
{
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    struct settles settles = {0};
    int err = commit->tx.settlements_len > 0 ? settles_make(commit, arena, &settles) : 0;
    if (err == 0 && commit->tx.messages > 0) {
        err = publishes_make(commit, arena, &transact);
    }
    transact.settle = settles.settles;
    transact.n_settle = settles.len;
    *ret_transact = transact;
    return err;
}

static void commit_submit(struct commit *commit)
{
    struct amqp_channel *channel = commit->channel;
    struct amqp_session *session = channel->session;
    struct arena arena;
    Holdfast__Transact transact;
    arena_init(&arena, 16 * MIB);
    int err = transact_make(commit, &arena, &transact);
    if (err == 0 && transact.n_publish == 0 && transact.n_settle == 0) {
        commit_done(commit, &(struct gateway_reply){0});
        commit_free(commit);
    } else if (err == 0) {
        Holdfast__Command command = HOLDFAST__COMMAND__INIT;
        command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
        command.transact = &transact;
        session->batch->unanswered++;
        amqp_submit(session,
                    &(struct amqp_order){.channel = channel,
                                         .id = AMQP_tx_commit,
                                         .blocks = true,
                                         .enqueues = true,
                                         .done = on_committed,
                                         .arg = commit},
                    &command, commit->content);
    } else if (err == ERR_TOO_BIG) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, AMQP_tx_commit,
                           "the transaction is too large: more than %u producers and consumers, or %u ranges of "
                           "deliveries",
                           AMQP_TX_PARTS_MAX, SETTLE_RANGES_MAX);
        commit_free(commit);
    } else {
        amqp_session_fail(session, err);
        commit_free(commit);
    }
    arena_done(&arena);
}

void amqp_tx_commit(struct amqp_channel *channel, struct amqp_tx *tx)
{
    struct amqp_session *session = channel->session;
    struct commit *commit = calloc(1, sizeof *commit);
    if (commit == NULL || amqp_batch_of(session) == NULL) {
        free(commit);
        amqp_session_fail(session, ERR_NOMEM);
        return;
    }
    commit->kept = (struct amqp_kept){.again = kept_again, .drop = kept_drop};
    list_init(&commit->kept.node);
    commit->channel = amqp_channel_ref(channel);
    commit->tx = *tx;
    list_init(&commit->tx.publishes);
    while (!list_empty(&tx->publishes)) {
        struct list_node *node = list_first(&tx->publishes);
        list_remove(node);
        list_push_back(&commit->tx.publishes, node);
    }
    *tx = (struct amqp_tx){0};
    list_init(&tx->publishes);
    if (commit->tx.settlements_len > 0) {
        qsort(commit->tx.settlements, commit->tx.settlements_len, sizeof *commit->tx.settlements, by_range);
    }
    if (commit->tx.messages > 0 && content_make(commit) != 0) {
        commit_free(commit);
        amqp_session_fail(session, ERR_NOMEM);
        return;
    }
    commit_submit(commit);
}
