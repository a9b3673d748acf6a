/* The ways of the last messages that were routed by one key. */

#include "statemachine/exchange/route_cache.h"

#include <stdlib.h>
#include <string.h>

#include "statemachine/exchange/route.h"
#include "statemachine/hash.h"

/* Two cache lines. */
struct route_cache_slot {
    const struct exchange *exchange; /* NULL: empty. */
    uint64_t generation;
    union {
        struct queue *one;
        struct queue **many; /* Owned. */
    } queues;
    uint8_t queues_len;
    uint8_t key_len;
    uint8_t key[ROUTE_CACHE_KEY_LEN_MAX];
};

#define SLOT_ALIGNMENT 128u
/* Of so many that want the place of another one gets it. */
#define TURNED_AWAY 8u
_Static_assert(sizeof(struct route_cache_slot) == SLOT_ALIGNMENT, "a slot begins a cache line");
_Static_assert(ROUTE_CACHE_QUEUES_MAX <= UINT8_MAX, "a length fits its field");

static struct route_cache_slot *cache_slot(const struct route_cache *cache, struct slice key)
{
    return &cache->slots[XXH3_64bits(key.data, key.len) & (ROUTE_CACHE_SLOTS - 1)];
}

void route_cache_begin(const struct route_cache *cache, struct slice key)
{
    if (cache->slots != NULL && key.len <= ROUTE_CACHE_KEY_LEN_MAX) {
        const struct route_cache_slot *slot = cache_slot(cache, key);
        __builtin_prefetch(slot);
        __builtin_prefetch((const uint8_t *)slot + SLOT_ALIGNMENT / 2);
    }
}

bool route_cache_get(const struct route_cache *cache, const struct exchange *exchange, struct slice key,
                     struct route *route)
{
    if (cache->slots == NULL || key.len > ROUTE_CACHE_KEY_LEN_MAX) {
        return false;
    }
    const struct route_cache_slot *slot = cache_slot(cache, key);
    if (slot->exchange != exchange || slot->generation != cache->generation || slot->key_len != key.len ||
        (key.len > 0 && memcmp(slot->key, key.data, key.len) != 0) || slot->queues_len > route->cap) {
        return false;
    }
    route->len = slot->queues_len;
    if (slot->queues_len == 1) {
        route->queues[0] = slot->queues.one;
    } else if (slot->queues_len > 1) {
        memcpy(route->queues, slot->queues.many, slot->queues_len * sizeof *route->queues);
    }
    return true;
}

static void slot_clear(struct route_cache_slot *slot)
{
    if (slot->queues_len > 1) {
        free(slot->queues.many);
    }
    slot->exchange = NULL;
    slot->queues_len = 0;
}

static struct queue **queues_copy(const struct route *route)
{
    struct queue **queues = malloc(route->len * sizeof *queues);
    if (queues != NULL) {
        memcpy(queues, route->queues, route->len * sizeof *queues);
    }
    return queues;
}

static bool cache_reserve(struct route_cache *cache)
{
    if (cache->slots == NULL) {
        cache->memory = calloc(ROUTE_CACHE_SLOTS + 1, sizeof *cache->slots);
        uintptr_t at = (uintptr_t)cache->memory;
        at = (at + SLOT_ALIGNMENT - 1) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
        cache->slots = cache->memory != NULL ? (struct route_cache_slot *)at : NULL;
    }
    return cache->slots != NULL;
}

void route_cache_put(struct route_cache *cache, const struct exchange *exchange, struct slice key,
                     const struct route *route)
{
    if (key.len > ROUTE_CACHE_KEY_LEN_MAX || route->len > ROUTE_CACHE_QUEUES_MAX || !cache_reserve(cache)) {
        return;
    }
    struct route_cache_slot *slot = cache_slot(cache, key);
    bool good = slot->exchange != NULL && slot->generation == cache->generation;
    if (good && ++cache->turned_away % TURNED_AWAY != 0) {
        return;
    }
    struct queue **many = route->len > 1 ? queues_copy(route) : NULL;
    if (route->len > 1 && many == NULL) {
        return;
    }
    slot_clear(slot);
    slot->exchange = exchange;
    slot->generation = cache->generation;
    slot->queues_len = (uint8_t)route->len;
    slot->key_len = (uint8_t)key.len;
    if (key.len > 0) {
        memcpy(slot->key, key.data, key.len);
    }
    if (route->len == 1) {
        slot->queues.one = route->queues[0];
    } else {
        slot->queues.many = many;
    }
}

void route_cache_done(struct route_cache *cache)
{
    for (size_t i = 0; cache->slots != NULL && i < ROUTE_CACHE_SLOTS; i++) {
        slot_clear(&cache->slots[i]);
    }
    free(cache->memory);
    cache->memory = NULL;
    cache->slots = NULL;
}
