/* Declaring, deleting and purging queues, with the errors of RabbitMQ. */

#include "rpc/amqp/amqp_queue.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/amqp/amqp_note.h"
#include "rpc/amqp/amqp_queue_arguments.h"
#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_reply_to.h"
#include "rpc/amqp/amqp_session_private.h"

static uint32_t count_of(uint64_t count)
{
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

/* ---- Declaring ---- */

void amqp_queue_declared(struct amqp_channel *channel, const char *queue, uint64_t ready, uint64_t consumers,
                         bool no_wait)
{
    char *name = strdup(queue);
    if (name == NULL) {
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    free(channel->last_queue);
    channel->last_queue = name;
    union amqp_method ok = {.queue_declare_ok = {.id = AMQP_queue_declare_ok,
                                                 .queue = amqp_text(name),
                                                 .message_count = count_of(ready),
                                                 .consumer_count = count_of(consumers)}};
    if (!no_wait) {
        amqp_send(channel->session, channel->number, &ok);
    }
}

/* The queue is there: whether otherwise than declared. The channel has been closed with an error then. `refused`: by the machine; else
 * it has found no difference in what it compares. */
static bool declared_otherwise(struct amqp_channel *channel, const Holdfast__DeclareQueue *declare, bool refused)
{
    struct gateway_queue queue;
    if (!amqp_queue_look(channel->session, declare->queue, &queue)) {
        return false;
    }
    if (refused && queue.options->exclusive != declare->options->exclusive) {
        amqp_queue_locked(channel, AMQP_queue_declare, declare->queue);
        return true;
    }
    struct amqp_queue_difference difference;
    if (!(refused ? amqp_queue_options_differ(declare->options, queue.options, &difference)
                  : amqp_queue_durable_differs(declare->options, queue.options, &difference))) {
        return false;
    }
    amqp_inequivalent(channel, AMQP_queue_declare, "queue", declare->queue, difference.name, &difference.received,
                      &difference.current);
    return true;
}

static void on_declared(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    const Holdfast__Command *command = amqp_answered(order, reply);
    if (command == NULL) {
        return;
    }
    const Holdfast__DeclareQueue *declare = command->declare_queue;
    bool compare = !declare->passive && (reply->error == 0 || reply->error == (uint32_t)-ERR_EXISTS);
    if (compare && declared_otherwise(channel, declare, reply->error != 0)) {
        return;
    }
    if (reply->error != 0) {
        amqp_queue_refused(channel, order->id, declare->queue, reply);
    } else {
        amqp_queue_declared(channel, declare->queue, reply->count, reply->repeated_count, order->no_wait);
    }
}

/* False: the channel has been closed with an error. */
static bool read_arguments(struct amqp_channel *channel, const struct amqp_queue_declare *method, const char *queue,
                           Holdfast__QueueOptions *options, char ret_note[AMQP_NOTE_LEN_MAX])
{
    struct amqp_headers arguments;
    struct amqp_argument_error error;
    if (!amqp_arguments(channel, method->id, method->arguments, &arguments)) {
        return false;
    }
    if (amqp_queue_arguments_read(&arguments, &channel->session->arena, options, &error)) {
        amqp_note_write(method->durable, amqp_queue_is_quorum(&arguments), ret_note);
        return true;
    }
    const char *host = channel->session->virtual_host;
    if (error.of_exchange) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, method->id,
                           "invalid type '%s' for arg '%s' in queue '%s' in vhost '%s'", error.reason, error.name,
                           queue, host);
    } else {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, method->id,
                           "invalid arg '%s' for queue '%s' in vhost '%s': %s", error.name, queue, host, error.reason);
    }
    return false;
}

static void submit_declare(struct amqp_channel *channel, const struct amqp_queue_declare *method, char *queue,
                           Holdfast__QueueOptions *options)
{
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = queue;
    declare.passive = method->passive;
    declare.options = options;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    const struct amqp_order order = {.channel = channel,
                                     .id = method->id,
                                     .blocks = true,
                                     .no_wait = method->no_wait,
                                     .apart = true, /* For what it counts. */
                                     .done = on_declared,
                                     .keep = true};
    amqp_submit(channel->session, &order, &command, (struct slice){0});
}

static void declare_active(struct amqp_channel *channel, const struct amqp_queue_declare *method, char *queue)
{
    char made[AMQP_NAME_MADE_MAX];
    char note[AMQP_NOTE_LEN_MAX];
    if (queue[0] == '\0') {
        amqp_name_generate("amq.gen-", made);
        queue = made;
    } else if (amqp_name_is_reserved(queue)) {
        amqp_channel_error(channel, AMQP_ACCESS_REFUSED, method->id, "queue name '%s' contains reserved prefix 'amq.*'",
                           queue);
        return;
    }
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.exclusive = method->exclusive;
    options.auto_delete = method->auto_delete;
    options.note = note;
    if (read_arguments(channel, method, queue, &options, note)) {
        submit_declare(channel, method, queue, &options);
    }
}

