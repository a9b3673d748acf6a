/* Between a stream and an AMQP session. */

#include "rpc/amqp/amqp_conn.h"

#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/address.h"
#include "rpc/amqp/amqp_frame.h"
#include "rpc/amqp/amqp_session.h"

struct amqp_conn {
    struct server_conn base;
    struct amqp_conns *conns;
    struct amqp_session *session; /* NULL: it has left. */
    struct list_node due;
    bool refuse;            /* There are as many as may be. */
    bool over;              /* Its session is to leave. */
    uint64_t beat_every_ms; /* 0: no heartbeats. */
    uint64_t beat_ms;       /* When the next is due, in the loop's time. */
    uint64_t close_by_ms;   /* UINT64_MAX: Connection.Close was not sent. */
};

static struct amqp_conn *amqp_conn_of(struct server_conn *base)
{
    return container_of(base, struct amqp_conn, base);
}

static void conn_due(struct amqp_conn *conn)
{
    if (!list_linked(&conn->due)) {
        list_push_back(&conn->conns->due, &conn->due);
    }
}

static void conn_leave(struct amqp_conn *conn)
{
    list_remove(&conn->due);
    if (conn->session != NULL) {
        amqp_session_leave(conn->session, &conn->conns->leaving);
        conn->session = NULL;
    }
}

/* ---- For the session ---- */

static void host_established(void *arg, uint32_t frame_max, uint16_t heartbeat_s)
{
    struct amqp_conn *conn = amqp_conn_of(arg);
    uint64_t heartbeat_ms = UINT64_C(1000) * heartbeat_s;
    if (conn->base.closing) {
        return;
    }
    stream_set_frame_len_max(conn->base.stream, frame_max - AMQP_PREFIX_LEN);
    stream_established(conn->base.stream);
    /* As RabbitMQ: twice the time without anything from the client is too long, and it hears something in each half. */
    stream_set_idle_timeout(conn->base.stream, heartbeat_s > 0 ? 2 * heartbeat_ms : UINT64_MAX);
    conn->beat_every_ms = heartbeat_ms / 2;
    conn->beat_ms = uv_now(conn->conns->admission.options.loop) + conn->beat_every_ms;
    if (conn->refuse) {
        amqp_session_force_close(conn->session, "this node has as many clients as it takes");
    }
}

static void host_closing(void *arg)
{
    struct amqp_conn *conn = amqp_conn_of(arg);
    conn->close_by_ms = uv_now(conn->conns->admission.options.loop) + conn->conns->close_timeout_ms;
    conn_due(conn);
}

static void host_wake(void *arg)
{
    conn_due(amqp_conn_of(arg));
}

/* Called from within the session: it leaves when the turn is over. */
static void host_close(void *arg)
{
    struct amqp_conn *conn = amqp_conn_of(arg);
    conn->over = true;
    conn_due(conn);
    server_conn_close(&conn->base);
}

/* ---- For the stream ---- */

static void on_congested(struct server_conn *base, bool congested)
{
    struct amqp_conn *conn = amqp_conn_of(base);
    amqp_session_congested(conn->session, congested);
    conn_due(conn);
}

static void on_frame(struct server_conn *base, struct frame *frame)
{
    struct amqp_conn *conn = amqp_conn_of(base);
    amqp_session_receive(conn->session, frame);
    server_conn_look(base);
    conn_due(conn);
}

static void on_ended(struct server_conn *base, int err, const char *detail)
{
    struct amqp_conn *conn = amqp_conn_of(base);
    if (err == ERR_BROKEN || err == ERR_VERSION || err == ERR_TOO_BIG) {
        amqp_session_broken(conn->session, detail); /* It tells the journal. */
    } else {
        server_conn_say_ended(base, err, detail);
    }
    conn_leave(conn);
    server_conn_close(base);
}

static void on_gone(struct server_conn *base)
{
    struct amqp_conn *conn = amqp_conn_of(base);
    conn_leave(conn);
    free(conn);
}

