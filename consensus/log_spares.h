/* The segment files that are made ahead of need: what the log can take although the disk gives no more.
 *
 * A spare is made by the disk's other thread: created under its final name, filled with zeroes and synced, so that
 * beginning a segment costs the loop nothing. It is also how a segment for an entry larger than the usual length comes
 * to be: a spare that is too short is made longer. When the disk has no room, what was begun is taken back, so that
 * others have the rest of it. */

#ifndef HOLDFAST_CONSENSUS_LOG_SPARES_H
#define HOLDFAST_CONSENSUS_LOG_SPARES_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/log_path.h"
#include "proto/base/disk.h"
#include "proto/base/err.h"

/* More would be no reserve but a way to write the log: who wants more of it wants longer segments. */
#define LOG_SPARES_MAX 256u

struct log_spare {
    uint64_t number;
    uint64_t len;
    struct disk_file *file;
};

struct log_spares {
    struct disk *disk;
    const char *dir;
    uint64_t segment_len;
    unsigned wanted;                        /* Spares to have. */
    uint64_t next_number;                   /* Of the next one to be created. */
    struct log_spare ready[LOG_SPARES_MAX]; /* In order, numbered without a gap. */
    unsigned ready_len;
    bool is_short;        /* The disk had no room for the last one that was tried. */
    uint64_t refused_len; /* What it had no room for. */

    bool making;
    struct log_spare made; /* At work; its file is NULL when it is a new one. */
    uint64_t len_before;   /* Of a file that is being made longer. */
    struct disk_task task;
    char path[LOG_PATH_LEN_MAX];
};

/* `reserve_len`: how many bytes the spares together are to hold; at least one is kept. */
void log_spares_init(struct log_spares *spares, struct disk *disk, const char *dir, uint64_t segment_len,
                     uint64_t reserve_len);
/* Closes the files. */
void log_spares_done(struct log_spares *spares);

/* Makes one at once. ERR_NO_SPACE: and there is none. */
int log_spares_make(struct log_spares *spares) NODISCARD;

/* Whether some are missing, and none is being made. */
bool log_spares_wanting(const struct log_spares *spares);
/* Starts making one, at least `len` bytes long: `of`, longer, when its file is not NULL; else a new one. `done` is called
 * from the loop. None is being made. */
void log_spares_begin(struct log_spares *spares, struct log_spare of, uint64_t len,
                      void (*done)(struct disk_task *task, int err));
/* To be called first in `done`. After ERR_NO_SPACE everything is as before. */
void log_spares_finish(struct log_spares *spares, int err);

/* When all are there, and the disk was short all the same, of room for something that is not wanted any more: asks it again.
 * Whether it has the room now, and so is not short. */
bool log_spares_ask_again(struct log_spares *spares);

/* Takes the first one away; there is one. */
struct log_spare log_spares_take(struct log_spares *spares);

#endif
