/* Questions about exchanges and bindings. */

#include "statemachine/machine_exchanges.h"

#include <string.h>

#include "proto/base/check.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/state.h"

static struct machine_exchange exchange_describe(const struct exchange *exchange)
{
    const struct exchange_properties *properties = &exchange->properties;
    return (struct machine_exchange){
        .name = exchange->name,
        .id = exchange->id,
        .type = (uint32_t)properties->type,
        .auto_delete = properties->auto_delete,
        .internal = properties->internal,
        .is_protected = properties->is_protected,
        .delayed = properties->delayed,
        .has_alternate = properties->has_alternate,
        .alternate = properties->alternate,
        .note = properties->note,
        .bindings = exchange->bindings_len,
    };
}

int machine_exchanges(struct machine *machine, uint64_t virtual_host, const char *after,
                      int (*each)(void *arg, const struct machine_exchange *exchange), void *arg)
{
    struct exchange_host *host;
    int err = exchange_host_get(machine, virtual_host, &host);
    const struct exchange *exchange = exchange_after(machine, virtual_host, after);
    for (; err == 0 && exchange != NULL; exchange = exchange_after(machine, virtual_host, exchange->name)) {
        struct machine_exchange described = exchange_describe(exchange);
        err = each(arg, &described);
    }
    return err;
}

int machine_exchange(struct machine *machine, uint64_t virtual_host, const char *name,
                     struct machine_exchange *ret_exchange)
{
    struct exchange *exchange;
    int err = exchange_find(machine, virtual_host, name, strlen(name), &exchange);
    if (err == 0) {
        *ret_exchange = exchange_describe(exchange);
    }
    return err;
}

static int binding_give(const struct binding *binding, int (*each)(void *arg, const struct machine_binding *binding),
                        void *arg)
{
    struct machine_binding described = {
        .id = binding->id,
        .source = binding->source->name,
        .to = binding->to_exchange != NULL ? binding->to_exchange->name : binding->to_queue->name,
        .to_exchange = binding->to_exchange != NULL,
        .key = binding_key(binding),
        .arguments = binding_arguments(binding),
    };
    return each(arg, &described);
}

int machine_bindings(struct machine *machine, uint64_t virtual_host, uint64_t after,
                     int (*each)(void *arg, const struct machine_binding *binding), void *arg)
{
    struct binding like = {.id = after < UINT64_MAX ? after + 1 : after};
    struct binding *binding = RB_NFIND(binding_ids, &machine->exchanges.binding_ids, &like);
    int err = 0;
    while (err == 0 && binding != NULL) {
        err = binding->source->virtual_host == virtual_host ? binding_give(binding, each, arg) : 0;
        binding = RB_NEXT(binding_ids, &machine->exchanges.binding_ids, binding);
    }
    return err;
}

int machine_bindings_from(struct machine *machine, uint64_t virtual_host, const char *name, uint64_t after,
                          int (*each)(void *arg, const struct machine_binding *binding), void *arg)
{
    struct exchange *exchange;
    int err = exchange_find(machine, virtual_host, name, strlen(name), &exchange);
    if (err != 0) {
        return err;
    }
    LIST_FOR_EACH (link, &exchange->bindings) {
        const struct binding *binding = container_of(link, struct binding, from);
        err = binding->id > after ? binding_give(binding, each, arg) : 0;
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int machine_bindings_to(struct machine *machine, uint64_t virtual_host, const char *name, bool to_exchange,
                        int (*each)(void *arg, const struct machine_binding *binding), void *arg)
{
    struct exchange *exchange = NULL;
    struct queue *queue = to_exchange ? NULL : queue_by_name(machine, virtual_host, name);
    int err = to_exchange ? exchange_find(machine, virtual_host, name, strlen(name), &exchange) : 0;
    if (err == 0 && exchange == NULL && queue == NULL) {
        err = ERR_NOT_FOUND;
    }
    const struct binding *binding = err != 0 ? NULL : exchange != NULL ? exchange->bound : queue->bound;
    for (; err == 0 && binding != NULL; binding = binding->bound_next) {
        err = binding_give(binding, each, arg);
    }
    return err;
}

int machine_binding_arguments(const struct machine_binding *binding, struct arena *arena,
                              Holdfast__Header *const **ret_arguments, size_t *ret_len)
{
    struct arguments arguments;
    int err = arguments_decode(binding->arguments.data, binding->arguments.len, arena, &arguments);
    if (err == 0) {
        *ret_arguments = arguments.items;
        *ret_len = arguments.len;
    }
    return err;
}
