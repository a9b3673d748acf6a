/* Messages lately read from the store: describing a delivery reads the row for its head, and the gateway asks for the body
 * right after. Bounded; what it holds is never counted on. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_BODY_CACHE_H
#define HOLDFAST_STATEMACHINE_MESSAGE_BODY_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "statemachine/message/message.h"

#define BODY_CACHE_SLOTS 1024u
/* A larger body is read again: the cache holds at most 16 MiB. */
#define BODY_CACHE_BODY_LEN_MAX (16u * 1024u)

struct body_cache {
    struct body_cache_slot {
        uint64_t queue; /* 0: empty. */
        uint64_t position;
        struct message message; /* Owns a reference. */
    } * slots;
};

/* Keeps a reference to the message's blob, if it is small enough. */
void body_cache_put(struct body_cache *cache, uint64_t queue, uint64_t position, const struct message *message);
/* Whether it is there; `ret_message` gets a reference of its own. */
bool body_cache_get(const struct body_cache *cache, uint64_t queue, uint64_t position, struct message *ret_message);
void body_cache_done(struct body_cache *cache);

#endif
