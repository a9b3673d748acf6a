/* Timers: what is to happen by itself when an entry of that log time or later is applied. Kept in the table, in order of time, so
 * that a million of them cost what one costs.
 *
 * A timer is a reminder, not an order: what it is about may have gone or changed meanwhile. Whoever is called looks whether it
 * still holds. Setting one that is set, and clearing one that is not, change nothing.
 *
 * Row 'T' at_ms kind a b c: nothing. */

#ifndef HOLDFAST_STATEMACHINE_TABLE_TIMER_H
#define HOLDFAST_STATEMACHINE_TABLE_TIMER_H

#include <stdbool.h>
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

/* At the end of time nothing happens any more: a timer for then is not kept. */
#define TIMER_NEVER UINT64_MAX

/* So long after `now_ms`; what would be behind the end of time is never. */
static inline uint64_t timer_after(uint64_t now_ms, uint64_t ms)
{
    return ms < TIMER_NEVER - now_ms ? now_ms + ms : TIMER_NEVER;
}

/* In struct machine. */
struct timers {
    uint64_t next_ms; /* The time of the first one, or TIMER_NEVER; within an entry an earlier one, when `stale`. In the
                         globals' row. */
    bool stale;
};

/* Timers that one entry lets go off at most; the rest is due at once. */
#define TIMERS_PER_ENTRY_MAX 1024u

void timers_init(struct timers *timers);

/* ERR_NOMEM. */
int timer_set(struct machine *machine, const struct timer *timer) NODISCARD;
/* As timer_set(), of one that was never set before: when it is cleared again before a checkpoint the store never hears of it.
 * ERR_NOMEM. */
int timer_set_first(struct machine *machine, const struct timer *timer) NODISCARD;
/* ERR_NOMEM. */
int timer_clear(struct machine *machine, const struct timer *timer) NODISCARD;

/* At the beginning of an entry: lets those go off whose time has come, in order of time, kind and numbers: each is removed,
 * then timer_fired() is called. ERR_NOMEM, ERR_IO, ERR_CORRUPT, ERR_VERSION, and what timer_fired() returned. */
int timers_fire(struct machine *machine) NODISCARD;

/* At the end of an entry: finds out which one is the first now. As timers_fire(). */
int timers_look(struct machine *machine) NODISCARD;

/* After opening: the first one must be where the globals say. ERR_CORRUPT and as timers_fire(). */
int timers_load(struct machine *machine) NODISCARD;

/* timer_fired.c: does what is to happen then, as far as it still holds. The timer is not set any more. Failures of memory and
 * of the store. */
int timer_fired(struct machine *machine, const struct timer *timer) NODISCARD;

#endif
