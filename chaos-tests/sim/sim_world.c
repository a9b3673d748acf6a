/* The course of a run. */

#include "sim_world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "sim_conn.h"
#include "sim_drain.h"

#define STREAM_RETAIN 60u /* Of the seed. */
#define WORK_US_MAX UINT64_C(300000000)
/* Without any message confirmed or accepted; a slow consumer with little credit may take long over its backlog. */
#define DRAIN_US_MAX UINT64_C(30000000)
#define EVENTS_MAX UINT64_C(20000000)

void sim_world_violation(struct sim_world *world, const char *format, ...)
{
    if (world->failed) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(world->failure, sizeof world->failure, format, args);
    va_end(args);
    world->failed = true;
    SIM_TRACE(world, "VIOLATION: %s", world->failure);
}

void sim_world_note(struct sim_world *world, uint64_t what, uint64_t a, uint64_t b)
{
    uint64_t mixed = sim_random_mix(what ^ sim_world_now(world) << 8, a);
    world->digest = sim_random_mix(world->digest ^ mixed, b);
}

void sim_world_trace(struct sim_world *world, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%10.3f ms  ", (double)sim_world_now(world) / 1000.0);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

struct sim_node *sim_world_leader(struct sim_world *world)
{
    struct sim_node *found = NULL;
    uint64_t term = 0;
    for (unsigned i = 0; i < world->nodes_len; i++) {
        struct driver_status status;
        if (world->nodes[i].shard == NULL) {
            continue;
        }
        driver_status(shard_driver(world->nodes[i].shard), &status);
        if (status.role == DRIVER_LEADER && status.term > term) {
            found = &world->nodes[i];
            term = status.term;
        }
    }
    return found;
}

static void world_people(struct sim_world *world)
{
    struct sim_random *random = &world->random;
    unsigned producers = (unsigned)sim_random_between(random, 2, 4);
    unsigned consumers = (unsigned)sim_random_between(random, 2, 3);
    world->queues_len = (unsigned)sim_random_between(random, 1, consumers);
    world->purged_queue = SIM_QUEUES_MAX;
    if (sim_random_chance(random, 400000)) {
        world->purged_queue = world->queues_len - 1;
    }
    world->clients_len = producers + consumers + 1; /* The last one is a consumer that will not live to see the end. */
    /* Together they should do the work in about the time given to the faults. */
    uint64_t think_us = world->work_us * world->clients_len / (world->ops + 1);
    for (unsigned i = 0; i < world->clients_len; i++) {
        bool producer = i < producers;
        struct sim_client *client = &world->clients[i];
        sim_client_init(world, i, producer ? SIM_PRODUCER : SIM_CONSUMER);
        client->think_us = producer ? think_us : think_us / 2 + 1;
        client->named = producer && (i == 0 || sim_random_chance(random, 700000));
        /* Consumers share the queues so that each has one. */
        client->queue = producer ? (unsigned)sim_random_between(random, 0, world->queues_len - 1)
                                 : (i - producers) % world->queues_len;
        world->history.producers[i].queue = client->queue;
        world->history.producers[i].named = client->named;
    }
}

static void world_init(struct sim_world *world, const struct sim_options *options)
{
    world->options = *options;
    sim_random_init(&world->random, options->seed, 1);
    world->nodes_len = sim_random_chance(&world->random, 250000) ? 5 : 3;
    if (options->nodes != 0) {
        world->nodes_len = options->nodes;
    }
    CHECK(world->nodes_len <= SIM_NODES_MAX);
    world->nodes_first = world->nodes_len;
    world->work_us = sim_random_between(&world->random, 4000000, 9000000);
    world->large_bodies = sim_random_chance(&world->random, 200000) ? 250000 : 10000;
    world->rebuilds = sim_random_chance(&world->random, 300000);
    world->ops =
        options->ops * (world->rebuilds ? 2 : 1); /* A node is behind only when much has happened without it. */
    world->retain_len = (world->large_bodies > 100000 ? 1280u : world->rebuilds ? 32u : 256u) << 10;
    if (world->rebuilds && sim_random_mix(options->seed, STREAM_RETAIN) % 3 == 0) {
        world->retain_len = 4u << 10; /* Less than what is logged between two checkpoints. */
    }
    sim_net_init(world);
    sim_bulk_init(world);
    sim_upgrade_init(world);
    sim_features_init(world);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        sim_node_init(world, i, false);
    }
    world_people(world);
    sim_nemesis_init(world);
    sim_damage_init(world);
    sim_membership_init(world);
    sim_upgrade_begin(world);
    sim_actors_init(world);
}

/* Sometimes all nodes' whole states are compared while they run. */
static void world_compare(struct sim_world *world)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        if (world->nodes[i].shard != NULL) {
            sim_checker_digest(&world->nodes[i]);
        }
    }
}

