/* What the servers of all protocols are told. */

#ifndef HOLDFAST_RPC_SERVER_OPTIONS_H
#define HOLDFAST_RPC_SERVER_OPTIONS_H

#include <stdint.h>
#include <uv.h>

#include "proto/base/journal.h"
#include "rpc/gateway.h"
#include "rpc/server_bounds.h"
#include "rpc/stream.h"

struct server_options {
    uv_loop_t *loop;
    struct gateway *gateway;       /* Borrowed until closed, as the next two. */
    struct journal *journal;       /* May be NULL. */
    struct server_bounds *bounds;  /* Of the clients of all protocols. */
    const char *listen_address;    /* host:port; port 0 takes a free one. Borrowed until the server has started. */
    uint64_t handshake_timeout_ms; /* Until a client is known; 0: 10000. */
    uint64_t frame_timeout_ms;     /* With a frame begun that does not go on: see stream.h; 0: 20000. */
    uint64_t stall_timeout_ms;     /* With bytes for a client that takes none; 0: 30000. */
    uint64_t unacked_timeout_ms;   /* With bytes sent and no sign of the client's host; 0: 10000. */
};

/* How the streams of its clients are to be, but for what is a protocol's own. */
struct stream_options server_stream_options(const struct server_options *options);

#endif
