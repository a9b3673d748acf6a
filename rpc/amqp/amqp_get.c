/* basic.get: a fetch of one message.
 *
 * What a channel gets of a queue and has not settled is held by one consumer: as long as it holds something it fetches again, and what is
 * settled together can go back or be accepted with one command. When it holds nothing any more it ends by itself, and the next get has a new
 * one.
 *
 * What a no-ack fetch takes is delivered in the very step that takes it, before the reply, which says how many messages are left: it is kept
 * until then. Otherwise the delivery comes after the reply, perhaps much after it, when the connection takes no more at the moment: until
 * then no further frame is taken, so that answers keep their order. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_delivered.h"
#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_reply_to.h"
#include "rpc/amqp/amqp_unsettled.h"

struct amqp_getting {
    bool more; /* Of a consumer that holds something from before. */
    bool replied;
    bool empty;    /* There is no message, or it has gone back before it came. */
    bool ended;    /* There is no such consumer any more. */
    bool blocks;   /* It is counted in session->blocking_len. */
    bool is_given; /* `given` is set, with references. */
    uint64_t left;
    struct gateway_delivery given;
};

void amqp_getting_done(struct amqp_consumer *consumer)
{
    struct amqp_getting *getting = consumer->getting;
    if (getting == NULL) {
        return;
    }
    if (getting->is_given) {
        slice_unref(&getting->given.body);
        slice_unref(&getting->given.head);
        slice_unref(&getting->given.trail);
    }
    consumer->channel->session->blocking_len -= getting->blocks;
    free(getting);
    consumer->getting = NULL;
}

/* ---- Answers ---- */

static void send_empty(struct amqp_channel *channel)
{
    union amqp_method empty = {.basic_get_empty = {.id = AMQP_basic_get_empty}};
    if (amqp_channel_is_open(channel)) {
        amqp_send(channel->session, channel->number, &empty);
    }
}

static void send_message(struct amqp_consumer *consumer, const struct gateway_delivery *delivery)
{
    struct amqp_channel *channel = consumer->channel;
    struct amqp_session *session = channel->session;
    struct amqp_delivered delivered;
    int err = amqp_delivered_make(consumer, delivery, &session->arena, &delivered);
    if (err == 0 && !consumer->no_ack) {
        err = amqp_unsettled_add(channel, consumer->number, delivery->number);
    }
    if (err != 0) {
        amqp_session_fail(session, err);
        return;
    }
    consumer->held += !consumer->no_ack;
    uint64_t left = consumer->getting->left;
    union amqp_method ok = {.basic_get_ok = {.id = AMQP_basic_get_ok,
                                             .delivery_tag = ++channel->last_tag,
                                             .redelivered = delivery->delivery_count > 0,
                                             .exchange = delivered.exchange,
                                             .routing_key = delivered.routing_key,
                                             .message_count = (uint32_t)(left < UINT32_MAX ? left : UINT32_MAX)}};
    amqp_send_content(session, channel->number, &ok, delivered.properties, delivery->body);
    amqp_delivered_done(&delivered);
}

/* When the reply is there, and the message, or the end: the answer. */
static void get_look(struct amqp_consumer *consumer)
{
    struct amqp_getting *getting = consumer->getting;
    struct amqp_channel *channel = consumer->channel;
    if (!getting->replied || !(getting->is_given || getting->empty || getting->ended)) {
        return;
    }
    bool ended = getting->ended;
    if (!getting->is_given) {
        send_empty(channel);
    } else if (amqp_channel_is_open(channel)) {
        send_message(consumer, &getting->given);
    }
    amqp_getting_done(consumer);
    if (ended) {
        amqp_consumer_free(consumer);
    }
}

/* ---- From the gateway ---- */

void amqp_get_given(struct amqp_consumer *consumer, const struct gateway_delivery *delivery)
{
    struct amqp_getting *getting = consumer->getting;
    if (getting == NULL || getting->is_given) {
        return;
    }
    getting->given = *delivery;
    (void)slice_ref(getting->given.body);
    (void)slice_ref(getting->given.head);
    (void)slice_ref(getting->given.trail);
    getting->is_given = true;
    get_look(consumer);
}

void amqp_get_taken_back(struct amqp_consumer *consumer, uint64_t number)
{
    struct amqp_getting *getting = consumer->getting;
    if (getting != NULL && getting->replied && number == consumer->fetched) {
        getting->empty = true;
        get_look(consumer);
    }
}

void amqp_get_ended(struct amqp_consumer *consumer)
{
    if (consumer->getting == NULL) {
        amqp_consumer_free(consumer);
        return;
    }
    consumer->getting->ended = true;
    get_look(consumer);
}

