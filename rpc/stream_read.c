/* Reading a stream: bytes from the socket to frames for the owner, holding, and waiting for memory. */

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/stream_private.h"

/* Partial frames count as a sign of life by this many bytes: a large frame on a slow line is one, a byte a minute is
 * not. */
#define ALIVE_BYTES (16 * KIB)

void stream_alive(struct stream *stream)
{
    stream->heard_bytes = 0;
    stream->idle_deadline_ms = stream_deadline(stream, stream->options.idle_timeout_ms);
}

static void read_fail(struct stream *stream, int err)
{
    switch (err) {
    case ERR_VERSION: stream_fail(stream, err, "a frame of another version of the protocol"); break;
    case ERR_TOO_BIG: stream_fail(stream, err, "a frame over the limit of %zu bytes", stream->reader.len_max); break;
    case ERR_NOMEM: stream_fail(stream, err, "out of memory for a frame"); break;
    default: stream_fail(stream, err, "what arrived is not a frame"); break;
    }
}

/* How many bytes of the frame that has begun are here. */
static size_t frame_seen(const struct stream *stream)
{
    size_t len;
    return frame_reader_begun(&stream->reader, &len);
}

static uint64_t look_deadline(const struct stream *stream)
{
    uint64_t timeout_ms = stream->options.frame_timeout_ms;
    const struct memory_claim *claim = &stream->reader.claim;
    bool much = claim->budget != NULL && frame_seen(stream) > FRAME_READER_PRESSED_STAGING_LEN;
    bool takes_room = (claim->state == MEMORY_CLAIM_HELD || much) && timeout_ms != UINT64_MAX;
    return takes_room ? stream_deadline(stream, timeout_ms / STREAM_STOPPED_PART) : UINT64_MAX;
}

void stream_frame_look(struct stream *stream, uint64_t now)
{
    if (!stream_hears(stream) || !stream->frame_begun || stream->look_deadline_ms > now) {
        return;
    }
    size_t seen = frame_seen(stream);
    if (seen == stream->looked_seen && !list_empty(&stream->reader.claim.budget->waiters)) {
        stream_fail(stream, ERR_TIMEOUT, "a frame was begun %llu ms ago, has stopped after %zu bytes, and others wait",
                    (unsigned long long)(now - stream->frame_began_ms), seen);
        return;
    }
    stream->looked_seen = seen;
    stream->look_deadline_ms = look_deadline(stream);
}

/* The next frame is not complete. One that has begun must go on: what it holds is memory that others could use. It may hold
 * some only later, when its length is known. */
static void frame_watch(struct stream *stream)
{
    size_t seen = frame_seen(stream);
    if (seen == 0) {
        return;
    }
    bool begins = !stream->frame_begun;
    if (begins) {
        stream->frame_begun = true;
        stream->frame_began_ms = uv_now(stream->loop);
        stream->looked_seen = 0;
        stream->look_deadline_ms = UINT64_MAX;
    }
    if (begins || seen - stream->frame_seen >= STREAM_PROGRESS_LEN) {
        stream->frame_seen = seen;
        stream->frame_deadline_ms = stream_deadline(stream, stream->options.frame_timeout_ms);
    }
    if (stream->look_deadline_ms == UINT64_MAX) {
        stream->look_deadline_ms = look_deadline(stream);
    }
    stream_arm(stream);
}

/* Hands over a frame. An owner that holds from within it has not got rid of it yet: it keeps its room in the budget. */
static void frame_hand_over(struct stream *stream, struct frame *frame)
{
    stream->frame_begun = false;
    stream_alive(stream);
    stream->events.frame(stream->events.arg, frame);
    stream->keeps_room = stream->held;
    if (!stream->keeps_room) {
        frame_reader_handed_on(&stream->reader);
    }
}

