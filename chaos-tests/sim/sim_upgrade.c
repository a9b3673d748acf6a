/* Rolling upgrades. */

#include "sim_upgrade.h"

#include <inttypes.h>

#include "sim_world.h"

#define STREAM_UPGRADE 71u
#define STREAM_UPGRADE_CHOSEN 72u
#define STREAM_ROLL_BACK 75u
/* So long after a node has become old again all have heard of it, or nothing from it. */
#define ROLLED_BACK_US UINT64_C(6000000)

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
    if ((world->upgrade.old >> node->index & 1) == 0) {
        return;
    }
    SIM_TRACE(world, "node %u becomes one of the new build", node->index + 1);
    world->upgrade.old &= ~(1u << node->index);
    sim_world_count(world, SIM_STAT_UPGRADES, 1);
    sim_world_count(world, SIM_STAT_UPGRADES_LEADER, node == sim_world_leader(world));
    sim_node_process_ends(node, sim_random_between(&world->upgrade.random, 1000, 400000));
}

/* While there are others of the old build, nothing depends on it. */
static void roll_back_node(struct sim_event *event)
{
    struct sim_world *world = event->object;
    struct sim_upgrade *upgrade = &world->upgrade;
    struct sim_node *node = &world->nodes[event->a];
    if (upgrade->old == 0 || (upgrade->old >> node->index & 1) != 0 || node->gone || node->removed) {
        return;
    }
    SIM_TRACE(world, "node %u becomes one of the old build again", node->index + 1);
    upgrade->old |= 1u << node->index;
    sim_world_count(world, SIM_STAT_ROLLED_BACK, 1);
    sim_node_process_ends(node, sim_random_between(&upgrade->random, 1000, 400000));
}

/* One that was upgraded is as before for a while; the last one is upgraded long after that, when all have heard of it. */
static void upgrade_roll_back(struct sim_world *world, unsigned first, unsigned last, uint64_t upgraded_us)
{
    struct sim_upgrade *upgrade = &world->upgrade;
    uint64_t back_us = upgraded_us + sim_random_between(&upgrade->random, 200000, 800000);
    uint64_t again_us = back_us + sim_random_between(&upgrade->random, 200000, 2000000);
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = back_us, .fire = roll_back_node, .object = world, .a = first});
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = again_us, .fire = upgrade_node, .object = world, .a = first});
    sim_queue_push(
        &world->queue,
        (struct sim_event){.at_us = back_us + ROLLED_BACK_US, .fire = upgrade_node, .object = world, .a = last});
}

void sim_upgrade_begin(struct sim_world *world)
{
    struct sim_upgrade *upgrade = &world->upgrade;
    unsigned first = upgrade->old == 0 ? 0 : (unsigned)__builtin_ctz(upgrade->old);
    unsigned last = upgrade->old == 0 ? 0 : 31u - (unsigned)__builtin_clz(upgrade->old);
    /* The last one must stay a member until then. */
    bool steady = world->membership.plans == 0 && !sim_damage_chosen(world->options.seed);
    if (first != last && steady && sim_random_mix(world->options.seed, STREAM_ROLL_BACK) % 3 == 0) {
        uint64_t at_us = sim_random_between(&upgrade->random, 200000, 1000000);
        sim_queue_push(&world->queue,
                       (struct sim_event){.at_us = at_us, .fire = upgrade_node, .object = world, .a = first});
        upgrade_roll_back(world, first, last, at_us);
        for (unsigned i = first + 1; i < last; i++) {
            if ((upgrade->old >> i & 1) != 0) {
                sim_queue_push(
                    &world->queue,
                    (struct sim_event){.at_us = at_us + i * 300000, .fire = upgrade_node, .object = world, .a = i});
            }
        }
        return;
    }
    for (unsigned i = 0; i < world->nodes_first; i++) {
        if ((upgrade->old >> i & 1) != 0) {
            /* Where nodes fall far behind, some of both builds are there when copies are fetched. */
            uint64_t end_us = world->rebuilds ? world->work_us * 3 / 2 : world->work_us * 3 / 4;
            uint64_t at_us = sim_random_between(&upgrade->random, 200000, end_us);
            sim_queue_push(&world->queue,
                           (struct sim_event){.at_us = at_us, .fire = upgrade_node, .object = world, .a = i});
        }
    }
}

/* As the node that has just applied the entry has it: one that was removed may not know that yet, nor its operator. */
static bool is_member(struct sim_node *at, uint64_t id)
{
    struct driver_status status;
    bool member = false;
    driver_status(shard_driver(at->shard), &status);
    for (unsigned i = 0; i < status.members_len; i++) {
        member = member || status.members[i].id == id;
    }
    return member;
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
        if ((upgrade->old >> i & 1) != 0 && !other->gone && is_member(node, other->id)) {
            sim_world_violation(world, "version %" PRIu32 " of the rules is in force, and node %u does not know it",
                                version, i + 1);
        }
    }
}

bool sim_upgrade_mixed(const struct sim_world *world)
{
    unsigned all = (1u << world->nodes_first) - 1;
    return world->upgrade.old != 0 && (world->upgrade.old & all) != all;
}

bool sim_upgrade_done(const struct sim_world *world)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        if (world->nodes[i].gone) {
            return true; /* It may be a member still, and is waited for. */
        }
    }
    return world->upgrade.version == MACHINE_VERSION_MAX;
}
