/* What the model keeps. */

#ifndef HOLDFAST_STATEMACHINE_TEST_MODEL_STATE_H
#define HOLDFAST_STATEMACHINE_TEST_MODEL_STATE_H

#include "model.h"
#include "proto/base/err.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"

#define NEVER UINT64_MAX
#define TIME_MAX (UINT64_C(10) * 366 * 24 * 3600 * 1000)

/* Pointers in a row. */
struct list {
    void **items;
    size_t len;
    size_t cap;
};

#define EACH(type, item, list)                                                                                         \
    for (size_t item##_at = 0; item##_at < (list)->len; item##_at++)                                                   \
        for (type *item = (list)->items[item##_at], *item##_once = item; item##_once != NULL; item##_once = NULL)

struct node {
    uint64_t id;
    uint64_t run;
};

struct reply {
    uint64_t number;
    int error; /* Of ERR_*, or 0. */
    uint64_t count;
    uint64_t repeated_count;
    uint64_t unrouted;
    uint64_t refused;
    uint64_t attach_session;
    uint64_t attach_attachment;
    uint64_t last_number;
};

struct session {
    uint64_t id;
    uint8_t key[16];
    uint64_t attachment;
    uint64_t attempt;
    uint64_t origin_node;
    uint64_t origin_run;
    uint64_t origin_tag;
    uint64_t lease_ms;
    uint64_t expires_ms; /* NEVER while it is attached. */
    struct node *place;  /* NULL: attached nowhere. */
    uint64_t last;       /* Number of the last command. */
    struct list replies; /* Remembered, struct reply, the oldest first. */
    uint64_t failed_publish;
    struct list consumers; /* In order of id. */
    const char *virtual_host;
    const char *user; /* "": nobody in particular. */
};

/* What a virtual host or a user may have, by Limit.What; NEVER: without limit. */
#define LIMITS 7u
struct limits {
    uint64_t most[LIMITS];
};

struct host {
    const char *name;
    const char *note;
    struct limits limits;
};

struct user {
    const char *name;
    struct limits limits;
};

/* What was published, whatever queues it is in. */
struct content {
    const uint8_t *head;
    size_t head_len;
    const uint8_t *body;
    size_t body_len;
    uint64_t hash;
    const Holdfast__MessageHead *fields; /* Of the head; of an empty one, too. */
};

/* How it came into a queue. */
enum how { PUBLISHED, DUE, DEAD, REDRIVEN, REPLAYED };

/* A message on its way into queues: with what has become of it before. */
struct parcel {
    const struct content *content;
    Holdfast__Trail *trail; /* NULL: none. */
    enum how how;
};

struct message {
    uint64_t position;
    struct parcel parcel;
    uint64_t enqueued_ms;
    enum model_state state;
    uint64_t deliveries; /* That went back; those that did not count are not in it. */
    struct consumer *holder;
    uint64_t expires_ms; /* 0: never. */
    uint64_t wakes_ms;   /* While it waits. */
    bool old;            /* Came in before version 2: its bytes do not count. */
    bool parked;         /* It was its turn once, but for another of its group. */
};

/* A message that is kept after it has left its queue. The numbers of outcomes are those of the queries. */
enum outcome { ACCEPTED = 0, REJECTED = 1, EXPIRED = 2, DROPPED = 3, DELIVERY_LIMIT = 4 };
struct kept {
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t left_ms;
    uint64_t until_ms;
    enum outcome outcome;
    struct parcel parcel;
};

/* A step of a message's life. The numbers of kinds are those of the queries. */
enum life_kind {
    L_ENQUEUED = 1,
    L_DELIVERED = 2,
    L_RELEASED = 3,
    L_LOCK_ENDED = 4,
    L_HOLDER_ENDED = 5,
    L_WAITING = 6,
    L_ACCEPTED = 7,
    L_REJECTED = 8,
    L_EXPIRED = 9,
    L_DROPPED = 10,
    L_DELIVERY_LIMIT = 11,
    L_DEAD_LETTERED = 12,
    L_REDRIVEN = 13,
    L_PURGED = 14,
};
struct life_step {
    uint64_t index;
    uint64_t time_ms;
    enum life_kind kind;
    uint64_t session;
    uint64_t consumer;
    const char *text;
    uint64_t until_ms; /* Of purges. */
};
struct life {
    uint64_t position; /* 0: the queue's purges. */
    struct list steps; /* struct life_step */
    uint64_t until_ms; /* NEVER: it has not ended. */
    bool purged;       /* How long it is known is known only roughly. */
    bool forgotten;
};

struct seen_id {
    const char *id;
    uint64_t until_ms;
};

struct queue {
    uint64_t id;
    const char *virtual_host;
    const char *name;
    Holdfast__QueueOptions options;
    struct session *owner; /* Of an exclusive one. */
    uint64_t lanes[256];   /* The last number given in each. */
    struct list messages;  /* In order of position. */
    struct list consumers; /* In order of session and id. */
    struct consumer *active;
    struct list ids;   /* struct seen_id */
    struct list kept;  /* In order of position. */
    struct list lives; /* Those that are forgotten included. */
    uint64_t sweep_ms; /* When what is known of purged messages begins to be forgotten; NEVER. */
    bool deleted;
    uint64_t used_ms;
    uint64_t enqueued;
    uint64_t delivered;
    uint64_t settled;
    uint64_t released;
    uint64_t expired;
    uint64_t dropped;
    uint64_t dead_lettered;
    uint64_t redriven;
    uint64_t lock_ended;
};

struct held {
    uint64_t number;
    struct message *message;
    uint64_t until_ms; /* NEVER: without a time. */
};

struct consumer {
    uint64_t id;
    struct session *session;
    struct queue *queue;
    uint64_t credit;
    int64_t priority;
    uint64_t lock_ms;
    bool exclusive;
    bool auto_accept;
    bool fetch;
    uint64_t subscribed; /* Which subscription it was, as a number that rises. */
    uint64_t last_number;
    struct list held;     /* struct held, in order of number. */
    uint64_t waits_since; /* When it took its place among the waiting, as a number that rises; 0: it does not wait. */
};

struct exchange {
    const char *virtual_host;
    const char *name;
    int type; /* Holdfast__DeclareExchange__Type */
    bool auto_delete;
    bool internal;
    bool delayed;
    bool protected;
    const char *alternate; /* NULL: none. */
    const char *note;
    bool built_in;
};

struct binding {
    struct exchange *source;
    struct queue *queue; /* One of the two. */
    struct exchange *exchange;
    const char *key;
    size_t arguments_len;
    Holdfast__Header **arguments;
};

/* A message that is kept aside. */
struct pending {
    uint64_t id;
    uint64_t due_ms;
    const char *virtual_host;
    const char *queue; /* NULL: to the exchange that its head names. */
    struct parcel parcel;
};

struct prepared {
    const char *virtual_host;
    const char *id;
    uint64_t number; /* In the order of their coming. */
    const char *group;
    uint64_t ask_after_ms;
    uint64_t asks_ms;     /* Next; NEVER. */
    uint64_t deadline_ms; /* NEVER: none. */
    bool commit_at_deadline;
    bool resolved;
    bool committed;
    uint64_t resolved_ms;
    struct list messages; /* struct pending */
};

/* A dead letter that is to be published. */
struct letter {
    const char *virtual_host;
    const char *exchange;
    const char *key; /* NULL: all keys of its head. */
    struct parcel parcel;
};

struct producer {
    const char *virtual_host;
    const char *name;
    uint64_t last;
    uint64_t epoch;
    uint64_t opened_by; /* The session that opened it last; 0: none. */
};

struct model {
    struct list chunks; /* All that was allocated. */
    uint64_t index;
    uint64_t time_ms;
    uint64_t version;
    uint64_t next_session;
    uint64_t next_queue;
    uint64_t places; /* Given to waiting consumers so far. */
    struct list nodes;
    struct list hosts;
    struct list users;    /* That have limits. */
    struct list sessions; /* In order of id. */
    struct list queues;   /* In order of id. */
    struct list producers;
    struct list exchanges;
    struct list bindings;
    struct list pendings;
    struct list prepareds;
    struct list letters; /* On their way, the oldest first. */
    unsigned holding;    /* Letters wait until this is 0. */
    uint64_t subscriptions;
    uint64_t next_pending;
    uint64_t next_prepared;
    struct model_effect *effects;
    size_t effects_len;
    size_t effects_cap;
    unsigned deliveries; /* Of this entry. */
    uint64_t seen[SEEN_COUNT];
};

#endif
