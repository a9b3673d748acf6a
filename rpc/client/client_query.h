/* What a query answers, as plain structs. Everything lives during the callback that brings it. */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_QUERY_H
#define HOLDFAST_RPC_CLIENT_CLIENT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_queue {
    const char *name;
    uint64_t ready;
    uint64_t unsettled;
    uint32_t consumers;
};

struct client_member {
    uint64_t id;
    const char *peer_address;
    const char *client_address; /* "" when not known. */
    const char *role;
    bool connected;
    uint64_t match_index; /* Known to the leader only; else 0. */
    const char *detail;
};

/* A node, and how it sees the others. */
struct client_cluster {
    const char *cluster;
    uint64_t node;
    uint64_t leader; /* 0: not known. */
    uint64_t term;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t log_first;
    uint64_t log_last;
    uint64_t checkpoint_index;
    uint64_t log_time_ms;
    uint32_t machine_version;
    const char *version;
    uint64_t entries_replayed;
    const struct client_member *members;
    size_t members_len;
};

struct client_query_result {
    const struct client_queue *queues; /* Sorted by name. */
    size_t queues_len;
    bool more;                            /* Ask again with `after` set to the last name. */
    const struct client_cluster *cluster; /* NULL when queues were asked for. */
};

#endif
