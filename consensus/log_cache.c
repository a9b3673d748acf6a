/* The newest entries' payloads in memory. */

#include "consensus/log_cache.h"

#include "proto/base/check.h"

/* What an entry costs beside its payload, so that many empty ones are bounded too. */
#define ENTRY_COST (sizeof(struct log_cached) + sizeof(struct blob))

void log_cache_init(struct log_cache *cache, uint64_t first)
{
    *cache = (struct log_cache){.first = first};
    log_deque_init(&cache->payloads, sizeof(struct log_cached));
}

static struct log_cached *cached_at(const struct log_cache *cache, size_t i)
{
    return log_deque_at(&cache->payloads, i);
}

static void payload_forget(struct log_cache *cache, size_t i)
{
    struct slice *payload = &cached_at(cache, i)->payload;
    cache->bytes -= payload->len + ENTRY_COST;
    slice_unref(payload);
}

void log_cache_done(struct log_cache *cache)
{
    for (size_t i = 0; i < cache->payloads.len; i++) {
        payload_forget(cache, i);
    }
    log_deque_done(&cache->payloads);
}

void log_cache_reset(struct log_cache *cache, uint64_t first)
{
    log_cache_done(cache);
    log_cache_init(cache, first);
}

int log_cache_reserve(struct log_cache *cache, size_t count)
{
    return log_deque_reserve(&cache->payloads, count);
}

void log_cache_append(struct log_cache *cache, struct slice payload)
{
    struct log_cached cached = {.payload = slice_ref(payload)};
    log_deque_push(&cache->payloads, &cached);
    cache->bytes += payload.len + ENTRY_COST;
}

bool log_cache_holds(const struct log_cache *cache, uint64_t index)
{
    return index >= cache->first && index - cache->first < cache->payloads.len;
}

struct log_cached *log_cache_get(const struct log_cache *cache, uint64_t index)
{
    CHECK(log_cache_holds(cache, index));
    return cached_at(cache, (size_t)(index - cache->first));
}

void log_cache_truncate(struct log_cache *cache, uint64_t index)
{
    if (index < cache->first) {
        log_cache_reset(cache, index);
        return;
    }
    while (log_cache_holds(cache, index)) {
        payload_forget(cache, cache->payloads.len - 1);
        log_deque_drop_back(&cache->payloads, 1);
    }
}

static void cache_drop_first(struct log_cache *cache)
{
    payload_forget(cache, 0);
    log_deque_drop_front(&cache->payloads, 1);
    cache->first++;
}

void log_cache_drop_before(struct log_cache *cache, uint64_t index)
{
    while (cache->payloads.len > 0 && cache->first < index) {
        cache_drop_first(cache);
    }
    cache->first = cache->first < index ? index : cache->first;
}

void log_cache_shrink(struct log_cache *cache, uint64_t bytes_max, uint64_t stored)
{
    while (cache->bytes > bytes_max && cache->payloads.len > 0 && cache->first <= stored) {
        cache_drop_first(cache);
    }
}
