/* Publishing in two steps: a plan, which checks all and decides what becomes of each message, and changes nothing; and its commit,
 * which cannot be refused any more. Between the plan and the commit of a transaction its settlements are carried out. */

#ifndef HOLDFAST_STATEMACHINE_PUBLISH_PUBLISH_H
#define HOLDFAST_STATEMACHINE_PUBLISH_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/wire/command.pb-c.h"
#include "statemachine/exchange/route.h"
#include "statemachine/message/message_head.h"
#include "statemachine/publish/publish_internal.h"
#include "statemachine/reply.h"

struct machine;
struct session;
struct queue;

/* Copies that one command may make of its messages, all queues together: what one entry can do in a moment. */
#define PUBLISH_TARGETS_MAX (UINT64_C(1) << 17)
/* How long what was prepared may wait for its outcome, or between two questions: ten years. */
#define PREPARE_MS_MAX DELAY_MS_MAX
/* Publishes, and settlements, of one transaction. */
#define TRANSACTION_PARTS_MAX 256u

enum planned_fate {
    PLANNED_REPEATED, /* It is in already: it changes nothing. */
    PLANNED_REFUSED,  /* Publish.each: it alone is refused. */
    PLANNED_TAKEN,    /* Into its targets; without any it is dropped. */
    PLANNED_DELAYED,
    PLANNED_PREPARED,
};

struct planned {
    struct head_facts facts;
    const uint8_t *data; /* The head, and the body behind it. */
    uint64_t hash;
    uint32_t head_len;
    uint32_t body_len;
    enum planned_fate fate;
    bool unrouted;  /* It is mandatory, and there is no way to a queue. */
    size_t targets; /* The first of them in publishing.targets. */
    size_t targets_len;
};

struct planned_target {
    struct queue *queue;
    uint64_t queue_id; /* A settlement of the same transaction may have ended the queue. */
};

/* Of one Publish. */
struct publish_plan {
    const Holdfast__Publish *publish;
    struct session *session;
    struct slice content; /* The heads and bodies; borrowed. */
    struct queue *queue;  /* Publish.queue; NULL: to the exchanges of the heads. */
    uint64_t queue_id;
    size_t producer_name_len; /* 0: none. */
    size_t repeated;          /* The first messages, as many, are in by the producer's sequence. */
    bool
        plain; /* To a queue that looks at none of what a message may be, without heads: there are no `struct planned`. */
    size_t first;     /* Of its messages, in publishing.messages. */
    size_t first_bit; /* Likewise, in the bits of the reply. */
};

/* A member of a set: an id that a message of the plan brings to a queue. */
struct planned_id {
    uint64_t mark; /* Of the plan; others are free places. */
    uint64_t queue;
    struct id_hash id;
};

/* In struct machine: scratch. What is in it is no state, and is not valid from one command to the next. */
struct publishing {
    struct planned *messages;
    size_t messages_len;
    size_t messages_cap;
    struct planned_target *targets;
    size_t targets_len;
    size_t targets_cap;
    struct planned_id *ids; /* A hash table; `ids_cap` is a power of two. */
    size_t ids_len;
    size_t ids_cap;
    uint64_t mark; /* Of the plan. */
    uint8_t unrouted[REPLY_BITS_LEN_MAX];
    uint8_t refused[REPLY_BITS_LEN_MAX];
    size_t bits_len; /* Messages that have been planned. */
    bool bits_used;
    struct route route;
    struct arena arena;
    /* Publishing without a client (publish_internal.h): what waits for the outermost enqueue() to be done. */
    struct list_node held;
    unsigned holding;
    unsigned chain;
    struct route internal_route;
};

void publishing_init(struct publishing *publishing);
void publishing_done(struct publishing *publishing);

/* Begins a plan of one or several publishes. */
void publishing_begin(struct machine *machine);

/* Adds a publish, with the `bodies` that are its. `earlier` are the `earlier_len` plans before it in the same transaction. When it is
 * refused, that is in the reply. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int publish_plan(struct machine *machine, struct session *session, const Holdfast__Publish *publish,
                 struct slice bodies, const struct publish_plan *earlier, size_t earlier_len,
                 struct publish_plan *ret_plan, struct reply *reply) NODISCARD;

/* Carries out a plan, and adds to the reply what became of its messages: its bits are of all messages planned since
 * publishing_begin(). ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int publish_commit(struct machine *machine, const struct publish_plan *plan, struct reply *reply) NODISCARD;

/* ---- What the files of publishing share ---- */

/* publish_check.c: what can be said about the command alone. False: the reply says what is wrong. */
bool publish_check_form(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply);
bool publish_check_producer(const Holdfast__Publish *publish, struct reply *reply);
bool publish_check_prepare(const Holdfast__Publish *publish, struct reply *reply);
bool publish_check_hashes(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply);
/* As version 1 of the machine has it: without heads. */
bool publish_check_form_1(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply);
bool publish_check_bodies_1(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply);

/* publish_route.c: where the messages of a plan go. */
int publish_route(struct machine *machine, struct publish_plan *plan, struct reply *reply) NODISCARD;
/* publish_room.c: which of them are repeated by their ids, and whether there is room for the others. */
int publish_room(struct machine *machine, struct publish_plan *plan, struct reply *reply) NODISCARD;

/* Whether nothing that matters when a message without a head comes in is asked of the queue. */
bool queue_is_plain(const struct queue *queue);
/* Enqueues messages without heads in a plain queue, but for the first `skip`. ERR_NOMEM. */
int publish_plainly(struct machine *machine, struct queue *queue, const Holdfast__Publish *publish, struct slice bodies,
                    size_t skip) NODISCARD;

#endif