static const struct server_conn_kind amqp_conn_kind = {
    .frame = on_frame,
    .congested = on_congested,
    .ended = on_ended,
    .gone = on_gone,
};

/* ---- Life ---- */

/* What it is told of its client is known only now. */
static int conn_begin(struct amqp_conn *conn)
{
    const struct amqp_conns *conns = conn->conns;
    const char *peer_name = stream_peer_name(conn->base.stream);
    const struct amqp_session_options options = {
        .journal = conns->admission.options.journal,
        .peer_name = peer_name,
        .loopback = address_is_loopback(peer_name),
        .guest_from_anywhere = conns->guest_from_anywhere,
        .content = &conn->conns->content,
    };
    const struct amqp_session_host host = {
        .arg = &conn->base,
        .send = server_conn_send,
        .takes = server_conn_takes,
        .hold = server_conn_hold,
        .established = host_established,
        .closing = host_closing,
        .wake = host_wake,
        .close = host_close,
    };
    return amqp_session_new(conns->gateway, &options, &host, &conn->session);
}

int amqp_conn_accept(struct amqp_conns *conns, uv_tcp_t *listener, bool refuse)
{
    struct amqp_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        return ERR_NOMEM;
    }
    conn->conns = conns;
    conn->refuse = refuse;
    conn->close_by_ms = UINT64_MAX;
    list_init(&conn->due);
    int err = server_conn_accept(&conn->base, &amqp_conn_kind, &conns->admission, listener, &conns->stream_options);
    if (err == ERR_NOMEM) {
        free(conn);
    } else if (err == 0 && conn_begin(conn) != 0) {
        server_conn_drop(&conn->base);
        return ERR_SYSTEM; /* It is not the listener's any more. */
    }
    return err;
}

/* ---- All of them ---- */

void amqp_conns_turn(struct amqp_conns *conns)
{
    struct list_node *node;
    while ((node = list_first(&conns->due)) != NULL) {
        struct amqp_conn *conn = container_of(node, struct amqp_conn, due);
        list_remove(node);
        amqp_session_turn(conn->session);
        if (conn->over) {
            conn_leave(conn);
        }
    }
    amqp_sessions_sweep(&conns->leaving);
}

static void conn_tick(struct amqp_conn *conn, uint64_t now_ms)
{
    if (conn->close_by_ms <= now_ms) {
        journal_info(conn->conns->admission.options.journal, "amqp", "%s: closed: no answer to Connection.Close",
                     stream_peer_name(conn->base.stream));
        conn_leave(conn);
        server_conn_close(&conn->base);
        return;
    }
    amqp_session_tick(conn->session, now_ms);
    if (conn->beat_every_ms != 0 && conn->beat_ms <= now_ms) {
        conn->beat_ms = now_ms + conn->beat_every_ms;
        amqp_session_beat(conn->session);
    }
}

void amqp_conns_tick(struct amqp_conns *conns, uint64_t now_ms, const char *refusing, bool changed)
{
    LIST_FOR_EACH (node, &conns->admission.conns) {
        struct amqp_conn *conn = amqp_conn_of(container_of(node, struct server_conn, node));
        if (conn->session == NULL || conn->over) {
            continue;
        }
        conn_tick(conn, now_ms);
        /* Also who has begun to publish since it changed is to know. */
        if (conn->session != NULL && (changed || refusing[0] != '\0')) {
            amqp_session_refusing(conn->session, refusing);
            conn_due(conn);
        }
    }
    amqp_sessions_sweep(&conns->leaving);
}

void amqp_conns_finish(struct amqp_conns *conns, const char *words)
{
    LIST_FOR_EACH (node, &conns->admission.conns) {
        struct amqp_conn *conn = amqp_conn_of(container_of(node, struct server_conn, node));
        if (conn->session != NULL) {
            amqp_session_force_close(conn->session, words);
            amqp_session_turn(conn->session);
            amqp_session_free(conn->session);
            conn->session = NULL;
        }
        list_remove(&conn->due);
        server_conn_close(&conn->base);
    }
    amqp_sessions_free(&conns->leaving);
}
