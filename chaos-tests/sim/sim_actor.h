/* An actor: a client of worlds of version 2, with a session of its own, attached at a node as a front-end for its protocol would:
 * straight at the gateway's port. It publishes by exchanges, with all that a message may have, consumes, and settles. When its
 * node ends or lets it go it goes on at another, and sends again what has no answer. */

#ifndef HOLDFAST_CHAOS_SIM_ACTOR_H
#define HOLDFAST_CHAOS_SIM_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/gateway.h"
#include "sim_ledger.h"
#include "sim_random.h"

struct sim_world;
struct sim_node;

enum sim_actor_kind {
    SIM_ACT_SETUP,
    SIM_ACT_PUBLISH,
    SIM_ACT_PUBLISH_NAMED,  /* Under its own name: sent again whatever happens. */
    SIM_ACT_PUBLISH_SHARED, /* Under the name that the actors take from each other. */
    SIM_ACT_TRANSACT,
    SIM_ACT_PREPARE,
    SIM_ACT_RESOLVE,
    SIM_ACT_OPEN,
    SIM_ACT_SUBSCRIBE,
    SIM_ACT_UNSUBSCRIBE,
    SIM_ACT_FETCH,
    SIM_ACT_SETTLE,
    SIM_ACT_EXTEND,
    SIM_ACT_CLOSE,
    /* Of rovers (sim_rover.h). */
    SIM_ACT_ROVE,
    SIM_ACT_ROVE_CHANGE,
    SIM_ACT_ROVE_REDRIVE,
    SIM_ACT_ROVE_REPLAY,
    SIM_ACT_ROVE_HOST,
    SIM_ACT_ROVE_EXCHANGE,
    SIM_ACT_ROVE_LIMITS,
    SIM_ACT_ROVE_ALL,     /* A settlement of all or nothing. */
    SIM_ACT_ROVE_NOWHERE, /* A mandatory message that no queue is there for. */
};

#define SIM_ACT_COMMANDS_MAX 12u
#define SIM_ACT_MESSAGES_MAX 4u
#define SIM_ACT_CONSUMERS 3u
#define SIM_ACT_HELD_MAX 8u
#define SIM_ACT_BODY_LEN 16u

struct sim_act {
    enum sim_actor_kind kind;
    uint64_t number; /* 0: not given yet. */
    bool answered;
    bool again;          /* Sent in an earlier session, in which it may have been done. */
    struct slice header; /* Owned. */
    struct slice bodies; /* Owned. */
    uint64_t parcels[SIM_ACT_MESSAGES_MAX];
    unsigned parcels_len;
    unsigned slot; /* The consumer's. */
    bool more;     /* By a consumer that fetched before. */
};

struct sim_actor {
    struct sim_world *world;
    unsigned index;
    bool rover; /* See sim_rover.h. */
    struct sim_random random;
    uint8_t key[16];
    bool resume;
    uint64_t attempt;
    uint64_t session;
    struct gateway_link *link; /* NULL: none. */
    bool attached;
    struct sim_node *node; /* Where its link is. */
    uint64_t next_number;
    uint64_t floor;                                /* Numbers up to here have been answered. */
    struct sim_act commands[SIM_ACT_COMMANDS_MAX]; /* Without an answer, in order. */
    unsigned commands_len;
    unsigned setup; /* Steps done; the first actor's. */
    bool closing;
    bool closed;
    bool calm;             /* The faults are over, and it has begun anew: from here on it settles all. */
    bool forgot;           /* Something fetched: its session has to end. */
    uint64_t sequence;     /* Of its own producer's last message. */
    bool numbers_doubtful; /* Numbers behind it may be used up by a publish of an earlier session that is on its way. */
    uint64_t epoch;        /* Of the shared one, as it took it; 0: it has not. */
    uint64_t shared_sequence;
    uint64_t prepared; /* Under way: its number; 0: none. */
    struct sim_actor_consumer {
        unsigned queue;
        uint64_t id; /* 0: none. */
        uint64_t seen;
        uint32_t credit;
        struct sim_actor_held {
            uint64_t number;
        } held[SIM_ACT_HELD_MAX];
        unsigned held_len;
    } consumers[SIM_ACT_CONSUMERS];
    uint64_t consumers_made;
    uint64_t prepares_made;
    struct {
        uint64_t consumer; /* 0: the next one is new. */
        unsigned queue;
    } fetching; /* Of which more may be asked for. */
};

void sim_actors_init(struct sim_world *world);
/* The node ends: its links are over. */
void sim_actors_node_gone(struct sim_world *world, struct sim_node *node);
/* Whether all have done what they began, and closed their sessions; `why` gets a line if not. */
bool sim_actors_idle(struct sim_world *world, char *why, size_t why_len);
void sim_actors_done(struct sim_world *world);

/* Between sim_actor.c and sim_actor_work.c. */

/* Takes the slices. False: too much is under way, and nothing was taken. */
bool sim_actor_submit(struct sim_actor *actor, const struct sim_act *act);
/* Something to do, if it wants. */
void sim_actor_work(struct sim_actor *actor);
void sim_actor_answered(struct sim_actor *actor, struct sim_act *act, const struct gateway_reply *reply);
/* The session is lost: whether the command is to be sent again in the next one. */
bool sim_actor_lost(struct sim_actor *actor, const struct sim_act *act);
void sim_actor_delivery(struct sim_actor *actor, const struct gateway_delivery *delivery);
void sim_actor_consumer_over(struct sim_actor *actor, uint64_t consumer);

/* sim_actor_publish.c */

void sim_actor_publish(struct sim_actor *actor, enum sim_actor_kind kind);
void sim_actor_resolve(struct sim_actor *actor);
void sim_actor_open(struct sim_actor *actor);
/* What the consumer holds is settled and what it makes of it is published, in one step. */
void sim_actor_transact(struct sim_actor *actor, unsigned slot);
/* Takes the oldest that the consumer holds, one or more, to be settled: how many. */
unsigned sim_actor_take(struct sim_actor *actor, struct sim_actor_consumer *consumer, uint64_t *ret_numbers);

#endif
