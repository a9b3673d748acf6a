/* The queries of one connection that wait until this node's replica is current.
 *
 * One read of the gateway's serves all that came before it was asked for; what comes meanwhile waits for the next. So a
 * connection has one read in flight at most, and queries are answered in their order. Answers are made only while the
 * connection takes them, and a read is good for about NATIVE_QUERY_TURN_LEN bytes of them: the rest is read again. Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_QUERY_H
#define HOLDFAST_RPC_NATIVE_NATIVE_QUERY_H

#include <stdbool.h>

#include "proto/base/list.h"
#include "rpc/gateway.h"
#include "rpc/native/native_result.h"

/* Queries of one connection that wait. */
#define NATIVE_QUERY_WAITING_MAX 16u

/* Bytes of answers after which the connection gets a turn to send them; and what a list counts at least, for looking for it takes time
 * even if it is short. What looks for messages counts as all of them: there may be a million of them that are out. */
#define NATIVE_QUERY_TURN_LEN (1 * MIB)
#define NATIVE_QUERY_LIST_LEN_MIN (256 * KIB)

struct native_queries {
    struct gateway *gateway;
    void *arg;
    /* An answer. Takes ownership. */
    void (*answer)(void *arg, struct frame_out *frame);
    /* Asked before an answer is made, of at most about `len` bytes. False: not now; native_queries_pause(true) has been
     * called from within, and native_queries_pause(false) follows. */
    bool (*takes)(void *arg, size_t len);
    /* The answers of a read have been given, and there is room for more queries. With `err` one of them could not be made
     * and is missing. May call native_queries_done(), as answer() may not. */
    void (*answered)(void *arg, int err);
    struct list_node waiting; /* Oldest first. */
    unsigned waiting_len;
    unsigned covered; /* Of them, by the read. */
    bool reading;
    bool paused;
    struct gateway_read read;
};

/* The callbacks are the caller's to set. */
void native_queries_init(struct native_queries *queries, struct gateway *gateway);
/* Nothing is answered any more. Twice is harmless. */
void native_queries_done(struct native_queries *queries);

/* Answers later, from within the gateway's turn. Copies. ERR_BUSY: full; answered() follows. ERR_NOMEM. */
int native_queries_add(struct native_queries *queries, const struct native_question *question) NODISCARD;

/* The connection takes no answers (true), or does again. */
void native_queries_pause(struct native_queries *queries, bool paused);

#endif
