/* Settling: ack, nack, reject and recover; what becomes of them is gathered for each consumer until the turn is over. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_tx.h"
#include "rpc/amqp/amqp_unsettled.h"

/* Deliveries named by one command. The machine takes 4096 that go back, half as many in a queue that keeps the lives of its messages,
 * of which nothing is known here (SEMANTICS.md, "How much at a time"). */
#define SETTLE_LEN_MAX 2048u

_Static_assert(SETTLE_LEN_MAX <= SETTLE_RANGES_MAX, "each may be a range of its own");

/* What has the same outcome with the same consumer: numbers of deliveries, first to last. */
struct pile {
    uint64_t consumer;
    enum amqp_outcome outcome;
    uint64_t *first;
    uint64_t *last;
    size_t len;
    size_t cap;
};

struct amqp_settling {
    struct pile *piles;
    unsigned len;
    unsigned cap;
    struct amqp_channel **rooms; /* Channels with makes_room set; a reference to each. */
    unsigned rooms_len;
    unsigned rooms_cap;
};

/* ---- Gathering ---- */

/* Makes `*items`, of `size` bytes each, longer by half or more. */
static int grow(void **items, unsigned *cap, size_t size)
{
    unsigned more = *cap > 0 ? *cap * 2 : 4;
    void *moved = realloc(*items, more * size);
    if (moved == NULL) {
        return ERR_NOMEM;
    }
    *items = moved;
    *cap = more;
    return 0;
}

static struct amqp_settling *settling_of(struct amqp_session *session)
{
    if (session->settling == NULL) {
        session->settling = calloc(1, sizeof *session->settling);
    }
    return session->settling;
}

/* The pile of that consumer (NULL: it has ended, and nobody knows where others are). */
static struct pile *pile_of(struct amqp_settling *settling, struct amqp_consumer *consumer, uint64_t number,
                            enum amqp_outcome outcome)
{
    if (consumer != NULL && consumer->piles[outcome] != 0) {
        return &settling->piles[consumer->piles[outcome] - 1];
    }
    void *piles = settling->piles;
    if (settling->len == settling->cap && grow(&piles, &settling->cap, sizeof *settling->piles) != 0) {
        return NULL;
    }
    settling->piles = piles;
    settling->piles[settling->len++] = (struct pile){.consumer = number, .outcome = outcome};
    if (consumer != NULL) {
        consumer->piles[outcome] = settling->len;
    }
    return &settling->piles[settling->len - 1];
}

static int pile_reserve(struct pile *pile)
{
    if (pile->len < pile->cap) {
        return 0;
    }
    size_t cap = pile->cap > 0 ? pile->cap * 2 : 8;
    uint64_t *first = realloc(pile->first, cap * sizeof *first);
    if (first == NULL) {
        return ERR_NOMEM;
    }
    pile->first = first;
    uint64_t *last = realloc(pile->last, cap * sizeof *last);
    if (last == NULL) {
        return ERR_NOMEM;
    }
    pile->last = last;
    pile->cap = cap;
    return 0;
}

static int pile_add(struct pile *pile, uint64_t number)
{
    if (pile->len > 0 && number == pile->last[pile->len - 1] + 1) {
        pile->last[pile->len - 1] = number;
        return 0;
    }
    if (pile->len > 0 && number == pile->first[pile->len - 1] - 1) {
        pile->first[pile->len - 1] = number;
        return 0;
    }
    if (pile_reserve(pile) != 0) {
        return ERR_NOMEM;
    }
    pile->first[pile->len] = number;
    pile->last[pile->len++] = number;
    return 0;
}

void amqp_settle(struct amqp_session *session, uint64_t consumer, uint64_t number, enum amqp_outcome outcome)
{
    struct amqp_settling *settling = settling_of(session);
    struct pile *pile =
        settling == NULL ? NULL : pile_of(settling, amqp_consumer_find(session, consumer), consumer, outcome);
    if (pile == NULL || pile_add(pile, number) != 0) {
        amqp_session_fail(session, ERR_NOMEM);
    }
}

