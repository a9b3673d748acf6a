/* A TCP stream of frames on a libuv loop: framing, bounded buffers, backpressure both ways, deadlines.
 *
 * Life: stream_new(), then stream_accept() or stream_connect(), frames in through the events and out through
 * stream_send(), and at last stream_close() or stream_finish(), which free it. Everything happens on the loop's thread.
 * Any stream function may be called from within any event; events are never called from within a stream function.
 *
 * Reading: many small frames are cut from one read; each frame gets a blob of exactly its size. The rest of a large one
 * is read straight into its blob. The prefix is checked before anything is allocated. Until stream_established(), frames
 * above STREAM_HANDSHAKE_FRAME_LEN_MAX are refused. Streams may share a budget for what has begun to arrive: one whose next
 * frame finds no room reads nothing until there is.
 *
 * Writing: frames queue until the end of the loop's turn (or stream_flush()) and leave in few vectored writes; their
 * parts are not copied. The queue is bounded in bytes: above `queue_high` the owner is told to slow down, at `queue_max`
 * frames are refused. Streams may share a budget for what is queued: while it is exceeded, each is congested as soon as
 * STREAM_SHARE_HIGH bytes are queued in it; an owner that can wait asks stream_admits() before it makes a frame, so that
 * large ones wait for room in the budget, in order. A peer that takes nothing for `stall_timeout_ms` (noticed within twice that time) while something
 * is queued has ended. The process or thread must ignore SIGPIPE, which libuv leaves alone. */

#ifndef HOLDFAST_RPC_STREAM_H
#define HOLDFAST_RPC_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/wire/frame.h"

/* A frame before stream_established(), header and body together. */
#define STREAM_HANDSHAKE_FRAME_LEN_MAX (64u * 1024u)

/* The marks of a stream's queue while the budget of all is exceeded: what each may have in any case. */
#define STREAM_SHARE_HIGH (16u * 1024u)
#define STREAM_SHARE_LOW (8u * 1024u)

/* A frame that has begun makes progress when so many more bytes of it have come. While others wait for the memory that it
 * takes, one of which nothing comes any more has only this part of its time; so has a peer that takes nothing of what is
 * queued for it. */
#define STREAM_PROGRESS_LEN (4u * 1024u * 1024u)
#define STREAM_STOPPED_PART 10u

struct framing;
struct memory_budget;
struct stream;

struct stream_events {
    void *arg;
    /* stream_connect() succeeded; frames may have been queued before. NULL for accepted streams. */
    void (*connected)(void *arg);
    /* Takes ownership of the frame's reference. */
    void (*frame)(void *arg, struct frame *frame);
    /* The write queue went above `queue_high` (true) or back below `queue_low` (false). May be NULL. */
    void (*congested)(void *arg, bool congested);
    /* Nothing more will arrive; called once, and no other event follows. The owner calls stream_close(), or
     * stream_send() with a last word and then stream_finish().
     *   ERR_CLOSED   the peer closed the connection
     *   ERR_BROKEN, ERR_VERSION, ERR_TOO_BIG   what arrived is not a frame that we take
     *   ERR_TIMEOUT  a deadline of stream_options passed
     *   ERR_SYSTEM   connecting, reading or writing failed
     *   ERR_NOMEM
     * `detail` is one line for people and lives during the call. */
    void (*ended)(void *arg, int err, const char *detail);
};

/* Zero means the default in brackets; UINT64_MAX milliseconds mean never. */
struct stream_options {
    uint64_t connect_timeout_ms;   /* [5000] Resolving and connecting. */
    uint64_t handshake_timeout_ms; /* [10000] From connected or accepted to stream_established(). */
    uint64_t idle_timeout_ms;      /* [never] Without a frame from the peer; starts at stream_established(). */
    uint64_t frame_timeout_ms;    /* [never] With a frame begun and neither complete nor STREAM_PROGRESS_LEN further. */
    uint64_t stall_timeout_ms;    /* [30000] With bytes queued and none taken by the peer. */
    uint64_t vanished_timeout_ms; /* [never] With bytes sent, and no acknowledgement by the peer's host although it was
                                    * asked for; noticed within twice that. A program that does not read is not meant:
                                    * its host answers. */
    unsigned unacked_timeout_ms;  /* [the kernel's] TCP_USER_TIMEOUT, for a peer that always reads: bytes sent and not
                                    * acknowledged, or a window closed, for so long mean that it is gone; without it a
                                    * connection outlives a partition by minutes. */
    uint64_t linger_ms;           /* [2000] For stream_finish(): to send the rest and see the peer close. */
    size_t queue_low;             /* [256 KiB] */
    size_t queue_high;            /* [1 MiB] */
    size_t queue_max;             /* [64 MiB] A frame that would exceed it is refused, unless the queue is empty. */
    size_t frame_len_max;         /* [the limits of a frame] Header and body together. */
    size_t handshake_len_max;     /* [STREAM_HANDSHAKE_FRAME_LEN_MAX] The same before stream_established(). */
    const struct framing *framing;        /* [ours] */
    struct memory_budget *receive_budget; /* [none] Borrowed until the stream is gone, as the next. */
    struct memory_budget *send_budget;    /* [none] */
};

