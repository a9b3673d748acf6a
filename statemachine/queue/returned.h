/* Messages of a queue that have come back and are ready again. The lowest of them are in memory, a few thousand; the others are rows of
 * the table ('r'), from which memory is filled when it has none left. Under version 1 of the machine all are in memory. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_RETURNED_H
#define HOLDFAST_STATEMACHINE_QUEUE_RETURNED_H

#include "statemachine/queue/queue.h"

/* When memory has more than the most, those behind the first so many leave it. */
#define RETURNED_NEAR_MAX 8192u
#define RETURNED_NEAR_MIN 4096u

/* The first with from <= position < end; `*ret_position` is UINT64_MAX when there is none. `*ret_count`: deliveries so far. ERR_IO,
 * ERR_CORRUPT, ERR_NOMEM. */
int returned_next(struct machine *machine, struct queue *queue, uint64_t from, uint64_t end, uint64_t *ret_position,
                  uint32_t *ret_count) NODISCARD;

#endif
