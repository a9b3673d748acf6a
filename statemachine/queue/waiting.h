/* Messages that wait, before they are ready again at their place.
 *
 * Row 'W' queue position: u32 deliveries so far, u64 until_ms, u64 expires_ms, u64 group. Its end is a timer (TIMER_RETURN), and
 * so is the end of the message's life, which goes on meanwhile. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_WAITING_H
#define HOLDFAST_STATEMACHINE_QUEUE_WAITING_H

#include "statemachine/queue/queue.h"

struct timer;

struct waiting {
    uint64_t position;
    uint32_t count;
    uint64_t until_ms;
    uint64_t expires_ms;
    uint64_t group;
};

/* A message that is in none of the queue's sets waits from now on. ERR_NOMEM. */
int waiting_add(struct machine *machine, struct queue *queue, const struct waiting *waiting) NODISCARD;

/* Takes a message out of those that wait. ERR_NOT_FOUND: it does not. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int waiting_take(struct machine *machine, struct queue *queue, uint64_t position,
                 struct waiting *ret_waiting) NODISCARD;

/* TIMER_RETURN. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int waiting_fired(struct machine *machine, const struct timer *timer) NODISCARD;

#endif
