/* Options of queues, exchanges, bindings, virtual hosts and limits with the blocking library. */

#include <string.h>

#include "proto/base/arena.h"
#include "proto/base/limits.h"
#include "proto/wire/command.pb-c.h"
#include "rpc/client/client_blocking.h"

/* What the arguments of a binding may take. */
#define BIND_ARENA_LEN_MAX (1 * MIB)

/* protobuf-c does not write to what it packs; its type has no const. */
static char *text(const char *string)
{
    return (char *)(uintptr_t)(string == NULL ? "" : string);
}

static int command_run(struct hf *hf, const Holdfast__Command *command, bool again, uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf};
    return hf_call_wait(&call, client_core_command(hf->core, command, again, timeout_ms, hf_on_reply, &call));
}

static bool is_given(const char *string)
{
    return string != NULL && string[0] != '\0';
}

/* A value that would count for nothing, because what says that it is there was forgotten; NULL: there is none. */
static const char *half_given(const struct client_queue_options *options, enum client_queue_option field)
{
    switch (field) {
    case CLIENT_OPTION_TTL: return options->ttl_ms > 0 && !options->has_ttl ? "ttl_ms without has_ttl" : NULL;
    case CLIENT_OPTION_MAX_LENGTH:
        return options->max_length > 0 && !options->has_max_length ? "max_length without has_max_length" : NULL;
    case CLIENT_OPTION_MAX_BYTES:
        return options->max_bytes > 0 && !options->has_max_bytes ? "max_bytes without has_max_bytes" : NULL;
    case CLIENT_OPTION_DEAD_LETTER_EXCHANGE:
        return is_given(options->dead_letter_exchange) && !options->has_dead_letter
                   ? "dead_letter_exchange without has_dead_letter"
                   : NULL;
    default: return NULL;
    }
}

/* The same of all options together. */
static const char *half_declared(const struct client_queue_options *options)
{
    static const enum client_queue_option fields[] = {CLIENT_OPTION_TTL, CLIENT_OPTION_MAX_LENGTH,
                                                      CLIENT_OPTION_MAX_BYTES, CLIENT_OPTION_DEAD_LETTER_EXCHANGE};
    const char *half = NULL;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && half == NULL; i++) {
        half = half_given(options, fields[i]);
    }
    bool keyed = is_given(options->dead_letter_key) || options->has_dead_letter_key;
    return half == NULL && keyed && !options->has_dead_letter ? "dead_letter_key without has_dead_letter" : half;
}

int hf_declare_as(struct hf *hf, const char *queue, const struct client_queue_options *options, bool passive,
                  uint64_t timeout_ms)
{
    const char *half = options != NULL && !passive ? half_declared(options) : NULL;
    if (half != NULL) {
        return hf_fail(hf, ERR_INVALID, half);
    }
    Holdfast__QueueOptions encoded = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = text(queue);
    declare.passive = passive;
    if (options != NULL) {
        client_options_encode(options, &encoded);
        declare.options = &encoded;
    }
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    return command_run(hf, &command, true, timeout_ms);
}

/* The options of which a value and a bit say something together. */
static uint32_t companion(uint32_t field)
{
    switch (field) {
    case CLIENT_OPTION_TTL: return 12;
    case CLIENT_OPTION_MAX_LENGTH: return 14;
    case CLIENT_OPTION_MAX_BYTES: return 16;
    case CLIENT_OPTION_DEAD_LETTER_EXCHANGE: return 18;
    case CLIENT_OPTION_DEAD_LETTER_KEY: return 21;
    default: return 0;
    }
}

#define CHANGE_FIELDS_MAX 64u

int hf_change(struct hf *hf, const char *queue, const struct client_queue_options *options,
              const enum client_queue_option *fields, size_t fields_len, uint64_t timeout_ms)
{
    uint32_t numbers[CHANGE_FIELDS_MAX];
    size_t len = 0;
    if (fields_len == 0 || fields_len > CHANGE_FIELDS_MAX / 2) {
        return hf_fail(hf, ERR_INVALID, NULL);
    }
    for (size_t i = 0; i < fields_len; i++) {
        const char *half = half_given(options, fields[i]);
        if (half != NULL) {
            return hf_fail(hf, ERR_INVALID, half);
        }
        numbers[len++] = (uint32_t)fields[i];
        if (companion(numbers[len - 1]) != 0) {
            numbers[len] = companion(numbers[len - 1]);
            len++;
        }
    }
    Holdfast__QueueOptions encoded;
    client_options_encode(options, &encoded);
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    change.queue = text(queue);
    change.options = &encoded;
    change.field = numbers;
    change.n_field = len;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    return command_run(hf, &command, true, timeout_ms);
}

int hf_declare_exchange(struct hf *hf, const struct client_exchange *exchange, uint64_t timeout_ms)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = text(exchange->name);
    declare.type = (Holdfast__DeclareExchange__Type)exchange->type;
    declare.auto_delete = exchange->auto_delete;
    declare.internal = exchange->internal;
    declare.has_alternate = exchange->has_alternate;
    declare.alternate = text(exchange->alternate);
    declare.protected_ = exchange->protected_;
    declare.note = text(exchange->note);
    declare.delayed = exchange->delayed;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    return command_run(hf, &command, true, timeout_ms);
}