/* Hands over the frames that are complete, until the owner holds, closes, or there are none. */
static void stream_deliver(struct stream *stream)
{
    while (stream_hears(stream)) {
        bool got;
        struct frame frame;
        int err = frame_reader_next(&stream->reader, &got, &frame);
        if (err != 0) {
            read_fail(stream, err);
            return;
        }
        if (got) {
            frame_hand_over(stream, &frame);
        } else if (frame_reader_waits(&stream->reader)) {
            stream->starved = true;
            (void)uv_read_stop((uv_stream_t *)&stream->tcp);
        } else {
            frame_watch(stream);
            return;
        }
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct stream *stream = container_of((uv_tcp_t *)(void *)handle, struct stream, tcp);
    uint8_t *data;
    size_t len;
    if (frame_reader_buffer(&stream->reader, &data, &len) != 0) {
        *buf = uv_buf_init(NULL, 0); /* libuv reports UV_ENOBUFS. */
        return;
    }
    *buf = (uv_buf_t){.base = (char *)data, .len = len};
}

/* Something was read, or the end. */
static void read_take(struct stream *stream, ssize_t nread)
{
    if (nread == UV_EOF) {
        stream_fail(stream, ERR_CLOSED, "the peer closed the connection");
    } else if (nread == UV_ENOBUFS) {
        read_fail(stream, ERR_NOMEM);
    } else if (nread < 0) {
        stream_fail(stream, ERR_SYSTEM, "reading failed: %s", uv_strerror((int)nread));
    } else {
        frame_reader_filled(&stream->reader, (size_t)nread);
        stream->heard_bytes += (size_t)nread;
        if (stream->heard_bytes >= ALIVE_BYTES) {
            stream_alive(stream);
        }
        stream_deliver(stream);
    }
}

static void on_read(uv_stream_t *handle, ssize_t nread, const uv_buf_t *buf)
{
    (void)buf;
    struct stream *stream = container_of((uv_tcp_t *)(void *)handle, struct stream, tcp);
    bool discarded = stream->finishing; /* After the last word: read and thrown away, the buffer is not filled. */
    if (discarded && nread < 0) {
        stream_close(stream, NULL);
    } else if (!discarded && nread != 0) {
        read_take(stream, nread);
    }
    frame_reader_trim(&stream->reader);
    if (!discarded && stream->end_err != 0 && stream->state != STREAM_CLOSING) {
        stream_report_end(stream);
    }
}

int stream_read_start(struct stream *stream)
{
    int rc = uv_read_start((uv_stream_t *)&stream->tcp, on_alloc, on_read);
    return rc == 0 || rc == UV_EALREADY ? 0 : rc;
}

/* Deadlines for what the peer should send begin anew, and the loop delivers what is in the buffer already. */
static void read_resume_later(struct stream *stream)
{
    stream_alive(stream);
    stream->frame_deadline_ms = stream_deadline(stream, stream->options.frame_timeout_ms);
    stream->look_deadline_ms = look_deadline(stream);
    stream_arm(stream);
    stream->resuming = true;
    stream_wake(stream);
}

void stream_hold(struct stream *stream, bool hold)
{
    if (stream->held == hold) {
        return;
    }
    stream->held = hold;
    if (stream->state != STREAM_OPEN || stream->end_err != 0 || stream->finishing) {
        return;
    }
    if (hold) {
        (void)uv_read_stop((uv_stream_t *)&stream->tcp);
    } else {
        read_resume_later(stream);
    }
}

void stream_memory_granted(struct memory_claim *claim)
{
    struct stream *stream = container_of(claim, struct stream, reader.claim);
    stream->starved = false;
    if (stream_hears(stream)) {
        read_resume_later(stream);
    }
}

void stream_read_resume(struct stream *stream)
{
    stream->resuming = false;
    if (stream->keeps_room) {
        stream->keeps_room = false;
        frame_reader_handed_on(&stream->reader);
    }
    stream_deliver(stream);
    frame_reader_trim(&stream->reader);
    if (stream_hears(stream)) {
        int rc = stream_read_start(stream);
        if (rc != 0) {
            stream_fail(stream, ERR_SYSTEM, "reading failed: %s", uv_strerror(rc));
        }
    }
}
