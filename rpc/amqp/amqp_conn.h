/* One client's connection: a stream with an AMQP session on it. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_CONN_H
#define HOLDFAST_RPC_AMQP_AMQP_CONN_H

#include "rpc/gateway.h"
#include "rpc/server_conn.h"

/* What the connections of a server share. */
struct amqp_conns {
    struct admission admission;
    struct gateway *gateway;
    struct stream_options stream_options;
    struct memory_budget content; /* Messages that are being put together from their frames. */
    bool guest_from_anywhere;
    uint64_t close_timeout_ms; /* From our Connection.Close to the client's answer. */
    struct list_node due;      /* Those with something to do at the end of the turn. */
    struct list_node leaving;  /* Sessions whose connection is gone, and whose end is not known yet. */
};

/* As server_conn_accept(): the connection is one of the admission's until it is gone. When `refuse` is set, it is told so instead of
 * Open-Ok, and closed. ERR_SYSTEM: it is dropped. ERR_NOMEM: it is still the listener's. */
int amqp_conn_accept(struct amqp_conns *conns, uv_tcp_t *listener, bool refuse) NODISCARD;

/* The end of a turn: what the sessions gathered goes out, and those whose connection is over leave. */
void amqp_conns_turn(struct amqp_conns *conns);

/* A fraction of a second has passed. `now_ms` is the loop's time; `refusing`: why the cluster takes no new messages, or ""; `changed`:
 * it was something else before. */
void amqp_conns_tick(struct amqp_conns *conns, uint64_t now_ms, const char *refusing, bool changed);

/* Says Connection.Close to all of them, detaches their sessions now, and closes. */
void amqp_conns_finish(struct amqp_conns *conns, const char *words);

#endif
