/* A queue: ranges of positions, the messages that came back, and who consumes it.
 *
 * Positions count from 1 in the order of the log and are never reused. [head, tail) have never been delivered; below
 * the head a message is held by a consumer, has come back (`returned`), or is settled. Where a message's content is: at
 * or above messages.base in memory, below it in the store.
 *
 * Row 'Q' queue: u64 head, u64 tail, u64 turns, u64 delivered, u64 settled, u64 released, u8 length of the name, name.
 * Row 'R' queue position: u32 earlier deliveries. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_H
#define HOLDFAST_STATEMACHINE_QUEUE_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "statemachine/gone.h"
#include "statemachine/hash.h"
#include "statemachine/message.h"
#include "statemachine/rows.h"

struct machine;
struct consumer;

/* A message that was delivered and not settled, back at its place. */
struct returned {
    RB_ENTRY(returned) by_position;
    struct list_node unstored; /* In machine->unstored_returns until a checkpoint takes it. */
    uint64_t queue;
    uint64_t position;
    uint32_t count; /* Deliveries so far. */
    bool stored;    /* A row for it is in the store or in a checkpoint. */
};

RB_HEAD(returned_tree, returned);
RB_HEAD(queue_consumers, consumer);

struct queue {
    uint64_t id;
    uint64_t head;
    uint64_t tail;
    uint64_t collected; /* Positions below were collected by a checkpoint if they were there. */
    struct messages messages;
    struct returned_tree returned;
    uint64_t returned_len;
    uint64_t unsettled;
    /* Counted since it was declared; what was enqueued is tail - 1. */
    uint64_t delivered;
    uint64_t settled;
    uint64_t released;
    /* Of the last question for the oldest ready message: its position (0: none yet) and when it was enqueued. No state. */
    uint64_t oldest_position;
    uint64_t oldest_ms;
    struct queue_consumers consumers; /* By session and consumer. */
    uint32_t consumers_len;
    struct list_node waiting; /* Consumers with free credit; whose turn is next comes first. */
    uint64_t turns;           /* Handed out so far. */
    struct gone gone;         /* Settled since the last checkpoint; rows to delete. */
    struct gone leaving;      /* Being deleted by the checkpoint in flight. */
    bool stored;              /* Rows of it may be in the store. */
    struct list_node changed; /* In machine->changed_queues. */
    RB_ENTRY(queue) by_name;
    bool due; /* In machine->due_queues. */
    RB_ENTRY(queue) by_due;
    UT_hash_handle by_id;
    size_t name_len;
    char name[];
};

RB_HEAD(queue_names, queue);
RB_HEAD(queue_dues, queue);
RB_PROTOTYPE(returned_tree, returned, by_position, returned_compare)
RB_PROTOTYPE(queue_names, queue, by_name, queue_compare_names)
RB_PROTOTYPE(queue_dues, queue, by_due, queue_compare_ids)

/* Makes a queue and enters it into the machine. ERR_NOMEM, ERR_EXISTS (the id or the name is taken). */
int queue_new(struct machine *machine, uint64_t id, const char *name, size_t name_len,
              struct queue **ret_queue) NODISCARD;
/* Takes it out of the machine and frees it with its messages; it must have no consumers. Leaves the store alone. */
void queue_free(struct machine *machine, struct queue *queue);

/* NULL when there is none. */
struct queue *queue_by_name(struct machine *machine, const char *name);
struct queue *queue_by_id(struct machine *machine, uint64_t id);

/* Its row has to be written again. */
void queue_changed(struct machine *machine, struct queue *queue);
/* It may have something to deliver: to be looked at when the entry ends. */
void queue_due(struct machine *machine, struct queue *queue);

uint64_t queue_ready(const struct queue *queue);

/* Appends messages; `message` as for messages_push(), room reserved. */
void queue_push(struct machine *machine, struct queue *queue, struct message message);

/* Puts a delivered message back at its place, one delivery older. ERR_NOMEM. */
int queue_return(struct machine *machine, struct queue *queue, uint64_t position, uint32_t count) NODISCARD;

/* Enters a returned message read from the store. ERR_NOMEM, ERR_CORRUPT. */
int queue_load_returned(struct queue *queue, uint64_t position, uint32_t count) NODISCARD;

/* Takes the lowest ready message. There must be one. */
void queue_take(struct machine *machine, struct queue *queue, uint64_t *ret_position, uint32_t *ret_count);
/* Takes a message that has come back, out of turn. False when it is not waiting there. */
bool queue_take_returned(struct machine *machine, struct queue *queue, uint64_t position);
/* The position and count that queue_take() would give; false when nothing is ready. */
bool queue_peek(struct queue *queue, uint64_t *ret_position, uint32_t *ret_count);

/* A delivered message is settled: it is gone. ERR_NOMEM. */
int queue_settle(struct machine *machine, struct queue *queue, uint64_t position) NODISCARD;

/* Drops all messages that are ready. ERR_NOMEM. */
int queue_purge(struct machine *machine, struct queue *queue) NODISCARD;

/* Whether a message is (still) in the queue, as far as memory knows: a settled message whose row has been deleted, or
 * was never written, is found to be missing when it is read. */
bool queue_may_have(const struct queue *queue, uint64_t position);

/* Rows; `row` is started and sealed. ERR_NOMEM. */
int queue_row(const struct queue *queue, struct row *row) NODISCARD;
int returned_row(const struct returned *returned, struct row *row) NODISCARD;
/* Enters the queue of a row into the machine. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int queue_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

#endif
