/* A read-only walk over the log of a stopped node, for people: the same checks as at a start, and nothing is changed.
 */

#ifndef HOLDFAST_CONSENSUS_LOG_INSPECT_H
#define HOLDFAST_CONSENSUS_LOG_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/disk.h"
#include "proto/base/err.h"

struct log_inspect_record {
    const char *file; /* Borrowed for the call, as is the payload. */
    uint64_t offset;
    uint64_t index; /* At or below the last one seen: takes back what was there. */
    uint64_t term;
    int type; /* enum log_entry_type */
    uint32_t len;
    const uint8_t *payload;
};

struct log_inspect_segment {
    const char *file;
    uint64_t size;
    uint64_t used_bytes;
    uint64_t batches;
    uint64_t records;
    uint64_t torn_bytes; /* Of an unfinished batch: the next start cuts them. */
    bool unused;         /* Made ahead of need. */
};

/* Either may be NULL. A record is shown only when all of its batch is good. */
struct log_inspect_callbacks {
    void *arg;
    void (*record)(void *arg, const struct log_inspect_record *record);
    void (*segment)(void *arg, const struct log_inspect_segment *segment);
};

struct log_inspect_report {
    uint64_t first_index;
    uint64_t last_index;
    uint64_t segments;
    uint64_t batches; /* In the segments there. */
    uint64_t records;
    uint64_t torn_bytes;
    char file[32]; /* Where the damage is. */
    uint64_t offset;
    char detail[512];
};

/* Fills the report in any case. ERR_CORRUPT and ERR_VERSION: with file, offset and detail. ERR_NOT_FOUND: no such
 * directory. ERR_IO, ERR_NOMEM. */
int log_inspect(struct disk *disk, const char *dir, const struct log_inspect_callbacks *callbacks,
                struct log_inspect_report *ret_report) NODISCARD;

#endif
