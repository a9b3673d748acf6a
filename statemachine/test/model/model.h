/* A model of what every command means (SEMANTICS.md): plain lists, searched from end to end, each rule as the document says it.
 * It shares nothing with the machine but the encoding of entries, so that what both say is right unless both are wrong.
 *
 * It keeps everything it ever allocated until it is freed: histories are small. What bounds the work of one entry (deliveries,
 * timers, sessions that end) must not be reached; the model stops when it is. */

#ifndef HOLDFAST_STATEMACHINE_TEST_MODEL_H
#define HOLDFAST_STATEMACHINE_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/command.pb-c.h"

struct model;

enum model_effect_kind {
    MODEL_REPLY,
    MODEL_DELIVER,
    MODEL_SESSION_ENDED,
    MODEL_CONSUMER_ENDED,
    MODEL_NODE_LOST,
    MODEL_LOCK_ENDED,
    MODEL_PREPARED_ASK,
};

#define MODEL_BITS_MAX 64u

struct model_effect {
    enum model_effect_kind kind;
    uint64_t session;
    /* Replies. */
    uint64_t number;
    uint64_t attachment;
    uint32_t command;
    uint32_t error; /* Positive. */
    uint64_t count;
    uint64_t repeated_count;
    uint64_t origin_node;
    uint64_t origin_run;
    uint64_t origin_tag;
    uint64_t attach_session;
    uint64_t attach_attachment;
    uint64_t last_number;
    uint64_t unrouted; /* Bits of messages, from the lowest. */
    uint64_t refused;
    /* Deliveries, ends of consumers and of locks. */
    uint64_t consumer;
    uint64_t delivery;
    uint64_t queue;
    uint64_t position;
    uint64_t delivery_count;
    enum model_end { MODEL_CLOSED, MODEL_EXPIRED, MODEL_HOST_DELETED } end; /* Of sessions. */
    bool fetch_done;                                                        /* Ends of consumers. */
    uint64_t node;                                                          /* Lost nodes. */
    uint64_t run;
    const char *prepared; /* Id of what is asked about. */
};

struct model *model_new(void);
void model_free(struct model *model);

/* Applies an entry, the next one of the log: the first has index 1. The effects are valid until the next one. */
void model_apply(struct model *model, const void *payload, size_t payload_len);
const struct model_effect *model_effects(const struct model *model, size_t *ret_len);

/* What can be seen. */
struct model_queue {
    const char *virtual_host;
    const char *name;
    uint64_t id;
    uint64_t ready;  /* And parked ones. */
    uint64_t parked; /* Those whose turn it was, but for another of their group. */
    uint64_t unsettled;
    uint64_t waiting;
    uint64_t consumers;
    uint64_t enqueued;
    uint64_t delivered;
    uint64_t settled;
    uint64_t released;
    uint64_t expired;
    uint64_t dropped;
    uint64_t dead_lettered;
    uint64_t redriven;
    uint64_t lock_ended;
    uint64_t bytes;          /* Of ready messages, parked ones included. */
    uint64_t owner;          /* The session that an exclusive queue belongs to; else 0. */
    uint64_t active_session; /* Of a single-active queue; 0: none. */
    uint64_t active_consumer;
    Holdfast__QueueOptions options;
};
size_t model_queues(const struct model *model);
struct model_queue model_queue(const struct model *model, size_t nth);

enum model_state { MODEL_READY, MODEL_LOCKED, MODEL_WAITING, MODEL_PARKED, MODEL_KEPT };

struct model_message {
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t hash; /* Of the head and the body behind it. */
    uint64_t len;
    uint64_t delivery_count; /* So far: of a locked one at least 1. */
    enum model_state state;
    const uint8_t *head;
    size_t head_len;
    const uint8_t *body;
    size_t body_len;
    uint64_t expires_ms;          /* 0: never. */
    const Holdfast__Trail *trail; /* NULL: none. */
};
/* The messages of the nth queue, in order of position. */
size_t model_messages(const struct model *model, size_t queue);
struct model_message model_message(const struct model *model, size_t queue, size_t nth);

struct model_session {
    uint64_t id;
    uint64_t attachment;
    uint64_t last_number;
    uint64_t lease_ms;
    uint64_t node;       /* 0: attached nowhere. */
    uint64_t expires_ms; /* UINT64_MAX while it is attached. */
};
size_t model_sessions(const struct model *model);
struct model_session model_session(const struct model *model, size_t nth);

