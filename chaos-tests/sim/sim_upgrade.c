/* Rolling upgrades. */

#include "sim_upgrade.h"

#include <inttypes.h>

#include "sim_world.h"

#define STREAM_UPGRADE 71u
#define STREAM_UPGRADE_CHOSEN 72u

void sim_upgrade_init(struct sim_world *world)
{
    struct sim_upgrade *upgrade = &world->upgrade;
    sim_random_init(&upgrade->random, world->options.seed, STREAM_UPGRADE);
    upgrade->version = 1;
    if (sim_random_mix(world->options.seed, STREAM_UPGRADE_CHOSEN) % 4 != 0) {
        return;
    }
    sim_world_count(world, SIM_STAT_MIXED_WORLDS, 1);
    upgrade->old = 1u << sim_random_between(&upgrade->random, 0, world->nodes_first - 1);
    for (unsigned i = 0; i < world->nodes_first; i++) {
        upgrade->old |= sim_random_chance(&upgrade->random, 600000) ? 1u << i : 0;
    }
}

uint32_t sim_upgrade_version(const struct sim_node *node)
{
    return (node->world->upgrade.old >> node->index & 1) != 0 ? 1 : 0;
}

/* A node that is down is started anew by whoever took it down. */
static void upgrade_node(struct sim_event *event)
{
    struct sim_world *world = event->object;
    struct sim_node *node = &world->nodes[event->a];
    SIM_TRACE(world, "node %u becomes one of the new build", node->index + 1);
    world->upgrade.old &= ~(1u << node->index);
    sim_world_count(world, SIM_STAT_UPGRADES, 1);
    sim_world_count(world, SIM_STAT_UPGRADES_LEADER, node == sim_world_leader(world));
    sim_node_process_ends(node, sim_random_between(&world->upgrade.random, 1000, 400000));
}

void sim_upgrade_begin(struct sim_world *world)
{
    struct sim_upgrade *upgrade = &world->upgrade;
    for (unsigned i = 0; i < world->nodes_first; i++) {
        if ((upgrade->old >> i & 1) != 0) {
            uint64_t at_us = sim_random_between(&upgrade->random, 200000, world->work_us * 3 / 4);
            sim_queue_push(&world->queue,
                           (struct sim_event){.at_us = at_us, .fire = upgrade_node, .object = world, .a = i});
        }
    }
}

void sim_upgrade_applied(struct sim_node *node, uint32_t version)
{
    struct sim_world *world = node->world;
    struct sim_upgrade *upgrade = &world->upgrade;
    if (version > 1 && (upgrade->old >> node->index & 1) != 0) {
        sim_world_violation(world, "node %u, of an old build, met an entry of version %" PRIu32, node->index + 1,
                            version);
    }
    if (version <= upgrade->version) {
        return;
    }
    SIM_TRACE(world, "version %" PRIu32 " of the rules is in force", version);
    upgrade->version = version;
    sim_world_count(world, SIM_STAT_RAISED, 1);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        const struct sim_node *other = &world->nodes[i];
        if ((upgrade->old >> i & 1) != 0 && !other->gone && !other->removed) {
            sim_world_violation(world, "version %" PRIu32 " of the rules is in force, and node %u does not know it",
                                version, i + 1);
        }
    }
}

bool sim_upgrade_done(const struct sim_world *world)
{
    return world->upgrade.version == MACHINE_VERSION_MAX;
}
