/* Declaring and deleting exchanges, with the errors of RabbitMQ. */

#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_note.h"
#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_session_private.h"
#include "rpc/amqp/amqp_value.h"

#define DELAYED "x-delayed-message"

static const char *const TYPES[] = {
    [HOLDFAST__DECLARE_EXCHANGE__TYPE__DIRECT] = "direct",
    [HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT] = "fanout",
    [HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC] = "topic",
    [HOLDFAST__DECLARE_EXCHANGE__TYPE__HEADERS] = "headers",
};

static bool bytes_equal(struct amqp_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && (bytes.len == 0 || memcmp(bytes.data, text, bytes.len) == 0);
}

static bool type_find(struct amqp_bytes name, Holdfast__DeclareExchange__Type *ret_type)
{
    for (size_t i = 0; i < ARRAY_LEN(TYPES); i++) {
        if (bytes_equal(name, TYPES[i])) {
            *ret_type = (Holdfast__DeclareExchange__Type)i;
            return true;
        }
    }
    return false;
}

/* False: the channel has been closed with an error. */
static bool check_not_default(struct amqp_channel *channel, uint32_t id, const char *exchange)
{
    if (exchange[0] == '\0') {
        amqp_channel_error(channel, AMQP_ACCESS_REFUSED, id, "operation not permitted on the default exchange");
    }
    return exchange[0] != '\0';
}

/* ---- Declaring ---- */

/* False: there is no such type; the connection has been closed, as RabbitMQ does. */
static bool declare_type(struct amqp_channel *channel, const struct amqp_exchange_declare *method,
                         Holdfast__DeclareExchange *declare)
{
    declare->delayed = bytes_equal(method->type, DELAYED);
    if (declare->delayed || type_find(method->type, &declare->type)) {
        return true;
    }
    amqp_connection_error(channel->session, AMQP_COMMAND_INVALID, method->id, "%s exchange type '%.*s'",
                          method->type.len > 0 ? "unknown" : "invalid", (int)method->type.len,
                          (const char *)method->type.data);
    return false;
}

/* What an exchange of RabbitMQ's delayed-message plugin routes by. */
static bool declare_delayed(struct amqp_channel *channel, const struct amqp_headers *arguments,
                            Holdfast__DeclareExchange *declare)
{
    const Holdfast__Value *value = amqp_headers_find(arguments, "x-delayed-type");
    if (value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_STRING &&
        type_find((struct amqp_bytes){value->string.data, value->string.len}, &declare->type)) {
        return true;
    }
    amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare,
                       "Invalid argument, 'x-delayed-type' must be an existing exchange type");
    return false;
}

static bool declare_alternate(struct amqp_channel *channel, const struct amqp_headers *arguments,
                              Holdfast__DeclareExchange *declare)
{
    const Holdfast__Value *value = amqp_headers_find(arguments, "alternate-exchange");
    if (value == NULL) {
        return true;
    }
    const char *host = channel->session->virtual_host;
    if (value->kind_case != HOLDFAST__VALUE__KIND_STRING) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare,
                           "invalid type '%s' for arg 'alternate-exchange' in exchange '%s' in vhost '%s'",
                           amqp_value_type(value), declare->exchange, host);
        return false;
    }
    declare->has_alternate = true;
    declare->alternate = amqp_value_text(&channel->session->arena, value);
    if (declare->alternate == NULL) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare,
                           "invalid arg 'alternate-exchange' for exchange '%s' in vhost '%s': not a name",
                           declare->exchange, host);
    }
    return declare->alternate != NULL;
}

static struct amqp_trait type_trait(const Holdfast__DeclareExchange *declare)
{
    return amqp_trait_text(declare->delayed ? DELAYED : TYPES[declare->type]);
}

static struct amqp_trait durable_trait(const Holdfast__DeclareExchange *declare)
{
    return amqp_name_is_reserved(declare->exchange) ? amqp_trait_flag(true) : amqp_trait_durable(declare->note);
}

static struct amqp_trait alternate_trait(const Holdfast__DeclareExchange *declare)
{
    return amqp_trait_text(declare->has_alternate ? declare->alternate : NULL);
}

struct exchange_comparison {
    struct amqp_channel *channel;
    const Holdfast__DeclareExchange *received;
    bool refused; /* By the machine; else it has found no difference in what it compares. */
    bool differs; /* The channel has been closed with an error. */
};

static void compare_trait(struct exchange_comparison *comparison, const char *name, struct amqp_trait received,
                          struct amqp_trait current)
{
    if (!comparison->differs && !amqp_trait_equal(&received, &current)) {
        comparison->differs = true;
        amqp_inequivalent(comparison->channel, AMQP_exchange_declare, "exchange", comparison->received->exchange, name,
                          &received, &current);
    }
}

/* What is there with what was declared, in RabbitMQ's order. */
static void compare(void *arg, const Holdfast__DeclareExchange *current)
{
    struct exchange_comparison *comparison = arg;
    const Holdfast__DeclareExchange *received = comparison->received;
    if (comparison->refused) {
        compare_trait(comparison, "type", type_trait(received), type_trait(current));
    }
    struct amqp_trait durable = durable_trait(current);
    if (durable.type != AMQP_TRAIT_NONE) {
        compare_trait(comparison, "durable", amqp_trait_durable(received->note), durable);
    }
    if (!comparison->refused) {
        return;
    }
    compare_trait(comparison, "auto_delete", amqp_trait_flag(received->auto_delete),
                  amqp_trait_flag(current->auto_delete));
    compare_trait(comparison, "internal", amqp_trait_flag(received->internal), amqp_trait_flag(current->internal));
    compare_trait(comparison, "alternate-exchange", alternate_trait(received), alternate_trait(current));
    compare_trait(comparison, "x-delayed-type", amqp_trait_text(TYPES[received->type]),
                  amqp_trait_text(TYPES[current->type]));
}

