/* The troubles of a run: some that every run has, and many that chance brings. */

#include "sim_nemesis.h"

#include "proto/base/check.h"
#include "sim_world.h"

/* Which node leads, as far as the leaders themselves think; or any that is up; or NULL. */
static struct sim_node *nemesis_leader(struct sim_world *world)
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

static struct sim_node *nemesis_node(struct sim_world *world)
{
    return &world->nodes[sim_random_between(&world->nemesis.random, 0, world->nodes_len - 1)];
}

/* Nodes go on, and their disks are quick. */
static void nemesis_calm(struct sim_world *world)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        struct sim_node *node = &world->nodes[i];
        node->crash_when_dirty = false;
        node->disk_mean_us = node->disk_mean_us > 2000 ? 2000 : node->disk_mean_us;
        node->paused_until_us = 0;
    }
}

static struct sim_client *nemesis_client(struct sim_world *world)
{
    return &world->clients[sim_random_between(&world->nemesis.random, 0, world->clients_len - 1)];
}

static uint64_t nemesis_while(struct sim_world *world)
{
    return sim_random_between(&world->nemesis.random, 50000, 1500000);
}

static void nemesis_mend_all(struct sim_world *world)
{
    SIM_TRACE(world, "partition mended");
    for (unsigned i = 0; i < world->nodes_len; i++) {
        for (unsigned j = 0; j < world->nodes_len; j++) {
            sim_net_cut(world, i, j, false);
        }
        for (unsigned c = 0; c < world->clients_len; c++) {
            world->net.client_cut[c][i] = false;
        }
    }
}

static void nemesis_mend(struct sim_event *event)
{
    struct sim_world *world = event->object;
    if (event->a == world->nemesis.cuts) { /* Otherwise another partition came since. */
        nemesis_mend_all(world);
    }
}

static void nemesis_mend_later(struct sim_world *world)
{
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + nemesis_while(world),
                                                     .fire = nemesis_mend,
                                                     .object = world,
                                                     .a = ++world->nemesis.cuts});
}

/* Cuts the nodes of a set (bits) off from the others. `one_way`: they hear, but are not heard. */
static void nemesis_cut(struct sim_world *world, unsigned set, bool one_way)
{
    bool clients_too = sim_random_chance(&world->nemesis.random, 400000);
    sim_world_count(world, SIM_STAT_PARTITIONS, 1);
    SIM_TRACE(world, "partition: set %x is cut off%s", set, one_way ? ", one way" : "");
    for (unsigned i = 0; i < world->nodes_len; i++) {
        for (unsigned j = 0; j < world->nodes_len; j++) {
            bool out = (set >> i & 1) != 0 && (set >> j & 1) == 0;
            bool in = (set >> i & 1) == 0 && (set >> j & 1) != 0;
            if (out || (in && !one_way)) {
                sim_net_cut(world, i, j, true);
            }
        }
        for (unsigned c = 0; c < world->clients_len && clients_too && (set >> i & 1) != 0; c++) {
            world->net.client_cut[c][i] = sim_random_chance(&world->nemesis.random, 500000);
        }
    }
    nemesis_mend_later(world);
}

static void nemesis_cut_leader(struct sim_world *world)
{
    struct sim_node *leader = nemesis_leader(world);
    if (leader != NULL) {
        sim_world_count(world, SIM_STAT_LEADERS_CUT_OFF, 1);
        nemesis_cut(world, 1u << leader->index, sim_random_chance(&world->nemesis.random, 300000));
    }
}

static void nemesis_slow_end(struct sim_event *event)
{
    struct sim_node *node = event->object;
    node->disk_mean_us = event->a;
}

static void nemesis_slow_disk(struct sim_world *world)
{
    struct sim_node *node = nemesis_node(world);
    uint64_t mean = sim_random_between(&world->nemesis.random, 20000, 150000);
    if (node->disk_mean_us >= 20000) {
        return; /* It is slow already. */
    }
    sim_world_count(world, SIM_STAT_SLOW_DISKS, 1);
    SIM_TRACE(world, "node %u: disk takes %lu ms", node->index + 1, (unsigned long)mean / 1000);
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + nemesis_while(world),
                                                     .fire = nemesis_slow_end,
                                                     .object = node,
                                                     .a = node->disk_mean_us});
    node->disk_mean_us = mean;
}

static void nemesis_pause(struct sim_world *world, struct sim_node *node)
{
    if (node != NULL && node->shard != NULL) {
        sim_world_count(world, SIM_STAT_PAUSES, 1);
        sim_node_pause(node, sim_world_now(world) + nemesis_while(world));
    }
}