/* Copies the options and events. ERR_NOMEM, ERR_SYSTEM. */
int stream_new(uv_loop_t *loop, const struct stream_options *options, const struct stream_events *events,
               struct stream **ret_stream) NODISCARD;

/* Accepts a connection from a listening handle and starts to read. ERR_SYSTEM: close the stream. */
int stream_accept(struct stream *stream, uv_tcp_t *listener) NODISCARD;

/* Resolves "host:port" ("[::1]:port" for IPv6), tries the addresses in turn and starts to read; then connected() or
 * ended(). ERR_INVALID: not an address. ERR_SYSTEM, ERR_NOMEM. After an error: close the stream. */
int stream_connect(struct stream *stream, const char *address) NODISCARD;

/* The handshake is over: the full frame limit and the idle deadline apply from here on. */
void stream_established(struct stream *stream);

/* Changes the limit of frames, header and body together, that holds from stream_established() on: to be called before it. */
void stream_set_frame_len_max(struct stream *stream, size_t frame_len_max);

/* Changes the idle deadline, counted from now. UINT64_MAX: never. */
void stream_set_idle_timeout(struct stream *stream, uint64_t idle_timeout_ms);

/* Queues a frame. Takes ownership in every case. ERR_BUSY: refused, over `queue_max`. ERR_CLOSED: the stream is closing
 * or can no longer send. ERR_NOMEM. On error the frame is dropped and nothing of it is sent. */
int stream_send(struct stream *stream, struct frame_out *frame) NODISCARD;

/* Whether a frame of about `len` bytes may be queued now. False: the owner counts as told that the stream is congested,
 * as by the event, which does not come; congested(false) follows when there is room, and the owner asks again. To be
 * asked before each frame that can wait, or each part of one: what was admitted counts as queued until the next frame is.
 * With 0 it is about the marks alone. */
bool stream_admits(struct stream *stream, size_t len);

/* Whether the queue is above its mark, rather than the stream waiting for room for a large frame. */
bool stream_is_full(const struct stream *stream);

/* Writes what is queued now, as far as the socket takes it, rather than at the end of the turn. */
void stream_flush(struct stream *stream);

/* Stops (true) or resumes (false) reading. While held, no frame() is called, and the idle deadline and
 * that of a frame begun rest. */
void stream_hold(struct stream *stream, bool hold);

/* Bytes queued and not yet taken by the kernel. */
size_t stream_queued_bytes(const struct stream *stream);

/* What the kernel knows of the connection's bytes; all 0 while there is none. */
struct stream_movement {
    uint64_t received;
    uint64_t acknowledged; /* By the peer's host: of those that were sent. */
    uint64_t outstanding;  /* Sent, or queued, and not acknowledged. */
    bool open;             /* Neither side has closed it, as far as our kernel has heard. */
};
void stream_movement(const struct stream *stream, struct stream_movement *ret_movement);

/* The peer's "address:port" as text; "" before the connection. Lives as long as the stream. */
const char *stream_peer_name(const struct stream *stream);

/* Called when the stream is gone, just before its memory is; with the `arg` of the events. May be NULL. */
typedef void (*stream_close_cb)(void *arg);

/* Closes at once and throws away what is queued. No event follows. May be called after stream_finish() to cut it short
 * (then a non-NULL callback replaces the first). */
void stream_close(struct stream *stream, stream_close_cb cb);

/* Sends what is queued, waits for the peer to close (so that a last word is not lost to a reset), for at most
 * `linger_ms`, then closes. Nothing is read any more; no event follows. */
void stream_finish(struct stream *stream, stream_close_cb cb);

#endif
