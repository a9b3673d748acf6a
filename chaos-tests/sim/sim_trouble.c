/* Each thing that can go wrong: nodes, network, clients. */

#include "sim_trouble.h"

#include "rpc/gateway.h"
#include "sim_conn.h"
#include "sim_world.h"

uint64_t sim_trouble_while(struct sim_world *world)
{
    return sim_random_between(&world->nemesis.random, 50000, 1500000);
}

struct sim_node *sim_trouble_node(struct sim_world *world)
{
    return &world->nodes[sim_random_between(&world->nemesis.random, 0, world->nodes_len - 1)];
}

static struct sim_client *trouble_client(struct sim_world *world)
{
    return &world->clients[sim_random_between(&world->nemesis.random, 0, world->clients_len - 1)];
}

void sim_trouble_mend_all(struct sim_world *world)
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

static void trouble_mend(struct sim_event *event)
{
    struct sim_world *world = event->object;
    if (event->a == world->nemesis.cuts) { /* Otherwise another partition came since. */
        sim_trouble_mend_all(world);
    }
}

static void trouble_mend_later(struct sim_world *world, uint64_t us)
{
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + us,
                                                     .fire = trouble_mend,
                                                     .object = world,
                                                     .a = ++world->nemesis.cuts});
}

/* Cuts the nodes of a set (bits) off from the others, for that time. `one_way`: they hear, but are not heard. */
static void trouble_cut_for(struct sim_world *world, unsigned set, bool one_way, uint64_t us)
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
    trouble_mend_later(world, us);
}

static void trouble_cut(struct sim_world *world, unsigned set, bool one_way)
{
    trouble_cut_for(world, set, one_way, sim_trouble_while(world));
}

/* So long that the others take it for lost, and that it notices itself that nobody answers, though it hears them. */
static void trouble_mute(struct sim_world *world)
{
    sim_world_count(world, SIM_STAT_MUTED, 1);
    trouble_cut_for(world, 1u << sim_trouble_node(world)->index, true,
                    sim_random_between(&world->nemesis.random, 2000000, 12000000));
}

static void trouble_cut_leader(struct sim_world *world)
{
    struct sim_node *leader = sim_world_leader(world);
    if (leader != NULL) {
        sim_world_count(world, SIM_STAT_LEADERS_CUT_OFF, 1);
        trouble_cut(world, 1u << leader->index, sim_random_chance(&world->nemesis.random, 300000));
    }
}

static void trouble_pause(struct sim_world *world, struct sim_node *node)
{
    if (node != NULL && node->shard != NULL) {
        sim_world_count(world, SIM_STAT_PAUSES, 1);
        sim_node_pause(node, sim_world_now(world) + sim_trouble_while(world));
    }
}

void sim_trouble_crash(struct sim_world *world, struct sim_node *node, bool dirty)
{
    if (node == NULL || node->shard == NULL) {
        return;
    }
    if (dirty) {
        node->crash_when_dirty = true;
        node->down_us = sim_trouble_while(world);
    } else {
        sim_node_crash(node, sim_trouble_while(world));
    }
}

/* Sometimes for so long that log time lags when they come back. */
#define NIGHT_US_MIN 3000000u
#define NIGHT_US_MAX 15000000u

static void trouble_crash_all(struct sim_world *world)
{
    struct sim_random *random = &world->nemesis.random;
    bool night = sim_random_chance(random, 300000);
    uint64_t night_us = sim_random_between(random, NIGHT_US_MIN, NIGHT_US_MAX);
    sim_world_count(world, SIM_STAT_NIGHTS, night);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        struct sim_node *node = &world->nodes[i];
        if (night && node->shard != NULL) {
            sim_node_crash(node, night_us + sim_random_delay(random, 200000));
        } else {
            sim_trouble_crash(world, node, false);
        }
    }
}

static void trouble_break_client(struct sim_world *world, bool cut)
{
    struct sim_client *client = trouble_client(world);
    if (client->conn == NULL) {
        return;
    }
    sim_world_count(world, SIM_STAT_CLIENT_BREAKS, 1);
    if (cut) {
        world->net.client_cut[client->index][client->conn->node_index] = true;
        trouble_mend_later(world, sim_trouble_while(world));
    } else {
        sim_conn_break(client->conn);
    }
}

/* Long enough that its session may be gone. */
static void trouble_cut_client(struct sim_world *world)
{
    struct sim_client *client = trouble_client(world);
    sim_world_count(world, SIM_STAT_CLIENTS_CUT_OFF, 1);
    world->net.alone_until_us[client->index] =
        sim_world_now(world) + sim_random_between(&world->nemesis.random, 500000, 8000000);
}

static void trouble_uncongest(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    conn->congested = false;
    if (conn->session != NULL && conn->node != NULL && !sim_node_defer(conn->node, event)) {
        native_session_congested(conn->session, false);
        sim_node_wake(conn->node);
    }
}

/* Short mostly; some clients are slow for good. */
static uint64_t trouble_congestion(struct sim_world *world)
{
    uint64_t us = sim_trouble_while(world);
    return sim_random_chance(&world->nemesis.random, 800000) ? us / 4 : us * 2;
}

