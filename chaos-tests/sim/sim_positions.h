/* Where messages are in their queues: each position holds one message, and first deliveries come in the order of the
 * queue, which is that of the log. */

#ifndef HOLDFAST_CHAOS_SIM_POSITIONS_H
#define HOLDFAST_CHAOS_SIM_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_limits.h"

struct sim_world;

struct sim_positions {
    struct sim_queue_positions {
        uint64_t *messages; /* By position; 0: not seen. */
        size_t cap;
        uint64_t seen; /* Positions that are not 0. */
        uint64_t last;
    } queues[SIM_QUEUES_MAX];
};

/* A message was found at a position of its queue. */
void sim_positions_found(struct sim_world *world, unsigned queue, uint64_t position, uint64_t message);
/* All is drained: what was counted into each queue has been seen in it, but for what was purged. */
void sim_positions_end(struct sim_world *world);
void sim_positions_done(struct sim_positions *positions);

#endif
