/* Ordered groups: of the messages of one group in a queue at most one is out, and they are delivered in order of position.
 *
 * A group is active while one of its messages is locked, waiting, or ready again (`returned`). Others that come to the head
 * meanwhile are parked, each once, and when the active one is done the first of them is ready. So no delivery walks over messages
 * that it may not deliver.
 *
 * Rows of what is ready or parked have the number of purges of their queue in them, so that a purge needs to look at none: older ones
 * do not count, and are dropped bit by bit (sweep.h).
 *
 * Row 'A' queue group: u64 position of the active one, u8 1 when it is out (locked or waiting), 0 when it is ready, u64 purges.
 * Row 'K' queue purges group position: u32 deliveries so far, u32 bytes that count, u64 expires_ms.
 * Row 'k' queue purges position: u32 deliveries so far, u64 group. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_GROUP_H
#define HOLDFAST_STATEMACHINE_QUEUE_GROUP_H

#include "statemachine/queue/queue.h"

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

/* The first parked message of any group with from <= position < end (UINT64_MAX: there is none), and the last of all (0: none). */
int group_parked_from(struct machine *machine, const struct queue *queue, uint64_t from, uint64_t end,
                      uint64_t *ret_position) NODISCARD;
int group_parked_last(struct machine *machine, const struct queue *queue, uint64_t *ret_position) NODISCARD;

/* A message that was ready has been purged, with all that was parked: if it was the group's active one, there is none. */
int group_forget(struct machine *machine, struct queue *queue, uint64_t group, uint64_t position) NODISCARD;

#endif
