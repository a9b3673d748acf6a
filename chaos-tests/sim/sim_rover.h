/* A rover: an actor that uses what the others leave alone, in a virtual host of its own: it declares, changes, and deletes queues and
 * exchanges of all kinds, binds them, publishes with further checks, consumes with ranks and alone, moves dead letters back,
 * replays, sets limits, makes virtual hosts and deletes them. Whatever it is told must be an answer that fits.
 *
 * What must hold in its virtual host after each entry (sim_rover_look.c) needs no history: an exclusive queue is its session's
 * alone, and goes with it; each queue's figures add up; limits are kept; what is paused gives nothing; nothing ready waits while
 * somebody does; and nobody is given a message while one of a higher rank is free. */

#ifndef HOLDFAST_CHAOS_SIM_ROVER_H
#define HOLDFAST_CHAOS_SIM_ROVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/gateway.h"
#include "sim_actor.h"
#include "statemachine/machine.h"

struct sim_node;
struct sim_world;

#define SIM_ROVER_HOST "f-rovers"
#define SIM_ROVER_MARK ((uint64_t)'r') /* The first byte of their messages' numbers. */
#define SIM_ROVER_USER "f-rover"
#define SIM_ROVER_QUEUES_LIMIT 5u /* Fewer than there are names for; at first. */
#define SIM_ROVER_READY_LIMIT 60u
#define SIM_ROVER_QUEUES 7u
#define SIM_ROVER_EXCHANGES 4u
#define SIM_ROVER_CONSUMERS 16u

/* A queue of the rovers' host, as it was after an entry. */
struct sim_rover_queue {
    char name[16];
    uint64_t id;
    uint64_t owner;
    uint64_t ready;
    uint64_t parked;
    uint64_t waiting;
    uint64_t unsettled;
    uint64_t enqueued;
    uint64_t delivered;
    uint64_t released;
    uint64_t gone; /* Settled, expired, redriven; */
    uint64_t dropped;
    uint64_t bytes;
    uint64_t max_bytes; /* UINT64_MAX: no limit. */
    bool limited;
    bool paused;
    bool exclusive;
    unsigned consumers_len;
    struct sim_rover_consumer {
        uint64_t session;
        uint64_t consumer;
        uint64_t delivered;
        uint32_t credit;
        uint32_t unsettled;
        int32_t priority;
        bool exclusive;
        bool fetch;
        bool attached;
        bool active;
    } consumers[SIM_ROVER_CONSUMERS];
};

struct sim_rovers {
    uint64_t index; /* Of the last entry looked at. */
    uint64_t serial;
    struct sim_rover_queue queues[SIM_ROVER_QUEUES];
    unsigned queues_len;
    uint64_t consumers;    /* Of these. */
    uint64_t limits_index; /* Of the last entry that set limits. */
    struct sim_rover_guard {
        bool is_protected; /* After the last entry. */
        bool passes;       /* It goes by itself. */
        bool wanted;       /* What the last change said, */
        uint64_t changed;  /* in this entry. */
        uint64_t deleted;  /* The last entry that deleted it. */
    } guards[SIM_ROVER_EXCHANGES];
};

/* Something to do, if it wants. */
void sim_rover_work(struct sim_actor *actor);
void sim_rover_answered(struct sim_actor *actor, struct sim_act *act, const struct gateway_reply *reply);
void sim_rover_delivery(struct sim_actor *actor, const struct gateway_delivery *delivery);
/* It is asked what becomes of prepared messages. */
void sim_rover_asked(struct sim_actor *actor, const char *id);
/* A number from 0 to below `below`. */
unsigned sim_rover_draw(struct sim_actor *actor, unsigned below);
/* False: too much is under way. */
bool sim_rover_submit(struct sim_actor *actor, const Holdfast__Command *command, enum sim_actor_kind kind,
                      unsigned slot);

/* sim_rover_names.c */
/* The step of setting up, an encoded command that the caller owns: false when there is none of that number. */
bool sim_rover_setup(unsigned step, struct slice *ret_header);
void sim_rover_declare(struct sim_actor *actor);
void sim_rover_change(struct sim_actor *actor);
void sim_rover_delete(struct sim_actor *actor);
void sim_rover_exchange(struct sim_actor *actor);
void sim_rover_bind(struct sim_actor *actor);
void sim_rover_host(struct sim_actor *actor);
void sim_rover_change_exchange(struct sim_actor *actor);
void sim_rover_limits(struct sim_actor *actor);

/* sim_rover_publish.c */
void sim_rover_publish(struct sim_actor *actor);
/* sim_rover_look.c: a node has applied an entry. */
void sim_rover_applied(struct sim_node *node, uint64_t index, const struct effects *effects);
/* sim_rover_exchange.c: a command about an exchange was carried out, or refused; then, all of the entry. */
void sim_rover_exchange_command(struct sim_world *world, uint64_t index, const Holdfast__Command *command, int err);
void sim_rover_exchanges_applied(struct sim_world *world, struct machine *machine, uint64_t index, uint64_t host);
extern const char *const sim_rover_exchanges[SIM_ROVER_EXCHANGES];
extern const char *const sim_rover_queues[SIM_ROVER_QUEUES];

#endif
