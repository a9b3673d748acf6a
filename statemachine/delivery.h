/* The unsettled deliveries of one consumer, in order of number.
 *
 * Numbers are handed out in order and mostly settled in order. A delivery settled out of turn leaves a hole; holes are
 * squeezed out before they outnumber what is held or cost more steps than that, so that neither a delivery that is held
 * for ever nor a settlement of overlapping ranges can make the deque long or the walk slow. */

#ifndef HOLDFAST_STATEMACHINE_DELIVERY_H
#define HOLDFAST_STATEMACHINE_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct delivery {
    uint64_t number;
    uint64_t position;
    uint32_t count; /* Earlier deliveries of the message. */
    bool held;      /* False: a hole. */
    bool released;  /* A hole whose message went back to the queue: only a fault hook asks. */
};

struct deliveries {
    struct delivery *items; /* [first, last) is in use, sorted by number. */
    size_t cap;
    size_t first;
    size_t last;
    size_t held;
    size_t holes_stepped; /* Since they were last squeezed out. */
};

/* Appends; the number must be above all before. ERR_NOMEM. */
int deliveries_push(struct deliveries *deliveries, uint64_t number, uint64_t position, uint32_t count) NODISCARD;

/* The first held delivery with a number from `first` to `last`; NULL when there is none. */
struct delivery *deliveries_find(struct deliveries *deliveries, uint64_t first, uint64_t last);

/* The next held one after `delivery`, up to number `last`; NULL when there is none. Hands no pointer beyond the next
 * deliveries_push() or deliveries_tidy(). */
struct delivery *deliveries_next(struct deliveries *deliveries, struct delivery *delivery, uint64_t last);

/* Makes a hole of a held delivery. */
void deliveries_drop(struct deliveries *deliveries, struct delivery *delivery);

/* To be called after a walk that may have dropped: squeezes out holes when it is time. */
void deliveries_tidy(struct deliveries *deliveries);

void deliveries_done(struct deliveries *deliveries);

#endif
