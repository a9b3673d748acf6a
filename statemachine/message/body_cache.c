/* Messages lately read from the store. */

#include "statemachine/message/body_cache.h"

#include <stdlib.h>

/* Each time that reading ahead was right, it is so many times more. */
#define AHEAD_FACTOR 4u

static struct body_cache_slot *body_cache_slot(const struct body_cache *cache, uint64_t queue, uint64_t position)
{
    return &cache->slots[(position + queue * 31) % BODY_CACHE_SLOTS];
}

void body_cache_put(struct body_cache *cache, uint64_t queue, uint64_t position, const struct message *message)
{
    if (message_len(message) + message->trail_len > BODY_CACHE_BODY_LEN_MAX) {
        return;
    }
    if (cache->slots == NULL) {
        cache->slots = calloc(BODY_CACHE_SLOTS, sizeof *cache->slots);
        if (cache->slots == NULL) {
            return;
        }
    }
    struct body_cache_slot *slot = body_cache_slot(cache, queue, position);
    if (slot->queue != 0) {
        message_unref(&slot->message);
    }
    *slot = (struct body_cache_slot){.queue = queue, .position = position, .message = *message};
    message_ref(message);
}

const struct message *body_cache_peek(const struct body_cache *cache, uint64_t queue, uint64_t position)
{
    if (cache->slots == NULL) {
        return NULL;
    }
    const struct body_cache_slot *slot = body_cache_slot(cache, queue, position);
    return slot->queue == queue && slot->position == position ? &slot->message : NULL;
}

bool body_cache_get(const struct body_cache *cache, uint64_t queue, uint64_t position, struct message *ret_message)
{
    const struct message *message = body_cache_peek(cache, queue, position);
    if (message == NULL) {
        return false;
    }
    message_ref(message);
    *ret_message = *message;
    return true;
}

uint32_t body_cache_ahead(struct body_cache *cache, uint64_t queue, uint64_t position)
{
    struct body_cache_stream *stream = &cache->streams[queue % BODY_CACHE_STREAMS];
    bool in_order = stream->queue == queue && stream->next == position;
    uint32_t ahead = in_order ? stream->ahead * AHEAD_FACTOR : 1;
    ahead = ahead < BODY_CACHE_AHEAD_MAX ? ahead : BODY_CACHE_AHEAD_MAX;
    *stream = (struct body_cache_stream){.queue = queue, .next = position + ahead, .ahead = ahead};
    return ahead;
}

void body_cache_reached(struct body_cache *cache, uint64_t queue, uint64_t position)
{
    cache->streams[queue % BODY_CACHE_STREAMS].next = position;
}

void body_cache_clear(struct body_cache *cache)
{
    for (size_t i = 0; cache->slots != NULL && i < BODY_CACHE_SLOTS; i++) {
        if (cache->slots[i].queue != 0) {
            message_unref(&cache->slots[i].message);
        }
    }
    free(cache->slots);
    cache->slots = NULL;
}

void body_cache_done(struct body_cache *cache)
{
    body_cache_clear(cache);
    *cache = (struct body_cache){0};
}
