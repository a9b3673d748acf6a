/* Positions of messages. */

#include "sim_positions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_world.h"

/* No run has so many messages: a wild position is a violation, not a reason to take memory. */
#define POSITION_MAX 1000000u

static uint64_t *position_get(struct sim_queue_positions *queue, uint64_t position)
{
    if (position >= queue->cap) {
        size_t cap = (size_t)position * 2 + 1024;
        queue->messages = realloc(queue->messages, cap * sizeof *queue->messages);
        CHECK(queue->messages != NULL);
        memset(queue->messages + queue->cap, 0, (cap - queue->cap) * sizeof *queue->messages);
        queue->cap = cap;
    }
    return &queue->messages[position];
}

void sim_positions_found(struct sim_world *world, unsigned queue, uint64_t position, uint64_t message)
{
    struct sim_queue_positions *positions = &world->positions.queues[queue];
    if (position == 0 || position > POSITION_MAX) {
        sim_world_violation(world, "message %" PRIx64 " has position %" PRIu64, message, position);
        return;
    }
    uint64_t *there = position_get(positions, position);
    if (*there != 0 && *there != message + 1) {
        sim_world_violation(world, "position %" PRIu64 " holds message %" PRIx64 " and message %" PRIx64, position,
                            *there - 1, message);
    }
    positions->seen += *there == 0;
    positions->last = position > positions->last ? position : positions->last;
    *there = message + 1;
}

/* Every message was delivered to somebody before it was gone; nothing else was ever in. */
static void positions_check(struct sim_world *world, unsigned queue)
{
    const struct sim_queue_positions *positions = &world->positions.queues[queue];
    const struct sim_reads *reads = &world->reads;
    struct machine_queue found = {0};
    unsigned node = 0;
    while (world->nodes[node].gone) {
        node++;
    }
    int err = machine_queue(shard_machine(world->nodes[node].shard), sim_queue_name(queue), &found);
    uint64_t unseen = found.enqueued - positions->seen;
    if (err != 0 || found.enqueued < positions->last) {
        sim_world_violation(world, "queue %u counts %" PRIu64 " messages, and one was at position %" PRIu64, queue,
                            found.enqueued, positions->last);
    } else if (unseen > reads->purged[queue] && !reads->purges_unknown[queue]) {
        sim_world_violation(world,
                            "%" PRIu64 " of the %" PRIu64 " messages of queue %u were never delivered, and %" PRIu64
                            " were purged",
                            unseen, found.enqueued, queue, reads->purged[queue]);
    }
}

void sim_positions_end(struct sim_world *world)
{
    for (unsigned queue = 0; queue < world->queues_len; queue++) {
        positions_check(world, queue);
    }
}

void sim_positions_done(struct sim_positions *positions)
{
    for (unsigned i = 0; i < SIM_QUEUES_MAX; i++) {
        free(positions->queues[i].messages);
    }
    *positions = (struct sim_positions){0};
}
