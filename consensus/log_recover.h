/* Recovery: reads a whole log, checks all of it, and tells a torn tail from corruption.
 *
 * They are told apart by order. A batch is begun only when the one before is synced, so only the very last batch may be
 * torn, in any pattern; damage that is followed by a whole batch head of a higher number, that lies at or below the
 * watermark, or that breaks the chain of segments, is corruption. What cannot be told apart: damage in the last batch
 * when the watermark of it was lost too (a power failure right after the batch was acknowledged, and then damage): it
 * is taken for a torn write. The other way round errs on the safe side: a torn batch whose payload holds, at the start
 * of a sector, a whole batch head with a higher number, such as the copy of a log sent as a message, is reported as
 * corruption.
 *
 * Reading changes nothing. log_recover_settle() then makes the disk what was found: writes the last batch again and syncs it, cuts
 * the torn batch, removes the segments that hold nothing. New batches go to a new segment, so that nothing is ever written over
 * what a crash left behind. */

#ifndef HOLDFAST_CONSENSUS_LOG_RECOVER_H
#define HOLDFAST_CONSENSUS_LOG_RECOVER_H

#include <stddef.h>
#include <stdint.h>

#include "consensus/log_format.h"
#include "proto/base/disk.h"
#include "proto/base/err.h"

enum log_recover_state {
    LOG_RECOVER_SET_ASIDE, /* Before a reset: does not count any more. */
    LOG_RECOVER_USED,
    LOG_RECOVER_UNUSED, /* Made ahead of need, or begun by a batch that a crash tore. */
};

struct log_recover_segment {
    uint64_t number;
    enum log_recover_state state;
    int head_err; /* As of decoding the head. */
    struct log_segment_head head;
    uint64_t size;  /* Of the file. */
    uint64_t end;   /* Of its last whole batch. */
    uint64_t last;  /* Where that one begins. */
    uint64_t batch; /* Its number, and the checksum of its head; while there is none, those of the one before. */
    uint64_t checksum;
    uint64_t batches;
    uint64_t records;
    uint64_t torn_bytes;
};

/* Both may be NULL; an error ends recovery with it. */
struct log_recover_observer {
    void *arg;
    /* A record of a batch that is whole. A lower index than the last one takes back what was there. */
    int (*record)(void *arg, const struct log_recover_segment *segment, uint64_t offset,
                  const struct log_record_head *record, const uint8_t *payload);
    /* All records of the segment have been seen. */
    int (*segment)(void *arg, const struct log_recover_segment *segment);
};

struct log_recover_result {
    struct log_recover_segment *segments; /* All that are there, in order; owned. */
    size_t segments_len;
    size_t used_first; /* Those in use are [used_first, used_end). */
    size_t used_end;
    uint64_t first_index;
    uint64_t last_index;
    uint64_t batch; /* Number of the last one, and checksum of its head. */
    uint64_t checksum;
    uint64_t epoch; /* The highest one seen. */
    uint64_t records;
    uint64_t torn_bytes;
    uint64_t watermark;
    char file[LOG_NAME_LEN_MAX]; /* On ERR_CORRUPT and ERR_VERSION. */
    uint64_t offset;
    char detail[512];
};

/* Zero-initialises the result and fills it, also on error; log_recover_done() in any case.
 * ERR_CORRUPT, ERR_VERSION: with `file`, `offset` and `detail`. ERR_IO, ERR_NOMEM, ERR_NOT_FOUND (no directory). */
int log_recover_read(struct disk *disk, const char *dir, const struct log_recover_observer *observer,
                     struct log_recover_result *ret_result) NODISCARD;
int log_recover_settle(struct disk *disk, const char *dir, const struct log_recover_result *result) NODISCARD;
void log_recover_done(struct log_recover_result *result);

#endif
