/* basic.consume and basic.cancel, and how subscriptions end otherwise. */

#include <stdlib.h>
#include <string.h>

#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_note.h"
#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_reply_to.h"
#include "rpc/amqp/amqp_unsettled.h"
#include "rpc/amqp/amqp_value.h"

/* What a consumer without acknowledgements is given before it is settled here, as it is sent. (The machine would settle as it delivers, and
 * then nothing could wait any more for a connection that takes no more at the moment.) */
#define NO_ACK_CREDIT 1024u

static bool is_text(struct amqp_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* ---- Beginning ---- */

void amqp_consume_refused(struct amqp_channel *channel, uint32_t id, const char *queue,
                          const struct gateway_reply *reply)
{
    const char *host = channel->session->virtual_host;
    if (amqp_said(reply, ERR_EXCLUSIVE, AMQP_SAID_EXCLUSIVE_USE)) {
        amqp_channel_error(channel, AMQP_ACCESS_REFUSED, id, "queue '%s' in vhost '%s' in exclusive use", queue, host);
    } else if (amqp_said(reply, ERR_EXCLUSIVE, AMQP_SAID_ACTIVE_CONSUMER)) {
        amqp_channel_error(channel, AMQP_RESOURCE_LOCKED, id,
                           "cannot obtain access to locked queue '%s' in vhost '%s'. basic.get operations are not "
                           "supported by quorum queues with single active consumer",
                           queue, host);
    } else {
        amqp_queue_refused(channel, id, queue, reply);
    }
}

static void on_subscribed(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    struct amqp_consumer *consumer = reply != NULL ? amqp_consumer_find(channel->session, order->value) : NULL;
    if (consumer == NULL) {
        return; /* The channel is closed. */
    }
    if (reply->error != 0) {
        amqp_consume_refused(channel, order->id, consumer->queue, reply);
        consumer = amqp_consumer_find(channel->session, order->value); /* Closing the channel ends it. */
        if (consumer != NULL) {
            amqp_consumer_free(consumer);
        }
        return;
    }
    consumer->counting = amqp_counting_of(channel->session, consumer->queue);
    if (!order->no_wait && amqp_channel_is_open(channel)) {
        union amqp_method ok = {.basic_consume_ok = {.id = AMQP_basic_consume_ok, .consumer_tag = consumer->tag}};
        amqp_send(channel->session, channel->number, &ok);
    }
}

static void invalid_argument(struct amqp_channel *channel, uint32_t id, const char *queue, const char *name,
                             const char *why, const Holdfast__Value *value, const char *end)
{
    amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id, "invalid arg '%s' for queue '%s' in vhost '%s': %s%s%s",
                       name, queue, channel->session->virtual_host, why, amqp_value_type(value), end);
}

/* Where to begin in a stream: in no queue that there is. */
static bool check_stream_offset(struct amqp_channel *channel, const struct amqp_headers *arguments, uint32_t id,
                                const char *queue)
{
    struct gateway_queue found;
    if (amqp_headers_find(arguments, "x-stream-offset") == NULL || !amqp_queue_look(channel->session, queue, &found)) {
        return true;
    }
    amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id,
                       "invalid arg 'x-stream-offset' for queue '%s' in vhost '%s' of queue type %s", queue,
                       channel->session->virtual_host,
                       amqp_note_read(found.options->note).quorum ? "rabbit_quorum_queue" : "rabbit_classic_queue");
    return false;
}

/* x-priority, an integer of any width, and x-cancel-on-ha-failover, which has no meaning here, as RabbitMQ checks them. False: the channel is
 * closed. */
static bool take_arguments(struct amqp_channel *channel, const struct amqp_basic_consume *method, const char *queue,
                           int32_t *ret_priority)
{
    struct amqp_headers arguments = {0};
    int64_t priority = 0;
    if (!amqp_arguments(channel, method->id, method->arguments, &arguments) ||
        !check_stream_offset(channel, &arguments, method->id, queue)) {
        return false;
    }
    const Holdfast__Value *value = amqp_headers_find(&arguments, "x-priority");
    const Holdfast__Value *failover = amqp_headers_find(&arguments, "x-cancel-on-ha-failover");
    if (value != NULL && !amqp_value_integer(value, &priority)) {
        invalid_argument(channel, method->id, queue, "x-priority", "\"expected integer, got ", value, "\"");
        return false;
    }
    if (failover != NULL && failover->kind_case != HOLDFAST__VALUE__KIND_BOOLEAN) {
        invalid_argument(channel, method->id, queue, "x-cancel-on-ha-failover", "{unacceptable_type,", failover, "}");
        return false;
    }
    priority = priority < INT32_MIN ? INT32_MIN : priority;
    *ret_priority = (int32_t)(priority > INT32_MAX ? INT32_MAX : priority);
    return true;
}

