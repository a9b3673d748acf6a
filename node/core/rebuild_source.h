/* The giving side of a rebuild: keeps a copy of this node's state for a node whose entries are gone, and answers what that
 * asks of it.
 *
 * A copy is a directory `copy-<id>-<index>-<term>` of the shard, made by store->copy() on the disk's other thread, never beside a
 * checkpoint; the log after `index` is held for as long as it is there. There is one copy at a time: it serves the node that it
 * was made for; another is refused with ERR_BUSY until that is done, or has not been heard of for REBUILD_SOURCE_YIELD_MS. A copy
 * outlives the process: after a start it can be read on. It goes when it is closed, when nobody has asked for so long, when
 * the log held for it becomes too much, or when the disk is short. After the first two the log is still held, from where
 * the node has it, until it has caught up or stands still for as long: it has that much to catch up with.
 *
 * How much log may be held. A state of S bytes that is fetched at R bytes a second, while the log grows by W bytes a second, has
 * S * W / R bytes of log after it when it is there. No number of bytes is enough for every W; so what a copy may cost is
 * `held_len_granted` or four times its own size, whichever is more, which is enough while the log grows less than four times as
 * fast as the copy travels, and twice as much again after each copy that went for this reason: sooner or later one gets there.
 * What limits that is the disk: beyond `held_len_granted` the log is held only as long as twice `disk_free_min` (or
 * REBUILD_SOURCE_FREE_MIN, when there is no such limit) is free, so that holding it never leads to refusing messages.
 *
 * A patient (patient.h) asks with `join`. It is admitted by `admits`, and only when, after its question came, this node has made
 * sure that it leads (`confirm`): else a leader that does not know yet of its successor could give away, as a copy in which the
 * patient does not vote, one from before it did. The copy holds the entry that `admits` named; where none does, a checkpoint
 * is asked for (`store_soon`).
 *
 * Files are read on the disk's other thread; at most REBUILD_SOURCE_READS_MAX answers are under way, what is asked beyond
 * that is dropped (it will be asked again). Pure: no socket, no clock but the one given. */

#ifndef HOLDFAST_NODE_CORE_REBUILD_SOURCE_H
#define HOLDFAST_NODE_CORE_REBUILD_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "node/core/rebuild_admission.h"
#include "node/core/rebuild_log.h"
#include "proto/base/clock.h"
#include "proto/base/disk.h"
#include "proto/base/journal.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "statemachine/store/store.h"

#define REBUILD_SOURCE_YIELD_MS 5000u
#define REBUILD_SOURCE_IDLE_MS 60000u
#define REBUILD_SOURCE_READS_MAX 8u
#define REBUILD_SOURCE_FREE_MIN (1 * GIB)

struct rebuild_source;

struct rebuild_source_options {
    struct disk *disk;
    struct store *store;
    struct rebuild_log log;
    struct clock *clock;
    struct journal *journal;
    const char *dir;           /* Of the shard. */
    uint64_t held_len_granted; /* Bytes of log that may be held for any copy. */
    uint64_t disk_free_min;    /* Below it the copy goes; 0: no such limit. */
    void *arg;
    /* Sends an answer. Takes ownership. What cannot be sent is dropped. */
    void (*send)(void *arg, uint64_t node, struct frame_out *frame);
    /* Whether a patient may have a copy. 0: yes, one that holds at least that entry: that is its position or before it. Otherwise
     * why not. NULL: nobody may. */
    int (*admits)(void *arg, const struct rebuild_asks *asks, struct rebuild_says *ret_says);
    /* Where peers reach a member, in `address`; "" if that is not known. May be NULL. */
    void (*address)(void *arg, uint64_t node, char address[ADDRESS_LEN_MAX + 1]);
    /* Whether a copy of the state that this node had at the entry may be given to one that is behind, or to a patient. One that has
     * diverged, and does not know it yet, would make others like it. NULL: always. */
    bool (*gives)(void *arg, uint64_t index, bool patient);
    /* Makes sure that everything that was committed, by anybody, before this call is applied here (as gateway->read() does):
     * rebuild_source_confirmed() follows, once, never from within. NULL: nothing is to be made sure of. */
    void (*confirm)(void *arg);
    /* A checkpoint that holds the entry is wanted soon. May be NULL. */
    void (*store_soon)(void *arg, uint64_t index);
    /* A node has found the copy that it fetched damaged: this node's state may be. One line. May be NULL. */
    void (*suspected)(void *arg, const char *what);
    /* Something happened off the loop's own calls that makes a step due. May be NULL. */
    void (*wake)(void *arg);
};

/* Looks for a copy that an earlier process left, holds the log for it, and removes what is not whole. */
int rebuild_source_open(const struct rebuild_source_options *options, struct rebuild_source **ret_source) NODISCARD;
/* Nothing is under way on another thread any more. NULL is allowed. */
void rebuild_source_close(struct rebuild_source *source);

/* A PEER_REBUILD frame with a question. Borrows. ERR_BROKEN: close the connection. */
int rebuild_source_receive(struct rebuild_source *source, uint64_t from, const struct frame *frame) NODISCARD;

/* What confirm() asked for is so, or an error. Not from within a call of the source. */
void rebuild_source_confirmed(struct rebuild_source *source, int err);

/* Removes a copy whose time is over. Call it in every turn, and at the deadline. */
void rebuild_source_step(struct rebuild_source *source);
uint64_t rebuild_source_deadline_ms(const struct rebuild_source *source);
/* Nothing is under way on another thread. */
bool rebuild_source_idle(const struct rebuild_source *source);

#endif
