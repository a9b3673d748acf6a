/* The timers of messages that expire. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_EXPIRY_H
#define HOLDFAST_STATEMACHINE_QUEUE_EXPIRY_H

#include "statemachine/queue/queue.h"

/* A message that expires (`expires_ms` is not 0) is ready from now on, or is not any more: it is not to expire while it is locked,
 * and when it is gone it need not be thought of. ERR_NOMEM. */
int expiry_watch(struct machine *machine, const struct queue *queue, uint64_t position, uint64_t expires_ms) NODISCARD;
int expiry_unwatch(struct machine *machine, const struct queue *queue, uint64_t position,
                   uint64_t expires_ms) NODISCARD;

/* TIMER_MESSAGE_EXPIRES: the message is a dead letter, if it is ready, parked, or waiting. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
struct timer;
int expiry_fired(struct machine *machine, const struct timer *timer) NODISCARD;

/* In struct machine: those that are to be delivered in the entry that is being applied, or to expire. No state. */
struct expiring {
    uint64_t queue;
    uint64_t position;
};
struct expiries {
    struct expiring *items;
    size_t len;
    size_t cap;
};
void expiries_done(struct expiries *expiries);

/* At the end of an entry, when all has been delivered that could be: what was to be delivered in it or not at all (a time to live of
 * 0) expires; what that brings to other queues is delivered. Likewise. */
int expire_undelivered(struct machine *machine) NODISCARD;

#endif