/* What people see: at most NAME_LEN_MAX bytes of UTF-8, or nothing. */
static void tag_copy(struct amqp_bytes tag, char ret_text[NAME_LEN_MAX + 1])
{
    bool shown = tag.len <= NAME_LEN_MAX && memchr(tag.data, 0, tag.len) == NULL && bytes_are_utf8(tag.data, tag.len);
    if (shown) {
        memcpy(ret_text, tag.data, tag.len);
    }
    ret_text[shown ? tag.len : 0] = '\0';
}

static void subscribe(struct amqp_consumer *consumer, const struct amqp_basic_consume *method, int32_t priority)
{
    char tag[NAME_LEN_MAX + 1];
    tag_copy(consumer->tag, tag);
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char *)(uintptr_t)consumer->queue;
    subscribe.consumer = consumer->number;
    subscribe.credit = consumer->credit;
    subscribe.priority = priority;
    subscribe.exclusive = method->exclusive;
    subscribe.tag = tag;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    amqp_submit(consumer->channel->session,
                &(struct amqp_order){.channel = consumer->channel,
                                     .id = method->id,
                                     .blocks = true,
                                     .no_wait = method->no_wait,
                                     .done = on_subscribed,
                                     .value = consumer->number},
                &command, (struct slice){0});
}

