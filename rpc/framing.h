/* How the frames of a protocol begin: what whoever cuts a stream of bytes into frames has to know of them. */

#ifndef HOLDFAST_RPC_FRAMING_H
#define HOLDFAST_RPC_FRAMING_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire/frame.h"

struct framing {
    /* The first `len` bytes of a frame (at least 1): what its prefix says, and in *ret_prefix_len how long that is; 0: more bytes are
     * needed. What follows the prefix is of header_len and body_len bytes. ERR_BROKEN: not a frame. ERR_VERSION: one of another
     * version. ERR_TOO_BIG: a length over its limit. */
    int (*measure)(const uint8_t *data, size_t len, struct frame_prefix *ret_prefix, size_t *ret_prefix_len);
};

/* Of the native protocol and of nodes among each other: proto/wire/frame.h. */
extern const struct framing framing_native;

#endif
