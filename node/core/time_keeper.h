/* Keeps the newest time mark (time_mark.h) in a small file, so that it is there after a restart.
 *
 * The file has two places, a sector each, written in turn, so that one of them is whole whatever a crash does to the other.
 * The first mark of each leader is synced: those of the one before are worth nothing once it has stamped an entry. Later ones are
 * not: any is as good, and the system writes it within half a minute. That happens on the disk's other thread, and in place once the file is there: it takes no room of a disk that is full. Whatever goes
 * wrong with it, nothing else is wrong: log time is then caught up slowly, as if there were no file. */

#ifndef HOLDFAST_NODE_CORE_TIME_KEEPER_H
#define HOLDFAST_NODE_CORE_TIME_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "node/core/time_mark.h"
#include "proto/base/disk.h"
#include "proto/base/journal.h"

/* In the shard's directory. */
#define TIME_KEEPER_FILE "log-time"

/* Two places of so many bytes. */
#define TIME_KEEPER_PLACE_LEN 512u
#define TIME_KEEPER_PLACES 2u

struct time_keeper {
    struct disk_task task;
    struct disk *disk; /* Borrowed, as the next two. NULL: nothing is kept. */
    struct journal *journal;
    const char *dir;       /* Of the shard, relative to the disk's root. */
    struct time_mark kept; /* What was written last, or read. */
    uint64_t kept_ms;      /* When, by the monotonic clock. */
    struct time_mark writing;
    unsigned place; /* Where the next one goes. */
    bool busy;      /* The other thread has `task`, `writing`, and what follows from it. */
    bool spare;     /* The disk is short: a file that is not there is not made. */
    bool first;     /* Of its leader. */
    bool failed;    /* That has been said. */
};

/* Reads what is there: the newest of what is whole, or none. */
void time_keeper_open(struct time_keeper *keeper, struct disk *disk, struct journal *journal, const char *dir,
                      struct time_mark *ret_mark);

/* Writes the mark if it is time to, and nothing is being written. `stamped_ms`: log time of the last entry; `disk_low`: there is no room
 * for a new file. */
void time_keeper_take(struct time_keeper *keeper, const struct time_mark *mark, uint64_t stamped_ms, bool disk_low,
                      uint64_t now_ms);

/* Whether nothing is being written. */
bool time_keeper_idle(const struct time_keeper *keeper);

#endif
