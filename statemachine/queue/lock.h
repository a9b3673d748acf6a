/* Deliveries that are held for a limited time. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_LOCK_H
#define HOLDFAST_STATEMACHINE_QUEUE_LOCK_H

#include "statemachine/session/consumer.h"

/* A delivery is being made to the consumer: sets until when it is held, by the consumer's or the queue's time, with its timer.
 * ERR_NOMEM. */
int lock_set(struct machine *machine, const struct consumer *consumer, struct delivery *delivery) NODISCARD;
/* It is not held any more: its timer goes. ERR_NOMEM. */
int lock_clear(struct machine *machine, const struct consumer *consumer, const struct delivery *delivery) NODISCARD;

/* A delivery that is held for a limited time is held for `lock_ms` from now on (0: as one that would be made now). ERR_NOMEM. */
int lock_extend(struct machine *machine, const struct consumer *consumer, struct delivery *delivery,
                uint64_t lock_ms) NODISCARD;

/* TIMER_LOCK_ENDS: the delivery goes back, and its consumer is told. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
struct timer;
int lock_fired(struct machine *machine, const struct timer *timer) NODISCARD;

#endif
