/* One client's connection: a stream with a native session on it. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_CONN_H
#define HOLDFAST_RPC_NATIVE_NATIVE_CONN_H

#include "proto/base/err.h"
#include "proto/base/journal.h"
#include "proto/base/list.h"
#include "rpc/gateway.h"
#include "rpc/stream.h"

struct native_conn;

struct native_conn_owner {
    void *arg;
    struct gateway *gateway;
    struct journal *journal;
    void (*received)(void *arg); /* The gateway was asked for something. */
    void (*closed)(void *arg);   /* The connection is gone, and freed when this returns. */
};

/* Accepts a connection from a listening handle. The connection enters `list` and leaves it before closed(). When
 * `refuse` is set, it is told GOODBYE{LIMIT} and closed. ERR_SYSTEM: the connection is dropped and closed()
 * is not called. ERR_NOMEM: neither, and the connection is still the listener's. */
int native_conn_accept(uv_loop_t *loop, uv_tcp_t *listener, const struct stream_options *options,
                       const struct native_conn_owner *owner, bool refuse, struct list_node *list) NODISCARD;

/* The connection of a node of such a list. */
struct native_conn *native_conn_of(struct list_node *node);

/* Detaches the session now, says GOODBYE with `err` and closes. */
void native_conn_finish(struct native_conn *conn, int err, const char *detail);

#endif
