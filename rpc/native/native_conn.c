/* Between a stream and a native session. */

#include "rpc/native/native_conn.h"

#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_session.h"

struct native_conn {
    struct list_node node;
    struct native_conn_owner owner;
    struct stream *stream;
    struct native_session *session; /* NULL: over. */
    bool greeted;                   /* The first frame was taken. */
    bool closing;                   /* The stream closes by itself. */
    bool held_by_session;
    bool held_by_congestion; /* A client that reads no answers is not asked for more to answer. */
};

static void on_closed(void *arg)
{
    struct native_conn *conn = arg;
    native_session_free(conn->session);
    list_remove(&conn->node);
    if (conn->owner.closed != NULL) {
        conn->owner.closed(conn->owner.arg);
    }
    free(conn);
}

static void conn_hold(struct native_conn *conn)
{
    if (!conn->closing) {
        stream_hold(conn->stream, conn->held_by_session || conn->held_by_congestion);
    }
}

/* ---- For the session ---- */

static void host_send(void *arg, struct frame_out *frame)
{
    struct native_conn *conn = arg;
    if (conn->closing) {
        frame_out_done(frame);
        return;
    }
    int err = stream_send(conn->stream, frame);
    if (err != 0) {
        /* Frames must not be missing in between. The session is freed when the stream is closed. */
        journal_warning(conn->owner.journal, "client", "%s: closed, cannot send: %s", stream_peer_name(conn->stream),
                        err_text(err));
        conn->closing = true;
        stream_close(conn->stream, on_closed);
    }
}

static bool host_takes(void *arg, size_t len)
{
    struct native_conn *conn = arg;
    if (conn->closing) {
        return false;
    }
    if (stream_admits(conn->stream, len)) {
        return true;
    }
    /* One that waits for room for something large may go on asking for what is small, and settle what it has. */
    conn->held_by_congestion = conn->held_by_congestion || stream_is_full(conn->stream);
    conn_hold(conn);
    return false;
}

static void host_hold(void *arg, bool hold)
{
    struct native_conn *conn = arg;
    conn->held_by_session = hold;
    conn_hold(conn);
}

static void host_close(void *arg)
{
    struct native_conn *conn = arg;
    if (!conn->closing) {
        conn->closing = true;
        stream_finish(conn->stream, on_closed);
    }
}

/* ---- For the stream ---- */

static void on_congested(void *arg, bool congested)
{
    struct native_conn *conn = arg;
    conn->held_by_congestion = congested;
    conn_hold(conn);
    native_session_congested(conn->session, congested);
    if (!congested && conn->owner.received != NULL) {
        conn->owner.received(conn->owner.arg); /* Deliveries that were paused are due. */
    }
}

static void on_frame(void *arg, struct frame *frame)
{
    struct native_conn *conn = arg;
    native_session_receive(conn->session, frame);
    if (!conn->greeted && !conn->closing) {
        conn->greeted = true;
        stream_established(conn->stream);
    }
    /* The next question waits until there is room for another answer. */
    if (!conn->closing && !conn->held_by_congestion && stream_is_full(conn->stream)) {
        (void)stream_admits(conn->stream, 0); /* The event tells when it has room again. */
        on_congested(conn, true);
    }
    if (conn->owner.received != NULL) {
        conn->owner.received(conn->owner.arg);
    }
}

static void on_ended(void *arg, int err, const char *detail)
{
    struct native_conn *conn = arg;
    if (err == ERR_CLOSED || err == ERR_SYSTEM) {
        journal_debug(conn->owner.journal, "client", "%s: %s", stream_peer_name(conn->stream), detail);
    } else {
        journal_info(conn->owner.journal, "client", "%s: closed: %s", stream_peer_name(conn->stream), detail);
    }
    native_conn_finish(conn, err, detail);
    if (conn->owner.received != NULL) {
        conn->owner.received(conn->owner.arg);
    }
}

void native_conn_finish(struct native_conn *conn, int err, const char *detail)
{
    native_session_free(conn->session);
    conn->session = NULL;
    if (conn->closing) {
        return;
    }
    conn->closing = true;
    Holdfast__Goodbye goodbye = HOLDFAST__GOODBYE__INIT;
    goodbye.error = (uint32_t)-err;
    goodbye.detail = (char *)(uintptr_t)detail;
    struct frame_out frame;
    if (native_frame_encode(FRAME_GOODBYE, &goodbye.base, NULL, 0, &frame) != 0 ||
        stream_send(conn->stream, &frame) != 0) {
        stream_close(conn->stream, on_closed);
        return;
    }
    stream_finish(conn->stream, on_closed);
}

struct native_conn *native_conn_of(struct list_node *node)
{
    return container_of(node, struct native_conn, node);
}

int native_conn_accept(uv_loop_t *loop, uv_tcp_t *listener, const struct stream_options *options,
                       const struct native_conn_owner *owner, bool refuse, struct list_node *list)
{
    struct native_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        return ERR_NOMEM;
    }
    list_init(&conn->node);
    conn->owner = *owner;
    struct stream_events events = {
        .arg = conn,
        .frame = on_frame,
        .congested = on_congested,
        .ended = on_ended,
    };
    struct native_session_host host = {
        .arg = conn, .send = host_send, .takes = host_takes, .hold = host_hold, .close = host_close};
    int err = native_session_new(owner->gateway, &host, &conn->session);
    if (err != 0) {
        goto free_conn;
    }
    err = stream_new(loop, options, &events, &conn->stream);
    if (err != 0) {
        goto free_session;
    }
    err = stream_accept(conn->stream, listener);
    if (err != 0) {
        conn->owner.closed = NULL;
        conn->closing = true;
        stream_close(conn->stream, on_closed);
        return err;
    }
    list_push_back(list, &conn->node);
    if (refuse) {
        native_conn_finish(conn, ERR_LIMIT, "this node has as many clients as it takes");
    }
    return 0;

free_session:
    native_session_free(conn->session);
free_conn:
    free(conn);
    return err;
}
