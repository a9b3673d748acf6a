/* What will happen and when: a heap of events in virtual microseconds.
 *
 * Events at the same time happen in the order in which they were pushed, so that a run depends on its seed alone. */

#ifndef HOLDFAST_CHAOS_SIM_QUEUE_H
#define HOLDFAST_CHAOS_SIM_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"

struct sim_event {
    uint64_t at_us;
    uint64_t order;                        /* Set by sim_queue_push(). */
    void (*fire)(struct sim_event *event); /* The event is a copy that lives for the call. */
    void *object;                          /* Whom it happens to; lives as long as the world. */
    uint64_t a;                            /* What it means is up to `fire`. */
    uint64_t b;
    struct blob *blob; /* Owned by the event: `fire` clears it when it takes it over. */
};

struct sim_queue {
    struct sim_event *events;
    size_t len;
    size_t cap;
    uint64_t pushed;
    uint64_t now_us;
};

/* Takes over the event's blob. A time in the past means now. */
void sim_queue_push(struct sim_queue *queue, struct sim_event event);
/* Takes the next event out, moves the time to it and fires it. The queue must not be empty. */
void sim_queue_fire(struct sim_queue *queue);
void sim_queue_done(struct sim_queue *queue);

#endif
