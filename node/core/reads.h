/* Reads that wait to be current (ReadIndex, Raft thesis §6.4): asked of the leader, many in one round, and then until this
 * replica has applied what the leader named. */

#ifndef HOLDFAST_NODE_CORE_READS_H
#define HOLDFAST_NODE_CORE_READS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "rpc/gateway.h"

/* A question of another node's, which this leader has asked its driver. */
struct reads_remote {
    uint64_t node;
    uint64_t id;    /* The other node's; 0: no question. */
    uint64_t round; /* The driver's; 0: not asked yet. */
};

struct reads {
    struct list_node waiting; /* struct gateway_read: not asked. */
    struct list_node asked;   /* `round` is the driver's, or the id of our question to the leader. */
    struct list_node ready;   /* `index` is to be applied. */
    uint64_t id_last;         /* Of the questions to the leader. */
    uint64_t asked_ms;        /* When the last question was sent. */
    bool asking;              /* A question is under way. */
    struct reads_remote remotes[MEMBERS_MAX];
};

/* Questions are numbered from above `id_last`. */
void reads_init(struct reads *reads, uint64_t id_last);
void reads_add(struct reads *reads, struct gateway_read *read, uint64_t deadline_ms);
/* Harmless for one that is in no list. */
void reads_cancel(struct gateway_read *read);

/* What waits has been asked under this round. */
void reads_asked(struct reads *reads, uint64_t round, uint64_t now_ms);
/* The answer to that round and all before it. */
void reads_answered(struct reads *reads, uint64_t round, uint64_t index);
/* No answer will come: what was asked waits again. */
void reads_lost(struct reads *reads);

/* Takes out one that can be done with `*ret_err`: 0, or UNAVAILABLE because its time has passed. NULL: none. */
struct gateway_read *reads_take(struct reads *reads, uint64_t applied_index, uint64_t now_ms, int *ret_err);
bool reads_empty(const struct reads *reads);
size_t reads_len(const struct reads *reads);

/* The place of a node's question: its own, or a free one. NULL: none is free. */
struct reads_remote *reads_remote(struct reads *reads, uint64_t node);

#endif
