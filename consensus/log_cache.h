/* The newest entries' payloads in memory: always those that are not stored, and older ones up to a number of bytes. */

#ifndef HOLDFAST_CONSENSUS_LOG_CACHE_H
#define HOLDFAST_CONSENSUS_LOG_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/log_deque.h"
#include "proto/base/blob.h"

struct log_cached {
    struct slice payload;
    uint64_t epoch;    /* Of the segment that it was last handed to the disk for; 0: it has not been. */
    uint64_t checksum; /* Of its record there. */
};

struct log_cache {
    uint64_t first; /* Index of the oldest payload held. */
    uint64_t bytes;
    struct log_deque payloads; /* struct log_cached, each with a reference. */
};

void log_cache_init(struct log_cache *cache, uint64_t first);
void log_cache_done(struct log_cache *cache);
/* Forgets everything; the next payload is that of `first`. */
void log_cache_reset(struct log_cache *cache, uint64_t first);
int log_cache_reserve(struct log_cache *cache, size_t count) NODISCARD;
/* Takes its own reference; room must have been made. */
void log_cache_append(struct log_cache *cache, struct slice payload);
bool log_cache_holds(const struct log_cache *cache, uint64_t index);
/* Until the cache is changed. */
struct log_cached *log_cache_get(const struct log_cache *cache, uint64_t index);
void log_cache_truncate(struct log_cache *cache, uint64_t index);
void log_cache_drop_before(struct log_cache *cache, uint64_t index);
/* Drops from the oldest on until at most `bytes_max` are held, but none after `stored`. */
void log_cache_shrink(struct log_cache *cache, uint64_t bytes_max, uint64_t stored);

#endif
