/* Commands about exchanges: declare, change, delete, bind, unbind. */

#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/message/message_head.h"
#include "statemachine/virtual_host/virtual_host.h"

static struct slice text_slice(const char *text)
{
    return (struct slice){.data = (const uint8_t *)text, .len = strlen(text)};
}

/* NULL, with an error reply, when there is none of that name. */
static int exchange_named(struct machine *machine, const struct session *session, const char *name,
                          struct exchange **ret_exchange, struct reply *reply)
{
    *ret_exchange = NULL;
    int err = exchange_find(machine, session->virtual_host_id, name, strlen(name), ret_exchange);
    if (err == ERR_NOT_FOUND) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_EXCHANGE);
        err = 0;
    }
    return err;
}

/* ---- Declaring ---- */

static struct exchange_properties properties_of(const Holdfast__DeclareExchange *declare)
{
    return (struct exchange_properties){
        .type = (enum exchange_type)declare->type,
        .auto_delete = declare->auto_delete,
        .internal = declare->internal,
        .is_protected = declare->protected_,
        .delayed = declare->delayed,
        .has_alternate = declare->has_alternate,
        .alternate = text_slice(declare->has_alternate ? declare->alternate : ""),
        .note = text_slice(declare->note),
    };
}

/* All but what depends on what is there. */
static bool declare_check(const Holdfast__DeclareExchange *declare, const struct exchange_properties *properties,
                          struct reply *reply)
{
    int err = name_check(declare->exchange, strlen(declare->exchange));
    const struct slice *alternate = &properties->alternate;
    if (declare->exchange[0] == '\0') {
        reply_fail(reply, ERR_REFUSED, DETAIL_EXCHANGE_DEFAULT);
    } else if (err != 0) {
        reply_fail(reply, err, DETAIL_EXCHANGE_NAME);
    } else if ((int)declare->type < 0 || (int)declare->type > (int)EXCHANGE_TYPE_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_EXCHANGE_TYPE);
    } else if (alternate->len > 0 && name_check(alternate->data, alternate->len) != 0) {
        reply_fail(reply, ERR_NAME, DETAIL_EXCHANGE_ALTERNATE);
    } else if (properties->note.len > NAME_LEN_MAX || !bytes_are_utf8(properties->note.data, properties->note.len)) {
        reply_fail(reply, ERR_INVALID, DETAIL_NOTE);
    }
    return reply->error == 0;
}

static bool declare_may(struct machine *machine, const struct session *session, const char *name, struct reply *reply)
{
    if (exchange_name_is_reserved(name, strlen(name))) {
        reply_fail(reply, ERR_REFUSED, DETAIL_EXCHANGE_RESERVED);
    } else if (machine->exchanges.exchanges_len >= EXCHANGES_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_EXCHANGES);
    } else if (!virtual_host_has_room(machine, session->virtual_host_id, LIMIT_EXCHANGES)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_LIMIT_EXCHANGES);
    }
    return reply->error == 0;
}

int command_declare_exchange(struct machine *machine, struct session *session, const Holdfast__DeclareExchange *declare,
                             struct reply *reply)
{
    struct exchange *exchange = NULL;
    if (declare->passive) {
        return exchange_named(machine, session, declare->exchange, &exchange, reply);
    }
    struct exchange_properties properties = properties_of(declare);
    if (!declare_check(declare, &properties, reply)) {
        return 0;
    }
    size_t name_len = strlen(declare->exchange);
    int err = exchange_find(machine, session->virtual_host_id, declare->exchange, name_len, &exchange);
    if (err == 0 && !exchange_has(exchange, &properties)) {
        reply_fail(reply, ERR_EXISTS, DETAIL_EXCHANGE_PROPERTIES);
    }
    if (err != ERR_NOT_FOUND) {
        return err;
    }
    if (!declare_may(machine, session, declare->exchange, reply)) {
        return 0;
    }
    return exchange_new(machine, session->virtual_host_id, declare->exchange, name_len, &properties, &exchange);
}

int command_change_exchange(struct machine *machine, struct session *session, const Holdfast__ChangeExchange *change,
                            struct reply *reply)
{
    struct exchange *exchange;
    struct slice note = text_slice(change->note);
    int err = exchange_named(machine, session, change->exchange, &exchange, reply);
    if (err != 0 || exchange == NULL) {
        return err;
    }
    if (exchange_is_built_in(exchange)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_EXCHANGE_BUILT_IN);
    } else if (change->has_note && (note.len > NAME_LEN_MAX || !bytes_are_utf8(note.data, note.len))) {
        reply_fail(reply, ERR_INVALID, DETAIL_NOTE);
    }
    if (reply->error != 0) {
        return 0;
    }
    bool is_protected = change->has_protected ? change->protected_ : exchange->properties.is_protected;
    return exchange_change(machine, exchange, is_protected, change->has_note ? &note : NULL);
}

