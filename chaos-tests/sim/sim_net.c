/* Frames between nodes. */

#include "sim_net.h"

#include <stdlib.h>

#include "sim_frame.h"
#include "sim_world.h"

void sim_net_init(struct sim_world *world)
{
    struct sim_net *net = &world->net;
    struct sim_random *random = &net->random;
    sim_random_init(random, world->options.seed, 2);
    net->delay_us = sim_random_between(random, 100, 3000);
    net->lost = sim_random_chance(random, 500000) ? sim_random_between(random, 0, 20000) : 0;
    net->repeated = sim_random_chance(random, 500000) ? sim_random_between(random, 0, 30000) : 0;
    net->reordered = sim_random_chance(random, 400000) ? sim_random_between(random, 0, 50000) : 0;
}

void sim_net_heal(struct sim_world *world)
{
    struct sim_net *net = &world->net;
    net->lost = 0;
    net->repeated = 0;
    net->reordered = 0;
    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        for (unsigned j = 0; j < SIM_NODES_MAX; j++) {
            net->links[i][j].cut = false;
        }
        for (unsigned c = 0; c < SIM_CLIENTS_MAX; c++) {
            net->client_cut[c][i] = false;
        }
    }
}

static void net_arrive(struct sim_event *event)
{
    struct sim_node *node = event->object;
    struct sim_world *world = node->world;
    uint64_t from = event->a;
    struct sim_link *link = &world->net.links[from][node->index];
    if (event->b != link->epoch || link->cut || node->shard == NULL) {
        sim_world_count(world, SIM_STAT_PEER_LOST, 1);
        return;
    }
    if (sim_node_defer(node, event)) {
        return;
    }
    struct frame frame;
    int err = sim_frame_unpack(event->blob, &frame);
    if (err != 0) {
        sim_world_violation(world, "node %u sent a frame with a bad prefix: %s", (unsigned)from + 1, err_name(err));
        return;
    }
    sim_node_receive(node, from + 1, &frame);
}

static void net_push(struct sim_world *world, unsigned from, unsigned to, struct blob *blob, bool ordered)
{
    struct sim_net *net = &world->net;
    struct sim_link *link = &net->links[from][to];
    uint64_t at = sim_world_now(world) + sim_random_delay(&net->random, net->delay_us);
    if (ordered) {
        at = at > link->last_us ? at : link->last_us;
        link->last_us = at;
    } else {
        at += sim_random_between(&net->random, 0, 20 * net->delay_us);
    }
    sim_queue_push(
        &world->queue,
        (struct sim_event){
            .at_us = at, .fire = net_arrive, .object = &world->nodes[to], .a = from, .b = link->epoch, .blob = blob});
}

void sim_net_send(struct sim_world *world, unsigned from, unsigned to, struct frame_out *frame)
{
    struct sim_net *net = &world->net;
    struct sim_random *random = &net->random;
    sim_world_count(world, SIM_STAT_PEER_FRAMES, 1);
    bool lost = sim_random_chance(random, net->lost);
    if (lost || net->links[from][to].cut || world->nodes[to].shard == NULL) {
        sim_world_count(world, SIM_STAT_PEER_LOST, 1);
        frame_out_done(frame);
        return;
    }
    struct blob *blob = sim_frame_pack(frame);
    bool reordered = sim_random_chance(random, net->reordered);
    sim_world_count(world, SIM_STAT_PEER_REORDERED, reordered);
    if (sim_random_chance(random, net->repeated)) {
        sim_world_count(world, SIM_STAT_PEER_REPEATED, 1);
        net_push(world, from, to, blob_ref(blob), false);
    }
    net_push(world, from, to, blob, !reordered);
}

void sim_net_break(struct sim_world *world, unsigned from, unsigned to)
{
    world->net.links[from][to].epoch++;
    world->net.links[from][to].last_us = 0;
}

void sim_net_cut(struct sim_world *world, unsigned from, unsigned to, bool cut)
{
    world->net.links[from][to].cut = cut;
    if (cut) {
        sim_net_break(world, from, to);
    }
}

void sim_net_done(struct sim_world *world)
{
    struct sim_conn *conn = world->net.conns;
    while (conn != NULL) {
        struct sim_conn *next = conn->next;
        free(conn->waiting);
        free(conn);
        conn = next;
    }
    world->net.conns = NULL;
}
