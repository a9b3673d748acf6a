/* Accepting the clients of one protocol: a listener, the connections that came of it, and how many there may be.
 *
 * "localhost" as the host of an address means 127.0.0.1, and ::1 as well where there is IPv6: clients look that name up, and some try
 * only what they find first.
 *
 * The limit is that of struct server_bounds, which the servers of several protocols may share. A connection above it is still
 * accepted, to be told so; further ones are dropped without a word. */

#ifndef HOLDFAST_RPC_ADMISSION_H
#define HOLDFAST_RPC_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/base/list.h"
#include "rpc/server_options.h"

struct listener;

/* What comes of it. */
struct admission_events {
    void *arg;
    /* A connection waits: server_conn_accept(). `refuse`: there are as many as may be; it is to be told so, and closed. ERR_NOMEM:
     * it is still the listener's. Other errors: it has been dropped. */
    int (*accept)(void *arg, uv_tcp_t *tcp, bool refuse);
    /* After admission_close(): nothing of it is left. The admission's memory may be freed from within. */
    void (*closed)(void *arg);
};

/* Where it listens. */
struct admission_door {
    struct admission *admission;
    struct listener *listener; /* NULL: closed. */
    bool closing;
};

/* The caller's struct. */
struct admission {
    struct server_options options;
    struct admission_events events;
    struct admission_door doors[2]; /* The second for "localhost" only. */
    struct list_node conns;         /* struct server_conn. */
    unsigned conns_len;
    bool closing;
    bool no_memory; /* For the connection that came last. */
};

/* ERR_INVALID, ERR_SYSTEM, ERR_NOMEM: nothing is open, and `detail` has one line. */
int admission_open(struct admission *admission, const struct server_options *options,
                   const struct admission_events *events, char *detail, size_t detail_len) NODISCARD;

uint16_t admission_port(const struct admission *admission);

/* Takes no more connections; harmless when it has been called before. Those that there are stay. */
void admission_stop(struct admission *admission);
/* The same, and closed() follows when all is gone that was accepted, which its owner closes: from the loop, or from within when it had
 * stopped before and nothing is left. */
void admission_close(struct admission *admission);

/* For server_conn.c: one connection more; one less, which is out of the list. The second may free the admission. */
void admission_joined(struct admission *admission, struct list_node *conn);
void admission_left(struct admission *admission);

#endif
