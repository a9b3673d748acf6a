/* Bodies that several messages share: kept in the store once, while one of the messages is there.
 *
 * In memory each message refers to the same bytes anyway. A message's row has no content then, but the id; the content is in a row
 * of its own, which goes with the last message.
 *
 * Row 'B' id: u32 head_len, u64 hash, u32 length; with content.
 * Row 'b' id: u64 how many messages have it. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_BODY_H
#define HOLDFAST_STATEMACHINE_MESSAGE_BODY_H

#include "statemachine/queue/queue.h"

/* Gives a message that goes to `uses` queues (at least 2) a shared body: sets its `shared_body`, to be pushed that often.
 * ERR_NOMEM. */
int body_share(struct machine *machine, struct message *message, uint64_t uses) NODISCARD;

/* A message that was to be pushed with a shared body is not: it has its content for itself. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int body_let_go(struct machine *machine, struct message *message) NODISCARD;

/* The content of a message whose row has none: sets `data`, and takes a reference. ERR_CORRUPT (also when it is not there),
 * ERR_IO, ERR_NOMEM. */
int body_read(struct machine *machine, struct message *message) NODISCARD;

/* A message of the queue is about to be dropped: if its body is shared, it has one user less. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int body_leave(struct machine *machine, struct queue *queue, uint64_t position) NODISCARD;

/* The body of that id has one user less. As body_leave(). */
int body_release(struct machine *machine, uint64_t id) NODISCARD;

#endif