/* Once a virtual tenth of a second: are we done with this part? */
static void world_look(struct sim_world *world)
{
    uint64_t now = sim_world_now(world);
    char why[400] = "";
    if (world->phase == SIM_WORK) {
        if (world->stats.counts[SIM_STAT_OPS] >= world->ops && now >= world->work_us && sim_nemesis_done(world) &&
            world->upgrade.old == 0 && (world->features.ready || !world->features.chosen)) {
            SIM_TRACE(world, "the faults end");
            world->phase = SIM_DRAIN;
            world->drain_since_us = now;
            world->drain_began_us = now;
            sim_nemesis_stop(world);
            for (unsigned i = 0; i < world->clients_len; i++) {
                sim_client_work_later(&world->clients[i], 1000);
            }
        } else if (now > WORK_US_MAX) {
            sim_world_violation(world, "no progress: %" PRIu64 " operations in %" PRIu64 " virtual seconds",
                                world->stats.counts[SIM_STAT_OPS], now / 1000000);
        }
        return;
    }
    sim_drain_watch(world);
    uint64_t done = world->stats.counts[SIM_STAT_CONFIRMED] + world->stats.counts[SIM_STAT_ACCEPTED];
    if (done != world->drain_done) {
        world->drain_done = done;
        world->drain_since_us = now;
    }
    if (sim_drain_done(world, why, sizeof why)) {
        world->phase = SIM_END;
    } else if (now - world->drain_since_us > DRAIN_US_MAX) {
        sim_world_violation(world, "nothing done for %" PRIu64 " virtual seconds after the faults ended: %s",
                            DRAIN_US_MAX / 1000000, why);
    }
}

static void world_events(struct sim_world *world)
{
    while (!world->failed && world->phase != SIM_END) {
        if (world->queue.len == 0 || ++world->stats.counts[SIM_STAT_EVENTS] > EVENTS_MAX) {
            sim_world_violation(world, "%s",
                                world->queue.len == 0 ? "nothing is left to happen" : "events without end");
            return;
        }
        sim_queue_fire(&world->queue);
        sim_sessions_look(world);
        if (sim_world_now(world) >= world->look_us) {
            world->look_us = sim_world_now(world) + 100000;
            world_look(world);
        }
        if (sim_world_now(world) >= world->compare_us) {
            world->compare_us = sim_world_now(world) + 1500000;
            world_compare(world);
        }
    }
    if (!world->failed) {
        sim_history_end(world);
        sim_positions_end(world);
        sim_ledger_end(world);
        sim_checker_end(world);
    }
}

static void world_loop(struct sim_world *world)
{
    /* A node's fatal() jumps to here. What it was doing is left as it is: the node is gone, or the run is over. */
    switch (setjmp(world->fatal)) {
    case 0:
        world->compare_us = 1000000;
        world_init(world, &world->options);
        break;
    case SIM_FATAL_NODE:
        fault_set(FAULT_DIVERGE, false); /* Meant for the node that ended. */
        SIM_TRACE(world, "node %u ends itself: %s: %s", world->fatal_node->index + 1, err_name(world->fatal_err),
                  world->fatal_what);
        sim_world_count(world, SIM_STAT_DAMAGE_FATAL, 1);
        sim_node_ended_itself(world->fatal_node, world->fatal_err, world->fatal_what);
        world->fatal_node = NULL;
        break;
    default: return;
    }
    world_events(world);
}

static void world_done(struct sim_world *world)
{
    for (unsigned i = 0; i < world->clients_len; i++) {
        sim_client_done(&world->clients[i]);
    }
    for (unsigned i = 0; i < world->nodes_len; i++) {
        sim_node_done(&world->nodes[i]);
    }
    sim_queue_done(&world->queue);
    sim_conns_done(world);
    sim_checker_done(&world->checker);
    sim_history_done(&world->history);
    sim_positions_done(&world->positions);
    sim_sessions_done(&world->sessions);
    sim_ledger_done(&world->ledger);
    sim_actors_done(world);
}

void sim_world_run(const struct sim_options *options, struct sim_result *ret_result)
{
    struct sim_world *world = calloc(1, sizeof *world);
    CHECK(world != NULL);
    world->options = *options;
    world_loop(world);
    world->stats.counts[SIM_STAT_VIRTUAL_MS] = sim_world_now(world) / 1000;
    *ret_result = (struct sim_result){.failed = world->failed, .digest = world->digest, .stats = world->stats};
    memcpy(ret_result->failure, world->failure, sizeof world->failure);
    /* After a violation a node may have stopped in the middle of something: its memory is left alone. */
    if (!world->failed) {
        world_done(world);
        free(world);
    }
}