static void trouble_congest(struct sim_world *world)
{
    struct sim_conn *conn = trouble_client(world)->conn;
    if (conn == NULL || conn->session == NULL || conn->congested || conn->closing ||
        conn->node->paused_until_us > sim_world_now(world)) {
        return;
    }
    sim_world_count(world, SIM_STAT_CONGESTIONS, 1);
    conn->congested = true;
    native_session_congested(conn->session, true);
    sim_node_wake(conn->node);
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + trouble_congestion(world),
                                                     .fire = trouble_uncongest,
                                                     .object = conn});
}

/* An operator asks some node, which asks the leader. */
static void trouble_transfer_elsewhere(struct sim_world *world)
{
    struct sim_node *node = sim_trouble_node(world);
    if (node->shard == NULL || node->paused_until_us > sim_world_now(world) || node == sim_world_leader(world)) {
        return;
    }
    struct gateway *gateway = shard_gateway(node->shard);
    uint64_t to = sim_random_between(&world->nemesis.random, 0, world->nodes_len);
    sim_world_count(world, SIM_STAT_TRANSFERS_ELSEWHERE, gateway->ops->transfer(gateway, to) == 0);
    sim_node_wake(node);
}

static void trouble_transfer(struct sim_world *world)
{
    struct sim_node *leader = sim_world_leader(world);
    if (sim_random_chance(&world->nemesis.random, 400000)) {
        trouble_transfer_elsewhere(world);
    } else if (leader != NULL && leader->paused_until_us <= sim_world_now(world)) {
        int err = driver_transfer(shard_driver(leader->shard), 0);
        sim_world_count(world, SIM_STAT_TRANSFERS, err == 0);
        sim_node_wake(leader);
    }
}

static void trouble_break_peer(struct sim_world *world)
{
    unsigned from = sim_trouble_node(world)->index;
    unsigned to = sim_trouble_node(world)->index;
    sim_world_count(world, SIM_STAT_PEER_BREAKS, from != to);
    sim_net_break(world, from, to);
    if (sim_random_chance(&world->nemesis.random, 500000)) {
        sim_net_break(world, to, from);
    }
}

void sim_trouble_strike(struct sim_world *world, enum sim_trouble trouble)
{
    struct sim_random *random = &world->nemesis.random;
    sim_world_note(world, 10, trouble, 0);
    if (sim_damage_unseen(world)) {
        return; /* A replica that computes something else is all that may go wrong until somebody has noticed. */
    }
    switch (trouble) {
    case SIM_CRASH: sim_trouble_crash(world, sim_trouble_node(world), false); break;
    case SIM_CRASH_DIRTY: sim_trouble_crash(world, sim_trouble_node(world), true); break;
    case SIM_CRASH_LEADER: sim_trouble_crash(world, sim_world_leader(world), sim_random_chance(random, 500000)); break;
    case SIM_CRASH_ALL: trouble_crash_all(world); break;
    case SIM_PAUSE: trouble_pause(world, sim_trouble_node(world)); break;
    case SIM_PAUSE_LEADER: trouble_pause(world, sim_world_leader(world)); break;
    case SIM_SLOW_DISK: sim_trouble_slow(world); break;
    case SIM_PARTITION:
        trouble_cut(world, (unsigned)sim_random_between(random, 1, (1u << world->nodes_len) - 2),
                    sim_random_chance(random, 300000));
        break;
    case SIM_CUT_LEADER: trouble_cut_leader(world); break;
    case SIM_CUT_ONE_WAY: trouble_cut(world, 1u << sim_trouble_node(world)->index, true); break;
    case SIM_MUTE: trouble_mute(world); break;
    case SIM_BREAK_PEER: trouble_break_peer(world); break;
    case SIM_BREAK_CLIENT: trouble_break_client(world, false); break;
    case SIM_CUT_CLIENT: trouble_break_client(world, true); break;
    case SIM_LONG_CUT_CLIENT: trouble_cut_client(world); break;
    case SIM_CRASH_CLIENT: sim_client_crash(trouble_client(world), sim_random_between(random, 1000, 4000000)); break;
    case SIM_CLOSE_CLIENT: sim_client_close(trouble_client(world)); break;
    case SIM_CONGEST: trouble_congest(world); break;
    case SIM_TRANSFER: trouble_transfer(world); break;
    case SIM_CLOCK_JUMP:
        sim_world_count(world, SIM_STAT_CLOCK_JUMPS, 1);
        sim_node_clock_jumps(sim_trouble_node(world), (int64_t)sim_random_between(random, 0, 7200000) - 3600000);
        break;
    case SIM_FILL: sim_trouble_fill(world, sim_trouble_node(world)); break;
    case SIM_FILL_LEADER: sim_trouble_fill(world, sim_world_leader(world)); break;
    case SIM_FILL_ALL: sim_trouble_fill_all(world); break;
    case SIM_STALL: sim_trouble_stall(world, sim_trouble_node(world)); break;
    case SIM_STALL_LEADER: sim_trouble_stall(world, sim_world_leader(world)); break;
    case SIM_MEMORY: sim_trouble_memory(world, sim_trouble_node(world)); break;
    case SIM_TROUBLE_COUNT: break;
    }
}
