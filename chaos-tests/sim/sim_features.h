/* Queues with options and exchanges, in worlds of version 2: what there is, and where a message goes by it.
 *
 * In a share of the worlds there are, beside the plain queues and their clients, some of everything that version 2 knows.
 * Producers and consumers of them are actors (sim_actor.h); what must hold is the ledger's business (sim_ledger.h). */

#ifndef HOLDFAST_CHAOS_SIM_FEATURES_H
#define HOLDFAST_CHAOS_SIM_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/wire/command.pb-c.h"
#include "sim_random.h"

struct sim_world;

enum sim_feature_queue {
    SIM_Q_PRIORITY, /* Lanes; in some worlds with groups. */
    SIM_Q_GROUPS,
    SIM_Q_TTL,
    SIM_Q_SHORT,  /* Limited in length. */
    SIM_Q_LIMIT,  /* Limited deliveries, locks, delays before the next. */
    SIM_Q_SINGLE, /* A single active consumer; ids. */
    SIM_Q_DEAD,   /* Where dead letters go. */
    SIM_FEATURE_QUEUES
};

/* What is published: where to, and which queues that leads to, a bit each. */
struct sim_route {
    const char *exchange;
    const char *key;
    unsigned queues;
};

struct sim_features {
    bool chosen;
    bool narrow;       /* No way leads to more than one queue. */
    bool ready;        /* Everything is declared. */
    bool little;       /* An entry does little of what may take several, */
    uint64_t work_max; /* in units of statemachine/work.h. */
    struct sim_random random;
    struct sim_feature_options {
        const char *name;
        unsigned max_priority;
        bool groups;
        bool single_active;
        bool has_ttl;
        uint64_t ttl_ms;
        bool has_max_length;
        uint64_t max_length;
        int overflow;      /* Holdfast__QueueOptions__Overflow. */
        bool dead_letters; /* To SIM_Q_DEAD, by exchange or by name. */
        bool by_exchange;
        uint64_t max_deliveries;
        uint64_t redelivery_delay_ms;
        uint64_t redelivery_delay_max_ms;
        uint64_t lock_ms;
        uint64_t id_window_ms;
    } queues[SIM_FEATURE_QUEUES];
};

void sim_features_init(struct sim_world *world);
/* The step of setting up, an encoded command that the caller owns: false when there is none of that number. */
bool sim_features_setup(const struct sim_features *features, unsigned step, struct slice *ret_header);
/* An encoded command; the caller owns it. */
struct slice sim_features_pack(const Holdfast__Command *command);
/* Ways to publish. */
extern const struct sim_route sim_routes[];
extern const size_t sim_routes_len;

#endif
