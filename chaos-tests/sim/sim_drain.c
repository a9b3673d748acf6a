/* The end of a run. */

#include "sim_drain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rpc/gateway.h"
#include "sim_conn.h"
#include "sim_world.h"

struct words {
    char *text;
    size_t len;
};

/* Says why not. */
__attribute__((format(printf, 2, 3))) static bool not_yet(struct words *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, why->len, format, args);
    va_end(args);
    return false;
}

struct queue_sum {
    uint64_t left;
    unsigned queues;
    bool uneven; /* What came in is not what went out. */
};

static int sum_queue(void *arg, const struct machine_queue *queue)
{
    struct queue_sum *sum = arg;
    if (strncmp(queue->name, "f-", 2) == 0) {
        return 0; /* The ledger's. */
    }
    sum->left += queue->ready + queue->unsettled;
    sum->uneven = sum->uneven || queue->enqueued != queue->settled + queue->ready + queue->unsettled;
    sum->queues++;
    return 0;
}

static bool clients_idle(const struct sim_world *world, struct words *why)
{
    for (unsigned i = 0; i < world->clients_len; i++) {
        const struct sim_client *client = &world->clients[i];
        if (!sim_client_idle(client)) {
            return not_yet(why, "client %u (%s) is not done: %u commands and %u reads under way%s", i,
                           client->kind == SIM_PRODUCER ? "producer" : "consumer", client->inflight, client->reading,
                           client->conn == NULL ? ", not connected" : "");
        }
    }
    return true;
}

static bool node_empty(struct sim_node *node, struct words *why)
{
    struct queue_sum sum = {0};
    int err = machine_queues(shard_machine(node->shard), "", sum_queue, &sum);
    if (err != 0 || sum.left > 0 || sum.queues != node->world->queues_len) {
        return not_yet(why, "node %u has %" PRIu64 " messages in %u queues", node->index + 1, sum.left, sum.queues);
    }
    if (sum.uneven) {
        sim_world_violation(node->world, "node %u: a queue's counters do not add up", node->index + 1);
    }
    return true;
}

/* What the node keeps for others: nothing. */
static bool node_at_rest(struct sim_node *node, struct words *why)
{
    struct gateway_status status;
    struct gateway *gateway = shard_gateway(node->shard);
    gateway->ops->status(gateway, &status);
    uint64_t sessions = machine_sessions_len(shard_machine(node->shard));
    if (status.refusing[0] != '\0') {
        return not_yet(why, "node %u still refuses: %s", node->index + 1, status.refusing);
    }
    if (shard_unanswered(node->shard) > 0) {
        return not_yet(why, "node %u still has %zu commands without an answer", node->index + 1,
                       shard_unanswered(node->shard));
    }
    uint64_t alive = 0;
    for (unsigned i = 0; i < node->world->clients_len; i++) {
        alive += !node->world->clients[i].dead;
    }
    if (sessions != alive) {
        return not_yet(why, "node %u has %" PRIu64 " sessions of %" PRIu64 " clients", node->index + 1, sessions,
                       alive);
    }
    return true;
}

static bool node_caught_up(struct sim_node *node, uint64_t *applied, struct words *why)
{
    struct driver_status status;
    driver_status(shard_driver(node->shard), &status);
    if (*applied != 0 && status.applied_index != *applied) {
        return not_yet(why, "node %u has applied %" PRIu64 ", another %" PRIu64, node->index + 1, status.applied_index,
                       *applied);
    }
    *applied = status.applied_index;
    if (status.log_last != *applied) {
        return not_yet(why, "node %u has %" PRIu64 " entries and applied %" PRIu64, node->index + 1, status.log_last,
                       *applied);
    }
    if (status.log_full || status.log_short) {
        return not_yet(why, "the log of node %u is %s", node->index + 1, status.log_full ? "full" : "short");
    }
    return true;
}

/* Nodes that are down come back, connections that are dead are noticed, somebody is elected. */
#define SETTLED_US 4000000u
#define ANSWER_US_MAX 1500000u

void sim_drain_watch(struct sim_world *world)
{
    if (sim_world_now(world) < world->drain_began_us + SETTLED_US) {
        return;
    }
    for (unsigned i = 0; i < world->clients_len; i++) {
        const struct sim_conn *conn = world->clients[i].conn;
        uint64_t waiting_us = conn == NULL || conn->lost ? 0 : sim_wire_waiting_us(world, &conn->wire);
        if (waiting_us > ANSWER_US_MAX) {
            sim_world_violation(world,
                                "node %u has not answered a command of client %u for %" PRIu64
                                " ms, although nothing goes wrong any more",
                                conn->node_index + 1, i, waiting_us / 1000);
        }
    }
}

bool sim_drain_done(struct sim_world *world, char *text, size_t text_len)
{
    struct words why = {.text = text, .len = text_len};
    uint64_t applied = 0;
    if (!clients_idle(world, &why)) {
        return false;
    }
    if (!sim_actors_idle(world, text, text_len)) {
        return false;
    }
    if (!sim_membership_done(world, text, text_len)) {
        return false;
    }
    if (!sim_upgrade_done(world)) {
        return not_yet(&why, "version %u of the machine's rules is not in force", MACHINE_VERSION_MAX);
    }
    for (unsigned i = 0; i < world->nodes_len; i++) {
        struct sim_node *node = &world->nodes[i];
        if (node->gone) {
            continue;
        }
        if (node->patient != NULL) {
            return not_yet(&why, "node %u is a patient: %s", i + 1, patient_text(node->patient));
        }
        if (node->shard == NULL) {
            return not_yet(&why, "node %u is down", i + 1);
        }
        if (node->differs) {
            return not_yet(&why, "node %u has another state than the others, and goes on with it", i + 1);
        }
        if (!shard_votes(node->shard)) {
            return not_yet(&why, "node %u does not vote", i + 1);
        }
        if (!node_caught_up(node, &applied, &why) || !node_empty(node, &why) || !node_at_rest(node, &why)) {
            return false;
        }
    }
    return true;
}
