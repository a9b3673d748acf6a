/* Which directory holds the state of the machine. It changes when a copy from another node takes the place of a state that
 * cannot go on: the small file `current` beside the directories names the one that counts, and is replaced in one step.
 *
 * `dir` is that of the shard, relative to the disk's root, everywhere here. Synchronous; before the shard is opened, or off
 * the loop. Errors are those of the disk, and ERR_CORRUPT: the file is damaged. */

#ifndef HOLDFAST_NODE_CORE_STATE_DIR_H
#define HOLDFAST_NODE_CORE_STATE_DIR_H

#include <stdbool.h>

#include "proto/base/disk.h"
#include "proto/base/err.h"

#define STATE_DIR_NAME_LEN_MAX 64u

struct state_dir {
    char name[STATE_DIR_NAME_LEN_MAX];   /* "state" when there never was another. */
    bool fresh;                          /* A copy from another node: the log has not been made to follow it yet. */
    char before[STATE_DIR_NAME_LEN_MAX]; /* Of a fresh one: what it takes the place of; "": not known;
                                          * itself: that has gone, or is going. */
};

/* `detail` gets one line on error. */
int state_dir_read(struct disk *disk, const char *dir, struct state_dir *ret_current, char *detail,
                   size_t detail_len) NODISCARD;

/* Makes sure that the file can be replaced once though the disk is full. */
int state_dir_reserve(struct disk *disk, const char *dir) NODISCARD;

/* From now on, durably, the state is in the directory `name`, which is complete and synced, and fresh. */
int state_dir_switch(struct disk *disk, const char *dir, const char *name) NODISCARD;

/* The log follows the state now, durably: removes the mark, and every other directory of a state. */
int state_dir_settle(struct disk *disk, const char *dir, const struct state_dir *current) NODISCARD;

/* A fresh copy is no good: from now on, durably, the state is again what it takes the place of, and the copy is removed. After
 * state_dir_settle() has begun there is nothing to go back to: then the copy stays, and is not fresh any more. */
int state_dir_return(struct disk *disk, const char *dir) NODISCARD;

/* Of a fresh copy that the shard works with already, but that could not be settled: durably, it is not fresh any more. */
int state_dir_keep(struct disk *disk, const char *dir) NODISCARD;

/* The file is damaged: it is made anew, with a guess at what it said. Only for a node that does not count on its state, and
 * only wants to keep it (repair.h). */
int state_dir_mend(struct disk *disk, const char *dir) NODISCARD;

/* Removes a directory and the files in it; 0 when there is none. */
int state_dir_remove(struct disk *disk, const char *path) NODISCARD;

#endif
