/* One client's connection: a stream with a native session on it. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_CONN_H
#define HOLDFAST_RPC_NATIVE_NATIVE_CONN_H

#include "rpc/gateway.h"
#include "rpc/server_conn.h"

struct native_conn_owner {
    void *arg;
    struct gateway *gateway;
    void (*received)(void *arg); /* The gateway was asked for something. */
};

/* As server_conn_accept(): the connection is one of the admission's until it is gone. When `refuse` is set, it is told GOODBYE{LIMIT}
 * and closed. ERR_SYSTEM: it is dropped. ERR_NOMEM: it is still the listener's. */
int native_conn_accept(struct admission *admission, uv_tcp_t *listener, const struct stream_options *options,
                       const struct native_conn_owner *owner, bool refuse) NODISCARD;

/* Of a node of the admission's list: detaches the session now, says GOODBYE with `err` and closes. */
void native_conn_finish(struct list_node *node, int err, const char *detail);

#endif
