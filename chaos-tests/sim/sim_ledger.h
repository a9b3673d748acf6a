/* What the log says of the queues and exchanges of worlds of version 2, against what must hold.
 *
 * Each entry is looked at once, when the first node has applied it: its commands, its effects, and what each queue holds before and
 * after it. The rules are not the machine's code but what it promises, for each message and queue:
 *   - what was taken is in each queue that its way leads to, once, in the entry that took it, or when its delay is over, not before;
 *   - it leaves only for a reason that holds: settled by its holder, its time over, a limit; and what has a place for dead letters
 *     is there in the same entry, with that queue and that reason;
 *   - a delivery ends only by what ends it: there is never a second token beside a valid one;
 *   - nothing is passed over that is ready and comes first: by priority, then by the order of the log;
 *   - of a group one message at a time is out, the first one;
 *   - of a single active queue one consumer at a time is given messages;
 *   - a transaction's messages and settlements are all there, or none;
 *   - a producer's sequence is taken once; one that was fenced off takes nothing.
 *
 * In some worlds an entry does little of what may take several (sim_features.h). While the machine says that it has something left to
 * do, what happens by itself may come with the next entry: what is due, the end of what ended holders had, dead letters. As soon
 * as it says that nothing is left, all of it must have been done.
 *
 * Times hold in log time, and in real time less what log time may be ahead of it. */

#ifndef HOLDFAST_CHAOS_SIM_LEDGER_H
#define HOLDFAST_CHAOS_SIM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_features.h"
#include "statemachine/machine.h"

struct sim_node;
struct sim_world;

#define SIM_ACTORS_MAX 4u
#define SIM_ROVERS_MAX 2u                       /* After them, in a virtual host of their own. */
#define SIM_SHARED_IDS 8u                       /* Of messages, in the queue that looks at ids. */
#define SIM_PRODUCERS_MAX (SIM_ACTORS_MAX + 1u) /* One of its own for each actor, and one that they share. */

/* Consumers with this bit settle as they are given messages. */
#define SIM_LEDGER_AUTO (UINT64_C(1) << 63)
/* With this one they fetch. */
#define SIM_LEDGER_FETCH (UINT64_C(1) << 62)
#define SIM_LEDGER_DRAINS 64u
/* Of prepared messages; those of an even number are committed then. */
#define SIM_LEDGER_DEADLINE_MS 1500u

/* A message, as it was sent. Its number is in its body. */
struct sim_parcel {
    unsigned routes;   /* Queues that its way leads to, a bit each; */
    unsigned in;       /* into which it has come, */
    unsigned kept_out; /* or that had seen its id, */
    unsigned seen_out; /* or may have, when it was due and the machine was behind. */
    uint64_t sent_us;
    uint64_t group; /* 0: none. */
    uint64_t ttl_ms;
    uint64_t delay_ms;
    uint64_t due_ms;   /* In log time, once it is known; of a prepared one: the deadline. */
    uint64_t prepared; /* Number of the preparation; 0: none. */
    unsigned id;       /* One of SIM_SHARED_IDS, from 1; 0: none. */
    uint8_t priority;
    bool has_ttl;
    bool taken;
    bool routed;   /* Its way has been taken: at once, when it was due, or committed. */
    bool dropped;  /* Rolled back. */
    bool waited;   /* It was due, and the machine was behind. */
    bool resolved; /* It was prepared, and is committed. */
};

/* A message in a queue. */
struct sim_item {
    uint64_t position;
    uint64_t parcel;
    uint64_t group;
    uint64_t expires_ms;
    uint64_t arrived_us;
    uint64_t due_ms;  /* While it waits. */
    uint64_t session; /* Who holds it, while it is locked. */
    uint64_t consumer;
    uint64_t number;
    uint64_t lock_until_ms; /* 0: for ever. */
    uint32_t count;
    enum machine_message_state state;
    bool delivered; /* In this entry. */
    bool ended;     /* Who holds it has ended, and the machine was behind. */
};

/* Why it left is a set of reasons: sim_ledger_private.h. */
struct sim_leave {
    unsigned queue;
    struct sim_item item;
    unsigned why;
};

struct sim_items {
    struct sim_item *items;
    size_t len;
    size_t cap;
};

struct sim_ledger {
    uint64_t index; /* Of the last entry looked at. */
    struct {
        struct sim_parcel *parcels; /* By serial - 1. */
        uint64_t len;
        uint64_t cap;
    } senders[SIM_ACTORS_MAX];
    struct sim_ledger_queue {
        uint64_t id;
        struct sim_items now;
        struct sim_items next;   /* While an entry is looked at. */
        uint64_t figures[8];     /* Of the machine, when it was looked at: while they stay, so does what it holds. */
        uint64_t active_session; /* In a single-active queue: who was given the last message. */
        uint64_t active_consumer;
        bool active_over;
        uint64_t seen_until_ms[SIM_SHARED_IDS]; /* Of ids. */
    } queues[SIM_FEATURE_QUEUES];
    struct sim_ledger_session {
        uint64_t id;
        uint64_t number; /* Of the last command carried out. */
        uint64_t failed; /* Of the last publish in order that was not let in. */
        bool over;
    } * sessions;
    size_t sessions_len;
    size_t sessions_cap;
    struct {
        uint64_t epoch;
        uint64_t sequence;
    } producers[SIM_PRODUCERS_MAX];
    uint64_t pending;       /* Messages taken that are not in their queues yet. */
    bool behind;            /* In worlds of little work: the last entry has left something to the next. */
    struct sim_leave *owed; /* Dead letters that are still to come. */
    size_t owed_len;
    size_t owed_cap;
    struct {
        uint64_t session;
        uint64_t consumer;
    } drains[SIM_LEDGER_DRAINS]; /* The last consumers that are to be given nothing more. */
    uint64_t drains_made;
};

/* A message about to be sent: gives its number. */
uint64_t sim_ledger_send(struct sim_world *world, unsigned actor, const struct sim_parcel *parcel);
/* The last sequence that the actor's own producer has used. */
uint64_t sim_ledger_sequence(const struct sim_world *world, unsigned actor);
/* NULL: there is none of that number. */
struct sim_parcel *sim_ledger_parcel(struct sim_world *world, uint64_t parcel);
/* A node has applied an entry. */
void sim_ledger_applied(struct sim_node *node, uint64_t index, struct slice payload, const struct effects *effects);
/* Its sender was told that it was taken, or that it was not. */
void sim_ledger_answered(struct sim_world *world, uint64_t parcel, int err);
/* Messages in all queues, by the last entry looked at. */
uint64_t sim_ledger_backlog(const struct sim_world *world);
/* Whether nothing is left in any queue; `why` gets a line if not. */
bool sim_ledger_empty(struct sim_world *world, char *why, size_t why_len);
/* All is drained: every message that was taken is accounted for. */
void sim_ledger_end(struct sim_world *world);
void sim_ledger_done(struct sim_ledger *ledger);

#endif
