/* A consumer: a session's subscription to a queue, its credit, and the deliveries that it has not settled.
 *
 * A consumer of a single-active queue that is not the active one stands by: then its turn is its place among those.
 *
 * Row 'C' session consumer, ROW_VERSION: u64 queue, u32 credit, u64 last number, u64 turn, u32 deliveries, then each:
 * u64 number, u64 position, u32 earlier deliveries.
 * ROW_VERSION_NEW: u64 queue, u32 credit, u64 last number, u64 turn, u32 priority, u8 flags (1: exclusive, 2: auto_accept, 4:
 * fetch, 8: ending), u64 lock_ms, u8 length of the tag, tag, u32 deliveries, then each: u64 number, u64 position, u64 expires_ms, u64 group,
 * u64 lock_until_ms, u32 earlier deliveries. */

#ifndef HOLDFAST_STATEMACHINE_SESSION_CONSUMER_H
#define HOLDFAST_STATEMACHINE_SESSION_CONSUMER_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/list.h"
#include "statemachine/queue/queue.h"
#include "statemachine/session/delivery.h"
#include "statemachine/store/rows.h"

struct session;

struct consumer {
    uint64_t id;
    uint64_t session_id;
    struct session *session;
    struct queue *queue;
    uint32_t credit;
    int32_t priority;
    bool exclusive;
    bool auto_accept;
    bool fetch;       /* Is given nothing more, and ends with what it holds: a fetch, or one that is drained. */
    bool in_waiting;  /* In queue->waiting: it may be given messages, has free credit, and its session is attached. */
    bool in_standby;  /* In queue->standby. */
    bool ending;      /* It has ended, but for messages that it holds still: in machine->ending_consumers. */
    uint64_t lock_ms; /* For how long it may hold a delivery; 0: as the queue says. */
    char *tag;        /* Owned; NULL: none. For people. */
    uint64_t last_number; /* Of the deliveries made. */
    struct deliveries deliveries;
    uint64_t turn;              /* While it waits, or stands by: its place among those of its priority; else 0. */
    RB_ENTRY(consumer) by_turn; /* Also among those that are ending. */
    struct list_node changed;   /* In machine->changed_consumers. */
    bool stored;                /* A row for it is in the store or in a checkpoint. */
    RB_ENTRY(consumer) by_queue;
    RB_ENTRY(consumer) by_id; /* In session->consumers. */
};

RB_HEAD(session_consumers, consumer);
RB_HEAD(ending_consumers, consumer);

RB_PROTOTYPE(queue_waiting, consumer, by_turn, consumer_compare_turns)
RB_PROTOTYPE(queue_consumers, consumer, by_queue, consumer_compare)
RB_PROTOTYPE(session_consumers, consumer, by_id, consumer_compare_ids)
RB_PROTOTYPE(ending_consumers, consumer, by_turn, consumer_compare)

/* What a subscription asks for. */
struct consumer_options {
    uint32_t credit;
    int32_t priority;
    bool exclusive;
    bool auto_accept;
    bool fetch;
    uint64_t lock_ms;
    const char *tag;
};

/* ERR_NOMEM. The id must not be in the session yet. It does not wait yet: consumer_begin(). */
int consumer_new(struct machine *machine, struct session *session, struct queue *queue, uint64_t id,
                 const struct consumer_options *options, struct consumer **ret_consumer) NODISCARD;
/* It takes its place: the active one of a single-active queue that has none, or one that stands by, or one that waits. */
void consumer_begin(struct machine *machine, struct consumer *consumer);
/* What becomes of the deliveries that an ending consumer holds. */
enum consumer_end {
    CONSUMER_END_RETURN, /* Back to their places. */
    CONSUMER_END_DROP,   /* They vanish, as with their queue. */
};
/* Ends the subscription and frees it, unless it holds more than one entry may deal with: then *ret_gone is false, and it is there with
 * what is left. In a single-active queue the next one becomes active. ERR_NOMEM, and when deliveries go back ERR_IO, ERR_CORRUPT. */
int consumer_free(struct machine *machine, struct consumer *consumer, enum consumer_end end, bool *ret_gone) NODISCARD;
/* Likewise, with what that means for its queue: an auto_delete queue goes with its last one, so that it is not to be used after this.
 * Its deliveries go back, when they are many bit by bit: nobody finds it meanwhile. */
int consumer_end(struct machine *machine, struct consumer *consumer) NODISCARD;
/* After deliveries were settled or have gone back: its turn; and a fetch of which nothing is out any more ends, with its effect. It
 * is not to be used after this. ERR_NOMEM. */
int consumer_settled(struct machine *machine, struct consumer *consumer) NODISCARD;
/* It is given nothing more, and ends as a fetch does when nothing of what it holds is out any more: at once, when it holds nothing.
 * It is not to be used after this. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int consumer_drain(struct machine *machine, struct consumer *consumer) NODISCARD;
/* Frees it without any effect on the state, for closing. */
void consumer_discard(struct machine *machine, struct consumer *consumer);

/* At the end of an entry: goes on with those that have ended with more than one entry may deal with. As consumer_end(). */
int consumers_go(struct machine *machine) NODISCARD;

/* NULL when there is none. */
struct consumer *consumer_find(struct session *session, uint64_t id);
/* Likewise, also one that has ended, or whose queue has been deleted, but that is not gone yet. */
struct consumer *consumer_find_ending_too(struct session *session, uint64_t id);

void consumer_changed(struct machine *machine, struct consumer *consumer);

/* After its credit, what it holds, or its session's attachment has changed: takes its place among the waiting, or leaves. */
void consumer_update_turn(struct machine *machine, struct consumer *consumer);

/* Whether it has taken the place of the active consumer of its queue, or there is no such thing. */
bool consumer_is_active(const struct consumer *consumer);

/* Hands it a message that was taken for it, with the effect, and passes the turn on. With auto_accept it is settled as well.
 * ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int consumer_deliver(struct machine *machine, struct consumer *consumer, const struct taken *taken) NODISCARD;

/* Gives a consumer that was read back its place. ERR_CORRUPT: it cannot have that. */
int consumer_load_turn(struct consumer *consumer, uint64_t turn) NODISCARD;

/* In the format of the machine's version. ERR_NOMEM. */
int consumer_row(const struct machine *machine, const struct consumer *consumer, struct row *row) NODISCARD;
/* Enters the consumer of a row; queues and sessions are there. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int consumer_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

#endif
