/* Messages that are to be dropped, but are too many to be looked at by the command that drops them: of each it has to be known
 * whether its body is shared, or where it is. They are in no set of their queue any more and count nowhere; every entry drops some of
 * them, and while there are any the next entry is due at once.
 *
 * A queue that is deleted meanwhile is doomed: it has no name and nobody finds it, but it is there until all of its messages are dropped.
 *
 * Row 'E' queue kind number: u64 next, u64 end. Which messages, by kind: */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_SWEEP_H
#define HOLDFAST_STATEMACHINE_QUEUE_SWEEP_H

#include "statemachine/queue/queue.h"

/* The numbers are in rows: they never change. */
enum sweep_kind {
    SWEEP_FRESH = 1,    /* Those from `next` to before `end`, never delivered; the number is the first. */
    SWEEP_RETURNED = 2, /* Those of rows 'r' with that number of purges. */
    SWEEP_PARKED = 3,   /* Those of rows 'K', likewise. */
    SWEEP_WAITING = 4,  /* Those of rows 'W', of a doomed queue. */
    SWEEP_THINGS = 5,   /* Not messages, but consumers and bindings of a doomed queue; as far as work.h says. */
};

/* Messages that one entry drops at most. */
#define SWEEP_PER_ENTRY_MAX 256u

/* To be dropped from now on: what is ready or parked. The queue's figures are the caller's. ERR_NOMEM, ERR_IO, ERR_CORRUPT, as all
 * here. */
int sweep_lane(struct machine *machine, struct queue *queue, uint64_t first, uint64_t end) NODISCARD;
int sweep_all_of(struct machine *machine, struct queue *queue, enum sweep_kind kind) NODISCARD;

/* At the end of an entry. */
int sweeps_go(struct machine *machine) NODISCARD;

/* After opening: counts them. */
int sweeps_load(struct machine *machine) NODISCARD;

#endif
