/* Memory that is freed all at once: what a protobuf message is decoded into.
 *
 * An arena is bounded: a message that unpacks to more than the bound is refused with ERR_NOMEM by protobuf-c, so that a
 * small frame cannot claim a lot of memory. Reset keeps one block for the next use, so that decoding in a loop does not
 * call malloc. */

#ifndef HOLDFAST_PROTO_BASE_ARENA_H
#define HOLDFAST_PROTO_BASE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* Newest first. */
    size_t used;                /* Bytes handed out since the last reset. */
    size_t used_max;
    ProtobufCAllocator protobuf; /* Pass &arena->protobuf to *_unpack(). Never call *_free_unpacked(). */
};

/* `used_max`: bytes that may be handed out between two resets. */
void arena_init(struct arena *arena, size_t used_max);
/* NULL when out of memory or over the bound. 16-byte aligned. */
void *arena_alloc(struct arena *arena, size_t len);
/* Makes all memory handed out available again. */
void arena_reset(struct arena *arena);
void arena_done(struct arena *arena);

#endif
