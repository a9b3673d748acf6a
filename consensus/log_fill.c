/* Zeroes ahead of what is written. */

#include "consensus/log_fill.h"

#include "proto/base/check.h"
#include "proto/base/limits.h"

/* Short enough that a batch which comes meanwhile hardly waits. */
#define FILL_PIECE_LEN (128 * KIB)
/* What file systems map at once, usually. The rest of a piece that a batch has begun is not zeroes any more. */
#define FILL_ALIGN (4 * KIB)

void log_fill_begin(struct log_fill *fill, const struct log_segment *segment, uint64_t offset,
                    void (*done)(struct disk_append *append, int err))
{
    CHECK(!fill->in_flight); /* It completes before whatever was given to the disk later. */
    if (fill->ahead == 0) {
        return;
    }
    uint64_t from = (offset + FILL_ALIGN - 1) / FILL_ALIGN * FILL_ALIGN;
    if (fill->segment == segment->number && fill->end > from) {
        from = fill->end;
    }
    if (from >= segment->len || from - offset >= fill->ahead) {
        return;
    }
    uint64_t left = segment->len - from;
    fill->segment = segment->number;
    fill->end = from + (left < FILL_PIECE_LEN ? left : FILL_PIECE_LEN);
    fill->in_flight = true;
    fill->append = (struct disk_append){
        .file = segment->file, .offset = from, .zeroes_len = fill->end - from, .skip_sync = true, .done = done};
    segment->file->disk->ops->append(segment->file->disk, &fill->append);
}

void log_fill_finish(struct log_fill *fill)
{
    CHECK(fill->in_flight);
    fill->in_flight = false;
}