static void fetch_anew(struct amqp_consumer *consumer);

/* Nothing was fetched. */
static void fetch_refused(struct amqp_consumer *consumer, const struct amqp_order *order,
                          const struct gateway_reply *reply)
{
    struct amqp_session *session = consumer->channel->session;
    bool more = consumer->getting->more;
    if (more && reply->error == (uint32_t)-ERR_NOT_FOUND) {
        fetch_anew(consumer); /* All that it held has gone back meanwhile; or the queue has gone. */
        return;
    }
    amqp_consume_refused(consumer->channel, order->id, consumer->queue, reply);
    consumer = amqp_consumer_find(session, order->value); /* Closing the channel ends it. */
    if (consumer != NULL && more) {
        amqp_getting_done(consumer);
    } else if (consumer != NULL) {
        amqp_consumer_free(consumer);
    }
}

static void on_fetched(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    struct amqp_consumer *consumer = reply != NULL ? amqp_consumer_find(channel->session, order->value) : NULL;
    if (consumer == NULL) {
        return; /* The channel is closed. */
    }
    if (reply->error != 0) {
        fetch_refused(consumer, order, reply);
        return;
    }
    struct amqp_getting *getting = consumer->getting;
    getting->replied = true;
    consumer->counting = amqp_counting_of(channel->session, consumer->queue);
    consumer->fetched += reply->count;
    getting->left = reply->repeated_count;
    getting->empty = reply->count == 0;
    getting->ended = getting->ended || (getting->empty && !getting->more);
    if (!getting->empty && !getting->ended && !getting->is_given) {
        getting->blocks = true;
        channel->session->blocking_len++;
    }
    get_look(consumer);
}

/* ---- The method ---- */

static void fetch(struct amqp_consumer *consumer)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char *)(uintptr_t)consumer->queue;
    subscribe.consumer = consumer->number;
    subscribe.credit = 1;
    subscribe.fetch = true;
    subscribe.more = consumer->getting->more;
    subscribe.auto_accept = consumer->no_ack;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    amqp_submit(consumer->channel->session,
                &(struct amqp_order){.channel = consumer->channel,
                                     .id = AMQP_basic_get,
                                     .blocks = true,
                                     .apart = true,
                                     .done = on_fetched,
                                     .value = consumer->number},
                &command, (struct slice){0});
}

static int getter_new(struct amqp_channel *channel, const char *queue, bool no_ack, struct amqp_consumer **ret_consumer)
{
    struct amqp_consumer *consumer;
    int err = amqp_consumer_new(channel, queue, (struct amqp_bytes){0}, &consumer);
    if (err == 0) {
        consumer->fetch = true;
        consumer->no_ack = no_ack;
        *ret_consumer = consumer;
    }
    return err;
}

/* The one that holds something of the queue, and can hold more. */
static struct amqp_consumer *getter_find(struct amqp_channel *channel, const char *queue)
{
    LIST_FOR_EACH (node, &channel->consumers) {
        struct amqp_consumer *consumer = amqp_consumer_of(node);
        if (consumer->fetch && consumer->held > 0 && consumer->held < CREDIT_MAX && consumer->getting == NULL &&
            strcmp(consumer->queue, queue) == 0) {
            return consumer;
        }
    }
    return NULL;
}

/* The consumer was not there any more: another one. */
static void fetch_anew(struct amqp_consumer *consumer)
{
    struct amqp_session *session = consumer->channel->session;
    struct amqp_consumer *other;
    if (getter_new(consumer->channel, consumer->queue, false, &other) != 0) {
        amqp_session_fail(session, ERR_NOMEM);
        return;
    }
    other->getting = consumer->getting;
    other->getting->more = false;
    other->getting->ended = false;
    consumer->getting = NULL;
    amqp_consumer_free(consumer);
    fetch(other);
}

void amqp_take_basic_get(struct amqp_channel *channel, const struct amqp_basic_get *method)
{
    const char *queue = amqp_queue_name(channel, method->id, method->queue);
    if (queue == NULL) {
        return;
    }
    if (amqp_reply_to_is(queue)) {
        amqp_queue_missing(channel, method->id, queue);
        return;
    }
    struct amqp_getting *getting = calloc(1, sizeof *getting);
    struct amqp_consumer *consumer = getting != NULL && !method->no_ack ? getter_find(channel, queue) : NULL;
    bool more = consumer != NULL;
    if (getting == NULL || (!more && getter_new(channel, queue, method->no_ack, &consumer) != 0)) {
        free(getting);
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    getting->more = more;
    consumer->getting = getting;
    fetch(consumer);
}
