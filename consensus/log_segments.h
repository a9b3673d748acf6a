/* The segment files in use, and the one that is made ahead of need.
 *
 * A spare is made by the disk's other thread: created under its final name, filled with zeroes and synced, so that
 * beginning a segment costs the loop nothing. It is also how a segment for an entry larger than the usual length comes
 * to be: a spare that is too short is made longer. */

#ifndef HOLDFAST_CONSENSUS_LOG_SEGMENTS_H
#define HOLDFAST_CONSENSUS_LOG_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/log_deque.h"
#include "consensus/log_path.h"
#include "proto/base/disk.h"
#include "proto/base/err.h"

struct log_segment {
    uint64_t number;
    uint64_t epoch;
    uint64_t len;
    struct disk_file *file;
    bool begun;   /* Its head has been handed to the disk. */
    bool durable; /* Its head is on disk. */
    bool sealed;  /* Written by an earlier process: nothing is added to it. */
};

enum log_spare_state { LOG_SPARE_NONE, LOG_SPARE_PREPARING, LOG_SPARE_READY };

struct log_spare {
    struct disk_task task;
    struct disk *disk;
    const char *dir;
    enum log_spare_state state;
    char path[LOG_PATH_LEN_MAX];
    uint64_t number;
    uint64_t len;
    struct disk_file *file; /* Kept when preparing failed half-way. */
};

struct log_segments {
    struct disk *disk;
    const char *dir;
    uint64_t epoch; /* Of new segments. */
    uint64_t segment_len;
    struct log_deque files; /* struct log_segment, numbered without a gap; the last is being written, unless sealed. */
    struct log_spare spare;
};

void log_segments_init(struct log_segments *segments, struct disk *disk, const char *dir, uint64_t segment_len);
/* Closes the files. */
void log_segments_done(struct log_segments *segments);

/* Opens an existing segment, which follows those added before. */
int log_segments_add(struct log_segments *segments, uint64_t number, uint64_t epoch, uint64_t len) NODISCARD;
/* Makes the segment `number` at once and adds it. */
int log_segments_make(struct log_segments *segments, uint64_t number) NODISCARD;

/* The last one, or NULL. */
struct log_segment *log_segments_active(const struct log_segments *segments);
/* The segment of that number, which must be held. */
struct log_segment *log_segments_find(const struct log_segments *segments, uint64_t number);

/* Starts preparing the spare, at least `len` bytes long; `done` is called from the loop. */
int log_segments_prepare(struct log_segments *segments, uint64_t len,
                         void (*done)(struct disk_task *task, int err)) NODISCARD;
/* To be called first in `done`. */
void log_segments_prepared(struct log_segments *segments, int err);
/* Makes the spare the active segment, when it is ready and long enough. */
bool log_segments_advance(struct log_segments *segments, uint64_t len);
/* Removes the first segment; durable after the directory was synced. */
int log_segments_remove_first(struct log_segments *segments) NODISCARD;

#endif