static void nemesis_crash(struct sim_world *world, struct sim_node *node, bool dirty)
{
    if (node == NULL || node->shard == NULL) {
        return;
    }
    if (dirty) {
        node->crash_when_dirty = true;
        node->down_us = nemesis_while(world);
    } else {
        sim_node_crash(node, nemesis_while(world));
    }
}

static void nemesis_break_client(struct sim_world *world, bool cut)
{
    struct sim_client *client = nemesis_client(world);
    if (client->conn == NULL) {
        return;
    }
    sim_world_count(world, SIM_STAT_CLIENT_BREAKS, 1);
    if (cut) {
        world->net.client_cut[client->index][client->conn->node_index] = true;
        nemesis_mend_later(world);
    } else {
        sim_conn_break(client->conn);
    }
}

static void nemesis_reconnect_client(struct sim_event *event)
{
    struct sim_client *client = event->object;
    for (unsigned i = 0; i < client->world->nodes_len; i++) {
        client->world->net.client_cut[client->index][i] = false;
    }
}

/* Long enough that its session may be gone. */
static void nemesis_cut_client(struct sim_world *world)
{
    struct sim_client *client = nemesis_client(world);
    uint64_t until = sim_world_now(world) + sim_random_between(&world->nemesis.random, 500000, 5000000);
    sim_world_count(world, SIM_STAT_CLIENTS_CUT_OFF, 1);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        world->net.client_cut[client->index][i] = true;
    }
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = until, .fire = nemesis_reconnect_client, .object = client});
}

static void nemesis_uncongest(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    conn->congested = false;
    if (conn->session != NULL && conn->node != NULL && !sim_node_defer(conn->node, event)) {
        native_session_congested(conn->session, false);
        sim_node_wake(conn->node);
    }
}

static void nemesis_congest(struct sim_world *world)
{
    struct sim_conn *conn = nemesis_client(world)->conn;
    if (conn == NULL || conn->session == NULL || conn->congested || conn->closing ||
        conn->node->paused_until_us > sim_world_now(world)) {
        return;
    }
    sim_world_count(world, SIM_STAT_CONGESTIONS, 1);
    conn->congested = true;
    native_session_congested(conn->session, true);
    sim_node_wake(conn->node);
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + nemesis_while(world) / 4,
                                                     .fire = nemesis_uncongest,
                                                     .object = conn});
}

static void nemesis_transfer(struct sim_world *world)
{
    struct sim_node *leader = nemesis_leader(world);
    if (leader != NULL && leader->paused_until_us <= sim_world_now(world)) {
        int err = driver_transfer(shard_driver(leader->shard), 0);
        sim_world_count(world, SIM_STAT_TRANSFERS, err == 0);
        sim_node_wake(leader);
    }
}

static void nemesis_break_peer(struct sim_world *world)
{
    unsigned from = nemesis_node(world)->index;
    unsigned to = nemesis_node(world)->index;
    sim_world_count(world, SIM_STAT_PEER_BREAKS, from != to);
    sim_net_break(world, from, to);
}

static void nemesis_strike(struct sim_world *world, enum sim_trouble trouble)
{
    struct sim_random *random = &world->nemesis.random;
    sim_world_note(world, 10, trouble, 0);
    switch (trouble) {
    case SIM_CRASH: nemesis_crash(world, nemesis_node(world), false); break;
    case SIM_CRASH_DIRTY: nemesis_crash(world, nemesis_node(world), true); break;
    case SIM_CRASH_LEADER: nemesis_crash(world, nemesis_leader(world), sim_random_chance(random, 500000)); break;
    case SIM_CRASH_ALL:
        for (unsigned i = 0; i < world->nodes_len; i++) {
            nemesis_crash(world, &world->nodes[i], false);
        }
        break;
    case SIM_PAUSE: nemesis_pause(world, nemesis_node(world)); break;
    case SIM_PAUSE_LEADER: nemesis_pause(world, nemesis_leader(world)); break;
    case SIM_SLOW_DISK: nemesis_slow_disk(world); break;
    case SIM_PARTITION:
        nemesis_cut(world, (unsigned)sim_random_between(random, 1, (1u << world->nodes_len) - 2),
                    sim_random_chance(random, 300000));
        break;
    case SIM_CUT_LEADER: nemesis_cut_leader(world); break;
    case SIM_CUT_ONE_WAY: nemesis_cut(world, 1u << nemesis_node(world)->index, true); break;
    case SIM_BREAK_PEER: nemesis_break_peer(world); break;
    case SIM_BREAK_CLIENT: nemesis_break_client(world, false); break;
    case SIM_CUT_CLIENT: nemesis_break_client(world, true); break;
    case SIM_LONG_CUT_CLIENT: nemesis_cut_client(world); break;
    case SIM_CRASH_CLIENT: sim_client_crash(nemesis_client(world), sim_random_between(random, 1000, 4000000)); break;
    case SIM_CONGEST: nemesis_congest(world); break;
    case SIM_TRANSFER: nemesis_transfer(world); break;
    case SIM_CLOCK_JUMP:
        sim_world_count(world, SIM_STAT_CLOCK_JUMPS, 1);
        nemesis_node(world)->wall_offset_ms += (int64_t)sim_random_between(random, 0, 7200000) - 3600000;
        break;
    case SIM_TROUBLE_COUNT: break;
    }
}

