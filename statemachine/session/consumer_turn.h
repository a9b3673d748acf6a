/* Whose turn it is among the consumers of a queue; for the files of consumers. */

#ifndef HOLDFAST_STATEMACHINE_SESSION_CONSUMER_TURN_H
#define HOLDFAST_STATEMACHINE_SESSION_CONSUMER_TURN_H

#include "statemachine/session/consumer.h"

/* It neither waits nor stands by any more. */
void consumer_leave_row(struct consumer *consumer);

/* It has ended, but holds messages still. */
void consumer_is_ending(struct machine *machine, struct consumer *consumer);

/* It has been given a message: with credit left it goes to the end of the row. */
void consumer_pass_turn(struct machine *machine, struct consumer *consumer);

/* The active consumer has ended: the first of those who stand by takes its place. */
void queue_activate_next(struct machine *machine, struct queue *queue);

#endif
