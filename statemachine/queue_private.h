/* What the files of queue.h share. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_PRIVATE_H
#define HOLDFAST_STATEMACHINE_QUEUE_PRIVATE_H

#include "statemachine/queue.h"

/* The lane of that number, made if it is not there. ERR_NOMEM. */
int queue_make_lane(struct queue *queue, unsigned number, struct lane **ret_lane) NODISCARD;
/* To be called when its head or tail has moved. */
void queue_lane_changed(struct queue *queue, const struct lane *lane);
/* The lane of the highest, and of the lowest, priority with messages that were never delivered. NULL: there is none. */
struct lane *queue_first_ready_lane(const struct queue *queue);
struct lane *queue_last_ready_lane(const struct queue *queue);

/* Enters a message among the returned ones; ERR_CORRUPT: it is there. ERR_NOMEM. It is not noted for the next checkpoint. */
int returned_insert(struct queue *queue, const struct taken *message, uint32_t bytes,
                    struct returned **ret_returned) NODISCARD;
/* Likewise, and notes it, and marks the queue as changed and due. */
int returned_add(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes) NODISCARD;
struct returned *returned_find(struct queue *queue, uint64_t position);
/* Takes it out, and its row. */
void returned_remove(struct machine *machine, struct queue *queue, struct returned *returned);
/* Frees it. Leaves the store alone. */
void returned_free(struct queue *queue, struct returned *returned);

/* A message is gone: from memory, or, when its row may be in the store, with the next checkpoint. ERR_NOMEM, and as
 * state_message_head() when it may have a shared body. */
int queue_drop(struct machine *machine, struct queue *queue, uint64_t position) NODISCARD;

#endif
