/* basic.deliver. */

#include <inttypes.h>
#include <xxhash.h>

#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_delivered.h"
#include "rpc/amqp/amqp_unsettled.h"

void amqp_deliver_now(struct amqp_consumer *consumer, const struct gateway_delivery *delivery, struct arena *arena)
{
    struct amqp_channel *channel = consumer->channel;
    struct amqp_session *session = channel->session;
    struct amqp_delivered delivered;
    int err = amqp_delivered_make(consumer, delivery, arena, &delivered);
    if (err == 0 && !consumer->no_ack) {
        err = amqp_unsettled_add(channel, consumer->number, delivery->number);
    }
    if (err != 0) {
        amqp_session_fail(session, err);
        return;
    }
    union amqp_method method = {.basic_deliver = {.id = AMQP_basic_deliver,
                                                  .consumer_tag = consumer->tag,
                                                  .delivery_tag = ++channel->last_tag,
                                                  .redelivered = delivery->delivery_count > 0,
                                                  .exchange = delivered.exchange,
                                                  .routing_key = delivered.routing_key}};
    amqp_send_content(session, channel->number, &method, delivered.properties, delivery->body);
    amqp_delivered_done(&delivered);
    if (consumer->no_ack) {
        amqp_settle(session, consumer->number, delivery->number, AMQP_ACCEPT);
    }
    amqp_qos_given(consumer);
}

/* AMQP has no checksums: the node that took the message made its own, and nobody after this one looks again. */
static bool delivery_is_whole(struct amqp_session *session, const struct gateway_delivery *delivery)
{
    struct slice content = delivery->head.len > 0 ? delivery->head : delivery->body;
    size_t len = delivery->head.len + delivery->body.len;
    if (XXH3_64bits(content.data, len) == delivery->body_hash) {
        return true;
    }
    amqp_connection_error(session, AMQP_INTERNAL_ERROR, 0,
                          "the message at position %" PRIu64 " is not what was published: its checksum is wrong",
                          delivery->position);
    return false;
}

void amqp_deliver(struct amqp_session *session, const struct gateway_delivery *delivery)
{
    struct amqp_consumer *consumer = amqp_consumer_find(session, delivery->consumer);
    if (consumer == NULL) {
        return; /* Its channel is closed: it goes back with it. */
    }
    if (!delivery_is_whole(session, delivery)) {
        return;
    }
    if (consumer->fetch) {
        amqp_get_given(consumer, delivery);
    } else if (!amqp_channel_is_open(consumer->channel)) {
        return;
    } else if (consumer->quiet) {
        amqp_settle(session, consumer->number, delivery->number, AMQP_UNSEEN);
    } else if (amqp_shared_is(consumer->channel)) {
        amqp_shared_collect(consumer, delivery);
    } else if (amqp_qos_is_full(consumer->channel)) {
        amqp_qos_refuse(consumer, delivery->number);
    } else {
        amqp_deliver_now(consumer, delivery, &session->arena);
    }
}
