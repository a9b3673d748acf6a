/* Moving messages from a queue to another by command: what redrive and replay share. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_MOVING_H
#define HOLDFAST_STATEMACHINE_QUEUE_MOVING_H

#include "statemachine/command/command.h"
#include "statemachine/queue/enqueue.h"

/* What one command moves at most: messages, and bytes of their content, but for the last one's. */
#define MOVE_MAX 1024u
#define MOVE_BYTES_MAX (UINT64_C(64) << 20)

/* The queue of that name, if the session may use it; else NULL, and the reply says why not. */
struct queue *move_find_queue(struct machine *machine, struct session *session, const char *name, struct reply *reply);

/* Puts a message, which is in no queue (any more), at the tail of a queue; one that is redriven without its trail. Takes over its
 * references, also when it fails. ERR_NOMEM, ERR_IO, ERR_CORRUPT (also when its content is not what it was). */
int move_message(struct machine *machine, struct queue *to, struct message *message, enum enqueue_how how) NODISCARD;

#endif
