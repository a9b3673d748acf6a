/* A lane of a queue. */

#include "statemachine/queue/lane.h"

void lane_init(struct lane *lane, unsigned number)
{
    uint64_t first = lane_start(number) + 1;
    *lane = (struct lane){.head = first, .tail = first, .collected = first, .measured = first};
    lane->hole_first = LANE_NO_HOLE;
    messages_init(&lane->messages, first);
}

uint64_t lane_enqueued(const struct lane *lane)
{
    return lane->tail - lane_start(lane_of(lane->tail)) - 1;
}
