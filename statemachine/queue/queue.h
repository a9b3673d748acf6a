/* A queue: its lanes, the messages that came back, and who consumes it.
 *
 * What a message may be is in SEMANTICS.md. Ready are those in a lane's [head, tail) that are in no hole, those that have come back
 * (`returned`), and parked ones (group.h). A plain queue reads no message to deliver it.
 *
 * Row 'Q' queue, ROW_VERSION: u64 head, u64 tail, u64 turns, u64 delivered, u64 settled, u64 released, u8 length of the name, name.
 * ROW_VERSION_NEW: u64 virtual host, the counters (struct queue_counters, each u64), u64 holes, u64 hole_bytes, u64 timed, u64
 * parked, u64 parked_bytes, u64 waiting, u64 active session, u64 active consumer, u64 owner, u64 last_used_ms, u64 turns, u64
 * purges, u64 far, u64 far_bytes, u64 far_first, u8 flags (1: had a consumer, 2: had a shared body, 4: doomed, 8: had rows in the table), u8 length of the name, name, options (queue_options.c), u16 lanes, then each: u8 number, u64 head, u64 tail, u64
 * bytes.
 * Row 'R' queue position: u32 earlier deliveries; ROW_VERSION_NEW: also u32 bytes that count, u64 expires_ms, u64 group.
 * Row 'r' queue purges position: the same, of those that are not in memory (returned.h). */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_QUEUE_H
#define HOLDFAST_STATEMACHINE_QUEUE_QUEUE_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "statemachine/hash.h"
#include "statemachine/message/message.h"
#include "statemachine/queue/gone.h"
#include "statemachine/queue/lane.h"
#include "statemachine/queue/queue_options.h"
#include "statemachine/session/delivery.h"
#include "statemachine/store/rows.h"

struct machine;
struct binding;
struct consumer;
struct session;
struct timer;

/* The virtual host that is always there: "/". */
#define VIRTUAL_HOST_ROOT 1u

/* A message that was delivered, or parked, and is ready again, at its place. */
struct returned {
    RB_ENTRY(returned) by_position;
    struct list_node unstored; /* In machine->unstored_returns until a checkpoint takes it. */
    uint64_t queue;
    uint64_t position;
    uint32_t count; /* Deliveries so far. */
    uint32_t bytes; /* That count towards max_bytes: message_counted_len(). */
    uint64_t expires_ms;
    uint64_t group;
    bool stored; /* A row for it is in the store or in a checkpoint. */
};

RB_HEAD(returned_tree, returned);
RB_HEAD(queue_consumers, consumer);
RB_HEAD(queue_waiting, consumer);

/* Counted since it was declared. */
struct queue_counters {
    uint64_t delivered; /* Again and again included. */
    uint64_t settled;   /* Accepted, rejected or purged. */
    uint64_t released;  /* Deliveries that went back. */
    uint64_t expired;
    uint64_t dropped;       /* Because of a limit on length or bytes. */
    uint64_t dead_lettered; /* Of all that left it, by whatever way: those that were dead letters. */
    uint64_t redriven;
    uint64_t lock_ended;
};
#define QUEUE_COUNTERS (sizeof(struct queue_counters) / sizeof(uint64_t))

