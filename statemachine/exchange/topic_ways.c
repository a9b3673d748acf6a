/* The table of those nodes of a trie that are reached by words. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "statemachine/exchange/topic.h"

#define CAP_MIN 8u

uint64_t topic_word_hash(const char *word, size_t len)
{
    return XXH3_64bits(word, len);
}

/* Ids are small numbers: two rounds of multiplying spread them over all bits. */
static uint64_t way_of(const struct topic_node *parent, uint64_t word_hash)
{
    uint64_t way = word_hash ^ (parent->id * UINT64_C(0x9e3779b97f4a7c15));
    way = (way ^ way >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return way ^ way >> 32;
}

uint64_t topic_ways_begin(const struct topic_ways *ways, const struct topic_node *parent, uint64_t word_hash)
{
    uint64_t way = way_of(parent, word_hash);
    __builtin_prefetch(&ways->slots[(size_t)way & (ways->cap - 1)]);
    return way;
}

struct topic_node *topic_ways_end(const struct topic_ways *ways, uint64_t way, const struct topic_node *parent,
                                  const char *word, size_t len)
{
    size_t at = (size_t)way & (ways->cap - 1);
    for (; ways->slots[at].node != NULL; at = (at + 1) & (ways->cap - 1)) {
        struct topic_node *node = ways->slots[at].node;
        if (ways->slots[at].way == way && node->parent == parent && node->word_len == len &&
            (len == 0 || memcmp(node->word, word, len) == 0)) {
            return node;
        }
    }
    return NULL;
}

struct topic_node *topic_ways_find(const struct topic_ways *ways, const struct topic_node *parent, const char *word,
                                   size_t len, uint64_t word_hash)
{
    return ways->cap > 0 ? topic_ways_end(ways, way_of(parent, word_hash), parent, word, len) : NULL;
}

static void ways_put(struct topic_ways *ways, struct topic_way slot)
{
    size_t at = (size_t)slot.way & (ways->cap - 1);
    while (ways->slots[at].node != NULL) {
        at = (at + 1) & (ways->cap - 1);
    }
    ways->slots[at] = slot;
}

static int ways_grow(struct topic_ways *ways)
{
    struct topic_ways grown = {.cap = ways->cap > 0 ? 2 * ways->cap : CAP_MIN, .len = ways->len};
    grown.slots = calloc(grown.cap, sizeof *grown.slots);
    if (grown.slots == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < ways->cap; i++) {
        if (ways->slots[i].node != NULL) {
            ways_put(&grown, ways->slots[i]);
        }
    }
    free(ways->slots);
    *ways = grown;
    return 0;
}

int topic_ways_add(struct topic_ways *ways, struct topic_node *child, uint64_t word_hash)
{
    if (2 * (ways->len + 1) > ways->cap) {
        int err = ways_grow(ways);
        if (err != 0) {
            return err;
        }
    }
    child->way = way_of(child->parent, word_hash);
    ways_put(ways, (struct topic_way){.way = child->way, .node = child});
    ways->len++;
    return 0;
}

/* What follows moves up, unless it would come before its own place. */
void topic_ways_remove(struct topic_ways *ways, const struct topic_node *child)
{
    size_t mask = ways->cap - 1;
    size_t at = (size_t)child->way & mask;
    while (ways->slots[at].node != child) {
        CHECK(ways->slots[at].node != NULL);
        at = (at + 1) & mask;
    }
    for (size_t next = (at + 1) & mask; ways->slots[next].node != NULL; next = (next + 1) & mask) {
        size_t home = (size_t)ways->slots[next].way & mask;
        if (((next - home) & mask) >= ((next - at) & mask)) {
            ways->slots[at] = ways->slots[next];
            at = next;
        }
    }
    ways->slots[at] = (struct topic_way){0};
    ways->len--;
}
