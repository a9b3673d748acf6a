/* Between a stream and a session. */

#include "rpc/server_conn.h"

#include "proto/base/check.h"

static void on_closed(void *arg)
{
    struct server_conn *conn = arg;
    struct admission *admission = conn->admission;
    bool joined = list_linked(&conn->node);
    list_remove(&conn->node);
    conn->kind->gone(conn);
    if (joined) {
        admission_left(admission);
    }
}

static void conn_hold(struct server_conn *conn)
{
    if (!conn->closing) {
        stream_hold(conn->stream, conn->held_by_session || conn->held_by_congestion);
    }
}

/* ---- For the session ---- */

void server_conn_drop(struct server_conn *conn)
{
    conn->closing = true;
    stream_close(conn->stream, on_closed);
}

void server_conn_send(void *arg, struct frame_out *frame)
{
    struct server_conn *conn = arg;
    if (conn->closing) {
        frame_out_done(frame);
        return;
    }
    int err = stream_send(conn->stream, frame);
    if (err != 0) {
        /* The session is freed when the stream is closed. */
        journal_warning(conn->admission->options.journal, "client", "%s: closed, cannot send: %s",
                        stream_peer_name(conn->stream), err_text(err));
        server_conn_drop(conn);
    }
}

bool server_conn_takes(void *arg, size_t len)
{
    struct server_conn *conn = arg;
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

void server_conn_hold(void *arg, bool hold)
{
    struct server_conn *conn = arg;
    conn->held_by_session = hold;
    conn_hold(conn);
}

void server_conn_close(void *arg)
{
    struct server_conn *conn = arg;
    if (!conn->closing) {
        conn->closing = true;
        stream_finish(conn->stream, on_closed);
    }
}

/* ---- For the stream ---- */

static void on_congested(void *arg, bool congested)
{
    struct server_conn *conn = arg;
    conn->held_by_congestion = congested;
    conn_hold(conn);
    conn->kind->congested(conn, congested);
}

void server_conn_look(struct server_conn *conn)
{
    if (!conn->closing && !conn->held_by_congestion && stream_is_full(conn->stream)) {
        (void)stream_admits(conn->stream, 0); /* The event tells when it has room again. */
        on_congested(conn, true);
    }
}

static void on_frame(void *arg, struct frame *frame)
{
    struct server_conn *conn = arg;
    conn->kind->frame(conn, frame);
}

static void on_ended(void *arg, int err, const char *detail)
{
    struct server_conn *conn = arg;
    conn->kind->ended(conn, err, detail);
}

void server_conn_say_ended(const struct server_conn *conn, int err, const char *detail)
{
    struct journal *journal = conn->admission->options.journal;
    if (err == ERR_CLOSED || err == ERR_SYSTEM) {
        journal_debug(journal, "client", "%s: %s", stream_peer_name(conn->stream), detail);
    } else {
        journal_info(journal, "client", "%s: closed: %s", stream_peer_name(conn->stream), detail);
    }
}

int server_conn_accept(struct server_conn *conn, const struct server_conn_kind *kind, struct admission *admission,
                       uv_tcp_t *listener, const struct stream_options *options)
{
    list_init(&conn->node);
    conn->kind = kind;
    conn->admission = admission;
    struct stream_events events = {
        .arg = conn,
        .frame = on_frame,
        .congested = on_congested,
        .ended = on_ended,
    };
    int err = stream_new(admission->options.loop, options, &events, &conn->stream);
    if (err != 0) {
        return ERR_NOMEM; /* Or no handle (ERR_SYSTEM): it waits as well. */
    }
    err = stream_accept(conn->stream, listener);
    if (err != 0) {
        server_conn_drop(conn);
        return err;
    }
    admission_joined(admission, &conn->node);
    return 0;
}
