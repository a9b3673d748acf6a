/* The bodies of messages on their way to a client.
 *
 * A body is a part of something larger: the entry of the log that brought it, with the messages of others in it. A frame
 * that waits for a client that does not read must not keep all that in memory: it keeps the body itself when that is most
 * of what it is a part of, and a copy otherwise. Copying what is short is cheaper than another vector besides. Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_BODIES_H
#define HOLDFAST_RPC_NATIVE_NATIVE_BODIES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"
#include "proto/wire/frame.h"

/* A body of at most this length is copied in any case. */
#define NATIVE_BODY_SHORT_LEN 1024u

/* One that is less than this part of its blob is copied. So the memory that a frame keeps is below so many times the
 * bytes that it counts for. */
#define NATIVE_BODY_PART 4u

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
