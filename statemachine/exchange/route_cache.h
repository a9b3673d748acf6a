/* The ways of the last messages that were routed by one key: a key that comes again costs one look instead of a walk.
 *
 * Scratch, and no state: a way depends on the key and on what is bound, and whatever changes the latter counts `generation` up
 * (route_cache_outdate()), so that what is in here is what a walk would find. Ways over a headers exchange, or over the default
 * exchange, which depend on more, are not kept. */

#ifndef HOLDFAST_STATEMACHINE_EXCHANGE_ROUTE_CACHE_H
#define HOLDFAST_STATEMACHINE_EXCHANGE_ROUTE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"

struct exchange;
struct queue;
struct route;

#define ROUTE_CACHE_SLOTS 32768u /* A power of two. */
#define ROUTE_CACHE_KEY_LEN_MAX 100u
#define ROUTE_CACHE_QUEUES_MAX 64u

/* In struct exchanges. Zeroed at first. */
struct route_cache {
    struct route_cache_slot *slots; /* 4 MiB, of which only what is used is in memory. */
    void *memory;                   /* They are in here. */
    uint64_t generation;
    unsigned turned_away;
};

/* A binding, an exchange or a queue comes or goes. */
static inline void route_cache_outdate(struct route_cache *cache)
{
    cache->generation++;
}

/* The key will be looked for soon: memory is slow. */
void route_cache_begin(const struct route_cache *cache, struct slice key);
/* Fills in the queues of a way that is known; false: it is not, or there is no memory for it. */
bool route_cache_get(const struct route_cache *cache, const struct exchange *exchange, struct slice key,
                     struct route *route);
/* Keeps a way that was found, if it is short; but in the place of another one that is good still only now and then, so that keys that
 * come but once do not cost much. */
void route_cache_put(struct route_cache *cache, const struct exchange *exchange, struct slice key,
                     const struct route *route);
void route_cache_done(struct route_cache *cache);

#endif
