/* What goes wrong with a node's disk, and its memory. */

#include "sim_disk.h"
#include "sim_trouble.h"
#include "sim_world.h"

static void trouble_slow_end(struct sim_event *event)
{
    struct sim_node *node = event->object;
    node->disk_mean_us = event->a;
}

void sim_trouble_slow(struct sim_world *world)
{
    struct sim_node *node = sim_trouble_node(world);
    uint64_t mean = sim_random_between(&world->nemesis.random, 20000, 150000);
    if (node->disk_mean_us >= 20000) {
        return; /* It is slow already. */
    }
    sim_world_count(world, SIM_STAT_SLOW_DISKS, 1);
    SIM_TRACE(world, "node %u: disk takes %lu ms", node->index + 1, (unsigned long)mean / 1000);
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + sim_trouble_while(world),
                                                     .fire = trouble_slow_end,
                                                     .object = node,
                                                     .a = node->disk_mean_us});
    node->disk_mean_us = mean;
}

/* A file of strangers takes what is left, nearly; sometimes only as much that the node is short. */
static void trouble_unfill(struct sim_event *event)
{
    struct sim_node *node = event->object;
    if (event->a == node->fills) {
        node->strangers_len = 0;
        SIM_TRACE(node->world, "node %u: the disk has room again", node->index + 1);
    }
}

static void trouble_fill_until(struct sim_world *world, struct sim_node *node, uint64_t until_us)
{
    struct sim_random *random = &world->nemesis.random;
    uint64_t room = sim_disk_room(sim_node_disk(node));
    uint64_t left = sim_random_chance(random, 500000) ? sim_random_between(random, 0, 8192)
                                                      : sim_random_between(random, 0, node->disk_free_min);
    node->fills++;
    node->strangers_len += room > left ? room - left : 0;
    SIM_TRACE(world, "node %u: the disk is filled, %lu bytes are left", node->index + 1, (unsigned long)left);
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = until_us, .fire = trouble_unfill, .object = node, .a = node->fills});
}

void sim_trouble_fill(struct sim_world *world, struct sim_node *node)
{
    if (node != NULL) {
        sim_world_count(world, SIM_STAT_FILLS, 1);
        trouble_fill_until(world, node, sim_world_now(world) + 2 * sim_trouble_while(world));
    }
}

void sim_trouble_fill_all(struct sim_world *world)
{
    uint64_t until_us = sim_world_now(world) + sim_trouble_while(world);
    sim_world_count(world, SIM_STAT_FILLS_ALL, 1);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        trouble_fill_until(world, &world->nodes[i], until_us + sim_trouble_while(world) / 4);
    }
}

static void trouble_stall_end(struct sim_event *event)
{
    struct sim_node *node = event->object;
    if (event->a == node->stalls) {
        sim_node_unstall(node);
    }
}

void sim_trouble_stall(struct sim_world *world, struct sim_node *node)
{
    if (node == NULL || node->shard == NULL || node->stalled) {
        return;
    }
    uint64_t us = sim_random_between(&world->nemesis.random, 500000, 5000000);
    sim_world_count(world, SIM_STAT_STALLS, 1);
    sim_world_count(world, SIM_STAT_STALLS_LEADER, node == sim_world_leader(world));
    SIM_TRACE(world, "node %u: the disk answers nothing for %lu ms", node->index + 1, (unsigned long)us / 1000);
    node->stalled = true;
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + us,
                                                     .fire = trouble_stall_end,
                                                     .object = node,
                                                     .a = ++node->stalls});
}

static void trouble_memory_end(struct sim_event *event)
{
    struct sim_node *node = event->object;
    node->memory_short = false;
}

void sim_trouble_memory(struct sim_world *world, struct sim_node *node)
{
    sim_world_count(world, SIM_STAT_MEMORY_SHORT, 1);
    SIM_TRACE(world, "node %u is short of memory", node->index + 1);
    node->memory_short = true;
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + sim_trouble_while(world),
                                                     .fire = trouble_memory_end,
                                                     .object = node});
}

void sim_trouble_calm_disk(struct sim_node *node)
{
    node->disk_mean_us = node->disk_mean_us > 2000 ? 2000 : node->disk_mean_us;
    node->strangers_len = 0;
    node->memory_short = false;
    sim_node_unstall(node);
}
