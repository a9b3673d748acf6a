/* The commands of a client that publish. */

#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* For a state that is not allocated. */
#include <xxhash.h>

#include "rpc/client/client_state.h"

/* Messages on their way into commands: their lengths, hashes and parts, of several publishes one after the other. */
struct messages {
    uint32_t *body_lens;
    uint32_t *head_lens;
    uint64_t *hashes;
    struct slice *parts;
    size_t len;
    size_t parts_len;
};

static int messages_init(struct messages *messages, size_t len)
{
    *messages = (struct messages){
        .body_lens = malloc(len * sizeof *messages->body_lens),
        .head_lens = malloc(len * sizeof *messages->head_lens),
        .hashes = malloc(len * sizeof *messages->hashes),
        .parts = malloc(len * 2 * sizeof *messages->parts),
    };
    return messages->body_lens == NULL || messages->head_lens == NULL || messages->hashes == NULL ||
                   messages->parts == NULL
               ? ERR_NOMEM
               : 0;
}

static void messages_done(struct messages *messages)
{
    free(messages->body_lens);
    free(messages->head_lens);
    free(messages->hashes);
    free(messages->parts);
}

static bool is_named(const struct client_publish *publish)
{
    return publish->producer != NULL && publish->producer[0] != '\0';
}

static int publish_check(const struct client_core *core, const struct client_publish *publish, uint64_t *len)
{
    int err = publish->queue == NULL && publish->heads != NULL ? 0 : client_name_check(publish->queue);
    if (err == 0 && is_named(publish)) {
        err = client_name_check(publish->producer);
        if (err == 0 && (publish->first_sequence == 0 || publish->len > UINT64_MAX - publish->first_sequence)) {
            err = ERR_INVALID;
        }
    }
    if (err != 0) {
        return err;
    }
    if (publish->len == 0) {
        return ERR_INVALID;
    }
    if (publish->len > PUBLISH_MESSAGES_MAX) {
        return ERR_TOO_BIG;
    }
    for (size_t i = 0; i < publish->len; i++) {
        size_t head_len = publish->heads == NULL ? 0 : publish->heads[i].len;
        size_t body_len = publish->bodies[i].len;
        if (body_len > core->body_len_max || head_len > HEADER_LEN_MAX ||
            body_len + head_len > COMMAND_BODIES_LEN_MAX - *len) {
            return ERR_TOO_BIG;
        }
        *len += body_len + head_len;
    }
    return 0;
}

static uint64_t content_hash(const struct slice *head, struct slice body)
{
    if (head == NULL || head->len == 0) {
        return XXH3_64bits(body.data, body.len);
    }
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, head->data, head->len);
    XXH3_64bits_update(&state, body.data, body.len);
    return XXH3_64bits_digest(&state);
}

/* Adds the publish's messages, and makes `ret_publish` of it, which borrows from both. */
static void publish_read(const struct client_publish *publish, struct messages *messages,
                         Holdfast__Publish *ret_publish)
{
    size_t first = messages->len;
    for (size_t i = 0; i < publish->len; i++) {
        const struct slice *head = publish->heads == NULL ? NULL : &publish->heads[i];
        messages->body_lens[messages->len] = (uint32_t)publish->bodies[i].len;
        messages->head_lens[messages->len] = head == NULL ? 0 : (uint32_t)head->len;
        messages->hashes[messages->len++] = content_hash(head, publish->bodies[i]);
        if (head != NULL && head->len > 0) {
            messages->parts[messages->parts_len++] = *head;
        }
        messages->parts[messages->parts_len++] = publish->bodies[i];
    }
    *ret_publish = (Holdfast__Publish)HOLDFAST__PUBLISH__INIT;
    ret_publish->queue = (char *)(publish->queue == NULL ? "" : publish->queue);
    ret_publish->n_body_len = publish->len;
    ret_publish->body_len = messages->body_lens + first;
    ret_publish->n_body_hash = publish->len;
    ret_publish->body_hash = messages->hashes + first;
    ret_publish->n_head_len = publish->heads == NULL ? 0 : publish->len;
    ret_publish->head_len = messages->head_lens + first;
    if (is_named(publish)) {
        ret_publish->producer = (char *)publish->producer;
        ret_publish->first_sequence = publish->first_sequence;
        ret_publish->producer_epoch = publish->producer_epoch;
        ret_publish->no_gaps = publish->no_gaps;
    }
    ret_publish->each = publish->each;
}

