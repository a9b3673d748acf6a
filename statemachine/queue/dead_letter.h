/* Dead letters: messages that leave a queue because nobody wanted them, in time or at all. With where they go. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_DEAD_LETTER_H
#define HOLDFAST_STATEMACHINE_QUEUE_DEAD_LETTER_H

#include "statemachine/message/trail.h"
#include "statemachine/queue/queue.h"

/* The message has left the queue, or was never let in (position 0: then its shared body, if it had one, is let go of): it is
 * published to where the queue's dead letters go, or dropped; what is kept and known of it is noted. Its references are taken
 * over, also when this fails. The caller has counted it, but for queue_counters.dead_lettered. ERR_NOMEM, ERR_IO, ERR_CORRUPT (its
 * content is not what it was). */
int dead_letter(struct machine *machine, struct queue *queue, uint64_t position, struct message *message,
                enum death_reason reason) NODISCARD;

/* A ready, or parked, message expires or is dropped: takes it out of the queue, and then as dead_letter(). Its content is read only
 * when something is done with it. ERR_NOT_FOUND: it is not ready. */
int dead_letter_ready(struct machine *machine, struct queue *queue, uint64_t position,
                      enum death_reason reason) NODISCARD;

/* Likewise one that is in none of the queue's sets any more: locked or waiting until now. */
int dead_letter_out(struct machine *machine, struct queue *queue, uint64_t position, uint64_t group,
                    enum death_reason reason) NODISCARD;

/* Whether a dead letter with that trail may come into a queue, or would go round in a circle. */
bool dead_letter_may_enter(struct machine *machine, const struct message *message, const struct queue *queue);

#endif
