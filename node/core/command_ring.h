/* A queue of commands, each with references to its header and bodies. */

#ifndef HOLDFAST_NODE_CORE_COMMAND_RING_H
#define HOLDFAST_NODE_CORE_COMMAND_RING_H

#include <stddef.h>

#include "proto/base/err.h"
#include "proto/wire/entry.h"

/* Zero-initialise; command_ring_done() at the end. */
struct command_ring {
    struct entry_command *items;
    size_t first;
    size_t len;
    size_t cap; /* 0, or a power of two. */
};

/* Appends a command; takes its own references. ERR_NOMEM. */
int command_ring_push(struct command_ring *ring, const struct entry_command *command) NODISCARD;
/* The nth from the oldest, which is 0; borrowed until the next push or pop. */
struct entry_command *command_ring_at(const struct command_ring *ring, size_t nth);
/* Drops the oldest. There must be one. */
void command_ring_pop(struct command_ring *ring);
/* Drops all and frees the memory. */
void command_ring_done(struct command_ring *ring);

#endif