int client_core_publish_all(struct client_core *core, const struct client_publish *wanted, uint64_t timeout_ms,
                            client_reply_cb cb, void *arg)
{
    uint64_t len = 0;
    int err = publish_check(core, wanted, &len);
    if (err != 0) {
        return err;
    }
    struct messages messages;
    err = messages_init(&messages, wanted->len);
    if (err == 0) {
        Holdfast__Publish publish;
        Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
        publish_read(wanted, &messages, &publish);
        if (wanted->prepare != NULL) {
            prepare.id = (char *)wanted->prepare;
            prepare.group = (char *)(wanted->prepare_group == NULL ? "" : wanted->prepare_group);
            prepare.ask_after_ms = wanted->ask_after_ms;
            prepare.deadline_ms = wanted->deadline_ms;
            prepare.commit_at_deadline = wanted->commit_at_deadline;
            publish.prepare = &prepare;
        }
        Holdfast__Command command = HOLDFAST__COMMAND__INIT;
        command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
        command.publish = &publish;
        bool named = is_named(wanted);
        err = client_command_add(core, named ? CLIENT_PUBLISH_NAMED : CLIENT_PUBLISH, &command, 0,
                                 named ? XXH3_64bits(wanted->producer, strlen(wanted->producer)) : 0, messages.parts,
                                 messages.parts_len, timeout_ms, cb, arg);
    }
    if (err == 0) {
        client_command_pump(core);
    }
    messages_done(&messages);
    return err;
}

int client_core_publish(struct client_core *core, const char *queue, const char *producer, uint64_t first_sequence,
                        const struct slice *bodies, size_t bodies_len, uint64_t timeout_ms, client_reply_cb cb,
                        void *arg)
{
    const struct client_publish publish = {
        .queue = queue,
        .producer = producer,
        .first_sequence = first_sequence,
        .bodies = bodies,
        .len = bodies_len,
    };
    return client_core_publish_all(core, &publish, timeout_ms, cb, arg);
}

/* ---- Transactions ---- */

struct transaction {
    Holdfast__Publish *publishes;
    Holdfast__Publish **publish_pointers;
    Holdfast__Settle *settles;
    Holdfast__Settle **settle_pointers;
    size_t settles_len;
    uint64_t *first; /* Of each range. */
    uint64_t *last;
};

static int transaction_init(struct transaction *made, const struct client_transaction *wanted)
{
    *made = (struct transaction){
        .publishes = malloc((wanted->publishes_len + 1) * sizeof *made->publishes),
        .publish_pointers = malloc((wanted->publishes_len + 1) * sizeof *made->publish_pointers),
        .settles = malloc((wanted->settled_len + 1) * sizeof *made->settles),
        .settle_pointers = malloc((wanted->settled_len + 1) * sizeof *made->settle_pointers),
        .first = malloc((wanted->settled_len + 1) * sizeof *made->first),
        .last = malloc((wanted->settled_len + 1) * sizeof *made->last),
    };
    return made->publishes == NULL || made->publish_pointers == NULL || made->settles == NULL ||
                   made->settle_pointers == NULL || made->first == NULL || made->last == NULL
               ? ERR_NOMEM
               : 0;
}

static void transaction_done(struct transaction *made)
{
    free(made->publishes);
    free((void *)made->publish_pointers);
    free(made->settles);
    free((void *)made->settle_pointers);
    free(made->first);
    free(made->last);
}

