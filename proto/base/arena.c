/* A bump allocator, usable by protobuf-c. */

#include "proto/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define BLOCK_LEN_MIN (64u * 1024u)

struct arena_block {
    struct arena_block *next;
    size_t cap;
    size_t used;
    alignas(16) uint8_t data[];
};

static void *arena_protobuf_alloc(void *arena, size_t len)
{
    return arena_alloc(arena, len);
}

static void arena_protobuf_free(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

void arena_init(struct arena *arena, size_t used_max)
{
    *arena = (struct arena){
        .used_max = used_max,
        .protobuf = {.alloc = arena_protobuf_alloc, .free = arena_protobuf_free, .allocator_data = arena},
    };
}

void *arena_alloc(struct arena *arena, size_t len)
{
    if (len > arena->used_max) {
        return NULL;
    }
    len = len == 0 ? 16 : (len + 15) & ~(size_t)15;
    if (len > arena->used_max - arena->used) {
        return NULL;
    }
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->cap - block->used < len) {
        size_t cap = len > BLOCK_LEN_MIN ? len : BLOCK_LEN_MIN;
        block = malloc(sizeof *block + cap);
        if (block == NULL) {
            return NULL;
        }
        block->next = arena->blocks;
        block->cap = cap;
        block->used = 0;
        arena->blocks = block;
    }
    void *pointer = block->data + block->used;
    block->used += len;
    arena->used += len;
    return pointer;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = NULL;
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        if (keep == NULL && arena->blocks->cap == BLOCK_LEN_MIN) {
            keep = arena->blocks;
        } else {
            free(arena->blocks);
        }
        arena->blocks = next;
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    arena->blocks = keep;
    arena->used = 0;
}

void arena_done(struct arena *arena)
{
    arena_reset(arena);
    free(arena->blocks);
    arena->blocks = NULL;
}
