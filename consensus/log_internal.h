/* The log's parts as they know each other: log.c (what callers see), log_writer.c, log_reader.c. */

#ifndef HOLDFAST_CONSENSUS_LOG_INTERNAL_H
#define HOLDFAST_CONSENSUS_LOG_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/log.h"
#include "consensus/log_cache.h"
#include "consensus/log_fill.h"
#include "consensus/log_format.h"
#include "consensus/log_index.h"
#include "consensus/log_segments.h"
#include "consensus/log_watermark.h"
#include "proto/base/disk.h"

#define LOG_BATCH_VECTORS_MAX (2 * LOG_BATCH_ENTRIES_MAX + 2)

/* The batch in flight. Its payloads are held here, since a truncation may take them out of the cache meanwhile. */
struct log_batch {
    struct disk_append append;
    uint64_t segment;
    uint64_t last;     /* What may be reported when it is stored: lowered by truncation (guard G5). */
    uint64_t original; /* What it was. */
    unsigned count;
    struct slice payloads[LOG_BATCH_ENTRIES_MAX];
    struct disk_vector vectors[LOG_BATCH_VECTORS_MAX];
    uint8_t heads[LOG_SEGMENT_HEAD_LEN + LOG_BATCH_HEAD_LEN + LOG_BATCH_ENTRIES_MAX * LOG_RECORD_HEAD_LEN];
};

struct log {
    struct log_options options;
    struct log_index index;
    struct log_cache cache;
    struct log_segments segments;
    struct log_fill fill;
    struct log_watermark watermark;
    uint64_t stored;
    uint64_t offset;       /* Where the next batch goes in the active segment. */
    uint64_t batch_number; /* Of the last batch begun, and the checksum of its head. */
    uint64_t batch_checksum;
    bool in_flight;
    bool waiting_for_spare;
    bool failed;
    struct log_batch batch;
};

/* Hands the next batch to the disk, if none is in flight and there is anything to write. ERR_NOMEM. */
int log_writer_kick(struct log *log) NODISCARD;
/* Writes and syncs the head of a segment after which the log is empty, at once. */
int log_writer_reset(struct log *log, uint64_t first_index) NODISCARD;
/* Drops the payloads of the batch in flight. */
void log_writer_forget(struct log *log);

/* Reads entries that are on disk; as log_read(). */
int log_reader_read(const struct log *log, uint64_t index, unsigned count, uint64_t bytes_max,
                    struct log_entry *ret_entries, unsigned *ret_count, char *detail, size_t detail_len) NODISCARD;

#endif
