/* A lane of a queue: the messages of one priority, in the order of the log.
 *
 * Positions in a lane count from 1 and are never reused; the top byte of a position is the number of its lane (0 for the highest
 * priority). [head, tail) have never been delivered, but for the holes in it (hole.h): there is none at the head. Below the head a
 * message is held by a consumer, has come back, waits, is parked, or is gone. Where a message's content is: at or above
 * messages.base in memory, below it in the store. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_LANE_H
#define HOLDFAST_STATEMACHINE_QUEUE_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "statemachine/message/message.h"

#define LANES_MAX 256u
#define LANE_SHIFT 56u

struct lane {
    uint64_t head;
    uint64_t tail;
    uint64_t collected; /* Positions below were collected by a checkpoint if they were there. */
    struct messages messages;
    uint64_t bytes; /* Of all messages that came in since version 2. */
    /* The first hole behind the head. No state: found again in the table. */
    uint64_t hole_first; /* LANE_NO_HOLE: none. */
    uint64_t hole_end;
    uint64_t hole_bytes;
    bool hole_known;
    /* The bytes before the message at `measured`, which was the head once. No state. */
    uint64_t measured;
    uint64_t measured_bytes;
};

#define LANE_NO_HOLE UINT64_MAX

static inline unsigned lane_of(uint64_t position)
{
    return (unsigned)(position >> LANE_SHIFT);
}

/* The position before the first one in a lane. */
static inline uint64_t lane_start(unsigned number)
{
    return (uint64_t)number << LANE_SHIFT;
}

void lane_init(struct lane *lane, unsigned number);

/* Whether it has messages that have never been delivered. */
static inline bool lane_has_ready(const struct lane *lane)
{
    return lane->head < lane->tail;
}

/* How many messages have come into it. */
uint64_t lane_enqueued(const struct lane *lane);

#endif
