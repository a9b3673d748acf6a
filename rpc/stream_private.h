/* What the files of the stream share. Nobody else includes this. */

#ifndef HOLDFAST_RPC_STREAM_PRIVATE_H
#define HOLDFAST_RPC_STREAM_PRIVATE_H

#include "rpc/address.h"
#include "rpc/frame_queue.h"
#include "rpc/frame_reader.h"
#include "rpc/stream.h"

enum stream_state { STREAM_NEW, STREAM_CONNECTING, STREAM_OPEN, STREAM_CLOSING };

struct stream {
    uv_loop_t *loop;
    struct stream_options options;
    struct stream_events events;
    stream_close_cb close_cb;
    enum stream_state state;
    bool held;
    bool starved;    /* A frame waits for room in the budget: nothing is read. */
    bool keeps_room; /* The owner held from within the frame taken last, which keeps its room in the budget. */
    bool resuming;   /* Released since; the loop delivers what is buffered, then reads. */
    bool established;
    bool congested;    /* As the owner was told. */
    bool finishing;    /* stream_finish() was called. */
    bool shut;         /* ... and everything is out. */
    bool write_broken; /* Nothing can be sent any more. */
    bool writing;      /* `write` is in use. */
    bool end_reported;
    int end_err; /* Why nothing more arrives; 0 while it may. */
    char end_detail[200];
    char peer_name[80];

    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_idle_t idle;
    unsigned pending; /* Handles and requests that keep the memory. */

    struct frame_reader reader;
    size_t heard_bytes; /* Since the last sign of life. */
    bool frame_begun;   /* A part of a frame is here, */
    size_t frame_seen;  /* with so many bytes when its deadline was set last. */
    uint64_t frame_began_ms;
    size_t looked_seen; /* As many bytes of it were here when that was looked at last. */

    struct frame_queue queue;
    size_t accounted;               /* What it costs, in the budget. */
    size_t admitted;                /* What the owner has been told that it may queue, since it queued something. */
    bool holds_share;               /* Counted as a holder there: more than STREAM_SHARE_HIGH. */
    struct memory_claim send_claim; /* For the large frame that the owner wants to send. */
    uint64_t taken_bytes;           /* By the kernel, so far, */
    uint64_t look_taken;            /* and when that was looked at last. */
    uv_write_t write;
    size_t writing_len;
    size_t writing_left; /* As last seen. */
    uv_shutdown_t shutdown;

    uint64_t armed_ms; /* When the timer fires; UINT64_MAX: it is not set. */
    uint64_t connect_deadline_ms;
    uint64_t handshake_deadline_ms;
    uint64_t idle_deadline_ms;
    uint64_t frame_deadline_ms;
    uint64_t look_deadline_ms; /* UINT64_MAX: the frame takes no room that others could wait for. */
    uint64_t stall_deadline_ms;
    uint64_t take_deadline_ms;   /* While it holds more than its share: when it is looked whether anything is taken. */
    uint64_t grant_deadline_ms;  /* UINT64_MAX: nothing was granted. */
    uint64_t vanish_deadline_ms; /* UINT64_MAX: nothing is watched. */
    uint64_t linger_deadline_ms;

    uv_getaddrinfo_t resolve;
    bool resolving;
    struct addrinfo *addresses; /* As resolved; NULL for a numeric address. */
    struct addrinfo *next_address;
    uv_connect_t connect;
};

/* The time that far from now, without overflow. */
uint64_t stream_deadline(const struct stream *stream, uint64_t timeout_ms);
/* Sets the timer when a deadline has come nearer. */
void stream_arm(struct stream *stream);
/* Runs the end-of-turn work in this or the next turn. */
void stream_wake(struct stream *stream);
/* Notes why the stream has ended, the first time; the owner is told from the loop. */
__attribute__((format(printf, 3, 4))) void stream_fail(struct stream *stream, int err, const char *format, ...);
/* The socket is connected. Returns 0 or libuv's error. */
int stream_opened(struct stream *stream) NODISCARD;
/* Whether frames are taken now: deadlines for what the peer should send run only then. */
bool stream_hears(const struct stream *stream);
/* One handle or request less; the last one frees the stream. */
void stream_release(struct stream *stream);

/* Tells the owner of the end, once; a finishing stream has nobody to tell and closes. */
void stream_report_end(struct stream *stream);

/* stream_read.c. Returns 0 or libuv's error. */
int stream_read_start(struct stream *stream) NODISCARD;
/* stream_read.c: hands over what is buffered, then reads. */
void stream_read_resume(struct stream *stream);
/* stream_read.c: the budget has room for the frame that waited for it. */
void stream_memory_granted(struct memory_claim *claim);
/* stream_read.c: fails the stream when its frame has stopped and others wait for the room that it takes. */
void stream_frame_look(struct stream *stream, uint64_t now);
/* stream_read.c: the peer has been heard. */
void stream_alive(struct stream *stream);

/* stream_socket.c: small frames leave at once, and a peer whose host has vanished is noticed. */
void stream_socket_prepare(struct stream *stream);
/* stream_socket.c: bytes were given to the kernel, which should see them acknowledged. */
void stream_vanish_watch(struct stream *stream);
/* stream_socket.c: fails the stream when they are not. */
void stream_vanish_check(struct stream *stream, uint64_t now);

/* stream_congestion.c: counts the queue in the budget, as long as it is now. */
void stream_account(struct stream *stream);
/* stream_congestion.c: tells the owner when a watermark has been crossed since it was last told. */
void stream_congestion_check(struct stream *stream);
/* stream_congestion.c: the budget has room for what the owner wanted to send. */
void stream_send_granted(struct memory_claim *claim);
/* stream_congestion.c: gives back what was granted and has not been used in time. */
void stream_grant_check(struct stream *stream, uint64_t now);
/* stream_congestion.c: waits no more, and gives back what was granted. */
void stream_send_claim_drop(struct stream *stream);
/* stream_congestion.c: fails the stream when its peer takes nothing and others wait for the room of what is queued. */
void stream_take_look(struct stream *stream, uint64_t now);
/* stream_write.c: half-closes a finishing stream once everything is out. */
void stream_finish_step(struct stream *stream);

/* stream_connect.c: what closing must undo. */
void stream_connect_cancel(struct stream *stream);
void stream_connect_done(struct stream *stream);

#endif
