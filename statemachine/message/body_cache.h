/* Messages lately read from the store, or about to be: describing a delivery reads the row for its head, and the gateway asks for
 * the body right after; and who reads a queue in order is read ahead of. Bounded; what it holds is never counted on, and shows in
 * nothing: a row of a message never changes. Emptied when a checkpoint is done, which deletes rows. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_BODY_CACHE_H
#define HOLDFAST_STATEMACHINE_MESSAGE_BODY_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "statemachine/message/message.h"

#define BODY_CACHE_SLOTS 1024u
/* A larger body is read again: the cache holds at most 16 MiB. */
#define BODY_CACHE_BODY_LEN_MAX (16u * 1024u)
/* Rows, and about as many bytes, read ahead at once. */
#define BODY_CACHE_AHEAD_MAX 256u
#define BODY_CACHE_AHEAD_LEN_MAX (256u * 1024u)
/* Queues that are read in order at the same time, but for chance. */
#define BODY_CACHE_STREAMS 64u

struct body_cache {
    struct body_cache_slot {
        uint64_t queue; /* 0: empty. */
        uint64_t position;
        struct message message; /* Owns a reference. */
    } * slots;
    /* How far a queue was read. */
    struct body_cache_stream {
        uint64_t queue;
        uint64_t next;
        uint32_t ahead;
    } streams[BODY_CACHE_STREAMS];
};

/* Keeps a reference to the message's blob, if it is small enough. */
void body_cache_put(struct body_cache *cache, uint64_t queue, uint64_t position, const struct message *message);
/* Whether it is there; `ret_message` gets a reference of its own. */
bool body_cache_get(const struct body_cache *cache, uint64_t queue, uint64_t position, struct message *ret_message);
/* Likewise, borrowed; NULL: it is not there. */
const struct message *body_cache_peek(const struct body_cache *cache, uint64_t queue, uint64_t position);

/* A message has to be read from the store: how many positions, from its own on, are worth reading. 1, unless those before it were
 * read just so; each time they were it is more. */
uint32_t body_cache_ahead(struct body_cache *cache, uint64_t queue, uint64_t position);
/* That reading ended before `position`. */
void body_cache_reached(struct body_cache *cache, uint64_t queue, uint64_t position);
/* Lets go of the messages, but not of how far queues were read. */
void body_cache_clear(struct body_cache *cache);
void body_cache_done(struct body_cache *cache);

#endif
