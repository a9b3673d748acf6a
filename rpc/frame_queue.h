/* Frames waiting to be written, as vectors for the socket: a ring that knows how much of its front has gone out. */

#ifndef HOLDFAST_RPC_FRAME_QUEUE_H
#define HOLDFAST_RPC_FRAME_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/wire/frame.h"

/* What a frame costs besides its bytes: its place in the ring and two allocations, about. A million answers of two bytes
 * are not two megabytes. */
#define FRAME_QUEUE_FRAME_COST 128u

/* Zero-initialise; frame_queue_done() at the end. */
struct frame_queue {
    struct frame_out *ring; /* NULL while nothing has been queued. */
    size_t cap;             /* A power of two, or 0. */
    size_t first;
    size_t count;
    size_t sent; /* Bytes of the first frame that are out. */
    size_t len;  /* Bytes that are not. */
};

void frame_queue_done(struct frame_queue *queue);

/* Bytes of memory that it takes, about. */
size_t frame_queue_cost(const struct frame_queue *queue);

/* Takes ownership on success. ERR_NOMEM. */
int frame_queue_push(struct frame_queue *queue, struct frame_out *frame) NODISCARD;

/* Fills at most `max` vectors with at most `len_max` of the next bytes; returns how many vectors, and how many bytes in
 * *ret_len. They point into the frames. */
unsigned frame_queue_vectors(const struct frame_queue *queue, uv_buf_t *vectors, unsigned max, size_t len_max,
                             size_t *ret_len);

/* `len` bytes are out; frames that are out entirely are dropped. */
void frame_queue_taken(struct frame_queue *queue, size_t len);

#endif