static bool declared_otherwise(struct amqp_channel *channel, const Holdfast__DeclareExchange *received, bool refused)
{
    struct exchange_comparison comparison = {.channel = channel, .received = received, .refused = refused};
    (void)amqp_exchange_look(channel->session, received->exchange, &comparison, compare);
    return comparison.differs;
}

static void declare_refused(struct amqp_channel *channel, const Holdfast__DeclareExchange *declare,
                            const struct gateway_reply *reply)
{
    if (reply->error == (uint32_t)-ERR_NOT_FOUND) {
        amqp_exchange_missing(channel, AMQP_exchange_declare, declare->exchange);
    } else if (reply->error == (uint32_t)-ERR_REFUSED && amqp_name_is_reserved(declare->exchange)) {
        amqp_channel_error(channel, AMQP_ACCESS_REFUSED, AMQP_exchange_declare,
                           "exchange name '%s' contains reserved prefix 'amq.*'", declare->exchange);
    } else if (reply->error != (uint32_t)-ERR_EXISTS || !declared_otherwise(channel, declare, true)) {
        amqp_reply_error(channel, AMQP_exchange_declare, reply);
    }
}

static void on_declared(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    const Holdfast__Command *command = amqp_answered(order, reply);
    if (command == NULL) {
        return;
    }
    const Holdfast__DeclareExchange *declare = command->declare_exchange;
    if (reply->error != 0) {
        declare_refused(channel, declare, reply);
    } else if ((declare->passive || !declared_otherwise(channel, declare, false)) && !order->no_wait) {
        union amqp_method ok = {.exchange_declare_ok = {.id = AMQP_exchange_declare_ok}};
        amqp_send(channel->session, channel->number, &ok);
    }
}

void amqp_take_exchange_declare(struct amqp_channel *channel, const struct amqp_exchange_declare *method)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    struct amqp_headers arguments;
    char note[AMQP_NOTE_LEN_MAX];
    amqp_note_write(method->durable, false, note);
    if (!method->passive && !declare_type(channel, method, &declare)) {
        return;
    }
    declare.exchange = amqp_name(channel, method->id, "exchange", method->exchange);
    if (declare.exchange == NULL || !check_not_default(channel, method->id, declare.exchange)) {
        return;
    }
    declare.passive = method->passive;
    if (!method->passive) {
        if (!amqp_arguments(channel, method->id, method->arguments, &arguments) ||
            (declare.delayed && !declare_delayed(channel, &arguments, &declare)) ||
            !declare_alternate(channel, &arguments, &declare)) {
            return;
        }
        declare.auto_delete = method->auto_delete;
        declare.internal = method->internal;
        declare.note = note;
    }
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    const struct amqp_order order = {.channel = channel,
                                     .id = method->id,
                                     .blocks = true,
                                     .no_wait = method->no_wait,
                                     .done = on_declared,
                                     .keep = true};
    amqp_submit(channel->session, &order, &command, (struct slice){0});
}

/* ---- Deleting ---- */

static void see_protected(void *arg, const Holdfast__DeclareExchange *declared)
{
    *(bool *)arg = declared->protected_;
}

static void delete_refused(struct amqp_channel *channel, const Holdfast__DeleteExchange *delete,
                           const struct gateway_reply *reply)
{
    bool is_protected = false;
    (void)amqp_exchange_look(channel->session, delete->exchange, &is_protected, see_protected);
    if (reply->error == (uint32_t)-ERR_REFUSED && delete->if_unused && !is_protected) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, AMQP_exchange_delete,
                           "exchange '%s' in vhost '%s' in use", delete->exchange, channel->session->virtual_host);
    } else {
        amqp_reply_error(channel, AMQP_exchange_delete, reply);
    }
}

static void on_deleted(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    const Holdfast__Command *command = amqp_answered(order, reply);
    if (command == NULL) {
        return;
    }
    if (reply->error != 0) {
        delete_refused(channel, command->delete_exchange, reply);
    } else if (!order->no_wait) {
        union amqp_method ok = {.exchange_delete_ok = {.id = AMQP_exchange_delete_ok}};
        amqp_send(channel->session, channel->number, &ok);
    }
}

void amqp_take_exchange_delete(struct amqp_channel *channel, const struct amqp_exchange_delete *method)
{
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    delete.exchange = amqp_name(channel, method->id, "exchange", method->exchange);
    if (delete.exchange == NULL || !check_not_default(channel, method->id, delete.exchange)) {
        return;
    }
    if (amqp_name_is_reserved(delete.exchange)) {
        amqp_channel_error(channel, AMQP_ACCESS_REFUSED, method->id,
                           "deletion of system exchange '%s' in vhost '%s' not allowed", delete.exchange,
                           channel->session->virtual_host);
        return;
    }
    delete.if_unused = method->if_unused;
    delete.if_exists = true; /* That there is none is no error. */
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
    command.delete_exchange = &delete;
    const struct amqp_order order = {.channel = channel,
                                     .id = method->id,
                                     .blocks = true,
                                     .no_wait = method->no_wait,
                                     .done = on_deleted,
                                     .keep = true};
    amqp_submit(channel->session, &order, &command, (struct slice){0});
}
