/* Binding queues and exchanges to exchanges, and unbinding them. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_reply_to.h"
#include "rpc/amqp/amqp_session_private.h"
#include "rpc/amqp/amqp_value.h"

/* What the four methods have in common. */
struct binding {
    uint32_t id;
    bool no_wait;
    struct amqp_bytes source;
    struct amqp_bytes destination;
    struct amqp_bytes key;
    struct amqp_bytes arguments;
};

/* The same, checked, in the arena. */
struct binding_ends {
    char *source;
    char *destination;
    char *key;
    struct amqp_headers arguments;
};

/* ---- Answers ---- */

/* RabbitMQ's words for an x-match that is none of the four; false: it is not that. */
static bool refuse_x_match(struct amqp_channel *channel, uint32_t id, const Holdfast__Bind *bind)
{
    const struct amqp_headers arguments = {.entries = bind->argument, .len = bind->n_argument};
    const Holdfast__Value *value = amqp_headers_find(&arguments, "x-match");
    if (value == NULL) {
        return false;
    }
    if (value->kind_case == HOLDFAST__VALUE__KIND_STRING) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id,
                           "Invalid x-match field value <<\"%.*s\">>; expected all, any, all-with-x, or any-with-x",
                           (int)value->string.len, (const char *)value->string.data);
    } else {
        int64_t number = 0;
        bool is_number = amqp_value_integer(value, &number);
        char words[40] = "";
        if (is_number) {
            (void)snprintf(words, sizeof words, " (value %" PRId64 ")", number);
        }
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id, "Invalid x-match field type %s%s; expected longstr",
                           amqp_value_type(value), words);
    }
    return true;
}

static void bind_refused(struct amqp_channel *channel, uint32_t id, const Holdfast__Bind *bind,
                         const struct gateway_reply *reply)
{
    bool missing = reply->error == (uint32_t)-ERR_NOT_FOUND;
    if (missing && !amqp_exchange_look(channel->session, bind->source, NULL, NULL)) {
        amqp_exchange_missing(channel, id, bind->source);
    } else if (missing && bind->to_exchange) {
        amqp_exchange_missing(channel, id, bind->exchange);
    } else if (missing || reply->error == (uint32_t)-ERR_EXCLUSIVE) {
        amqp_queue_refused(channel, id, bind->queue, reply);
    } else if (reply->error != (uint32_t)-ERR_INVALID || !refuse_x_match(channel, id, bind)) {
        amqp_reply_error(channel, id, reply);
    }
}

static void on_bound(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    const Holdfast__Command *command = amqp_answered(order, reply);
    if (command == NULL) {
        return;
    }
    if (reply->error != 0) {
        bind_refused(channel, order->id, command->bind, reply);
    } else if (!order->no_wait) {
        union amqp_method ok = {.id = order->id == AMQP_queue_bind ? AMQP_queue_bind_ok : AMQP_exchange_bind_ok};
        amqp_send(channel->session, channel->number, &ok);
    }
}

static void on_unbound(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    const Holdfast__Command *command = amqp_answered(order, reply);
    if (command == NULL) {
        return;
    }
    /* What is not there need not be unbound. */
    if (reply->error != 0 && reply->error != (uint32_t)-ERR_NOT_FOUND) {
        amqp_queue_refused(channel, order->id, command->unbind->queue, reply);
    } else if (!order->no_wait) {
        union amqp_method ok = {.id = order->id == AMQP_queue_unbind ? AMQP_queue_unbind_ok : AMQP_exchange_unbind_ok};
        amqp_send(channel->session, channel->number, &ok);
    }
}

/* ---- Methods ---- */