void amqp_settle_makes_room(struct amqp_channel *channel)
{
    struct amqp_settling *settling = settling_of(channel->session);
    if (channel->unsettled == NULL || channel->unsettled->makes_room || channel->prefetch_shared == 0) {
        return;
    }
    void *rooms = settling != NULL ? settling->rooms : NULL;
    if (settling == NULL || (settling->rooms_len == settling->rooms_cap &&
                             grow(&rooms, &settling->rooms_cap, sizeof(struct amqp_channel *)) != 0)) {
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    settling->rooms = rooms;
    settling->rooms[settling->rooms_len++] = amqp_channel_ref(channel);
    channel->unsettled->makes_room = true;
}

void amqp_settling_done(struct amqp_session *session)
{
    struct amqp_settling *settling = session->settling;
    if (settling == NULL) {
        return;
    }
    for (unsigned i = 0; i < settling->len; i++) {
        free(settling->piles[i].first);
        free(settling->piles[i].last);
    }
    for (unsigned i = 0; i < settling->rooms_len; i++) {
        amqp_channel_unref(settling->rooms[i]);
    }
    free(settling->rooms);
    free(settling->piles);
    free(settling);
    session->settling = NULL;
}

/* ---- Submitting ---- */

/* A delivery that is not held any more, of a consumer that may have ended, has gone back, or its queue has gone: as with RabbitMQ nobody is
 * told. Nothing else can be wrong. */
static void on_settled(struct amqp_order *order, const struct gateway_reply *reply)
{
    if (reply != NULL && reply->error != 0 && reply->error != (uint32_t)-ERR_NOT_FOUND) {
        amqp_session_fail(order->arg, -(int)reply->error);
    }
}

/* The next command of a pile: as many of its ranges from `*at` on as one takes; what does not fit stays. */
static void pile_submit_part(struct amqp_session *session, struct pile *pile, size_t *at,
                             const struct amqp_order *order)
{
    size_t from = *at;
    uint64_t left = SETTLE_LEN_MAX;
    uint64_t rest = 0; /* Of a range that is cut: its last number. */
    while (*at < pile->len && left > 0) {
        uint64_t len = pile->last[*at] - pile->first[*at] + 1;
        if (len > left) {
            rest = pile->last[*at];
            pile->last[*at] = pile->first[*at] + left - 1;
            len = left;
        }
        left -= len;
        ++*at;
    }
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = pile->consumer;
    settle.first = pile->first + from;
    settle.last = pile->last + from;
    settle.n_first = *at - from;
    settle.n_last = *at - from;
    settle.outcome =
        pile->outcome == AMQP_UNSEEN ? HOLDFAST__SETTLE__OUTCOME__RELEASE : (Holdfast__Settle__Outcome)pile->outcome;
    settle.not_counted = pile->outcome == AMQP_UNSEEN;
    settle.has_delay = pile->outcome == AMQP_UNSEEN; /* None. */
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    bool cut = rest != 0;
    if (cut) { /* Before the command goes: its last part is told with `order` only when nothing is left. */
        --*at;
    }
    bool over = *at == pile->len;
    struct amqp_order with = over ? *order : (struct amqp_order){.done = on_settled, .arg = session};
    with.enqueues = pile->outcome != AMQP_ACCEPT; /* Where it was, or where dead letters go. */
    amqp_submit_gathered(session, &with, &command, (struct slice){0});
    if (cut) {
        pile->first[*at] = pile->last[*at] + 1;
        pile->last[*at] = rest;
    }
}

/* All that has gathered; the last command with `order`. False: there was nothing. */
static bool settling_submit(struct amqp_session *session, const struct amqp_order *order)
{
    struct amqp_settling *settling = session->settling;
    const struct amqp_order usual = {.done = on_settled, .arg = session};
    for (unsigned i = 0; settling != NULL && i < settling->rooms_len; i++) {
        amqp_shared_choose(settling->rooms[i]);
    }
    if (settling == NULL) {
        return false;
    }
    session->settling = NULL; /* Commands are submitted from here on. */
    for (unsigned i = 0; i < settling->len; i++) {
        struct amqp_consumer *consumer = amqp_consumer_find(session, settling->piles[i].consumer);
        if (consumer != NULL) {
            consumer->piles[settling->piles[i].outcome] = 0;
        }
    }
    for (unsigned i = 0; i < settling->len; i++) {
        struct pile *pile = &settling->piles[i];
        for (size_t at = 0; at < pile->len;) {
            pile_submit_part(session, pile, &at, i + 1 == settling->len ? order : &usual);
        }
    }
    for (unsigned i = 0; i < settling->rooms_len; i++) {
        struct amqp_channel *channel = settling->rooms[i];
        if (channel->unsettled != NULL) {
            channel->unsettled->makes_room = false;
        }
        if (amqp_channel_is_open(channel)) {
            amqp_qos_restore(channel);
        }
    }
    bool any = settling->len > 0;
    CHECK(session->settling == NULL);
    session->settling = settling;
    amqp_settling_done(session);
    return any;
}

void amqp_settles_submit(struct amqp_session *session)
{
    (void)settling_submit(session, &(struct amqp_order){.done = on_settled, .arg = session});
}

/* ---- Methods ---- */

struct settlement {
    struct amqp_channel *channel;
    enum amqp_outcome outcome;
};

static void settle_one(void *arg, const struct amqp_unsettled_one *one)
{
    const struct settlement *settlement = arg;
    struct amqp_session *session = settlement->channel->session;
    if (settlement->channel->tx != NULL) {
        if (amqp_tx_settle(settlement->channel, one, settlement->outcome) != 0) {
            amqp_session_fail(session, ERR_NOMEM);
        }
        return;
    }
    amqp_consumer_settled(session, one->consumer);
    amqp_settle(session, one->consumer, one->number, settlement->outcome);
}

static void take_settlement(struct amqp_channel *channel, uint32_t id, uint64_t tag, bool multiple,
                            enum amqp_outcome outcome)
{
    struct settlement settlement = {.channel = channel, .outcome = outcome};
    if (amqp_unsettled_take(channel, tag, multiple, &settlement, settle_one) != 0) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id, "unknown delivery tag %llu", (unsigned long long)tag);
    }
}

