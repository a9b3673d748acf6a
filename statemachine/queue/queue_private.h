/* What the files of queue.h share. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_QUEUE_PRIVATE_H
#define HOLDFAST_STATEMACHINE_QUEUE_QUEUE_PRIVATE_H

#include "statemachine/queue/queue.h"
#include "statemachine/table/table.h"

/* The lane of that number, made if it is not there. ERR_NOMEM. */
int queue_make_lane(struct queue *queue, unsigned number, struct lane **ret_lane) NODISCARD;
/* To be called when its head or tail has moved. */
void queue_lane_changed(struct queue *queue, const struct lane *lane);
/* The lane of the highest, and of the lowest, priority with messages that were never delivered. NULL: there is none. */
struct lane *queue_first_ready_lane(const struct queue *queue);
struct lane *queue_last_ready_lane(const struct queue *queue);

/* Enters a message among the returned ones in memory; ERR_CORRUPT: it is there. ERR_NOMEM. It is not noted for the next checkpoint. */
int returned_insert(struct queue *queue, const struct taken *message, uint32_t bytes,
                    struct returned **ret_returned) NODISCARD;
/* A message has come back. Marks the queue as changed and due. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int returned_add(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes) NODISCARD;
struct returned *returned_find(struct queue *queue, uint64_t position);
/* Takes it out, and its row. As returned_add(). */
int returned_remove(struct machine *machine, struct queue *queue, struct returned *returned) NODISCARD;
/* Takes one out of memory, which is filled by the caller. */
void returned_drop(struct machine *machine, struct queue *queue, struct returned *returned);
/* Takes one out, wherever it is. ERR_NOT_FOUND: it has not come back. As returned_add(). */
int returned_take(struct machine *machine, struct queue *queue, uint64_t position, struct taken *ret_message,
                  uint32_t *ret_bytes) NODISCARD;
/* How often one was delivered. ERR_NOT_FOUND and as returned_add(). */
int returned_find_any(struct machine *machine, struct queue *queue, uint64_t position, uint32_t *ret_count) NODISCARD;
/* Those behind the first so many leave memory. */
int returned_spill(struct machine *machine, struct queue *queue, uint64_t keep) NODISCARD;
/* The position of the last one; 0: there is none. */
int returned_last(struct machine *machine, const struct queue *queue, uint64_t *ret_position) NODISCARD;
/* Frees it. Leaves the store alone. */
void returned_free(struct queue *queue, struct returned *returned);

/* queue_far.c: those that are not in memory. */
int far_put(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes) NODISCARD;
int far_get(struct machine *machine, const struct queue *queue, uint64_t position, struct taken *ret_message,
            uint32_t *ret_bytes) NODISCARD;
int far_remove(struct machine *machine, struct queue *queue, uint64_t position, uint32_t bytes) NODISCARD;
/* The first with from <= position < end. ERR_NOT_FOUND. */
int far_seek(struct machine *machine, const struct queue *queue, uint64_t from, uint64_t end, struct taken *ret_message,
             uint32_t *ret_bytes) NODISCARD;
int far_last(struct machine *machine, const struct queue *queue, uint64_t *ret_position) NODISCARD;
int far_read(const struct table_row *found, struct taken *ret_message, uint32_t *ret_bytes) NODISCARD;

/* Takes it out of the names, and out of the machine but for its messages: from then on it is doomed. */
void queue_doom(struct machine *machine, struct queue *queue);

/* Of a queue that is deleted: ends its consumers, whose messages vanish, and deletes its bindings, as far as one entry may; *ret_done:
 * none are left. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int queue_drop_things(struct machine *machine, struct queue *queue, bool *ret_done) NODISCARD;

/* Purges it, but for what is counted and known of the messages. */
int queue_purge_ready(struct machine *machine, struct queue *queue) NODISCARD;

/* A message is gone: from memory, or, when its row may be in the store, with the next checkpoint. ERR_NOMEM, and as
 * state_message_head() when it may have a shared body. */
int queue_drop(struct machine *machine, struct queue *queue, uint64_t position) NODISCARD;

#endif
