/* The codec of the first frame between nodes: who speaks, to whom, of which cluster. Pure. */

#ifndef HOLDFAST_RPC_PEER_PEER_FRAME_H
#define HOLDFAST_RPC_PEER_PEER_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/blob.h"
#include "proto/base/err.h"
#include "proto/wire/frame.h"

#define PEER_HISTORY_LEN_MAX 512u

/* As PeerHello in peer.proto. Encoding borrows the strings; decoded ones live in the arena. */
struct peer_hello {
    const char *cluster;
    uint64_t node;
    uint64_t to;
    uint64_t incarnation;
    uint32_t version;
    const char *client_address; /* "" when there is none. */
    bool bulk;
    uint64_t run;         /* 0: not said. */
    struct slice history; /* At most PEER_HISTORY_LEN_MAX bytes; empty: not said. */
    bool founding;        /* It has nothing, and waits for a new cluster to begin. */
};

/* ERR_NOMEM, ERR_TOO_BIG. */
int peer_hello_encode(const struct peer_hello *hello, struct frame_out *ret_frame) NODISCARD;

/* ERR_BROKEN: not a PEER_HELLO frame, or one that does not decode, names no cluster or node, or holds an address that is
 * not text of at most ADDRESS_LEN_MAX bytes, or too long a history. */
int peer_hello_decode(const struct frame *frame, struct arena *arena, struct peer_hello *ret_hello) NODISCARD;

#endif
