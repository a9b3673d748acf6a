/* A machine under version 2 with a client that declares and binds exchanges. */

#include "exchange_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "statemachine/state.h"

void world_init(struct world *world)
{
    *world = (struct world){0};
    fixture_init(&world->fixture);
    world->fixture.machine->version = 2;
    cr_assert_eq(client_attach(&world->fixture, &world->client, 1, false).error, 0u);
}

void world_done(struct world *world)
{
    route_done(&world->route);
    fixture_done(&world->fixture);
}

void world_reopen(struct world *world)
{
    uint64_t digest = world_memory_digest(world);
    fixture_reopen(&world->fixture);
    cr_assert_eq(world_memory_digest(world), digest);
}

uint64_t world_memory_digest(struct world *world)
{
    uint64_t digest = 0;
    cr_assert_eq(machine_memory_digest(world->fixture.machine, &digest), 0);
    return digest;
}

uint32_t world_queue(struct world *world, const char *name)
{
    return client_declare(&world->fixture, &world->client, name).error;
}

uint32_t world_delete_queue(struct world *world, const char *name)
{
    return client_delete(&world->fixture, &world->client, name, false).error;
}

uint32_t world_declare_as(struct world *world, Holdfast__DeclareExchange *declare)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = declare;
    return client_command(&world->fixture, &world->client, &command, NULL, 0).error;
}

uint32_t world_declare(struct world *world, const char *name, enum exchange_type type)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char *)(uintptr_t)name;
    declare.type = (Holdfast__DeclareExchange__Type)type;
    return world_declare_as(world, &declare);
}

uint32_t world_delete(struct world *world, const char *name, bool if_unused, bool if_exists)
{
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    delete.exchange = (char *)(uintptr_t)name;
    delete.if_unused = if_unused;
    delete.if_exists = if_exists;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
    command.delete_exchange = &delete;
    return client_command(&world->fixture, &world->client, &command, NULL, 0).error;
}

static int outcome(struct effect_reply reply)
{
    return reply.error != 0 ? -(int)reply.error : (int)reply.count;
}

int world_bind(struct world *world, const char *source, const char *to, const char *key, const struct pairs *arguments)
{
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    bind.source = (char *)(uintptr_t)source;
    bind.to_exchange = to[0] == '>';
    *(to[0] == '>' ? &bind.exchange : &bind.queue) = (char *)(uintptr_t)(to[0] == '>' ? to + 1 : to);
    bind.key = (char *)(uintptr_t)key;
    if (arguments != NULL) {
        struct arguments items = pairs_arguments(arguments);
        bind.argument = (Holdfast__Header **)(uintptr_t)items.items;
        bind.n_argument = items.len;
    }
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    return outcome(client_command(&world->fixture, &world->client, &command, NULL, 0));
}

int world_unbind(struct world *world, const char *source, const char *to, const char *key,
                 const struct pairs *arguments)
{
    Holdfast__Unbind unbind = HOLDFAST__UNBIND__INIT;
    unbind.source = (char *)(uintptr_t)source;
    unbind.to_exchange = to[0] == '>';
    *(to[0] == '>' ? &unbind.exchange : &unbind.queue) = (char *)(uintptr_t)(to[0] == '>' ? to + 1 : to);
    unbind.key = (char *)(uintptr_t)key;
    if (arguments != NULL) {
        struct arguments items = pairs_arguments(arguments);
        unbind.argument = (Holdfast__Header **)(uintptr_t)items.items;
        unbind.n_argument = items.len;
    }
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNBIND;
    command.unbind = &unbind;
    return outcome(client_command(&world->fixture, &world->client, &command, NULL, 0));
}

struct exchange *world_exchange(struct world *world, const char *name)
{
    struct exchange *exchange;
    int err = exchange_find(world->fixture.machine, VIRTUAL_HOST_ROOT, name, strlen(name), &exchange);
    cr_assert(err == 0 || err == ERR_NOT_FOUND);
    return err == 0 ? exchange : NULL;
}

uint64_t world_exchanges(const struct world *world)
{
    return world->fixture.machine->exchanges.exchanges_len;
}

uint64_t world_bindings(const struct world *world)
{
    return world->fixture.machine->exchanges.bindings_len;
}

static const char *route_text(struct world *world, const char *exchange, const struct route_message *message)
{
    static char text[4096];
    struct exchange *from = world_exchange(world, exchange);
    cr_assert_not_null(from);
    cr_assert_eq(route(world->fixture.machine, from, message, &world->route), 0);
    text[0] = 0;
    for (size_t i = 0; i < world->route.len; i++) {
        cr_assert_lt(strlen(text) + world->route.queues[i]->name_len + 2, sizeof text);
        strcat(strcat(text, world->route.queues[i]->name), " ");
    }
    return text;
}

const char *world_route_keys(struct world *world, const char *exchange, const char *const *keys, size_t len)
{
    struct slice slices[8];
    cr_assert_leq(len, 8u);
    for (size_t i = 0; i < len; i++) {
        slices[i] = (struct slice){.data = (const uint8_t *)keys[i], .len = strlen(keys[i])};
    }
    return route_text(world, exchange, &(struct route_message){.keys = slices, .keys_len = len});
}

const char *world_route(struct world *world, const char *exchange, const char *key)
{
    return world_route_keys(world, exchange, &key, 1);
}

const char *world_route_headers(struct world *world, const char *exchange, const struct pairs *headers)
{
    struct bytes head = {0};
    struct slice key = {.data = (const uint8_t *)"k", .len = 1};
    pairs_pack_head(headers, &head);
    const char *text =
        route_text(world, exchange,
                   &(struct route_message){.keys = &key, .keys_len = 1, .head = {.data = head.data, .len = head.len}});
    bytes_done(&head);
    return text;
}
