/* The listener of the native protocol: accepts clients, up to a limit, and keeps their connections. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_SERVER_H
#define HOLDFAST_RPC_NATIVE_NATIVE_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "rpc/server_options.h"

struct native_server;

struct native_server_options {
    struct server_options server; /* `bounds` may be NULL: its own, as the next three say. */
    unsigned connections_max;     /* 0: 16384. A client above it gets a GOODBYE{LIMIT}. */
    uint64_t memory_max;          /* Bytes of frames that have begun to arrive, together; 0: 256 MiB. */
    uint64_t send_max;            /* Bytes queued for all clients besides STREAM_SHARE_HIGH of each; 0: 256 MiB. */
    uint64_t idle_timeout_ms;     /* Without a frame from the client, which must PING; 0: 60000. */
    void *arg;
    /* Something was given to the gateway, which may want its turn: after every batch of frames. May be NULL. */
    void (*submitted)(void *arg);
};

/* ERR_INVALID, ERR_SYSTEM, ERR_NOMEM; `detail` gets one line on error. */
int native_server_start(const struct native_server_options *options, struct native_server **ret_server, char *detail,
                        size_t detail_len) NODISCARD;

uint16_t native_server_port(const struct native_server *server);
unsigned native_server_connections(const struct native_server *server);

/* What the connections have together of what is bounded in common. */
struct native_server_stats {
    uint64_t receiving_bytes; /* Of memory_max. */
    uint64_t sending_bytes;   /* Of send_max. */
};
void native_server_stats(const struct native_server *server, struct native_server_stats *ret_stats);

/* Stops listening, detaches all sessions from the gateway before it returns, says GOODBYE{CLOSED} to their clients and
 * closes. `closed` (may be NULL) is called when nothing is left, after at most two seconds or so; the server is freed
 * then. */
void native_server_close(struct native_server *server, void (*closed)(void *arg), void *arg);

#endif
