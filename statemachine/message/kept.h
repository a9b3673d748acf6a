/* Messages that are kept after they were settled, in queues with keep_settled_ms, for looking at and for replaying.
 *
 * Row 'V' queue position: u64 enqueued_ms, u64 left_ms, u8 outcome, u32 head_len, u32 length of the trail, trail, u64
 * hash and u32 length of the content; content: head and body. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_KEPT_H
#define HOLDFAST_STATEMACHINE_MESSAGE_KEPT_H

#include "statemachine/machine_looking.h"
#include "statemachine/queue/queue.h"
#include "statemachine/table/table.h"

/* The message leaves the queue, with its content in `message`: it is kept, if the queue keeps such. ERR_NOMEM. */
int kept_add(struct machine *machine, const struct queue *queue, uint64_t position, const struct message *message,
             enum machine_kept_outcome outcome) NODISCARD;

/* Reads a row; `ret_message` borrows from it, and has no reference. ERR_CORRUPT, ERR_VERSION. */
int kept_read(const struct table_row *row, struct message *ret_message, struct machine_kept *ret_kept) NODISCARD;

/* TIMER_KEPT_ENDS. ERR_NOMEM. */
struct timer;
int kept_fired(struct machine *machine, const struct timer *timer) NODISCARD;

/* Whether settled messages are kept. */
static inline bool queue_keeps_settled(const struct queue *queue)
{
    return queue->options.keep_settled_ms > 0;
}

#endif
