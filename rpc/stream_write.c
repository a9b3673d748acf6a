/* Writing a stream: the queue to the socket, the last word. */

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/stream_private.h"

/* Vectors of one write, and the bytes after which a write that the socket does not take at once is cut, so that its
 * memory is released and its progress is seen in steps. */
#define WRITE_VECTORS_MAX 256u
#define WRITE_LEN_MAX (2 * MIB)

static void on_written(uv_write_t *write, int status);

/* `len` bytes of the queue are the kernel's now. */
static void write_taken(struct stream *stream, size_t len)
{
    frame_queue_taken(&stream->queue, len);
    stream->taken_bytes += len;
    stream_account(stream);
    stream->stall_deadline_ms = stream_deadline(stream, stream->options.stall_timeout_ms);
    stream_vanish_watch(stream);
}

/* Leaves the rest to libuv, which waits for the socket to take more. */
static int write_start(struct stream *stream)
{
    uv_buf_t vectors[WRITE_VECTORS_MAX];
    size_t len;
    unsigned count = frame_queue_vectors(&stream->queue, vectors, WRITE_VECTORS_MAX, WRITE_LEN_MAX, &len);
    int rc = uv_write(&stream->write, (uv_stream_t *)&stream->tcp, vectors, count, on_written);
    if (rc != 0) {
        return rc;
    }
    stream->writing = true;
    stream->writing_len = len;
    stream->writing_left = len;
    return 0;
}

/* Writes until the queue is empty or the socket is full. Returns 0 or libuv's error. */
static int write_now(struct stream *stream)
{
    while (stream->queue.len > 0) {
        uv_buf_t vectors[WRITE_VECTORS_MAX];
        size_t len;
        unsigned count = frame_queue_vectors(&stream->queue, vectors, WRITE_VECTORS_MAX, WRITE_LEN_MAX, &len);
        int rc = uv_try_write((uv_stream_t *)&stream->tcp, vectors, count);
        if (rc < 0 && rc != UV_EAGAIN) {
            return rc;
        }
        size_t taken = rc < 0 ? 0 : (size_t)rc;
        if (taken > 0) {
            write_taken(stream, taken);
        }
        if (taken < len) {
            return write_start(stream);
        }
    }
    return 0;
}

static void write_failed(struct stream *stream, int rc)
{
    stream->write_broken = true;
    stream_fail(stream, ERR_SYSTEM, "writing failed: %s", uv_strerror(rc));
}

/* After stream_finish(), with nothing left that can be sent: half-close, so that the peer sees the end after the last word. */
void stream_finish_step(struct stream *stream)
{
    bool out = stream->queue.len == 0 || stream->write_broken;
    if (!stream->finishing || !out || stream->state != STREAM_OPEN || stream->shut) {
        return;
    }
    stream->shut = true;
    if (stream->end_err == ERR_CLOSED || stream->write_broken ||
        uv_shutdown(&stream->shutdown, (uv_stream_t *)&stream->tcp, NULL) != 0) {
        stream_close(stream, NULL); /* The peer is gone; nobody to wait for. */
    }
}

void stream_flush(struct stream *stream)
{
    if (stream->state != STREAM_OPEN || stream->writing || stream->write_broken) {
        return;
    }
    int rc = write_now(stream);
    if (rc != 0) {
        write_failed(stream, rc);
    }
    stream_arm(stream);
}

static void on_written(uv_write_t *write, int status)
{
    struct stream *stream = container_of(write, struct stream, write);
    stream->writing = false;
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    if (status != 0) {
        write_failed(stream, status);
        stream_report_end(stream);
        return;
    }
    write_taken(stream, stream->writing_len);
    stream_flush(stream);
    stream_congestion_check(stream);
    stream_finish_step(stream);
}

int stream_send(struct stream *stream, struct frame_out *frame)
{
    int err = 0;
    if (stream->state == STREAM_CLOSING || stream->write_broken || stream->finishing) {
        err = ERR_CLOSED;
    } else if (stream->queue.len > 0 && (stream->queue.len >= stream->options.queue_max ||
                                         frame->len > stream->options.queue_max - stream->queue.len)) {
        err = ERR_BUSY;
    }
    bool was_empty = stream->queue.len == 0;
    if (err == 0) {
        err = frame_queue_push(&stream->queue, frame);
    }
    if (err != 0) {
        frame_out_done(frame);
        return err;
    }
    if (was_empty) {
        stream->stall_deadline_ms = stream_deadline(stream, stream->options.stall_timeout_ms);
    }
    stream->admitted = 0;
    stream_account(stream);
    stream_arm(stream);
    stream_wake(stream);
    return 0;
}

size_t stream_queued_bytes(const struct stream *stream)
{
    return stream->queue.len;
}
