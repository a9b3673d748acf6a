/* A node: a shard on real files, sockets and clocks, on a libuv loop.
 *
 * Every turn of the loop ends with shard_step(): everything that arrived in it becomes at most a few entries of the
 * log. What makes the process end (the disk failed, the state is damaged) is said in the journal, and the process exits
 * with NODE_EXIT_FATAL at once, without touching the disk again: a restart recovers from what is really there. */

#ifndef HOLDFAST_NODE_NODE_H
#define HOLDFAST_NODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "node/config.h"
#include "proto/base/err.h"
#include "proto/base/journal.h"

#define NODE_EXIT_FATAL 70

struct node;

struct node_options {
    uv_loop_t *loop;
    const struct config *config; /* Borrowed until stopped, as is the journal. */
    struct journal *journal;
    void *arg;
    /* When everything is closed; the node has been freed. After node_stop(), or (`again`) because a copy of another node's state
     * has taken the place of this one's, or is to: the node is to be started anew. */
    void (*stopped)(void *arg, bool again);
    /* The process must not go on with what it has in memory, and what it has on disk is marked as not to be relied on: it is to
     * be started anew. Does not return, or the process ends. May be NULL. */
    void (*restart)(void *arg);
};

/* Opens the data directory, recovers, and listens; says "ready" in the journal. On error everything that had been
 * opened is closed again once the loop has run, and `detail` has one line. */
int node_start(const struct node_options *options, struct node **ret_node, char *detail, size_t detail_len) NODISCARD;

/* Begins to stop: leadership is handed over, clients are told, files are closed; takes less than five seconds when the
 * disk answers. One that has not for `disk_stall_ms` when clients and peers are gone is not waited for: the process ends with
 * NODE_EXIT_FATAL. Harmless when it has been called before. */
void node_stop(struct node *node);

/* The ports in use, for a configuration that asks for port 0. */
uint16_t node_client_port(const struct node *node);
uint16_t node_peer_port(const struct node *node);
/* 0: AMQP is not spoken, or not now, because the node takes no part in the cluster. */
uint16_t node_amqp_port(const struct node *node);

#endif
