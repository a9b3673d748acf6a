/* Zeroes ahead of what is written, in the active segment.
 *
 * A segment that was allocated reads as zeroes, but most file systems have nothing there yet: whoever writes there first
 * changes the file's map as well, and a sync must then wait for the file system's journal, which all files share. Where
 * zeroes have been written a sync is the data alone (measured with ext4: half the time for batches of 64 KiB, a quarter
 * less for small ones). So when the disk has nothing else to do for the log, it writes zeroes a little ahead; under a load
 * that keeps it busy it does not come to that, and no byte is written twice.
 *
 * They need no sync of their own, and go the way of the batches, in order: what is given to the disk later is written
 * later, so that they can never fall on a batch. */

#ifndef HOLDFAST_CONSENSUS_LOG_FILL_H
#define HOLDFAST_CONSENSUS_LOG_FILL_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/log_segments.h"
#include "proto/base/disk.h"

struct log_fill {
    uint64_t ahead; /* How far ahead of what is written, in bytes; 0: not at all. */
    bool in_flight;
    uint64_t segment; /* That in which zeroes have been written up to `end`. */
    uint64_t end;
    struct disk_append append;
};

/* Starts writing zeroes into the segment, whose batches end at `offset`, unless there are enough; none are being
 * written. `done` is called from the loop, and calls log_fill_finish(). */
void log_fill_begin(struct log_fill *fill, const struct log_segment *segment, uint64_t offset,
                    void (*done)(struct disk_append *append, int err));
void log_fill_finish(struct log_fill *fill);

#endif
