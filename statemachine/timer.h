/* Timers: what is to happen by itself when an entry of that log time or later is applied. Kept in the table, in order of time, so
 * that a million of them cost what one costs.
 *
 * A timer is a reminder, not an order: what it is about may have gone or changed meanwhile. Whoever is called looks whether it
 * still holds. Setting one that is set, and clearing one that is not, change nothing.
 *
 * Row 'T' at_ms kind a b c: nothing. */

#ifndef HOLDFAST_STATEMACHINE_TIMER_H
#define HOLDFAST_STATEMACHINE_TIMER_H

#include <stdint.h>

#include "proto/base/err.h"

struct machine;

/* The numbers are in rows: they never change. */
enum timer_kind {
    TIMER_MESSAGE_EXPIRES = 1, /* a queue, b position. */
    TIMER_QUEUE_EXPIRES = 2,   /* a queue: it may have been unused for too long. */
    TIMER_LOCK_ENDS = 3,       /* a session, b consumer, c number of the delivery. */
    TIMER_RETURN = 4,          /* a queue, b position: released with a delay that is over. */
    TIMER_PENDING = 5,         /* a id: a delayed message is due. */
    TIMER_PREPARED = 6,        /* a id: a prepared message is to be asked about, or its deadline has come. */
    TIMER_ID_FORGOTTEN = 7,    /* a queue, b and c the hash of a message's id. */
    TIMER_KEPT_ENDS = 8,       /* a queue, b position: a settled message has been kept long enough. */
    TIMER_LIFE_ENDS = 9,       /* a queue, b position: so has what is known of its life. */
};

struct timer {
    uint64_t at_ms;
    enum timer_kind kind;
    uint64_t a;
    uint64_t b;
    uint64_t c;
};

/* In struct machine. */
struct timers {
    uint64_t from_ms; /* No timer is set for an earlier time: where to begin to look. In the globals' row. */
    uint64_t next_ms; /* The first may be due then, not before; UINT64_MAX: none is set. No state. */
};

/* Timers that one entry lets go off at most; the rest is due at once. */
#define TIMERS_PER_ENTRY_MAX 4096u

/* ERR_NOMEM. */
int timer_set(struct machine *machine, const struct timer *timer) NODISCARD;
int timer_clear(struct machine *machine, const struct timer *timer) NODISCARD;

/* Lets those go off whose time has come, in order of time, kind and numbers: each is removed, then timer_fired() is called. */
int timers_fire(struct machine *machine) NODISCARD;

/* After opening: finds the first one. */
int timers_load(struct machine *machine) NODISCARD;

#endif