int hf_delete_exchange(struct hf *hf, const char *exchange, bool if_unused, uint64_t timeout_ms)
{
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    delete.exchange = text(exchange);
    delete.if_unused = if_unused;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
    command.delete_exchange = &delete;
    return command_run(hf, &command, false, timeout_ms);
}

int hf_check_exchange(struct hf *hf, const char *exchange, uint64_t timeout_ms)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = text(exchange);
    declare.passive = true;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    return command_run(hf, &command, true, timeout_ms);
}

int hf_change_exchange(struct hf *hf, const char *exchange, const bool *protected_, const char *note,
                       uint64_t timeout_ms)
{
    Holdfast__ChangeExchange change = HOLDFAST__CHANGE_EXCHANGE__INIT;
    change.exchange = text(exchange);
    change.has_protected = protected_ != NULL;
    change.protected_ = protected_ != NULL && *protected_;
    change.has_note = note != NULL;
    change.note = text(note);
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE;
    command.change_exchange = &change;
    return command_run(hf, &command, true, timeout_ms);
}

/* Bind, and Unbind, which is the same. */
static int binding_run(struct hf *hf, const struct client_binding *binding, bool unbinds, uint64_t timeout_ms)
{
    bool to_exchange = is_given(binding->exchange);
    if (to_exchange == is_given(binding->queue)) {
        return hf_fail(hf, ERR_INVALID, "a binding leads to a queue or to an exchange: one of the two");
    }
    struct arena arena;
    arena_init(&arena, BIND_ARENA_LEN_MAX);
    Holdfast__Header **arguments;
    int err = client_headers_encode(binding->arguments, binding->arguments_len, &arena, &arguments);
    if (err != 0) {
        arena_done(&arena);
        return hf_fail(hf, err, NULL);
    }
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    Holdfast__Unbind unbind = HOLDFAST__UNBIND__INIT;
    bind.source = unbind.source = text(binding->source);
    bind.queue = unbind.queue = text(to_exchange ? "" : binding->queue);
    bind.exchange = unbind.exchange = text(to_exchange ? binding->exchange : "");
    bind.to_exchange = unbind.to_exchange = to_exchange;
    bind.key = unbind.key = text(binding->key);
    bind.argument = unbind.argument = arguments;
    bind.n_argument = unbind.n_argument = binding->arguments_len;
    if (unbinds) {
        command.kind_case = HOLDFAST__COMMAND__KIND_UNBIND;
        command.unbind = &unbind;
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
        command.bind = &bind;
    }
    err = command_run(hf, &command, true, timeout_ms);
    arena_done(&arena);
    return err;
}

int hf_bind(struct hf *hf, const struct client_binding *binding, uint64_t timeout_ms)
{
    return binding_run(hf, binding, false, timeout_ms);
}

int hf_unbind(struct hf *hf, const struct client_binding *binding, uint64_t timeout_ms)
{
    return binding_run(hf, binding, true, timeout_ms);
}

int hf_create_virtual_host(struct hf *hf, const char *name, const char *note, uint64_t timeout_ms)
{
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    create.virtual_host = text(name);
    create.note = text(note);
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
    command.create_virtual_host = &create;
    return command_run(hf, &command, true, timeout_ms);
}

int hf_delete_virtual_host(struct hf *hf, const char *name, bool force, uint64_t timeout_ms)
{
    Holdfast__DeleteVirtualHost delete = HOLDFAST__DELETE_VIRTUAL_HOST__INIT;
    delete.virtual_host = text(name);
    delete.force = force;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST;
    command.delete_virtual_host = &delete;
    return command_run(hf, &command, false, timeout_ms);
}

#define LIMITS_MAX 16u

int hf_set_limits(struct hf *hf, const char *virtual_host, const char *user, const struct hf_limit_value *limits,
                  size_t limits_len, uint64_t timeout_ms)
{
    Holdfast__Limit values[LIMITS_MAX];
    Holdfast__Limit *pointers[LIMITS_MAX];
    if (limits_len > LIMITS_MAX) {
        return hf_fail(hf, ERR_INVALID, NULL);
    }
    for (size_t i = 0; i < limits_len; i++) {
        values[i] = (Holdfast__Limit)HOLDFAST__LIMIT__INIT;
        values[i].what = (Holdfast__Limit__What)limits[i].what;
        values[i].value = limits[i].value;
        pointers[i] = &values[i];
    }
    Holdfast__Limits all = HOLDFAST__LIMITS__INIT;
    all.limit = pointers;
    all.n_limit = limits_len;
    Holdfast__SetLimits set = HOLDFAST__SET_LIMITS__INIT;
    set.virtual_host = text(virtual_host);
    set.user = text(user);
    set.limits = &all;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_LIMITS;
    command.set_limits = &set;
    return command_run(hf, &command, true, timeout_ms);
}
