/* What becomes of a delivery that goes back: whether its message is ready again at its place, waits, or has gone back too often. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_CAME_BACK_H
#define HOLDFAST_STATEMACHINE_QUEUE_CAME_BACK_H

#include "statemachine/queue/queue.h"

/* Called by queue_return() when the delivery does not count as locked any more; `count` is what the message's deliveries are now.
 * ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int came_back(struct machine *machine, struct queue *queue, const struct delivery *delivery, uint32_t count,
              enum return_reason reason, uint64_t delay_ms) NODISCARD;

#endif