void amqp_take_basic_ack(struct amqp_channel *channel, const struct amqp_basic_ack *method)
{
    take_settlement(channel, method->id, method->delivery_tag, method->multiple, AMQP_ACCEPT);
}

void amqp_take_basic_nack(struct amqp_channel *channel, const struct amqp_basic_nack *method)
{
    take_settlement(channel, method->id, method->delivery_tag, method->multiple,
                    method->requeue ? AMQP_RELEASE : AMQP_REJECT);
}

void amqp_take_basic_reject(struct amqp_channel *channel, const struct amqp_basic_reject *method)
{
    take_settlement(channel, method->id, method->delivery_tag, false, method->requeue ? AMQP_RELEASE : AMQP_REJECT);
}

/* ---- Recover ---- */

static void recover_one(void *arg, const struct amqp_unsettled_one *one)
{
    const struct amqp_channel *channel = arg;
    amqp_consumer_settled(channel->session, one->consumer);
    amqp_settle(channel->session, one->consumer, one->number, AMQP_RELEASE);
}

static void recovered(struct amqp_channel *channel)
{
    if (amqp_channel_is_open(channel)) {
        union amqp_method ok = {.basic_recover_ok = {.id = AMQP_basic_recover_ok}};
        amqp_send(channel->session, channel->number, &ok);
    }
}

static void on_recovered(struct amqp_order *order, const struct gateway_reply *reply)
{
    if (reply != NULL && !order->no_wait) {
        recovered(order->channel);
    }
}

/* All that the channel has goes back, whatever its consumers are doing (§1.8.3.15). */
void amqp_take_basic_recover(struct amqp_channel *channel, uint32_t id, bool requeue)
{
    struct amqp_session *session = channel->session;
    bool no_wait = id == AMQP_basic_recover_async;
    if (!requeue) {
        amqp_connection_error(session, AMQP_NOT_IMPLEMENTED, id, "requeue=false");
        return;
    }
    amqp_publishes_submit(session);
    int err = amqp_unsettled_take(channel, 0, true, channel, recover_one);
    CHECK(err == 0);
    struct amqp_order order = {
        .channel = channel, .id = id, .blocks = !no_wait, .no_wait = no_wait, .done = on_recovered};
    if (!settling_submit(session, &order) && !no_wait) {
        recovered(channel);
    }
}
