/* Messages lately read from the store. */

#include "statemachine/message/body_cache.h"

#include <stdlib.h>

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

bool body_cache_get(const struct body_cache *cache, uint64_t queue, uint64_t position, struct message *ret_message)
{
    if (cache->slots == NULL) {
        return false;
    }
    struct body_cache_slot *slot = body_cache_slot(cache, queue, position);
    if (slot->queue != queue || slot->position != position) {
        return false;
    }
    message_ref(&slot->message);
    *ret_message = slot->message;
    return true;
}

void body_cache_done(struct body_cache *cache)
{
    for (size_t i = 0; cache->slots != NULL && i < BODY_CACHE_SLOTS; i++) {
        if (cache->slots[i].queue != 0) {
            message_unref(&cache->slots[i].message);
        }
    }
    free(cache->slots);
    cache->slots = NULL;
}
