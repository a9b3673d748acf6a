/* basic.get: a fetch of one message.
 *
 * What a no-ack fetch takes is delivered in the very step that takes it, before the reply, which says how many messages are left: it is kept
 * until then. Otherwise the delivery comes after the reply, perhaps much after it, when the connection takes no more at the moment: until
 * then no further frame is taken, so that answers keep their order. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_delivered.h"
#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_reply_to.h"
#include "rpc/amqp/amqp_unsettled.h"

struct amqp_getting {
    bool replied;
    bool ended;
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
    if (!getting->replied || !(getting->is_given || getting->ended)) {
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

void amqp_get_ended(struct amqp_consumer *consumer)
{
    if (consumer->getting == NULL) {
        amqp_consumer_free(consumer);
        return;
    }
    consumer->getting->ended = true;
    get_look(consumer);
}

static void on_fetched(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    struct amqp_consumer *consumer = reply != NULL ? amqp_consumer_find(channel->session, order->value) : NULL;
    if (consumer == NULL) {
        return; /* The channel is closed. */
    }
    if (reply->error != 0) {
        amqp_consume_refused(channel, order->id, consumer->queue, reply);
        consumer = amqp_consumer_find(channel->session, order->value);
        if (consumer != NULL) {
            amqp_consumer_free(consumer);
        }
        return;
    }
    struct amqp_getting *getting = consumer->getting;
    getting->replied = true;
    consumer->counting = amqp_counting_of(channel->session, consumer->queue);
    getting->left = reply->repeated_count;
    getting->ended = getting->ended || reply->count == 0;
    if (!getting->ended && !getting->is_given) {
        getting->blocks = true;
        channel->session->blocking_len++;
    }
    get_look(consumer);
}

/* ---- The method ---- */

static void fetch(struct amqp_consumer *consumer, uint32_t id)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char *)(uintptr_t)consumer->queue;
    subscribe.consumer = consumer->number;
    subscribe.credit = 1;
    subscribe.fetch = true;
    subscribe.auto_accept = consumer->no_ack;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    amqp_submit(consumer->channel->session,
                &(struct amqp_order){.channel = consumer->channel,
                                     .id = id,
                                     .blocks = true,
                                     .apart = true,
                                     .done = on_fetched,
                                     .value = consumer->number},
                &command, (struct slice){0});
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
    struct amqp_consumer *consumer;
    struct amqp_getting *getting = calloc(1, sizeof *getting);
    if (getting == NULL || amqp_consumer_new(channel, queue, (struct amqp_bytes){0}, &consumer) != 0) {
        free(getting);
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    consumer->getting = getting;
    consumer->fetch = true;
    consumer->no_ack = method->no_ack;
    fetch(consumer, method->id);
}
