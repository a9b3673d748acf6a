/* The bodies of messages on their way to a client: kept, or copied where that is better (rpc/body_copy.h). Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_BODIES_H
#define HOLDFAST_RPC_NATIVE_NATIVE_BODIES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"
#include "proto/wire/frame.h"

/* What of a message goes to a client: to one that does not know heads, the body alone, with a hash of its own; to others without
 * the head's hidden keys. */
struct native_content {
    struct slice trail;
    struct slice content; /* Head and body; owns a reference. */
    uint32_t head_len;
    uint64_t hash; /* Of `content`. */
};

/* With a head, `body` follows it in memory. `hash` is of both. The trail is borrowed. ERR_NOMEM. */
int native_content_of(bool heads, struct slice trail, struct slice head, struct slice body, uint64_t hash,
                      struct native_content *ret_content) NODISCARD;

/* As native_frame_encode_raw(), with bodies that are copied where it is better. */
int native_bodies_encode(enum frame_type type, const void *header, size_t header_len, const struct slice *bodies,
                         unsigned bodies_len, struct frame_out *ret_frame) NODISCARD;

#endif
