/* Positions whose message is settled while its row is still in the store: to be deleted with the next checkpoint, and
 * not to be read until then. Bits in blocks, so that a million of them cost a few hundred kilobytes; and what was purged
 * in one go as a range: few of them between two checkpoints, since those that follow upon each other are one. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_GONE_H
#define HOLDFAST_STATEMACHINE_QUEUE_GONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

#define GONE_BLOCK_BITS 4096u

struct gone_block;

struct gone_range {
    uint64_t first;
    uint64_t end; /* The first behind it. */
};

struct gone {
    struct gone_block *blocks; /* By number of block. */
    size_t len;                /* Positions in the blocks. */
    struct gone_range *ranges;
    size_t ranges_len;
};

/* Adds a position. ERR_NOMEM. */
int gone_add(struct gone *gone, uint64_t position) NODISCARD;
/* Adds all positions of a range. ERR_NOMEM. */
int gone_add_range(struct gone *gone, uint64_t first, uint64_t end) NODISCARD;
bool gone_has(const struct gone *gone, uint64_t position);
/* The first position at or above that one which is not there. */
uint64_t gone_next(const struct gone *gone, uint64_t position);
/* Calls `each` for every position that is not in a range. */
void gone_each(const struct gone *gone, void (*each)(void *arg, uint64_t position), void *arg);
/* Moves all positions of `from` into `to`, where some may be already. ERR_NOMEM: some were moved. */
int gone_merge(struct gone *to, struct gone *from) NODISCARD;
void gone_clear(struct gone *gone);

#endif