static int transaction_check(struct client_core *core, const struct client_transaction *wanted, size_t *ret_messages)
{
    uint64_t len = 0;
    size_t messages = 0;
    if (wanted->publishes_len + wanted->settled_len == 0 || wanted->settled_len > SETTLE_RANGES_MAX ||
        wanted->publishes_len > PUBLISH_MESSAGES_MAX) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < wanted->publishes_len; i++) {
        const struct client_publish *publish = &wanted->publishes[i];
        int err = publish->each || publish->prepare != NULL ? ERR_INVALID : publish_check(core, publish, &len);
        if (err != 0) {
            return err;
        }
        messages += publish->len;
    }
    for (size_t i = 0; i < wanted->settled_len; i++) {
        const struct client_settled *settled = &wanted->settled[i];
        const struct client_consumer *consumer = client_consumer_find(core, settled->consumer);
        if (consumer == NULL || consumer->ending) {
            return ERR_NOT_FOUND;
        }
        if (settled->range.first == 0 || settled->range.first > settled->range.last ||
            settled->range.last > consumer->seen) {
            return ERR_INVALID;
        }
    }
    *ret_messages = messages;
    return 0;
}

/* Whether the one is settled as the other: they go in one settlement. */
static bool settled_alike(const struct client_settled *a, const struct client_settled *b)
{
    return a->consumer == b->consumer && a->outcome == b->outcome && a->how.has_delay == b->how.has_delay &&
           a->how.delay_ms == b->how.delay_ms && a->how.not_counted == b->how.not_counted;
}

static void settles_read(const struct client_transaction *wanted, struct transaction *made)
{
    for (size_t i = 0; i < wanted->settled_len; i++) {
        const struct client_settled *settled = &wanted->settled[i];
        made->first[i] = settled->range.first;
        made->last[i] = settled->range.last;
        if (i > 0 && settled_alike(settled, settled - 1)) {
            Holdfast__Settle *settle = &made->settles[made->settles_len - 1];
            settle->n_first++;
            settle->n_last++;
            continue;
        }
        Holdfast__Settle *settle = &made->settles[made->settles_len];
        *settle = (Holdfast__Settle)HOLDFAST__SETTLE__INIT;
        settle->consumer = settled->consumer;
        settle->outcome = (Holdfast__Settle__Outcome)settled->outcome;
        settle->has_delay = settled->how.has_delay;
        settle->delay_ms = settled->how.delay_ms;
        settle->not_counted = settled->how.not_counted;
        settle->n_first = settle->n_last = 1;
        settle->first = &made->first[i];
        settle->last = &made->last[i];
        made->settle_pointers[made->settles_len++] = settle;
    }
}

static void transaction_read(const struct client_transaction *wanted, struct messages *messages,
                             struct transaction *made, Holdfast__Transact *ret_transact)
{
    for (size_t i = 0; i < wanted->publishes_len; i++) {
        publish_read(&wanted->publishes[i], messages, &made->publishes[i]);
        made->publish_pointers[i] = &made->publishes[i];
    }
    settles_read(wanted, made);
    ret_transact->n_publish = wanted->publishes_len;
    ret_transact->publish = made->publish_pointers;
    ret_transact->n_settle = made->settles_len;
    ret_transact->settle = made->settle_pointers;
}

int client_core_transact(struct client_core *core, const struct client_transaction *wanted, uint64_t timeout_ms,
                         client_reply_cb cb, void *arg)
{
    size_t len;
    int err = transaction_check(core, wanted, &len);
    if (err != 0) {
        return err;
    }
    struct messages messages = {0};
    struct transaction made;
    err = transaction_init(&made, wanted);
    if (err == 0) {
        err = messages_init(&messages, len + 1);
    }
    if (err == 0) {
        Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
        transaction_read(wanted, &messages, &made, &transact);
        Holdfast__Command command = HOLDFAST__COMMAND__INIT;
        command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
        command.transact = &transact;
        err = client_command_add(core, CLIENT_ONCE, &command, 0, 0, messages.parts, messages.parts_len, timeout_ms, cb,
                                 arg);
    }
    if (err == 0) {
        client_command_pump(core);
    }
    messages_done(&messages);
    transaction_done(&made);
    return err;
}
