/* The bounds of all clients of a node. */

#include "rpc/server_bounds.h"

#include "proto/base/limits.h"

void server_bounds_init(struct server_bounds *bounds, unsigned connections_max, uint64_t memory_max, uint64_t send_max)
{
    bounds->connections_max = connections_max != 0 ? connections_max : SERVER_CONNECTIONS_MAX_DEFAULT;
    bounds->connections_len = 0;
    memory_budget_init(&bounds->receiving, memory_max != 0 ? memory_max : SERVER_MEMORY_MAX_DEFAULT);
    memory_budget_init(&bounds->sending, send_max != 0 ? send_max : SERVER_MEMORY_MAX_DEFAULT);
}