struct queue {
    uint64_t id;
    uint64_t virtual_host;
    struct queue_options options;
    struct lane lane;    /* The first. */
    struct lane **lanes; /* By number, max_priority + 1 of them, NULL where not used yet; NULL when there is but one. */
    uint64_t ready_lanes[LANES_MAX / 64]; /* Bits: of lanes with messages that were never delivered. */
    uint64_t fresh;                       /* Ready ones that were never delivered nor parked. */
    struct returned_tree returned;
    uint64_t returned_len; /* Of those in memory; none when there is none at all. */
    uint64_t far;          /* Those that came back and are not in memory (returned.h). */
    uint64_t far_bytes;
    uint64_t far_first;      /* Those in memory are before that position, and these at or behind it. */
    uint64_t purges;         /* So far. */
    uint64_t returned_bytes; /* Of those whose bytes count. */
    uint64_t unsettled;      /* Locked. */
    uint64_t waiting_len;    /* Waiting to come back: whoever makes them wait counts them. */
    uint64_t parked;
    uint64_t parked_bytes;
    uint64_t holes;      /* Positions in holes. */
    uint64_t hole_bytes; /* Of the messages that were there. */
    uint64_t timed;      /* Ready ones, parked ones included, that may expire. */
    struct queue_counters counters;
    /* Of the last question for the oldest ready message: its position (0: none yet) and when it was enqueued. No state. */
    uint64_t oldest_position;
    uint64_t oldest_ms;
    struct queue_consumers consumers; /* By session and consumer. */
    uint32_t consumers_len;
    uint32_t exclusive_len; /* Of these: exclusive ones. */
    uint32_t fetches_len;   /* Of these: fetches, which are not there to stay. */
    struct queue_waiting
        waiting; /* Consumers with free credit, by priority and turn: the first is given the next message. */
    struct queue_waiting standby; /* In a single-active queue: all consumers but the active one, likewise. */
    uint64_t turns;               /* Handed out so far. */
    uint64_t active_session;      /* Of the active consumer of a single-active queue; 0: there is none. */
    uint64_t active_consumer;
    uint64_t owner;         /* The session whose queue it is, when it is exclusive; else 0. */
    struct list_node owned; /* In the session's `queues`. */
    uint64_t last_used_ms;  /* Last declaration, fetch, or end of a consumer. */
    bool had_consumer;
    bool had_shared;          /* A message in it may have a shared body. */
    bool had_rows;            /* There may be rows in the table that belong to it. */
    bool doomed;              /* Deleted, but not all of its messages are dropped (sweep.h): it has no name. */
    bool stored;              /* Rows of it may be in the store. */
    bool due;                 /* In machine->due_queues. */
    struct gone gone;         /* Settled since the last checkpoint; rows to delete. */
    struct gone leaving;      /* Being deleted by the checkpoint in flight. */
    struct list_node changed; /* In machine->changed_queues. */
    uint64_t route_mark;      /* Of the routing that came by last (route.h). No state. */
    uint64_t ready_counted;   /* Of what is ready, in its virtual host's count. No state. */
    struct list_node recount; /* In its virtual host's list of those that changed since. */
    uint64_t plan_mark;       /* Of the publish that counts what it adds (publish.h). No state. */
    uint64_t plan_messages;
    uint64_t plan_bytes;
    struct binding *bound; /* The first of the bindings that lead to it (binding.h). */
    RB_ENTRY(queue) by_name;
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

/* Makes a queue and enters it into the machine; takes over the options, unless it fails. ERR_NOMEM, ERR_EXISTS (the id or the
 * name is taken). */
int queue_new(struct machine *machine, uint64_t id, uint64_t virtual_host, const char *name, size_t name_len,
              struct queue_options *options, struct queue **ret_queue) NODISCARD;
/* Takes it out of the machine and frees it with its messages; it must have no consumers. Leaves the store alone. */
void queue_free(struct machine *machine, struct queue *queue);
/* Deletes it: its consumers end with an effect, its messages are dropped, its bindings and all its rows go. ERR_NOMEM. */
int queue_delete(struct machine *machine, struct queue *queue) NODISCARD;

/* NULL when there is none. */
struct queue *queue_by_name(struct machine *machine, uint64_t virtual_host, const char *name);
struct queue *queue_by_id(struct machine *machine, uint64_t id);
/* Likewise; also one that is doomed: for whoever keeps messages. */
struct queue *queue_by_id_doomed_too(struct machine *machine, uint64_t id);
/* A doomed queue has no messages any more. */
int queue_end(struct machine *machine, struct queue *queue) NODISCARD;

/* Whether the session may do anything to it: unless it is the exclusive queue of another. */
bool queue_usable_by(const struct queue *queue, const struct session *session);

/* Its row has to be written again. */
void queue_changed(struct machine *machine, struct queue *queue);
/* It may have something to deliver: to be looked at when the entry ends. */
void queue_due(struct machine *machine, struct queue *queue);
/* It has been declared or fetched from, or a consumer of it has ended: its time begins anew. ERR_NOMEM. */
int queue_used(struct machine *machine, struct queue *queue) NODISCARD;
/* TIMER_QUEUE_EXPIRES of a queue (which may be gone): deletes it if it has not been used for so long; a reminder from an earlier use
 * is set again for when its time is over. As queue_delete(). */
int queue_expiry_fired(struct machine *machine, const struct timer *timer) NODISCARD;

/* Ready and parked ones. */
uint64_t queue_ready(const struct queue *queue);
/* How many messages have ever come in. */
uint64_t queue_enqueued(const struct queue *queue);
/* The lane of a position, or of a number of one; NULL: there is none. */
struct lane *queue_lane(const struct queue *queue, unsigned number);
/* The bytes (of bodies) of ready and parked messages. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int queue_bytes(struct machine *machine, struct queue *queue, uint64_t *ret_bytes) NODISCARD;
/* Whether there are at most `bytes` of them. Reads something only when it is close. */
int queue_bytes_within(struct machine *machine, struct queue *queue, uint64_t bytes, bool *ret_within) NODISCARD;

/* Messages without a head, one behind the other. */
struct plain_messages {
    struct blob *blob; /* Borrowed; NULL for bytes that outlive the queue. */
    const uint8_t *data;
    const uint32_t *lens;
    const uint64_t *hashes;
    size_t len;
};

/* Appends them with the lowest priority, as queue_push() would each, in a fraction of the time. ERR_NOMEM: none of them. */
int queue_push_plain(struct machine *machine, struct queue *queue, const struct plain_messages *messages) NODISCARD;

/* Appends a message to the lane of its priority (above the queue's highest counts as that); takes over its references. The caller
 * has set all but bytes_before, settled and old; `group` is ignored unless the queue has groups. The queue is marked as changed and
 * due. Timers are the caller's (expiry.h). ERR_NOMEM. */
int queue_push(struct machine *machine, struct queue *queue, const struct message *message, uint32_t priority,
               uint64_t *ret_position) NODISCARD;

/* Why a delivery goes back. */
enum return_reason {
    RETURN_RELEASED,     /* Settle with RELEASE. */
    RETURN_NOT_COUNTED,  /* Likewise, with not_counted. */
    RETURN_LOCK_ENDED,   /* Its lock is over. */
    RETURN_HOLDER_ENDED, /* Its consumer or session has ended. */
};

/* A delivery is not held any more, and its message goes back: came_back() (came_back.h) decides where to. `delay_ms` is what a
 * release asks for (UINT64_MAX: what the queue says). ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int queue_return(struct machine *machine, struct queue *queue, const struct delivery *delivery,
                 enum return_reason reason, uint64_t delay_ms) NODISCARD;

/* Makes a message ready that is neither ready nor locked (any more), at its place: one that came back, or whose wait is over.
 * `count`: deliveries so far. In a queue of groups it takes its turn. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int queue_put_back(struct machine *machine, struct queue *queue, uint64_t position, uint32_t count, uint64_t expires_ms,
                   uint64_t group) NODISCARD;

/* Enters the message of a row of returned ones. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int returned_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

/* A message taken for delivery: it is locked now. */
struct taken {
    uint64_t position;
    uint32_t count; /* Earlier deliveries. */
    uint64_t expires_ms;
    uint64_t group;
};

/* Takes the lowest ready message that can be delivered; on its way it parks those that cannot, at most *budget, which it counts
 * down. `*ret_found` is false when there is none (or the budget is used up). ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int queue_take(struct machine *machine, struct queue *queue, unsigned *budget, struct taken *ret_taken,
               bool *ret_found) NODISCARD;
/* Whether queue_take() has something to look at. */
static inline bool queue_has_next(const struct queue *queue)
{
    return queue->fresh > 0 || queue->returned_len > 0;
}
/* The position of the lowest ready message that is not parked, and its deliveries so far; false when there is none. */
bool queue_peek(const struct queue *queue, uint64_t *ret_position, uint32_t *ret_count);
/* Takes a message that has come back, out of turn, as locked. False when it is not waiting there. Only a fault hook asks. */
bool queue_take_returned(struct machine *machine, struct queue *queue, uint64_t position);

/* A delivered message is settled: it is gone, and the next of its group is ready. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int queue_settle(struct machine *machine, struct queue *queue, const struct delivery *delivery) NODISCARD;
/* A delivered message is gone as queue_settle() says, but not counted as settled: it was a dead letter of another kind. */
int queue_settle_uncounted(struct machine *machine, struct queue *queue, const struct delivery *delivery) NODISCARD;

/* Whether the message is ready (or parked): ERR_NOT_FOUND when not. `*ret_count`: deliveries so far. ERR_IO, ERR_CORRUPT. */
int queue_find_ready(struct machine *machine, struct queue *queue, uint64_t position, uint32_t *ret_count) NODISCARD;
/* Takes one ready (or parked) message out of the queue, out of turn, with its content: the caller owns the references in
 * `ret_message`. Nothing is counted. ERR_NOT_FOUND: it is not ready. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int queue_take_position(struct machine *machine, struct queue *queue, uint64_t position,
                        struct message *ret_message) NODISCARD;
/* Likewise, without a look at its content: it is gone. */
int queue_drop_ready(struct machine *machine, struct queue *queue, uint64_t position) NODISCARD;
/* Likewise for the oldest of the lowest priority that has a ready one; `*ret_position` says which. ERR_NOT_FOUND: none is ready,
 * but for parked ones. */
int queue_drop_oldest(struct machine *machine, struct queue *queue, struct message *ret_message,
                      uint64_t *ret_position) NODISCARD;
/* A message that is in none of the queue's sets any more (a waiting one that is settled) is gone: its content and row go.
 * ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int queue_forget(struct machine *machine, struct queue *queue, uint64_t position, uint64_t group) NODISCARD;

/* A delivery is held no more since its queue is being deleted. ERR_NOMEM. */
int queue_drop_delivery(struct machine *machine, struct queue *queue, const struct delivery *delivery) NODISCARD;

/* Drops all messages that are ready or parked; those that have to be looked at are dropped later (sweep.h). ERR_NOMEM, ERR_IO,
 * ERR_CORRUPT. */
int queue_purge(struct machine *machine, struct queue *queue) NODISCARD;

/* Whether a message is (still) in the queue, as far as memory knows: a settled message whose row has been deleted, or
 * was never written, is found to be missing when it is read. */
bool queue_may_have(const struct queue *queue, uint64_t position);

/* Rows, in the format of the machine's version; `row` is started and sealed. ERR_NOMEM. */
int queue_row(const struct machine *machine, const struct queue *queue, struct row *row) NODISCARD;
int returned_row(const struct machine *machine, const struct returned *returned, struct row *row) NODISCARD;
/* Enters the queue of a row into the machine. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int queue_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

#endif
