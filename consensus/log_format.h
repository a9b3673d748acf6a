/* The bytes of the log: segment files, and the batches and records in them.
 *
 * All integers are little-endian, all checksums XXH3 (64 bits). A log is a directory of segments, named by their
 * number: 00000001.log, 00000002.log and so on, without a gap; old ones are dropped from the front. A segment is made
 * ahead of need, filled with zeroes, and written from its start; a crash or a start of the process ends it early.
 *
 *   segment:  head (one sector), then batches; each begins at a sector, and the rest of its last one is zeroes
 *   batch:    head, then `count` records with nothing between them
 *   record:   head, then the payload
 *
 *   segment head                    batch head                         record head
 *    0  4  magic "HFLS"              0  4  magic "HFLB"                 0  2  magic "HR"
 *    4  2  version                   4  2  version                      2  1  type (enum log_entry_type)
 *    6  2  flags                     6  2  zero                         3  1  zero
 *    8  8  number of the segment     8  8  number of the batch          4  4  length of the payload
 *   16  8  epoch                    16  8  epoch of the segment         8  8  index
 *   24  8  number of its 1st batch  24  8  batch known to be synced    16  8  term
 *   32  8  checksum of the batch    32  8  checksum of the batch       24  8  checksum of the 24 bytes above,
 *          head before that                head before this                   seeded with the epoch, and of
 *   40  8  index of its 1st record  40  4  count of records                   the payload, seeded with that
 *   48  8  length of the file       44  4  length, with the heads
 *   56  8  checksum of the above    48  8  stored index when written
 *   64 448 zero                     56  8  checksum of the above
 *
 * Batches are numbered from 1 through all segments. A batch is begun only when the one before is synced and says so, so
 * whatever comes before the last batch cannot be torn. Batches begin at a sector so that a torn write cannot touch
 * anything synced before. The epoch is higher at each start that writes, so that what an earlier process left behind
 * can never be read as part of a later batch.
 *
 * A later version keeps the place of the magic, the version and the checksum in the segment head, so that this one can
 * tell it from damage. */

#ifndef HOLDFAST_CONSENSUS_LOG_FORMAT_H
#define HOLDFAST_CONSENSUS_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

#define LOG_FORMAT_VERSION 1u
#define LOG_SECTOR_LEN 512u
#define LOG_SEGMENT_HEAD_LEN LOG_SECTOR_LEN
#define LOG_BATCH_HEAD_LEN 64u
#define LOG_RECORD_HEAD_LEN 32u
#define LOG_RECORD_MAGIC 0x5248u    /* "HR" */
#define LOG_BATCH_MAGIC 0x424c4648u /* "HFLB" */

/* A payload: what fits a peer's frame. */
#define LOG_PAYLOAD_LEN_MAX FRAME_BODY_LEN_MAX
/* A segment file, read whole at the start. */
#define LOG_SEGMENT_LEN_MAX (1 * GIB)
#define LOG_BATCH_LEN_MAX (4 * MIB) /* Unless a single entry is larger. */
#define LOG_BATCH_ENTRIES_MAX 500u  /* Two vectors each, and two: within what one system call takes (1,024). */
#define LOG_NAME_LEN_MAX 32u

_Static_assert(LOG_PAYLOAD_LEN_MAX < (UINT64_C(1) << 28), "a length and a type share 32 bits in memory");
_Static_assert(LOG_BATCH_LEN_MAX + LOG_PAYLOAD_LEN_MAX + KIB < LOG_SEGMENT_LEN_MAX, "any batch fits a segment");

enum log_segment_flag {
    LOG_SEGMENT_RESET = 1, /* The log was emptied: what is in earlier segments does not count. */
};

struct log_segment_head {
    uint16_t flags;
    uint64_t number;
    uint64_t epoch;
    uint64_t first_batch;
    uint64_t previous; /* Checksum of the head of the batch before; 0 before the first. */
    uint64_t first_index;
    uint64_t len;
};

struct log_batch_head {
    uint64_t number;
    uint64_t epoch;
    uint64_t synced;
    uint64_t previous;
    uint32_t count;
    uint32_t len; /* Without the zeroes after it. */
    uint64_t stored_index;
    uint64_t checksum; /* Filled by encoding and decoding. */
};

struct log_record_head {
    int type;
    uint32_t len;
    uint64_t index;
    uint64_t term;
    uint64_t checksum; /* Filled by encoding and decoding. */
};

/* The next multiple of a sector. */
uint64_t log_sector_align(uint64_t offset);
bool log_bytes_are_zero(const uint8_t *data, uint64_t len);

/* `out` has LOG_SEGMENT_HEAD_LEN bytes. */
void log_segment_head_encode(const struct log_segment_head *head, uint8_t *out);
/* ERR_NOT_FOUND: all zeroes, never written. ERR_CORRUPT. ERR_VERSION. */
int log_segment_head_decode(const uint8_t *data, struct log_segment_head *ret_head) NODISCARD;

/* `out` has LOG_BATCH_HEAD_LEN bytes. */
void log_batch_head_encode(struct log_batch_head *head, uint8_t *out);
/* ERR_CORRUPT: not a batch head, a damaged one, or one with impossible lengths. ERR_VERSION. */
int log_batch_head_decode(const uint8_t *data, struct log_batch_head *ret_head) NODISCARD;

/* `out` has LOG_RECORD_HEAD_LEN bytes. */
void log_record_head_encode(struct log_record_head *head, uint64_t epoch, const uint8_t *payload, uint8_t *out);
/* Everything but the checksum. ERR_CORRUPT. */
int log_record_head_decode(const uint8_t *data, struct log_record_head *ret_head) NODISCARD;
/* Whether head (as stored) and payload are what was written. */
bool log_record_is_whole(const uint8_t *head, uint64_t epoch, const uint8_t *payload, uint32_t len);

/* Writes the name of a segment to `out`, of LOG_NAME_LEN_MAX bytes. */
void log_segment_name(uint64_t number, char *out);
/* The number of a segment by its name; 0 for any other name. */
uint64_t log_segment_number(const char *name);

#endif
