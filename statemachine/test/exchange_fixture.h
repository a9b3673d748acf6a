/* A machine under version 2 with a client that declares and binds exchanges. */

#ifndef HOLDFAST_STATEMACHINE_TEST_EXCHANGE_FIXTURE_H
#define HOLDFAST_STATEMACHINE_TEST_EXCHANGE_FIXTURE_H

#include "fixture.h"
#include "headers_fixture.h"
#include "statemachine/exchange/exchange.h"
#include "statemachine/exchange/route.h"

struct world {
    struct fixture fixture;
    struct client client;
    struct route route;
};

void world_init(struct world *world);
void world_done(struct world *world);
/* A checkpoint and a restart. */
void world_reopen(struct world *world);
uint64_t world_memory_digest(struct world *world);

/* What each gives is the error of the reply. */
uint32_t world_queue(struct world *world, const char *name);
uint32_t world_delete_queue(struct world *world, const char *name);
uint32_t world_declare(struct world *world, const char *name, enum exchange_type type);
uint32_t world_declare_as(struct world *world, Holdfast__DeclareExchange *declare);
uint32_t world_delete(struct world *world, const char *name, bool if_unused, bool if_exists);
/* `to` begins with '>' for an exchange: "q" is a queue, ">x" an exchange. `arguments` may be NULL. The number of bindings that came or
 * went, or the error, negative. */
int world_bind(struct world *world, const char *source, const char *to, const char *key, const struct pairs *arguments);
int world_unbind(struct world *world, const char *source, const char *to, const char *key,
                 const struct pairs *arguments);

/* NULL when there is none. */
struct exchange *world_exchange(struct world *world, const char *name);
uint64_t world_exchanges(const struct world *world);
uint64_t world_bindings(const struct world *world);

/* The names of the queues that a message reaches, each with a space behind it; in order of id. */
const char *world_route(struct world *world, const char *exchange, const char *key);
const char *world_route_headers(struct world *world, const char *exchange, const struct pairs *headers);
const char *world_route_keys(struct world *world, const char *exchange, const char *const *keys, size_t len);

#endif
