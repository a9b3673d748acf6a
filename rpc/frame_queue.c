/* A ring of frames on their way out. */

#include "rpc/frame_queue.h"

#include <stdlib.h>

#include "proto/base/check.h"

#define RING_CAP_FIRST 16u

static struct frame_out *queue_at(const struct frame_queue *queue, size_t i)
{
    return &queue->ring[(queue->first + i) & (queue->cap - 1)];
}

static void queue_pop(struct frame_queue *queue)
{
    frame_out_done(queue_at(queue, 0));
    queue->first = (queue->first + 1) & (queue->cap - 1);
    queue->count--;
    queue->sent = 0;
    if (queue->count == 0 && queue->cap > RING_CAP_FIRST) {
        free(queue->ring); /* A ring that once was long is no reason to keep it. */
        queue->ring = NULL;
        queue->cap = 0;
        queue->first = 0;
    }
}

size_t frame_queue_cost(const struct frame_queue *queue)
{
    return queue->len + queue->count * FRAME_QUEUE_FRAME_COST;
}

void frame_queue_done(struct frame_queue *queue)
{
    while (queue->count > 0) {
        queue_pop(queue);
    }
    free(queue->ring);
    *queue = (struct frame_queue){0};
}

static int queue_grow(struct frame_queue *queue)
{
    size_t cap = queue->cap > 0 ? queue->cap * 2 : RING_CAP_FIRST;
    if (cap > SIZE_MAX / sizeof *queue->ring) {
        return ERR_NOMEM;
    }
    struct frame_out *ring = malloc(cap * sizeof *ring);
    if (ring == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < queue->count; i++) {
        ring[i] = *queue_at(queue, i);
    }
    free(queue->ring);
    queue->ring = ring;
    queue->cap = cap;
    queue->first = 0;
    return 0;
}

int frame_queue_push(struct frame_queue *queue, struct frame_out *frame)
{
    size_t len = frame->head->len;
    for (unsigned i = 0; i < frame->parts_len; i++) {
        len += frame->parts[i].len;
    }
    CHECK(len == frame->len && len > 0);
    if (queue->count == queue->cap) {
        int err = queue_grow(queue);
        if (err != 0) {
            return err;
        }
    }
    queue->count++;
    *queue_at(queue, queue->count - 1) = *frame;
    queue->len += len;
    *frame = (struct frame_out){0};
    return 0;
}

struct vectors {
    uv_buf_t *out;
    unsigned max;
    unsigned count;
    size_t len;
    size_t len_max;
    size_t skip; /* Bytes at the front that are out already. */
};

/* Adds a run of bytes; false when the vectors are full. */
static bool vectors_add(struct vectors *vectors, const void *data, size_t len)
{
    size_t skip = vectors->skip < len ? vectors->skip : len;
    vectors->skip -= skip;
    len -= skip;
    if (len == 0) {
        return true;
    }
    if (vectors->count == vectors->max || vectors->len == vectors->len_max) {
        return false;
    }
    size_t room = vectors->len_max - vectors->len;
    if (len > room) {
        len = room;
    }
    /* libuv does not write to what it sends; its type has no const. */
    vectors->out[vectors->count++] = (uv_buf_t){.base = (char *)(uintptr_t)data + skip, .len = len};
    vectors->len += len;
    return true;
}

unsigned frame_queue_vectors(const struct frame_queue *queue, uv_buf_t *vectors, unsigned max, size_t len_max,
                             size_t *ret_len)
{
    struct vectors v = {.out = vectors, .max = max, .len_max = len_max, .skip = queue->sent};
    for (size_t i = 0; i < queue->count; i++) {
        const struct frame_out *frame = queue_at(queue, i);
        bool more = vectors_add(&v, frame->head->data, frame->head->len);
        for (unsigned part = 0; more && part < frame->parts_len; part++) {
            more = vectors_add(&v, frame->parts[part].data, frame->parts[part].len);
        }
        if (!more) {
            break;
        }
    }
    *ret_len = v.len;
    return v.count;
}

void frame_queue_taken(struct frame_queue *queue, size_t len)
{
    CHECK(len <= queue->len);
    queue->len -= len;
    while (len > 0) {
        size_t left = queue_at(queue, 0)->len - queue->sent;
        if (len < left) {
            queue->sent += len;
            return;
        }
        len -= left;
        queue_pop(queue);
    }
}