int command_delete_exchange(struct machine *machine, struct session *session, const Holdfast__DeleteExchange *delete,
                            struct reply *reply)
{
    struct exchange *exchange;
    int err = exchange_named(machine, session, delete->exchange, &exchange, reply);
    if (err != 0 || exchange == NULL) {
        if (delete->if_exists && reply->error == (uint32_t)-ERR_NOT_FOUND) {
            *reply = (struct reply){0};
        }
        return err;
    }
    if (exchange_is_built_in(exchange)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_EXCHANGE_BUILT_IN);
    } else if (exchange->properties.is_protected && !fault_fires(FAULT_SKIP_EXCHANGE_PROTECTION)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_EXCHANGE_PROTECTED);
    } else if (delete->if_unused && exchange->bindings_len > 0) {
        reply_fail(reply, ERR_REFUSED, DETAIL_EXCHANGE_USED);
    }
    return reply->error == 0 ? exchange_delete(machine, exchange) : 0;
}

/* ---- Binding ---- */

/* What Bind and Unbind have in common. */
struct bind {
    const char *source;
    const char *queue;
    const char *exchange;
    bool to_exchange;
    const char *key;
    struct arguments arguments;
};

static int bind_find_exchange(struct machine *machine, const struct session *session, const char *name,
                              struct exchange **ret_exchange, struct reply *reply)
{
    int err = exchange_named(machine, session, name, ret_exchange, reply);
    if (err == 0 && *ret_exchange != NULL && exchange_is_default(*ret_exchange)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_EXCHANGE_DEFAULT);
    }
    return err;
}

static void bind_find_queue(struct machine *machine, const struct session *session, const char *name,
                            struct queue **ret_queue, struct reply *reply)
{
    *ret_queue = queue_by_name(machine, session->virtual_host_id, name);
    if (*ret_queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
    } else if (!queue_usable_by(*ret_queue, session)) {
        reply_fail(reply, ERR_EXCLUSIVE, DETAIL_QUEUE_EXCLUSIVE);
    }
}

/* Finds the ends, and the binding if it is there. */
static int bind_find(struct machine *machine, const struct session *session, const struct bind *bind,
                     struct binding_ends *ret_ends, struct binding **ret_binding, struct reply *reply)
{
    struct binding_ends ends = {.key = text_slice(bind->key), .arguments = bind->arguments};
    int err = bind_find_exchange(machine, session, bind->source, &ends.source, reply);
    if (err == 0 && reply->error == 0 && bind->to_exchange) {
        err = bind_find_exchange(machine, session, bind->exchange, &ends.to_exchange, reply);
    } else if (err == 0 && reply->error == 0) {
        bind_find_queue(machine, session, bind->queue, &ends.to_queue, reply);
    }
    if (err != 0 || reply->error != 0) {
        return err;
    }
    if (ends.key.len > ROUTING_KEY_LEN_MAX || !bytes_are_utf8(ends.key.data, ends.key.len)) {
        reply_fail(reply, ERR_INVALID, DETAIL_ROUTING_KEY);
        return 0;
    }
    err = binding_find(machine, &ends, ret_binding);
    if (err == ERR_INVALID) {
        reply_fail(reply, ERR_INVALID, DETAIL_ARGUMENTS);
        err = 0;
    }
    *ret_ends = ends;
    return err;
}

static bool bind_may(struct machine *machine, const struct session *session, struct reply *reply)
{
    if (machine->exchanges.bindings_len >= BINDINGS_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_BINDINGS);
    } else if (!virtual_host_has_room(machine, session->virtual_host_id, LIMIT_BINDINGS)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_LIMIT_BINDINGS);
    }
    return reply->error == 0;
}

int command_bind(struct machine *machine, struct session *session, const Holdfast__Bind *from, struct reply *reply)
{
    struct bind bind = {from->source,      from->queue, from->exchange,
                        from->to_exchange, from->key,   {.items = from->argument, .len = from->n_argument}};
    struct binding_ends ends;
    struct binding *binding = NULL;
    int err = bind_find(machine, session, &bind, &ends, &binding, reply);
    if (err != 0 || reply->error != 0 || binding != NULL || !bind_may(machine, session, reply)) {
        return err;
    }
    err = binding_new(machine, &ends);
    if (err == ERR_INVALID) {
        reply_fail(reply, ERR_INVALID, DETAIL_X_MATCH);
        return 0;
    }
    reply->count = 1;
    return err;
}

int command_unbind(struct machine *machine, struct session *session, const Holdfast__Unbind *from, struct reply *reply)
{
    struct bind bind = {from->source,      from->queue, from->exchange,
                        from->to_exchange, from->key,   {.items = from->argument, .len = from->n_argument}};
    struct binding_ends ends;
    struct binding *binding = NULL;
    int err = bind_find(machine, session, &bind, &ends, &binding, reply);
    if (err != 0 || reply->error != 0 || binding == NULL) {
        return err;
    }
    err = binding_delete(machine, binding);
    if (err == 0) {
        reply->count = 1;
        err = exchanges_sweep(machine);
    }
    return err;
}
