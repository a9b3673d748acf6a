/* Ids of messages that a queue has seen within its window (QueueOptions.id_window_ms): none is enqueued there a second time.
 *
 * Row 'I' queue, hash (high, low): u64 log time up to which it is remembered. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_MESSAGE_ID_H
#define HOLDFAST_STATEMACHINE_MESSAGE_MESSAGE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "statemachine/message/message_head.h"

struct machine;
struct queue;
struct timer;

/* Whether the queue looks at ids, and has seen this one. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int message_id_seen(struct machine *machine, const struct queue *queue, struct id_hash id, bool *ret_seen) NODISCARD;

/* The queue, if it looks at ids, remembers this one from now on. ERR_NOMEM. */
int message_id_note(struct machine *machine, const struct queue *queue, struct id_hash id) NODISCARD;

/* TIMER_ID_FORGOTTEN. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int message_id_fired(struct machine *machine, const struct timer *timer) NODISCARD;

#endif
