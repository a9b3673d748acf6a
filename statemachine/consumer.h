/* A consumer: a session's subscription to a queue, its credit, and the deliveries that it has not settled.
 *
 * Row 'C' session consumer: u64 queue, u32 credit, u64 last number, u64 turn, u32 deliveries, then each:
 * u64 number, u64 position, u32 earlier deliveries. */

#ifndef HOLDFAST_STATEMACHINE_CONSUMER_H
#define HOLDFAST_STATEMACHINE_CONSUMER_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/list.h"
#include "statemachine/delivery.h"
#include "statemachine/queue.h"
#include "statemachine/rows.h"

struct session;

struct consumer {
    uint64_t id;
    uint64_t session_id;
    struct session *session;
    struct queue *queue;
    uint32_t credit;
    uint64_t last_number; /* Of the deliveries made. */
    struct deliveries deliveries;
    uint64_t turn;            /* While waiting: its place among the waiting; else 0. */
    struct list_node waiting; /* In queue->waiting while it has free credit and its session is attached. */
    struct list_node changed; /* In machine->changed_consumers. */
    bool stored;              /* A row for it is in the store or in a checkpoint. */
    RB_ENTRY(consumer) by_queue;
    RB_ENTRY(consumer) by_id; /* In session->consumers. */
};

RB_HEAD(session_consumers, consumer);

RB_PROTOTYPE(queue_consumers, consumer, by_queue, consumer_compare)
RB_PROTOTYPE(session_consumers, consumer, by_id, consumer_compare_ids)

/* ERR_NOMEM. The id must not be in the session yet. */
int consumer_new(struct machine *machine, struct session *session, struct queue *queue, uint64_t id,
                 struct consumer **ret_consumer) NODISCARD;
/* What becomes of the deliveries that an ending consumer holds. */
enum consumer_end {
    CONSUMER_END_RETURN, /* Back to their places. */
    CONSUMER_END_DROP,   /* They vanish, as with their queue. */
};
/* Ends the subscription and frees it. ERR_NOMEM. */
int consumer_free(struct machine *machine, struct consumer *consumer, enum consumer_end end) NODISCARD;
/* Frees it without any effect on the state, for closing. */
void consumer_discard(struct consumer *consumer);

/* NULL when there is none. */
struct consumer *consumer_find(struct session *session, uint64_t id);

void consumer_changed(struct machine *machine, struct consumer *consumer);

/* After its credit, what it holds, or its session's attachment has changed: takes its place among the waiting, or leaves. */
void consumer_update_turn(struct machine *machine, struct consumer *consumer);

/* Hands it the next delivery, and passes the turn on. ERR_NOMEM. */
int consumer_deliver(struct machine *machine, struct consumer *consumer, uint64_t position, uint32_t count) NODISCARD;

int consumer_row(const struct consumer *consumer, struct row *row) NODISCARD;
/* Enters the consumer of a row; queues and sessions are there. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int consumer_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;
/* Once all of a queue are there: puts those with a turn in order. ERR_NOMEM. */
int consumers_load_turns(struct queue *queue) NODISCARD;

#endif
