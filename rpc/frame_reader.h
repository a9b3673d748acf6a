/* Cuts a run of bytes into frames, without sockets: bytes go in through a buffer that the reader provides, frames come
 * out one at a time.
 *
 * Small frames are cut from a staging buffer that takes many of them in one read; a large one is read straight into its
 * blob. Memory: the staging buffer, and one frame within the limit. */

#ifndef HOLDFAST_RPC_FRAME_READER_H
#define HOLDFAST_RPC_FRAME_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/wire/frame.h"

/* Bytes of the staging buffer. */
#define FRAME_READER_STAGING_LEN (64u * 1024u)

struct frame_reader {
    uint8_t *staging; /* NULL until the first read. */
    size_t begin;     /* Bytes [begin, end) are not cut yet. */
    size_t end;
    size_t len_max;     /* Of a frame, header and body together. */
    struct blob *large; /* A frame that is read straight into its blob, or NULL. */
    size_t large_filled;
    struct frame_prefix large_prefix;
};

void frame_reader_init(struct frame_reader *reader, size_t len_max);
void frame_reader_done(struct frame_reader *reader);

/* Changes the limit for the frames whose prefix has not been seen yet. */
void frame_reader_set_len_max(struct frame_reader *reader, size_t len_max);

/* Where the next bytes go; at least one byte, when frame_reader_next() has said that it has no frame. ERR_NOMEM. */
int frame_reader_buffer(struct frame_reader *reader, uint8_t **ret_data, size_t *ret_len) NODISCARD;

/* `len` bytes have been written to that buffer. */
void frame_reader_filled(struct frame_reader *reader, size_t len);

/* Takes the next frame: *ret_got tells whether one is complete; then its reference is the caller's. ERR_BROKEN,
 * ERR_VERSION, ERR_TOO_BIG as of the prefix, ERR_NOMEM: the reader is of no further use. */
int frame_reader_next(struct frame_reader *reader, bool *ret_got, struct frame *ret_frame) NODISCARD;

/* Frees the staging buffer while nothing is in it: an idle connection costs little. */
void frame_reader_trim(struct frame_reader *reader);

#endif
