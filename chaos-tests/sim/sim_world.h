/* A world: nodes, clients, the network between them, and what goes wrong, all from one seed.
 *
 * Everything happens in one thread, in virtual time. A run has three parts: work under faults; then the faults stop and
 * everything must drain; then replicas and histories are compared. The first contradiction ends the run. */

#ifndef HOLDFAST_CHAOS_SIM_WORLD_H
#define HOLDFAST_CHAOS_SIM_WORLD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim_actor.h"
#include "sim_bulk.h"
#include "sim_checker.h"
#include "sim_client.h"
#include "sim_damage.h"
#include "sim_features.h"
#include "sim_forward.h"
#include "sim_history.h"
#include "sim_ledger.h"
#include "sim_limits.h"
#include "sim_membership.h"
#include "sim_nemesis.h"
#include "sim_net.h"
#include "sim_node.h"
#include "sim_positions.h"
#include "sim_queue.h"
#include "sim_random.h"
#include "sim_reads.h"
#include "sim_rover.h"
#include "sim_sessions.h"
#include "sim_stats.h"
#include "sim_upgrade.h"

struct sim_options {
    uint64_t seed;
    uint64_t ops;   /* Client operations at least. */
    unsigned nodes; /* 3 or 5; 0: the seed decides. */
    bool trace;     /* Print what happens. */
    bool features;  /* A world with exchanges and options, but where data are damaged: else the seed decides. */
    bool forgetful; /* Nodes that do not know what they have forgotten go on: see sim_damage.h. */
};

enum sim_phase { SIM_WORK, SIM_DRAIN, SIM_END };

struct sim_world {
    struct sim_options options;
    struct sim_stats stats;
    struct sim_queue queue;
    struct sim_random random; /* For the make-up of the world and the clients' work. */
    enum sim_phase phase;
    uint64_t large_bodies; /* Per million: bodies of some KiB. */
    uint64_t retain_len; /* Log kept behind checkpoints: little, so that it is dropped, but more than a node may lag. */
    uint64_t work_us;    /* How long the work should last at least. */
    uint64_t drain_began_us;
    uint64_t drain_since_us; /* When something was last done, once the faults have ended. */
    uint64_t drain_done;     /* Messages confirmed and accepted by then. */

    struct sim_node nodes[SIM_NODES_MAX];
    unsigned nodes_len;   /* All that ever were. */
    unsigned nodes_first; /* Those of the first membership. */
    struct sim_client clients[SIM_CLIENTS_MAX];
    unsigned clients_len;
    unsigned queues_len;
    unsigned purged_queue; /* In which clients may purge; SIM_QUEUES_MAX: in none. */
    struct sim_net net;
    struct sim_bulk bulk;
    uint64_t ops;  /* To be done. */
    bool rebuilds; /* Nodes may fall so far behind that they need a copy of the state. */
    struct sim_nemesis nemesis;
    struct sim_damage damage;
    struct sim_membership membership;
    struct sim_checker checker;
    struct sim_history history;
    struct sim_positions positions;
    struct sim_forwards forwards;
    struct sim_reads reads;
    struct sim_sessions sessions;
    struct sim_upgrade upgrade;
    struct sim_features features;
    struct sim_ledger ledger;
    struct sim_actor actors[SIM_ACTORS_MAX + SIM_ROVERS_MAX];
    struct sim_rovers rovers;

    uint64_t digest; /* Of everything that happened: two runs of a seed must agree. */
    bool failed;
    char failure[1000];
    uint64_t look_us;            /* When to look next how far things are, */
    uint64_t compare_us;         /* and to compare whole states. */
    jmp_buf fatal;               /* Where a node goes that ends itself, */
    struct sim_node *fatal_node; /* which one, */
    int fatal_err;               /* and why. */
    char fatal_what[400];
};

enum sim_fatal { SIM_FATAL_WORLD = 1, SIM_FATAL_NODE };

struct sim_result {
    bool failed;
    char failure[1000];
    uint64_t digest;
    struct sim_stats stats;
};

/* Runs a seed from beginning to end. */
void sim_world_run(const struct sim_options *options, struct sim_result *ret_result);

/* For the parts of the world. */

/* A promise is broken: ends the run once the current event is over. The first one counts. */
__attribute__((format(printf, 2, 3))) void sim_world_violation(struct sim_world *world, const char *format, ...);
/* Adds a happening to the digest. */
void sim_world_note(struct sim_world *world, uint64_t what, uint64_t a, uint64_t b);
/* Prints a line of the trace. */
__attribute__((format(printf, 2, 3))) void sim_world_trace(struct sim_world *world, const char *format, ...);
#define SIM_TRACE(world, ...) ((world)->options.trace ? sim_world_trace(world, __VA_ARGS__) : (void)0)

/* Who leads the latest term that anybody leads, by its own account; NULL: nobody does. */
struct sim_node *sim_world_leader(struct sim_world *world);

static inline uint64_t sim_world_now(const struct sim_world *world)
{
    return world->queue.now_us;
}

static inline void sim_world_count(struct sim_world *world, enum sim_stat stat, uint64_t n)
{
    world->stats.counts[stat] += n;
}

#endif
