/* Questions about exchanges and bindings. */

#include "statemachine/machine_exchanges.h"

#include <stddef.h>
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

/* What is deleted and not gone yet is not shown. */
static bool binding_is_shown(const struct binding *binding)
{
    return !binding->source->going && (binding->to_exchange == NULL || !binding->to_exchange->going) &&
           (binding->to_queue == NULL || !binding->to_queue->doomed);
}

/* Bindings in order of id: all of a virtual host, or those from one exchange. */
struct listing {
    const struct list_node *head;
    size_t link; /* Offset of the list's node in a binding. */
};

static const struct binding *listed(const struct listing *listing, const struct list_node *node)
{
    return (const struct binding *)(const void *)((const char *)node - listing->link);
}

static const struct list_node *link_of(const struct listing *listing, const struct binding *binding)
{
    return (const struct list_node *)(const void *)((const char *)binding + listing->link);
}

/* Those with an id above `after`; `last` is the one of that id, if it is in the list. */
static int bindings_give(const struct listing *listing, const struct binding *last, uint64_t after,
                         int (*each)(void *arg, const struct machine_binding *binding), void *arg)
{
    const struct list_node *node = last != NULL ? link_of(listing, last)->next : listing->head->next;
    for (unsigned passed = 0; node != listing->head; node = node->next) {
        const struct binding *binding = listed(listing, node);
        if (binding->id > after && binding_is_shown(binding)) {
            int err = binding_give(binding, each, arg);
            if (err != 0) {
                return err;
            }
        } else if (++passed == MACHINE_BINDINGS_PASSED_MAX) {
            return ERR_BUSY;
        }
    }
    return 0;
}

static const struct binding *binding_by_id(struct machine *machine, uint64_t id)
{
    struct binding like = {.id = id};
    return RB_FIND(binding_ids, &machine->exchanges.binding_ids, &like);
}

int machine_bindings(struct machine *machine, uint64_t virtual_host, uint64_t after,
                     int (*each)(void *arg, const struct machine_binding *binding), void *arg)
{
    struct exchange_host *host;
    int err = exchange_host_get(machine, virtual_host, &host);
    if (err != 0) {
        return err;
    }
    const struct listing listing = {.head = &host->bindings, .link = offsetof(struct binding, of_host)};
    const struct binding *last = binding_by_id(machine, after);
    return bindings_give(&listing, last != NULL && last->source->host == host ? last : NULL, after, each, arg);
}

int machine_bindings_from(struct machine *machine, uint64_t virtual_host, const char *name, uint64_t after,
                          int (*each)(void *arg, const struct machine_binding *binding), void *arg)
{
    struct exchange *exchange;
    int err = exchange_find(machine, virtual_host, name, strlen(name), &exchange);
    if (err != 0) {
        return err;
    }
    const struct listing listing = {.head = &exchange->bindings, .link = offsetof(struct binding, from)};
    const struct binding *last = binding_by_id(machine, after);
    return bindings_give(&listing, last != NULL && last->source == exchange ? last : NULL, after, each, arg);
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
