/* The segment files in use, and how spares come to be among them. */

#ifndef HOLDFAST_CONSENSUS_LOG_SEGMENTS_H
#define HOLDFAST_CONSENSUS_LOG_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/log_deque.h"
#include "consensus/log_format.h"
#include "consensus/log_spares.h"
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
    /* What of it is on disk, once it is durable: for those who compare (log_scrub.h). */
    struct log_segment_head head;
    uint64_t end;   /* Of its last batch that is synced. */
    uint64_t batch; /* Number of that batch, and checksum of its head; while it has none, those of the one before. */
    uint64_t checksum;
};

struct log_segments {
    struct disk *disk;
    const char *dir;
    uint64_t epoch;         /* Of new segments. */
    struct log_deque files; /* struct log_segment, numbered without a gap; the last is being written, unless sealed. */
    struct log_spares spares;
};

void log_segments_init(struct log_segments *segments, struct disk *disk, const char *dir, uint64_t segment_len,
                       uint64_t reserve_len);
/* Closes the files. */
void log_segments_done(struct log_segments *segments);

/* Opens an existing segment, which follows those added before. */
int log_segments_add(struct log_segments *segments, uint64_t number, uint64_t epoch, uint64_t len) NODISCARD;
/* Makes the next segment at once and adds it. */
int log_segments_make(struct log_segments *segments) NODISCARD;
/* Notes with what head a segment begins. */
void log_segment_begin(struct log_segment *segment, const struct log_segment_head *head);

/* The last one, or NULL. */
struct log_segment *log_segments_active(const struct log_segments *segments);
/* The same if it can be written to, else NULL. */
struct log_segment *log_segments_writable(const struct log_segments *segments);
/* The segment of that number, which must be held. */
struct log_segment *log_segments_find(const struct log_segments *segments, uint64_t number);

/* Starts preparing what is missing: the next segment, when it must be at least `len` bytes long, else a spare. `done` is
 * called from the loop. None is being prepared. */
void log_segments_prepare(struct log_segments *segments, uint64_t len, void (*done)(struct disk_task *task, int err));
/* Makes the first spare the active segment, when it is ready and long enough. ERR_NOT_FOUND: it is not. ERR_NOMEM. */
int log_segments_advance(struct log_segments *segments, uint64_t len) NODISCARD;
/* Removes the first segment; durable after the directory was synced. */
int log_segments_remove_first(struct log_segments *segments) NODISCARD;

#endif
