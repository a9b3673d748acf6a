/* The unsettled deliveries of one consumer, in order of number.
 *
 * Numbers are handed out in order and mostly settled in order. A delivery settled out of turn leaves a hole; holes are
 * squeezed out before they outnumber what is held or cost more steps than that, so that neither a delivery that is held
 * for ever nor a settlement of overlapping ranges can make the deque long or the walk slow. */

#ifndef HOLDFAST_STATEMACHINE_SESSION_DELIVERY_H
#define HOLDFAST_STATEMACHINE_SESSION_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct delivery {
    uint64_t number;
    uint64_t position;
    uint64_t expires_ms; /* Of the message: as struct message has them. */
    uint64_t group;
    uint64_t lock_until_ms; /* Log time at which it goes back; 0: when it is settled. */
    uint32_t count;         /* Earlier deliveries of the message. */
    bool held;              /* False: a hole. */
    bool released;          /* A hole whose message went back to the queue: only a fault hook asks. */
};

_Static_assert(sizeof(struct delivery) <= 48, "there are many of them");

struct deliveries {
    struct delivery *items; /* [first, last) is in use, sorted by number. */
    size_t cap;
    size_t first;
    size_t last;
    size_t held;
    size_t holes_stepped; /* Since they were last squeezed out. */
};

/* Appends a delivery, which is held; its number must be above all before. ERR_NOMEM. */
int deliveries_push(struct deliveries *deliveries, const struct delivery *delivery) NODISCARD;

/* Likewise, of a number and a position; the rest is 0, and is the caller's to set before the next call. */
int deliveries_add(struct deliveries *deliveries, uint64_t number, uint64_t position,
                   struct delivery **ret_delivery) NODISCARD;

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
