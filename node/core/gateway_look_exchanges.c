/* Looking at this node's replica: exchanges, bindings, virtual hosts, and limits. */

#include <string.h>

#include "node/core/gateway.h"
#include "statemachine/machine_exchanges.h"
#include "statemachine/machine_virtual_hosts.h"

/* What the texts and arguments of one of them may take: 16 KiB of the smallest arguments become a hundred times as much. */
#define LOOK_ARENA_LEN_MAX (4 * MIB)

struct exchange_listing {
    struct arena arena; /* For the one at hand. */
    int err;            /* Of the listing itself. */
    void *arg;
    bool (*exchange)(void *arg, const struct gateway_exchange *exchange);
    bool (*binding)(void *arg, const struct gateway_binding *binding);
    bool (*host)(void *arg, const struct gateway_virtual_host *host);
};

static char *text(const char *string)
{
    return (char *)(uintptr_t)string; /* protobuf-c does not write to what it packs; its type has no const. */
}

/* A copy that ends with a zero byte. NULL: no memory. */
static char *copy(struct arena *arena, struct slice from)
{
    char *made = arena_alloc(arena, from.len + 1);
    if (made != NULL) {
        memcpy(made, from.len > 0 ? (const char *)from.data : "", from.len);
        made[from.len] = '\0';
    }
    return made;
}

static int list_exchange(void *arg, const struct machine_exchange *exchange)
{
    struct exchange_listing *listing = arg;
    arena_reset(&listing->arena);
    Holdfast__DeclareExchange declared = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declared.exchange = text(exchange->name);
    declared.type = (Holdfast__DeclareExchange__Type)exchange->type;
    declared.auto_delete = exchange->auto_delete;
    declared.internal = exchange->internal;
    declared.has_alternate = exchange->has_alternate;
    declared.alternate = copy(&listing->arena, exchange->alternate);
    declared.protected_ = exchange->is_protected;
    declared.delayed = exchange->delayed;
    declared.note = copy(&listing->arena, exchange->note);
    if (declared.alternate == NULL || declared.note == NULL) {
        listing->err = ERR_NOMEM;
        return 1;
    }
    struct gateway_exchange told = {.declared = &declared, .bindings = exchange->bindings};
    return listing->exchange(listing->arg, &told) ? 0 : 1;
}

static int list_binding(void *arg, const struct machine_binding *binding)
{
    struct exchange_listing *listing = arg;
    arena_reset(&listing->arena);
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    bind.source = text(binding->source);
    bind.to_exchange = binding->to_exchange;
    bind.queue = binding->to_exchange ? bind.queue : text(binding->to);
    bind.exchange = binding->to_exchange ? text(binding->to) : bind.exchange;
    bind.key = copy(&listing->arena, binding->key);
    Holdfast__Header *const *arguments = NULL;
    listing->err = bind.key == NULL ? ERR_NOMEM
                                    : machine_binding_arguments(binding, &listing->arena, &arguments, &bind.n_argument);
    if (listing->err != 0) {
        return 1;
    }
    bind.argument = (Holdfast__Header **)(uintptr_t)arguments;
    struct gateway_binding told = {.id = binding->id, .bind = &bind};
    return listing->binding(listing->arg, &told) ? 0 : 1;
}

/* What a listing came to: 0, or what stopped it. */
static int listing_end(struct exchange_listing *listing, int err, bool *ret_more)
{
    arena_done(&listing->arena);
    err = err > 0 && listing->err != 0 ? listing->err : err;
    if (err < 0) {
        return err;
    }
    *ret_more = err > 0;
    return 0;
}

int gateway_exchanges(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                      bool (*each)(void *arg, const struct gateway_exchange *exchange), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct exchange_listing listing = {.arg = arg, .exchange = each};
    arena_init(&listing.arena, LOOK_ARENA_LEN_MAX);
    uint64_t host;
    int err = machine_virtual_host(core->machine, virtual_host, &host);
    if (err == 0) {
        err = machine_exchanges(core->machine, host, after, list_exchange, &listing);
    }
    return listing_end(&listing, err, ret_more);
}

int gateway_bindings(struct gateway *gateway, const char *virtual_host, const char *from, uint64_t after, void *arg,
                     bool (*each)(void *arg, const struct gateway_binding *binding), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct exchange_listing listing = {.arg = arg, .binding = each};
    arena_init(&listing.arena, LOOK_ARENA_LEN_MAX);
    uint64_t host;
    int err = machine_virtual_host(core->machine, virtual_host, &host);
    if (err == 0) {
        err = from == NULL ? machine_bindings(core->machine, host, after, list_binding, &listing)
                           : machine_bindings_from(core->machine, host, from, after, list_binding, &listing);
    }
    return listing_end(&listing, err, ret_more);
}

static int list_host(void *arg, const struct machine_virtual_host *host)
{
    struct exchange_listing *listing = arg;
    struct gateway_virtual_host told = {.name = host->name, .id = host->id, .note = host->note};
    return listing->host(listing->arg, &told) ? 0 : 1;
}

int gateway_virtual_hosts(struct gateway *gateway, const char *after, void *arg,
                          bool (*each)(void *arg, const struct gateway_virtual_host *host), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct exchange_listing listing = {.arg = arg, .host = each};
    arena_init(&listing.arena, LOOK_ARENA_LEN_MAX);
    int err = machine_virtual_hosts(core->machine, after, list_host, &listing);
    return listing_end(&listing, err, ret_more);
}

int gateway_limits(struct gateway *gateway, const char *virtual_host, const char *user, void *arg,
                   bool (*each)(void *arg, const struct gateway_limit *limit))
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct machine_limit limits[MACHINE_LIMITS_MAX];
    unsigned len = 0;
    uint64_t host;
    int err = machine_virtual_host(core->machine, virtual_host, &host);
    if (err == 0 && user[0] != '\0') {
        machine_user_limits(core->machine, user, limits, &len);
    } else if (err == 0) {
        err = machine_host_limits(core->machine, host, limits, &len);
    }
    for (unsigned i = 0; err == 0 && i < len; i++) {
        struct gateway_limit told = {
            .what = (Holdfast__Limit__What)limits[i].what,
            .is_set = limits[i].is_set,
            .is_counted = limits[i].is_counted,
            .value = limits[i].value,
            .used = limits[i].used,
        };
        (void)each(arg, &told);
    }
    return err;
}