void amqp_take_queue_declare(struct amqp_channel *channel, const struct amqp_queue_declare *method)
{
    char *queue = amqp_name(channel, method->id, "queue", method->queue);
    if (queue == NULL) {
        return;
    }
    if (amqp_reply_to_is(queue)) {
        amqp_reply_to_declare(channel, method, queue);
    } else if (!method->passive) {
        declare_active(channel, method, queue);
    } else if (queue[0] == '\0') {
        amqp_queue_missing(channel, method->id, queue);
    } else {
        submit_declare(channel, method, queue, NULL);
    }
}

/* ---- Deleting ---- */

static void send_delete_ok(struct amqp_channel *channel, uint64_t count)
{
    union amqp_method ok = {.queue_delete_ok = {.id = AMQP_queue_delete_ok, .message_count = count_of(count)}};
    amqp_send(channel->session, channel->number, &ok);
}

/* It is there and was not deleted: because of a condition, which is looked at in this order, or because it is protected. */
static void delete_refused(struct amqp_channel *channel, const Holdfast__DeleteQueue *delete,
                           const struct gateway_reply *reply)
{
    struct gateway_queue queue;
    const char *host = channel->session->virtual_host;
    bool found = reply->error == (uint32_t)-ERR_REFUSED && amqp_queue_look(channel->session, delete->queue, &queue);
    bool conditional = found && !queue.options->protected_;
    bool filled = conditional && queue.ready > 0;
    if (conditional && delete->if_none_ready && (filled || !delete->if_unused)) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, AMQP_queue_delete, "queue '%s' in vhost '%s' not empty",
                           delete->queue, host);
    } else if (conditional && delete->if_unused) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, AMQP_queue_delete, "queue '%s' in vhost '%s' in use",
                           delete->queue, host);
    } else {
        amqp_queue_refused(channel, AMQP_queue_delete, delete->queue, reply);
    }
}

static void on_deleted(struct amqp_order *order, const struct gateway_reply *reply)
{
    const Holdfast__Command *command = amqp_answered(order, reply);
    if (command == NULL) {
        return;
    }
    if (reply->error != 0 && reply->error != (uint32_t)-ERR_NOT_FOUND) {
        delete_refused(order->channel, command->delete_queue, reply);
    } else if (!order->no_wait) {
        send_delete_ok(order->channel, reply->repeated_count); /* That there was none is no error. */
    }
}

void amqp_take_queue_delete(struct amqp_channel *channel, const struct amqp_queue_delete *method)
{
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    delete.queue = amqp_queue_name(channel, method->id, method->queue);
    if (delete.queue == NULL) {
        return;
    }
    if (amqp_reply_to_is(delete.queue)) {
        if (!method->no_wait) {
            send_delete_ok(channel, 0);
        }
        return;
    }
    delete.if_none_ready =
        method->if_empty; /* RabbitMQ does not ask about what is out, nor answers how much that was. */
    delete.if_unused = method->if_unused;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    const struct amqp_order order = {.channel = channel,
                                     .id = method->id,
                                     .blocks = true,
                                     .no_wait = method->no_wait,
                                     .apart = true,
                                     .done = on_deleted,
                                     .keep = true};
    amqp_submit(channel->session, &order, &command, (struct slice){0});
}

/* ---- Purging ---- */

static void on_purged(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    const Holdfast__Command *command = amqp_answered(order, reply);
    if (command == NULL) {
        return;
    }
    if (reply->error != 0) {
        amqp_queue_refused(channel, order->id, command->purge_queue->queue, reply);
    } else if (!order->no_wait) {
        union amqp_method ok = {.queue_purge_ok = {.id = AMQP_queue_purge_ok, .message_count = count_of(reply->count)}};
        amqp_send(channel->session, channel->number, &ok);
    }
}

void amqp_take_queue_purge(struct amqp_channel *channel, const struct amqp_queue_purge *method)
{
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    purge.queue = amqp_queue_name(channel, method->id, method->queue);
    if (purge.queue == NULL) {
        return;
    }
    if (amqp_reply_to_is(purge.queue)) {
        amqp_queue_missing(channel, method->id, purge.queue);
        return;
    }
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
    command.purge_queue = &purge;
    const struct amqp_order order = {.channel = channel,
                                     .id = method->id,
                                     .blocks = true,
                                     .no_wait = method->no_wait,
                                     .apart = true,
                                     .done = on_purged,
                                     .keep = true};
    amqp_submit(channel->session, &order, &command, (struct slice){0});
}
