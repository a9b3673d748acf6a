/* What the clients of a node may have together, whatever protocols they speak. Pure. */

#ifndef HOLDFAST_RPC_SERVER_BOUNDS_H
#define HOLDFAST_RPC_SERVER_BOUNDS_H

#include <stdint.h>

#include "rpc/memory_budget.h"

#define SERVER_CONNECTIONS_MAX_DEFAULT 16384u
#define SERVER_MEMORY_MAX_DEFAULT (256 * MIB)

struct server_bounds {
    struct memory_budget receiving; /* Frames that have begun to arrive. */
    struct memory_budget sending;   /* What is queued for clients, besides STREAM_SHARE_HIGH for each. */
    unsigned connections_max;
    unsigned connections_len; /* Of all servers that share this. */
};

/* `memory_max` and `send_max` are bytes of the two budgets. 0: the defaults above. */
void server_bounds_init(struct server_bounds *bounds, unsigned connections_max, uint64_t memory_max, uint64_t send_max);

#endif