/* False: the channel (or connection) has been closed with an error. */
static bool check_ends(struct amqp_channel *channel, const struct binding *binding, bool to_exchange,
                       struct binding_ends *ret_ends)
{
    uint32_t id = binding->id;
    struct binding_ends ends;
    ends.destination = to_exchange ? amqp_name(channel, id, "exchange", binding->destination)
                                   : amqp_queue_name(channel, id, binding->destination);
    if (ends.destination == NULL) {
        return false;
    }
    ends.source = amqp_name(channel, id, "exchange", binding->source);
    if (ends.source == NULL) {
        return false;
    }
    if (ends.source[0] == '\0' || ends.destination[0] == '\0') {
        amqp_channel_error(channel, AMQP_ACCESS_REFUSED, id, "operation not permitted on the default exchange");
        return false;
    }
    /* Who does not say which queue need not say which key. */
    bool named = to_exchange || binding->destination.len > 0 || binding->key.len > 0;
    ends.key = named ? amqp_key(channel, id, binding->key) : ends.destination;
    if (ends.key == NULL || !amqp_arguments(channel, id, binding->arguments, &ends.arguments)) {
        return false;
    }
    *ret_ends = ends;
    return true;
}

static void submit(struct amqp_channel *channel, const struct binding *binding, const Holdfast__Command *command)
{
    bool bind = command->kind_case == HOLDFAST__COMMAND__KIND_BIND;
    const struct amqp_order order = {.channel = channel,
                                     .id = binding->id,
                                     .blocks = true,
                                     .no_wait = binding->no_wait,
                                     .done = bind ? on_bound : on_unbound,
                                     .keep = true};
    amqp_submit(channel->session, &order, command, (struct slice){0});
}

static void take_bind(struct amqp_channel *channel, const struct binding *binding)
{
    bool to_exchange = binding->id == AMQP_exchange_bind;
    struct binding_ends ends;
    if (!check_ends(channel, binding, to_exchange, &ends)) {
        return;
    }
    if (!to_exchange && amqp_reply_to_is(ends.destination)) {
        amqp_queue_missing(channel, binding->id, ends.destination);
        return;
    }
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    bind.source = ends.source;
    bind.to_exchange = to_exchange;
    *(to_exchange ? &bind.exchange : &bind.queue) = ends.destination;
    bind.key = ends.key;
    bind.argument = ends.arguments.entries;
    bind.n_argument = ends.arguments.len;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    submit(channel, binding, &command);
}

static void take_unbind(struct amqp_channel *channel, const struct binding *binding)
{
    bool to_exchange = binding->id == AMQP_exchange_unbind;
    struct binding_ends ends;
    if (!check_ends(channel, binding, to_exchange, &ends)) {
        return;
    }
    Holdfast__Unbind unbind = HOLDFAST__UNBIND__INIT;
    unbind.source = ends.source;
    unbind.to_exchange = to_exchange;
    *(to_exchange ? &unbind.exchange : &unbind.queue) = ends.destination;
    unbind.key = ends.key;
    unbind.argument = ends.arguments.entries;
    unbind.n_argument = ends.arguments.len;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNBIND;
    command.unbind = &unbind;
    submit(channel, binding, &command);
}

void amqp_take_exchange_bind(struct amqp_channel *channel, const struct amqp_exchange_bind *method)
{
    take_bind(channel, &(struct binding){method->id, method->no_wait, method->source, method->destination,
                                         method->routing_key, method->arguments});
}

void amqp_take_exchange_unbind(struct amqp_channel *channel, const struct amqp_exchange_unbind *method)
{
    take_unbind(channel, &(struct binding){method->id, method->no_wait, method->source, method->destination,
                                           method->routing_key, method->arguments});
}

void amqp_take_queue_bind(struct amqp_channel *channel, const struct amqp_queue_bind *method)
{
    take_bind(channel, &(struct binding){method->id, method->no_wait, method->exchange, method->queue,
                                         method->routing_key, method->arguments});
}

void amqp_take_queue_unbind(struct amqp_channel *channel, const struct amqp_queue_unbind *method)
{
    take_unbind(channel, &(struct binding){method->id, false, method->exchange, method->queue, method->routing_key,
                                           method->arguments});
}