void amqp_consume_queue(struct amqp_channel *channel, const struct amqp_basic_consume *method, const char *queue)
{
    char made[AMQP_NAME_MADE_MAX];
    struct amqp_bytes tag = method->consumer_tag;
    int32_t priority = 0;
    if (!take_arguments(channel, method, queue, &priority)) {
        return;
    }
    if (tag.len == 0) {
        amqp_name_generate("amq.ctag-", made);
        tag = amqp_text(made);
    }
    struct amqp_consumer *consumer;
    if (amqp_consumer_new(channel, queue, tag, &consumer) != 0) {
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    consumer->no_ack = method->no_ack;
    consumer->limit = method->no_ack ? NO_ACK_CREDIT : channel->prefetch > 0 ? channel->prefetch : CREDIT_MAX;
    consumer->credit = amqp_qos_credit(consumer);
    subscribe(consumer, method, priority);
}

void amqp_take_basic_consume(struct amqp_channel *channel, const struct amqp_basic_consume *method)
{
    if (method->consumer_tag.len > 0 && amqp_consumer_tagged(channel, method->consumer_tag) != NULL) {
        amqp_connection_error(channel->session, AMQP_NOT_ALLOWED, method->id, "attempt to reuse consumer tag '%.*s'",
                              (int)method->consumer_tag.len, (const char *)method->consumer_tag.data);
        return;
    }
    if (is_text(method->queue, AMQP_REPLY_QUEUE)) {
        amqp_reply_to_consume(channel, method);
        return;
    }
    const char *queue = amqp_queue_name(channel, method->id, method->queue);
    if (queue == NULL) {
        return;
    }
    if (amqp_reply_to_is(queue)) {
        amqp_queue_missing(channel, method->id, queue);
        return;
    }
    amqp_consume_queue(channel, method, queue);
}

/* ---- Cancelling ---- */

/* The consumer of direct replies is none any more. */
static void reply_to_look(const struct amqp_consumer *consumer)
{
    struct amqp_channel *channel = consumer->channel;
    if (channel->reply_queue != NULL && strcmp(channel->reply_queue, consumer->queue) == 0) {
        amqp_reply_to_end(channel);
    }
}

void amqp_unsubscribe(struct amqp_session *session, const struct amqp_order *order, uint64_t consumer, bool drain)
{
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    unsubscribe.consumer = consumer;
    unsubscribe.drain = drain;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    amqp_submit(session, order, &command, (struct slice){0});
}

static void send_cancel_ok(struct amqp_channel *channel, struct amqp_bytes tag)
{
    union amqp_method ok = {.basic_cancel_ok = {.id = AMQP_basic_cancel_ok, .consumer_tag = tag}};
    amqp_send(channel->session, channel->number, &ok);
}

/* `arg` is a copy of the tag: the consumer may have ended before. */
static void on_cancelled(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    struct amqp_consumer *consumer = reply != NULL ? amqp_consumer_find(channel->session, order->value) : NULL;
    if (consumer != NULL && (reply->error != 0 || reply->count == 0)) {
        amqp_consumer_free(consumer); /* It holds nothing, and has ended. */
    } else if (consumer != NULL) {
        consumer->quiet = true;
    }
    struct amqp_bytes *tag = order->arg;
    if (reply != NULL && !order->no_wait && amqp_channel_is_open(channel)) {
        send_cancel_ok(channel, *tag);
    }
    free(tag);
}

static struct amqp_bytes *tag_keep(struct amqp_bytes tag)
{
    struct amqp_bytes *kept = malloc(sizeof *kept + tag.len);
    if (kept != NULL) {
        *kept = (struct amqp_bytes){(const uint8_t *)(kept + 1), tag.len};
        memcpy(kept + 1, tag.data, tag.len);
    }
    return kept;
}

void amqp_take_basic_cancel(struct amqp_channel *channel, const struct amqp_basic_cancel *method)
{
    struct amqp_session *session = channel->session;
    struct amqp_consumer *consumer = amqp_consumer_tagged(channel, method->consumer_tag);
    if (consumer == NULL) { /* It may have been cancelled from our side at the same time: no error. */
        if (!method->no_wait) {
            send_cancel_ok(channel, method->consumer_tag);
        }
        return;
    }
    struct amqp_bytes *tag = tag_keep(consumer->tag);
    if (tag == NULL) {
        amqp_session_fail(session, ERR_NOMEM);
        return;
    }
    consumer->cancelled = true;
    reply_to_look(consumer);
    amqp_unsubscribe(session,
                     &(struct amqp_order){.channel = channel,
                                          .id = method->id,
                                          .blocks = !method->no_wait,
                                          .no_wait = method->no_wait,
                                          .apart = true,
                                          .done = on_cancelled,
                                          .arg = tag,
                                          .value = consumer->number},
                     consumer->number, true);
}

/* ---- Ending otherwise ---- */

void amqp_consumer_ended(struct amqp_session *session, uint64_t number, int err, const char *detail)
{
    struct amqp_consumer *consumer = session->state == AMQP_OPEN ? amqp_consumer_find(session, number) : NULL;
    (void)detail;
    if (consumer == NULL) {
        return;
    }
    if (consumer->fetch) {
        amqp_get_ended(consumer);
        return;
    }
    /* Its queue has gone; a client that does not know what Cancel from here means is not told (RabbitMQ's extension). */
    if (err != 0 && !consumer->cancelled && session->cancel_notify && amqp_channel_is_open(consumer->channel)) {
        union amqp_method cancel = {
            .basic_cancel = {.id = AMQP_basic_cancel, .consumer_tag = consumer->tag, .no_wait = true}};
        amqp_send(session, consumer->channel->number, &cancel);
    }
    reply_to_look(consumer);
    amqp_consumer_free(consumer);
}

/* The time of a lock: its queue's, since consumers of ours ask for none of their own. */
static uint64_t lock_ms_of(const struct amqp_consumer *consumer)
{
    struct gateway_queue queue;
    bool found = amqp_queue_look(consumer->channel->session, consumer->queue, &queue);
    return found ? queue.options->lock_ms : 0;
}

void amqp_lock_ended(struct amqp_session *session, uint64_t number, uint64_t delivery)
{
    struct amqp_consumer *consumer = session->state == AMQP_OPEN ? amqp_consumer_find(session, number) : NULL;
    if (consumer == NULL) {
        return;
    }
    if (!amqp_unsettled_has(consumer->channel, number, delivery)) {
        amqp_get_taken_back(consumer, delivery);
        return; /* The client has settled it, or did not have it yet: that is not its fault. */
    }
    amqp_channel_error(consumer->channel, AMQP_PRECONDITION_FAILED, 0,
                       "delivery acknowledgement on channel %u timed out. Timeout value used: %llu ms. This timeout "
                       "value can be configured, see consumers doc guide to learn more",
                       consumer->channel->number, (unsigned long long)lock_ms_of(consumer));
}

static void on_left(struct amqp_order *order, const struct gateway_reply *reply)
{
    (void)order;
    (void)reply;
}

void amqp_consumers_leave(struct amqp_channel *channel)
{
    struct list_node *node;
    while ((node = list_first(&channel->consumers)) != NULL) {
        struct amqp_consumer *consumer = amqp_consumer_of(node);
        uint64_t number = consumer->number;
        amqp_consumer_free(consumer);
        amqp_unsubscribe(channel->session, &(struct amqp_order){.channel = channel, .done = on_left}, number, false);
    }
}
