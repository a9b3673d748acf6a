/* Cuts a run of bytes into frames, without sockets: bytes go in through a buffer that the reader provides, frames come
 * out one at a time.
 *
 * Small frames are cut from a staging buffer that takes many of them in one read; a large one is read straight into its
 * blob. Memory: the staging buffer, which is there only while it holds something, and one frame within the limit, for
 * which there must be room in a budget that readers may share. What stays in the staging buffer is counted there; once
 * much of the budget is taken, a reader takes little bytes at a time, and smaller frames have to wait for room as well. */

#ifndef HOLDFAST_RPC_FRAME_READER_H
#define HOLDFAST_RPC_FRAME_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "rpc/framing.h"
#include "rpc/memory_budget.h"

/* Bytes of the staging buffer. */
#define FRAME_READER_STAGING_LEN (64u * 1024u)

/* From this size on a frame that has not arrived whole is read into its own blob, for which the budget must have room;
 * below, copying it out of the staging buffer is cheaper than another read. */
#define FRAME_READER_LARGE_LEN (FRAME_READER_STAGING_LEN / 2)

/* The same while more than half of the budget is taken. */
#define FRAME_READER_PRESSED_STAGING_LEN (4u * 1024u)
#define FRAME_READER_PRESSED_LARGE_LEN (FRAME_READER_PRESSED_STAGING_LEN / 2)

struct frame_reader {
    const struct framing *framing;
    uint8_t *staging; /* NULL while nothing is in it. */
    size_t cap;
    size_t begin; /* Bytes [begin, end) are not cut yet. */
    size_t end;
    size_t counted;     /* Of the staging buffer, in the budget. */
    size_t len_max;     /* Of a frame, header and body together. */
    struct blob *large; /* A frame that is read straight into its blob, or NULL. */
    size_t large_filled;
    struct frame_prefix large_prefix;
    size_t large_prefix_len;
    struct memory_claim claim; /* For the large frame, until frame_reader_handed_on(). */
};

/* `len_max`: of a frame without its prefix. */
void frame_reader_init(struct frame_reader *reader, const struct framing *framing, size_t len_max);
/* Frees and gives back everything. Twice is harmless. */
void frame_reader_done(struct frame_reader *reader);

/* Large frames need room in this budget; `granted` as in memory_budget.h. Before the first byte. */
void frame_reader_share(struct frame_reader *reader, struct memory_budget *budget,
                        void (*granted)(struct memory_claim *claim));

/* Changes the limit for the frames whose prefix has not been seen yet. */
void frame_reader_set_len_max(struct frame_reader *reader, size_t len_max);

/* Where the next bytes go; at least one byte, when frame_reader_next() has said that it has no frame. ERR_NOMEM. */
int frame_reader_buffer(struct frame_reader *reader, uint8_t **ret_data, size_t *ret_len) NODISCARD;

/* `len` bytes have been written to that buffer. */
void frame_reader_filled(struct frame_reader *reader, size_t len);

/* Takes the next frame: *ret_got tells whether one is complete; then its reference is the caller's. ERR_BROKEN,
 * ERR_VERSION, ERR_TOO_BIG as of the prefix, ERR_NOMEM: the reader is of no further use. */
int frame_reader_next(struct frame_reader *reader, bool *ret_got, struct frame *ret_frame) NODISCARD;

/* Whether frame_reader_next() had no frame for want of room in the budget. Until granted() there may be no place for
 * further bytes: do not read. */
bool frame_reader_waits(const struct frame_reader *reader);

/* The frame taken last is somebody else's to bound: its room in the budget is free again. */
void frame_reader_handed_on(struct frame_reader *reader);

/* After frame_reader_next() had no frame: how many bytes of the next one are here, prefix included, and in *ret_len how
 * many it has, or 0 while its prefix is not complete. */
size_t frame_reader_begun(const struct frame_reader *reader, size_t *ret_len);

/* Frees what the staging buffer does not need for the bytes in it, as an idle connection should cost little, and counts the
 * rest. To be called when a read is over. */
void frame_reader_trim(struct frame_reader *reader);

#endif
