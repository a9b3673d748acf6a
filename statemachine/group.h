/* Ordered groups: of the messages of one group in a queue at most one is out, and they are delivered in order of position.
 *
 * A group is active while one of its messages is locked, waiting, or ready again (`returned`). Others that come to the head
 * meanwhile are parked, each once, and when the active one is done the first of them is ready. So no delivery walks over messages
 * that it may not deliver.
 *
 * Row 'A' queue group: u64 position of the active one, u8 1 when it is out (locked or waiting), 0 when it is ready.
 * Row 'K' queue group position: u32 deliveries so far, u32 bytes that count, u64 expires_ms. */

#ifndef HOLDFAST_STATEMACHINE_GROUP_H
#define HOLDFAST_STATEMACHINE_GROUP_H

#include "statemachine/queue.h"

/* A message of the group is about to be delivered: `*ret_may` says whether it may be (then it is the active one, and out), or
 * has been parked. It has been taken out of what is ready, and is counted neither there nor as locked. ERR_IO, ERR_CORRUPT,
 * ERR_NOMEM, as all here. */
int group_take(struct machine *machine, struct queue *queue, const struct taken *taken, uint32_t bytes,
               bool *ret_may) NODISCARD;

/* The active message is ready again; the first of its group is to be delivered next: `*ret_parked` says that it is another, which
 * is ready now, while this one has been parked. */
int group_put_back(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes,
                   bool *ret_parked) NODISCARD;

/* A message of the group is gone. If it was the active one the next is ready. */
int group_done(struct machine *machine, struct queue *queue, uint64_t group, uint64_t position) NODISCARD;

/* Takes a parked message away. `*ret_found` is false when it is not parked. */
int group_unpark(struct machine *machine, struct queue *queue, uint64_t group, uint64_t position,
                 bool *ret_found) NODISCARD;

/* Whether a message is parked, and its deliveries so far. ERR_NOT_FOUND. */
int group_find_parked(struct machine *machine, struct queue *queue, uint64_t group, uint64_t position,
                      uint32_t *ret_count) NODISCARD;

/* A group is active no more, whatever is parked: its active message and all parked ones are dropped together. */
int group_end(struct machine *machine, struct queue *queue, uint64_t group) NODISCARD;

/* Drops all parked messages: the queue is purged. */
int groups_purge(struct machine *machine, struct queue *queue) NODISCARD;

#endif
