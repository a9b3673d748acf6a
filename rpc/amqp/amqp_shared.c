/* Which of several consumers is given what there is room for, when they share a limit (basic.qos with `global`).
 *
 * What the machine has delivered to them in one turn is chosen from when the turn is over: one of each in turn, beginning with the one that
 * was given something the longest time ago. So none is left behind, whatever the machine looks at first. */

#include <stdlib.h>

#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_unsettled.h"

/* What the head of one unpacks to; a large one has an arena of its own. */
#define ARENA_LEN_MAX (4 * MIB)

struct amqp_shared_one {
    struct gateway_delivery delivery; /* With references. */
    uint64_t turn;
};

bool amqp_shared_is(const struct amqp_channel *channel)
{
    return channel->prefetch_shared > 0 && channel->consumers.next != channel->consumers.prev;
}

void amqp_shared_collect(struct amqp_consumer *consumer, const struct gateway_delivery *delivery)
{
    struct amqp_channel *channel = consumer->channel;
    struct amqp_unsettled *unsettled = amqp_unsettled_of(channel);
    if (unsettled != NULL && unsettled->shared_len == unsettled->shared_cap) {
        unsigned cap = unsettled->shared_cap > 0 ? unsettled->shared_cap * 2 : 8;
        struct amqp_shared_one *shared = realloc(unsettled->shared, cap * sizeof *shared);
        unsettled->shared = shared != NULL ? shared : unsettled->shared;
        unsettled->shared_cap = shared != NULL ? cap : unsettled->shared_cap;
    }
    if (unsettled == NULL || unsettled->shared_len == unsettled->shared_cap) {
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    struct amqp_shared_one *one = &unsettled->shared[unsettled->shared_len++];
    *one = (struct amqp_shared_one){.delivery = *delivery};
    (void)slice_ref(one->delivery.body);
    (void)slice_ref(one->delivery.head);
    (void)slice_ref(one->delivery.trail);
    amqp_settle_makes_room(channel); /* That it is looked at. */
}

/* Frees what was taken out of the channel. */
static void shared_free(struct amqp_shared_one *shared, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        slice_unref(&shared[i].delivery.body);
        slice_unref(&shared[i].delivery.head);
        slice_unref(&shared[i].delivery.trail);
    }
    free(shared);
}

void amqp_shared_done(struct amqp_channel *channel)
{
    struct amqp_unsettled *unsettled = channel->unsettled;
    shared_free(unsettled->shared, unsettled->shared_len);
    unsettled->shared = NULL;
    unsettled->shared_len = 0;
    unsettled->shared_cap = 0;
}

static int in_turn(const void *a, const void *b)
{
    uint64_t one = ((const struct amqp_shared_one *)a)->turn;
    uint64_t other = ((const struct amqp_shared_one *)b)->turn;
    return (one > other) - (one < other);
}

/* channel->consumers has those first that were given something the longest time ago: amqp_qos_given(). The second delivery of a consumer comes
 * behind the first ones of all. */
static void put_in_turn(struct amqp_channel *channel, struct amqp_shared_one *shared, unsigned len)
{
    uint64_t consumers_len = 0;
    LIST_FOR_EACH (node, &channel->consumers) {
        amqp_consumer_of(node)->turn = consumers_len++;
    }
    for (unsigned i = 0; i < len; i++) {
        struct amqp_consumer *consumer = amqp_consumer_find(channel->session, shared[i].delivery.consumer);
        if (consumer != NULL) {
            shared[i].turn = consumer->turn;
            consumer->turn += consumers_len;
        }
    }
    qsort(shared, len, sizeof *shared, in_turn);
}

void amqp_shared_choose(struct amqp_channel *channel)
{
    struct amqp_unsettled *unsettled = channel->unsettled;
    if (unsettled == NULL || unsettled->shared_len == 0) {
        return;
    }
    struct amqp_shared_one *shared = unsettled->shared;
    unsigned len = unsettled->shared_len;
    unsettled->shared = NULL;
    unsettled->shared_len = 0;
    unsettled->shared_cap = 0;
    put_in_turn(channel, shared, len);
    struct arena arena; /* Not the session's: a method may be using that. */
    arena_init(&arena, ARENA_LEN_MAX);
    for (unsigned i = 0; i < len && amqp_channel_is_open(channel); i++) {
        const struct gateway_delivery *delivery = &shared[i].delivery;
        struct amqp_consumer *consumer = amqp_consumer_find(channel->session, delivery->consumer);
        if (consumer == NULL) {
            continue; /* It has ended since. */
        }
        if (consumer->quiet) {
            amqp_settle(channel->session, consumer->number, delivery->number, AMQP_UNSEEN);
        } else if (amqp_qos_is_full(channel)) {
            amqp_qos_refuse(consumer, delivery->number);
        } else {
            amqp_deliver_now(consumer, delivery, &arena);
        }
    }
    arena_done(&arena);
    shared_free(shared, len);
}