/* Whether a node is so far behind that the log it needs might soon be gone: it would need a rebuild. */
static bool nemesis_overdone(struct sim_world *world)
{
    struct sim_node *leader = nemesis_leader(world);
    for (unsigned i = 0; i < world->nodes_len && leader != NULL; i++) {
        const struct sim_node *node = &world->nodes[i];
        uint64_t has =
            node->shard == NULL ? node->said_stored : log_stored_index(driver_log(shard_driver(node->shard)));
        if (log_bytes_from(driver_log(shard_driver(leader->shard)), has + 1) > world->retain_len / 5) {
            return true;
        }
    }
    return false;
}

static void nemesis_event(struct sim_event *event)
{
    struct sim_world *world = event->object;
    struct sim_nemesis *nemesis = &world->nemesis;
    if (world->phase != SIM_WORK) {
        return;
    }
    if (nemesis_overdone(world)) {
        SIM_TRACE(world, "a node is far behind: everything is mended for a while");
        nemesis_mend_all(world);
        nemesis_calm(world);
    } else {
        uint64_t draw = sim_random_between(&nemesis->random, 1, nemesis->weights_sum);
        unsigned trouble = 0;
        while (draw > nemesis->weights[trouble]) {
            draw -= nemesis->weights[trouble++];
        }
        nemesis_strike(world, (enum sim_trouble)trouble);
    }
    /* A run that takes long gets more and more air to breathe, so that it ends. */
    uint64_t pause_us = sim_random_delay(&nemesis->random, nemesis->every_us);
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = sim_world_now(world) + pause_us * (1 + sim_world_now(world) / 10000000),
                                      .fire = nemesis_event,
                                      .object = world});
}

static const enum sim_trouble plan[] = {SIM_CRASH_DIRTY, SIM_CUT_LEADER, SIM_CRASH_DIRTY, SIM_PAUSE_LEADER};

bool sim_nemesis_done(const struct sim_world *world)
{
    return world->nemesis.planned == ARRAY_LEN(plan) && world->stats.counts[SIM_STAT_DIRTY_CRASHES] > 0;
}

/* Every run sees the leader cut off, crash with something to lose, and pause. A planned trouble whose victim is not
 * there is tried again, and so is a crash in which chance lost nothing. */
static void nemesis_plan(struct sim_event *event)
{
    struct sim_world *world = event->object;
    struct sim_nemesis *nemesis = &world->nemesis;
    uint64_t pause_us = world->work_us / 6;
    if (sim_nemesis_done(world) || world->phase != SIM_WORK) {
        return;
    }
    struct sim_node *leader = nemesis_leader(world);
    if (leader == NULL) {
        pause_us = 50000;
    } else if (nemesis->planned == ARRAY_LEN(plan) || plan[nemesis->planned] == SIM_CRASH_DIRTY) {
        nemesis->planned += nemesis->planned < ARRAY_LEN(plan);
        nemesis_crash(world, leader, true);
    } else {
        nemesis_strike(world, plan[nemesis->planned++]);
    }
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = sim_world_now(world) + pause_us, .fire = nemesis_plan, .object = world});
}

void sim_nemesis_init(struct sim_world *world)
{
    struct sim_nemesis *nemesis = &world->nemesis;
    sim_random_init(&nemesis->random, world->options.seed, 3);
    nemesis->every_us = sim_random_between(&nemesis->random, 80000, 600000);
    for (unsigned i = 0; i < SIM_TROUBLE_COUNT; i++) {
        bool likes = sim_random_chance(&nemesis->random, 700000);
        nemesis->weights[i] = likes ? (unsigned)sim_random_between(&nemesis->random, 1, 10) : 0;
        nemesis->weights[i] /= i == SIM_CRASH_ALL ? 4 : 1;
        nemesis->weights_sum += nemesis->weights[i];
    }
    if (nemesis->weights_sum == 0) {
        nemesis->weights[SIM_CRASH] = nemesis->weights_sum = 1;
    }
    sim_queue_push(&world->queue, (struct sim_event){.at_us = 500000, .fire = nemesis_event, .object = world});
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = world->work_us / 8, .fire = nemesis_plan, .object = world});
}

void sim_nemesis_stop(struct sim_world *world)
{
    sim_net_heal(world);
    nemesis_calm(world);
}
