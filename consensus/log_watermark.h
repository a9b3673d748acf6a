/* The number of the last batch that was acknowledged, kept apart from the log: what is damaged at or below it was whole
 * once, and cannot be a torn write.
 *
 * DIR/watermark has two slots of one sector, written in turn after each batch and not synced, but for a clean close: a
 * lost or torn watermark protects less, and says nothing wrong. Slot: magic "HFLW", version (2 bytes), 2 zero bytes,
 * batch (8), stored index (8, for people), XXH3 of those 24 bytes (8); little-endian. */

#ifndef HOLDFAST_CONSENSUS_LOG_WATERMARK_H
#define HOLDFAST_CONSENSUS_LOG_WATERMARK_H

#include <stdint.h>

#include "proto/base/disk.h"
#include "proto/base/err.h"

#define LOG_WATERMARK_NAME "watermark"

struct log_watermark {
    struct disk_file *file;
};

/* Reads the highest batch; 0 when there is no file or no whole slot that can be read. ERR_IO, ERR_NOMEM. */
int log_watermark_read(struct disk *disk, const char *dir, uint64_t *ret_batch) NODISCARD;

/* Opens it for writing; created when missing, and anew when it cannot be read. */
int log_watermark_open(struct log_watermark *watermark, struct disk *disk, const char *dir) NODISCARD;
int log_watermark_write(struct log_watermark *watermark, uint64_t batch, uint64_t stored_index) NODISCARD;
int log_watermark_sync(struct log_watermark *watermark) NODISCARD;
void log_watermark_close(struct log_watermark *watermark);

#endif
