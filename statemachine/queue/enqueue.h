/* The one way into a queue: whatever comes in, comes in here. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_ENQUEUE_H
#define HOLDFAST_STATEMACHINE_QUEUE_ENQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "statemachine/message/message.h"
#include "statemachine/message/message_head.h"

struct machine;
struct queue;

enum enqueue_how {
    ENQUEUE_PUBLISHED, /* By a client: whoever planned it has looked whether a queue that refuses has room. */
    ENQUEUE_DUE,       /* It was delayed, or prepared. */
    ENQUEUE_DEAD,      /* A dead letter of another queue. */
    ENQUEUE_REDRIVEN,
    ENQUEUE_REPLAYED,
};

/* The oldest messages that one that comes in may push out; a queue that is still too long then is so until the next one comes. */
#define ENQUEUE_DROPS_MAX 1024u

/* Puts a message at the tail of the queue's lane of its priority, makes room for it as the queue's limits say, sets its timer and
 * notes it down. `message` has content (data, lengths, hash, and shared_body) and trail, and its references are taken over, also
 * when this fails; enqueued_ms, expires_ms and group are set here. `facts` are those of its head. Its id is not looked at, but
 * remembered when it is published or due.
 * `*ret_position` (may be NULL) is its position, or 0: it was too large for the queue on its own, or went to where dead letters
 * go. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int enqueue(struct machine *machine, struct queue *queue, struct message *message, const struct head_facts *facts,
            enum enqueue_how how, uint64_t *ret_position) NODISCARD;

#endif
