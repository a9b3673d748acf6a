/* The giving side of a rebuild: keeps a copy of this node's state for a node whose entries are gone, and answers what that
 * asks of it.
 *
 * A copy is a directory `copy-<id>-<index>-<term>` of the shard, made by store->copy() on the disk's other thread, never beside a
 * checkpoint; the log after `index` is held for as long as it is there. There is one copy at a time: it serves the node that it
 * was made for; another is refused with ERR_BUSY until that is done, or has not been heard of for REBUILD_SOURCE_YIELD_MS. A copy
 * outlives the process: after a start it can be read on. It goes when it is closed, when nobody has asked for so long, when
 * the log held for it exceeds `held_len_max`, or when the disk is short. After the first two the log is still held, from where
 * the node has it, until it has caught up or stands still for as long: it has that much to catch up with.
 *
 * Files are read on the disk's other thread; at most REBUILD_SOURCE_READS_MAX answers are under way, what is asked beyond
 * that is dropped (it will be asked again). Pure: no socket, no clock but the one given. */

#ifndef HOLDFAST_NODE_CORE_REBUILD_SOURCE_H
#define HOLDFAST_NODE_CORE_REBUILD_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "node/core/rebuild_log.h"
#include "proto/base/clock.h"
#include "proto/base/disk.h"
#include "proto/base/journal.h"
#include "proto/wire/frame.h"
#include "statemachine/store.h"

#define REBUILD_SOURCE_YIELD_MS 5000u
#define REBUILD_SOURCE_IDLE_MS 60000u
#define REBUILD_SOURCE_READS_MAX 8u

struct rebuild_source;

struct rebuild_source_options {
    struct disk *disk;
    struct store *store;
    struct rebuild_log log;
    struct clock *clock;
    struct journal *journal;
    const char *dir;        /* Of the shard. */
    uint64_t held_len_max;  /* Bytes of log. */
    uint64_t disk_free_min; /* Below it the copy goes; 0: no such limit. */
    void *arg;
    /* Sends an answer. Takes ownership. What cannot be sent is dropped. */
    void (*send)(void *arg, uint64_t node, struct frame_out *frame);
    /* Something happened off the loop's own calls that makes a step due. */
    void (*wake)(void *arg);
};

/* Looks for a copy that an earlier process left, holds the log for it, and removes what is not whole. */
int rebuild_source_open(const struct rebuild_source_options *options, struct rebuild_source **ret_source) NODISCARD;
/* Nothing is under way on another thread any more. NULL is allowed. */
void rebuild_source_close(struct rebuild_source *source);

/* A PEER_REBUILD frame with a question. Borrows. ERR_BROKEN: close the connection. */
int rebuild_source_receive(struct rebuild_source *source, uint64_t from, const struct frame *frame) NODISCARD;

/* Removes a copy whose time is over. Call it in every turn, and at the deadline. */
void rebuild_source_step(struct rebuild_source *source);
uint64_t rebuild_source_deadline_ms(const struct rebuild_source *source);
/* Nothing is under way on another thread. */
bool rebuild_source_idle(const struct rebuild_source *source);

#endif
