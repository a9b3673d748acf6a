/* Between a stream and a native session. */

#include "rpc/native/native_conn.h"

#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_session.h"

struct native_conn {
    struct server_conn base;
    struct native_conn_owner owner;
    struct native_session *session; /* NULL: over. */
    bool greeted;                   /* The first frame was taken. */
};

static struct native_conn *native_conn_of(struct server_conn *base)
{
    return container_of(base, struct native_conn, base);
}

static void conn_received(const struct native_conn *conn)
{
    if (conn->owner.received != NULL) {
        conn->owner.received(conn->owner.arg);
    }
}

static void conn_finish(struct native_conn *conn, int err, const char *detail)
{
    native_session_free(conn->session);
    conn->session = NULL;
    if (conn->base.closing) {
        return;
    }
    Holdfast__Goodbye goodbye = HOLDFAST__GOODBYE__INIT;
    goodbye.error = (uint32_t)-err;
    goodbye.detail = (char *)(uintptr_t)detail;
    struct frame_out frame;
    if (native_frame_encode(FRAME_GOODBYE, &goodbye.base, NULL, 0, &frame) != 0 ||
        stream_send(conn->base.stream, &frame) != 0) {
        server_conn_drop(&conn->base);
        return;
    }
    server_conn_close(&conn->base);
}

static void on_congested(struct server_conn *base, bool congested)
{
    struct native_conn *conn = native_conn_of(base);
    native_session_congested(conn->session, congested);
    if (!congested) {
        conn_received(conn); /* Deliveries that were paused are due. */
    }
}

static void on_frame(struct server_conn *base, struct frame *frame)
{
    struct native_conn *conn = native_conn_of(base);
    native_session_receive(conn->session, frame);
    if (!conn->greeted && !base->closing) {
        conn->greeted = true;
        stream_established(base->stream);
    }
    server_conn_look(base);
    conn_received(conn);
}

static void on_ended(struct server_conn *base, int err, const char *detail)
{
    struct native_conn *conn = native_conn_of(base);
    server_conn_say_ended(base, err, detail);
    conn_finish(conn, err, detail);
    conn_received(conn);
}

static void on_gone(struct server_conn *base)
{
    struct native_conn *conn = native_conn_of(base);
    native_session_free(conn->session);
    free(conn);
}

static const struct server_conn_kind native_conn_kind = {
    .frame = on_frame,
    .congested = on_congested,
    .ended = on_ended,
    .gone = on_gone,
};

void native_conn_finish(struct list_node *node, int err, const char *detail)
{
    conn_finish(native_conn_of(container_of(node, struct server_conn, node)), err, detail);
}

int native_conn_accept(struct admission *admission, uv_tcp_t *listener, const struct stream_options *options,
                       const struct native_conn_owner *owner, bool refuse)
{
    struct native_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        return ERR_NOMEM;
    }
    conn->owner = *owner;
    struct native_session_host host = {.arg = &conn->base,
                                       .send = server_conn_send,
                                       .takes = server_conn_takes,
                                       .hold = server_conn_hold,
                                       .close = server_conn_close};
    int err = native_session_new(owner->gateway, &host, &conn->session);
    if (err == 0) {
        err = server_conn_accept(&conn->base, &native_conn_kind, admission, listener, options);
    }
    if (err == ERR_NOMEM) {
        native_session_free(conn->session);
        free(conn);
    }
    if (err == 0 && refuse) {
        conn_finish(conn, ERR_LIMIT, "this node has as many clients as it takes");
    }
    return err;
}
