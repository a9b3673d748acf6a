/* What a query answers, as plain structs. Everything lives during the callback that brings it. */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_QUERY_H
#define HOLDFAST_RPC_CLIENT_CLIENT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"

struct client_queue {
    const char *name;
    uint64_t ready;
    uint64_t unsettled;
    uint32_t consumers;
    uint64_t enqueued;    /* Counted since the queue was declared: messages that came in, */
    uint64_t delivered;   /* deliveries made, again and again included, */
    uint64_t settled;     /* messages accepted, rejected or purged, */
    uint64_t released;    /* deliveries that went back. */
    uint64_t oldest_ms;   /* Log time at which the oldest ready message was enqueued; 0: none is ready, or in a list. */
    uint64_t log_time_ms; /* As of which all this is. */
};

/* A message that was looked at where it is. */
struct client_message {
    uint64_t position;
    uint64_t enqueued_ms; /* Log time. */
    uint64_t body_hash;   /* Has been checked against the body. */
    uint32_t delivery_count;
    bool locked;       /* Out with a consumer. */
    struct slice body; /* Borrowed; slice_ref() to keep it. */
};

struct client_member {
    uint64_t id;
    const char *peer_address;
    const char *client_address; /* "" when not known. */
    const char *role;
    bool connected;
    uint64_t match_index; /* Known to the leader only; else 0. */
    const char *detail;
    bool voter;
    bool preferred;   /* Its operator would have it lead. */
    const char *zone; /* "" when not known. */
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
    const char *refusing; /* Why new messages are refused; "" when they are not. */
    uint64_t sessions;    /* Open ones, in the whole cluster. */
    const struct client_member *members;
    size_t members_len;
    const char *const *alarms; /* What needs an operator, as the node knows. */
    size_t alarms_len;
};

struct client_query_result {
    const struct client_queue *queues; /* Sorted by name. */
    size_t queues_len;
    const struct client_message *messages; /* In order. */
    size_t messages_len;
    bool more;                            /* Ask again: after the last name, or from behind the last position. */
    const struct client_cluster *cluster; /* NULL unless it was asked for. */
};

#endif
