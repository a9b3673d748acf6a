/* Direct reply-to, by an exclusive queue. */

#include "rpc/amqp/amqp_reply_to.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_note.h"
#include "rpc/amqp/amqp_publishing.h"
#include "rpc/amqp/amqp_queue.h"
#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_session_private.h"

bool amqp_reply_to_is(const char *queue)
{
    size_t len = sizeof AMQP_REPLY_QUEUE - 1;
    return strncmp(queue, AMQP_REPLY_QUEUE, len) == 0 && (queue[len] == '\0' || queue[len] == '.');
}

/* ---- Who asks ---- */

/* Basic.Consume, while the queue is being made. */
struct consuming {
    struct amqp_basic_consume method;
    uint8_t bytes[]; /* Of its tag and arguments. */
};

static struct consuming *consuming_new(const struct amqp_basic_consume *method)
{
    size_t tag_len = method->consumer_tag.len;
    size_t arguments_len = method->arguments.len;
    struct consuming *consuming = malloc(sizeof *consuming + tag_len + arguments_len);
    if (consuming == NULL) {
        return NULL;
    }
    consuming->method = *method;
    if (tag_len > 0) {
        memcpy(consuming->bytes, method->consumer_tag.data, tag_len);
    }
    if (arguments_len > 0) {
        memcpy(consuming->bytes + tag_len, method->arguments.data, arguments_len);
    }
    consuming->method.queue = (struct amqp_bytes){0};
    consuming->method.consumer_tag.data = consuming->bytes;
    consuming->method.arguments.data = consuming->bytes + tag_len;
    return consuming;
}

static void on_made(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    struct consuming *consuming = order->arg;
    if (reply == NULL || !amqp_channel_is_open(channel)) {
        free(consuming);
        return;
    }
    if (reply->error != 0) {
        amqp_reply_to_end(channel);
        amqp_reply_error(channel, order->id, reply);
    } else {
        amqp_consume_queue(channel, &consuming->method, channel->reply_queue);
    }
    free(consuming);
}

static void make_queue(struct amqp_channel *channel, struct consuming *consuming)
{
    char note[AMQP_NOTE_LEN_MAX];
    amqp_note_write(false, false, note);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.exclusive = true;
    options.auto_delete = true;
    options.note = note;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = channel->reply_queue;
    declare.options = &options;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    const struct amqp_order order = {
        .channel = channel, .id = AMQP_basic_consume, .blocks = true, .done = on_made, .arg = consuming};
    amqp_submit(channel->session, &order, &command, (struct slice){0});
}

void amqp_reply_to_consume(struct amqp_channel *channel, const struct amqp_basic_consume *method)
{
    if (!method->no_ack) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, method->id, "reply consumer cannot acknowledge");
        return;
    }
    if (channel->reply_queue != NULL) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, method->id, "reply consumer already set");
        return;
    }
    char name[AMQP_NAME_MADE_MAX];
    amqp_name_generate(AMQP_REPLY_QUEUE ".", name);
    channel->reply_queue = strdup(name);
    struct consuming *consuming = consuming_new(method);
    if (channel->reply_queue == NULL || consuming == NULL) {
        free(consuming);
        amqp_reply_to_end(channel);
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    make_queue(channel, consuming);
}

void amqp_reply_to_end(struct amqp_channel *channel)
{
    free(channel->reply_queue);
    channel->reply_queue = NULL;
}

bool amqp_reply_to_publish(struct amqp_channel *channel, Holdfast__MessageHead *head)
{
    if (strcmp(head->reply_to, AMQP_REPLY_QUEUE) != 0) {
        return true;
    }
    if (channel->reply_queue == NULL) {
        amqp_publish_refuse(channel, AMQP_PRECONDITION_FAILED, "fast reply consumer does not exist");
        return false;
    }
    head->reply_to = channel->reply_queue;
    return true;
}

/* ---- Who wants to know whether somebody waits ---- */

static void on_found(struct amqp_order *order, const struct gateway_reply *reply)
{
    const Holdfast__Command *command = amqp_answered(order, reply);
    if (command == NULL) {
        return;
    }
    const char *queue = command->declare_queue->queue;
    if (reply->error == 0 || reply->error == (uint32_t)-ERR_EXCLUSIVE) {
        amqp_queue_declared(order->channel, queue, 0, 1, order->no_wait);
    } else {
        amqp_queue_refused(order->channel, order->id, queue, reply);
    }
}

void amqp_reply_to_declare(struct amqp_channel *channel, const struct amqp_queue_declare *method, char *queue)
{
    if (strcmp(queue, AMQP_REPLY_QUEUE) == 0) {
        amqp_queue_declared(channel, queue, 0, 1, method->no_wait);
        return;
    }
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = queue;
    declare.passive = true;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    const struct amqp_order order = {.channel = channel,
                                     .id = method->id,
                                     .blocks = true,
                                     .no_wait = method->no_wait,
                                     .done = on_found,
                                     .keep = true};
    amqp_submit(channel->session, &order, &command, (struct slice){0});
}
