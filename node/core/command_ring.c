/* A queue of commands. */

#include "node/core/command_ring.h"

#include <stdlib.h>

#include "proto/base/check.h"

#define RING_CAP_FIRST 64u

struct entry_command *command_ring_at(const struct command_ring *ring, size_t nth)
{
    CHECK(nth < ring->len);
    return &ring->items[(ring->first + nth) & (ring->cap - 1)];
}

static int ring_grow(struct command_ring *ring)
{
    size_t cap = ring->cap == 0 ? RING_CAP_FIRST : ring->cap * 2;
    struct entry_command *items = malloc(cap * sizeof *items);
    if (items == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < ring->len; i++) {
        items[i] = *command_ring_at(ring, i);
    }
    free(ring->items);
    ring->items = items;
    ring->first = 0;
    ring->cap = cap;
    return 0;
}

int command_ring_push(struct command_ring *ring, const struct entry_command *command)
{
    if (ring->len == ring->cap) {
        int err = ring_grow(ring);
        if (err != 0) {
            return err;
        }
    }
    ring->len++;
    struct entry_command *slot = command_ring_at(ring, ring->len - 1);
    *slot = *command;
    slot->header = slice_ref(command->header);
    slot->bodies = slice_ref(command->bodies);
    return 0;
}

void command_ring_pop(struct command_ring *ring)
{
    struct entry_command *slot = command_ring_at(ring, 0);
    slice_unref(&slot->header);
    slice_unref(&slot->bodies);
    ring->first = (ring->first + 1) & (ring->cap - 1);
    ring->len--;
}

void command_ring_done(struct command_ring *ring)
{
    while (ring->len > 0) {
        command_ring_pop(ring);
    }
    free(ring->items);
    *ring = (struct command_ring){0};
}
