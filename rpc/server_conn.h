/* One client's connection on the node's side: what all protocols do between a stream and a session.
 *
 * A protocol has a struct of its own that begins with this, and the functions of struct server_conn_kind. Those below with a
 * `void *arg` are for its session's host: `arg` is the struct server_conn. */

#ifndef HOLDFAST_RPC_SERVER_CONN_H
#define HOLDFAST_RPC_SERVER_CONN_H

#include "rpc/admission.h"
#include "rpc/stream.h"

struct server_conn;

struct server_conn_kind {
    /* Takes ownership of the frame's reference. */
    void (*frame)(struct server_conn *conn, struct frame *frame);
    /* For the session: it is to pause (true), or may go on. */
    void (*congested)(struct server_conn *conn, bool congested);
    /* Nothing more will arrive, as stream_events.ended(). The protocol tells the journal, says its last word, and closes. */
    void (*ended)(struct server_conn *conn, int err, const char *detail);
    /* The stream is gone: the connection frees itself. */
    void (*gone)(struct server_conn *conn);
};

struct server_conn {
    struct list_node node;
    const struct server_conn_kind *kind;
    struct admission *admission;
    struct stream *stream;
    bool closing; /* The stream closes by itself. */
    bool held_by_session;
    bool held_by_congestion; /* A client that reads no answers is not asked for more to answer. */
};

/* Accepts a connection from a listening handle; it is one of the admission's until it is gone. `conn` is zeroed. ERR_SYSTEM: the
 * connection is dropped, and gone() follows. ERR_NOMEM: it is still the listener's; the caller frees `conn`. */
int server_conn_accept(struct server_conn *conn, const struct server_conn_kind *kind, struct admission *admission,
                       uv_tcp_t *listener, const struct stream_options *options) NODISCARD;

/* Sends what a session has to say. Takes ownership. When it cannot be sent the connection closes: frames must not be missing in
 * between. */
void server_conn_send(void *arg, struct frame_out *frame);
/* Whether about `len` bytes that can wait may be sent now; otherwise the client is not read, if its queue is full, until it is
 * congested no more. */
bool server_conn_takes(void *arg, size_t len);
/* The session takes no frames for now (true), or does again. */
void server_conn_hold(void *arg, bool hold);
/* Closes once everything sent so far is out. Harmless when it closes already. */
void server_conn_close(void *arg);
/* Closes at once. */
void server_conn_drop(struct server_conn *conn);

/* Why it ended, for the journal. */
void server_conn_say_ended(const struct server_conn *conn, int err, const char *detail);

/* To be called when a frame has been taken: the next one waits until there is room for another answer. */
void server_conn_look(struct server_conn *conn);

#endif
