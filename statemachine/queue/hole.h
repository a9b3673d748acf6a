/* Holes: ready messages that are gone although the head of their lane has not passed them. Ranges, merged with their neighbours,
 * in the table; of each lane the first one is known, so that taking a message costs a comparison.
 *
 * Row 'H' queue first: u64 end (the first position behind it), u64 bytes (of the messages that were there). */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_HOLE_H
#define HOLDFAST_STATEMACHINE_QUEUE_HOLE_H

#include "statemachine/queue/queue.h"

/* Whether a position in [head, tail) is in a hole. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int hole_at(struct machine *machine, struct queue *queue, uint64_t position, bool *ret_in_hole) NODISCARD;

/* The first position from there on that is in no hole. Likewise. */
int hole_skip(struct machine *machine, struct queue *queue, uint64_t position, uint64_t *ret_position) NODISCARD;

/* Where the first hole begins that does so at `position` or above, below `end`; `end` when there is none. Likewise. */
int hole_next(struct machine *machine, struct queue *queue, uint64_t position, uint64_t end,
              uint64_t *ret_first) NODISCARD;

/* Makes a hole of one position above the head, which is in none. Likewise. */
int hole_add(struct machine *machine, struct queue *queue, struct lane *lane, uint64_t position,
             uint64_t bytes) NODISCARD;

/* The head has moved: if it is at a hole now, it moves over it. Likewise. */
int hole_pass(struct machine *machine, struct queue *queue, struct lane *lane) NODISCARD;

/* All holes go: the queue is purged. ERR_NOMEM. */
int holes_clear(struct machine *machine, struct queue *queue) NODISCARD;

#endif