/* What is seen on the way, beside outcomes of commands: a history that never sees it says nothing about it. */
/* clang-format off */
#define MODEL_SEEN(X)                                                                                                  \
    X(DIED_REJECTED, "dead letter: rejected")                                                                          \
    X(DIED_EXPIRED, "dead letter: expired")                                                                            \
    X(DIED_MAXLEN, "dead letter: pushed out")                                                                          \
    X(DIED_DELIVERY_LIMIT, "dead letter: delivered too often")                                                         \
    X(DIED_ON_ITS_WAY, "dead letter: had no room at all")                                                              \
    X(DIED_TWICE, "dead letter: died before")                                                                          \
    X(DIED_AGAIN, "dead letter: counted in the same death")                                                            \
    X(CIRCLE, "dead letter: a way not taken, since it closes a circle")                                                \
    X(LETTER_LOST, "dead letter: to no exchange")                                                                      \
    X(LETTER_NOWHERE, "dead letter: to an exchange that leads nowhere")                                                \
    X(PUSHED_OUT_PARKED, "limit: a parked message is pushed out")                                                      \
    X(EXPIRED_WAITING, "time to live: ends while it waits")                                                            \
    X(EXPIRED_RETURNED, "time to live: over when it goes back")                                                        \
    X(EXPIRED_AT_ONCE, "time to live: none at all")                                                                    \
    X(QUEUE_EXPIRED, "queue: not used for so long")                                                                    \
    X(QUEUE_AUTO_DELETED, "queue: its last consumer ended")                                                            \
    X(QUEUE_OF_SESSION, "queue: its session ended")                                                                    \
    X(EXCHANGE_AUTO_DELETED, "exchange: its last binding went")                                                        \
    X(ALTERNATE, "exchange: an alternate is tried")                                                                    \
    X(TWO_WAYS, "exchange: two ways to one queue")                                                                     \
    X(EXCHANGE_TO_EXCHANGE, "exchange: leads to another")                                                              \
    X(HEADERS_FIT, "exchange: headers fit")                                                                            \
    X(UNROUTED, "mandatory message that goes nowhere")                                                                 \
    X(ID_SEEN, "id: seen before")                                                                                      \
    X(ID_SEEN_DUE, "id: seen before, when it is due")                                                                  \
    X(ID_FORGOTTEN, "id: its window has passed")                                                                       \
    X(SEQUENCE_REPEATED, "producer: a sequence that was taken")                                                        \
    X(DELAYED_DUE, "delayed message: due")                                                                             \
    X(DELAYED_COMMIT, "delayed message: of a commit")                                                                  \
    X(DEADLINE_COMMIT, "prepared: deadline, committed")                                                                \
    X(DEADLINE_DROP, "prepared: deadline, dropped")                                                                    \
    X(PREPARED_ASKED, "prepared: asked about")                                                                         \
    X(LOCK_OVER, "lock: over")                                                                                         \
    X(LOCK_EXTENDED, "lock: extended")                                                                                 \
    X(BACKOFF, "goes back: waits longer each time")                                                                    \
    X(WAITED, "goes back: has waited")                                                                                 \
    X(AUTO_ACCEPTED, "settled as it is delivered")                                                                     \
    X(BEHIND_FAILED, "publish: one before it was not let in")                                                          \
    X(FETCHED_MORE, "fetch: more for one that is there")                                                               \
    X(ACTIVE_NEXT, "single active: the next one")                                                                      \
    X(OUT_OF_LINE, "consumer of a higher priority goes first")                                                         \
    X(GROUP_WAITS, "group: a message waits for one before it")                                                         \
    X(PRIORITY_FIRST, "priority: a younger message goes first")                                                        \
    X(LEASE_OVER, "session: its lease is over")                                                                        \
    X(RUN_OVER, "node: another run")                                                                                   \
    X(HELD_BY_DETACHED, "session: holds messages while it is detached")                                                \
    X(HOST_WITH_SESSIONS, "virtual host: deleted with sessions")                                                       \
    X(REDRIVEN, "redrive: a message moves")                                                                            \
    X(REDRIVE_STAYS, "redrive: a message stays")                                                                       \
    X(REPLAYED, "replay: a copy")                                                                                      \
    X(REPLAY_GOES_ON, "replay: there is more")                                                                         \
    X(KEPT_ENDS, "kept: for long enough")                                                                              \
    X(LIFE_ENDS, "life: known for long enough")                                                                        \
    X(TRANSACT_PARTS, "transaction: several publishes and settlements")                                                \
    X(TRANSACT_REPEATED, "transaction: the same sequence twice")                                                       \
    X(LENGTH_GIVEN, "limit: a queue is given the longest length")
/* clang-format on */
enum model_seen {
#define X(name, text) SEEN_##name,
    MODEL_SEEN(X)
#undef X
        SEEN_COUNT
};
const uint64_t *model_seen(const struct model *model);

/* The log time at which something happens by itself; UINT64_MAX: never; 0: at once. */
uint64_t model_due_ms(const struct model *model);

#endif
