/* The troubles of a run: some that every run has, and many that chance brings. */

#include "sim_nemesis.h"

#include "proto/base/check.h"
#include "sim_trouble.h"
#include "sim_world.h"

/* Disks are quick and have room. A pause lasts as long as it lasts: what waits for its end would come after what is
 * newer. */
static void nemesis_calm(struct sim_world *world)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        struct sim_node *node = &world->nodes[i];
        node->crash_when_dirty = false;
        sim_trouble_calm_disk(node);
    }
}

/* Once things are mended, a follower may still take half a second until it asks its disk again, and some heartbeats
 * until it is offered what it refused: meanwhile the others go on, and what it needs must not go. */
#define WATCH_US 100000u
/* How long a node in exile is away at most, and how often it is looked after. */
#define EXILE_US 6000000u
#define RECALL_US 20000u

/* What a node has, or what the leader knows of that: after a while in which no answers came through, it may be much
 * less. */
static uint64_t nemesis_node_has(const struct sim_node *node, const struct sim_node *leader,
                                 const struct driver_status *status)
{
    uint64_t has = node->shard == NULL ? node->said_stored : log_stored_index(driver_log(shard_driver(node->shard)));
    for (unsigned i = 0; i < status->members_len && node != leader; i++) {
        uint64_t known = status->members[i].match_index;
        known = known > leader->led_from ? known : leader->led_from;
        if (status->members[i].id == node->id && known < has) {
            has = known;
        }
    }
    return has;
}

/* Whether a node is so far behind that the log it needs might soon be gone: most worlds are spared rebuilds, and all while a
 * node has another state than the others, which nobody could tell from theirs if one of three had none. */
static bool nemesis_overdone(struct sim_world *world)
{
    struct sim_node *leader = sim_world_leader(world);
    struct driver_status status;
    if (leader == NULL || (world->rebuilds && !sim_damage_unseen(world))) {
        return false;
    }
    driver_status(shard_driver(leader->shard), &status);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        uint64_t has = nemesis_node_has(&world->nodes[i], leader, &status);
        if (world->nodes[i].whole && !world->nodes[i].gone &&
            log_bytes_from(driver_log(shard_driver(leader->shard)), has + 1) > world->retain_len / 5) {
            return true;
        }
    }
    return false;
}

static void nemesis_relent(struct sim_world *world)
{
    SIM_TRACE(world, "a node is far behind: everything is mended for a while");
    sim_world_count(world, SIM_STAT_RELENTED, 1);
    sim_trouble_mend_all(world);
    sim_net_notice(world);
    nemesis_calm(world);
}

static void nemesis_watch(struct sim_event *event)
{
    struct sim_world *world = event->object;
    if (world->phase != SIM_WORK) {
        return;
    }
    if (nemesis_overdone(world)) {
        nemesis_relent(world);
    }
    sim_queue_push(
        &world->queue,
        (struct sim_event){.at_us = sim_world_now(world) + WATCH_US, .fire = nemesis_watch, .object = world});
}

static void nemesis_event(struct sim_event *event)
{
    struct sim_world *world = event->object;
    struct sim_nemesis *nemesis = &world->nemesis;
    if (world->phase != SIM_WORK) {
        return;
    }
    if (!nemesis_overdone(world)) {
        uint64_t draw = sim_random_between(&nemesis->random, 1, nemesis->weights_sum);
        unsigned trouble = 0;
        while (draw > nemesis->weights[trouble]) {
            draw -= nemesis->weights[trouble++];
        }
        sim_trouble_strike(world, (enum sim_trouble)trouble);
    }
    /* A run that takes long gets more and more air to breathe, so that it ends. */
    uint64_t pause_us = sim_random_delay(&nemesis->random, nemesis->every_us);
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = sim_world_now(world) + pause_us * (1 + sim_world_now(world) / 10000000),
                                      .fire = nemesis_event,
                                      .object = world});
}

bool sim_nemesis_done(const struct sim_world *world)
{
    return world->nemesis.planned == SIM_PLAN_LEN && world->stats.counts[SIM_STAT_DIRTY_CRASHES] > 0;
}

/* Brings the node in exile back as soon as the leader's log no longer has what it needs, or when it has been away for long. */
static void nemesis_recall(struct sim_event *event)
{
    struct sim_world *world = event->object;
    struct sim_node *node = &world->nodes[event->a];
    struct sim_node *leader = sim_world_leader(world);
    if (node->shard != NULL || event->b != node->life) {
        return;
    }
    bool behind = leader != NULL && log_first_index(driver_log(shard_driver(leader->shard))) > node->said_stored + 1;
    if (behind || world->phase != SIM_WORK) {
        sim_world_count(world, SIM_STAT_BEHIND, behind);
        sim_node_start(node);
        return;
    }
    struct sim_event next = *event;
    next.at_us = sim_world_now(world) + RECALL_US;
    sim_queue_push(&world->queue, next);
}

/* One node is away while the others go on, until it needs a copy of their state. */
static void nemesis_exile(struct sim_event *event)
{
    struct sim_world *world = event->object;
    struct sim_nemesis *nemesis = &world->nemesis;
    if (world->phase != SIM_WORK) {
        return;
    }
    struct sim_node *node = &world->nodes[sim_random_between(&nemesis->random, 0, world->nodes_len - 1)];
    if (node->shard != NULL && sim_damage_left(world) - 1 > world->nodes_first / 2 && !sim_damage_unseen(world)) {
        sim_node_crash(node, EXILE_US);
        sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + RECALL_US,
                                                         .fire = nemesis_recall,
                                                         .object = world,
                                                         .a = node->index,
                                                         .b = node->life});
    }
    /* More and more seldom, so that a run that takes long ends. */
    uint64_t pause_us = world->work_us / 3 * (1 + sim_world_now(world) / 10000000);
    sim_queue_push(
        &world->queue,
        (struct sim_event){.at_us = sim_world_now(world) + pause_us, .fire = nemesis_exile, .object = world});
}

/* A client that never comes back: what it holds must come free by itself. */
static void nemesis_death(struct sim_event *event)
{
    sim_client_die(event->object);
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
    struct sim_node *leader = sim_world_leader(world);
    if (leader == NULL || sim_damage_unseen(world)) {
        pause_us = 50000;
    } else if (nemesis->planned == SIM_PLAN_LEN || nemesis->plan[nemesis->planned] == SIM_CRASH_DIRTY) {
        nemesis->planned += nemesis->planned < SIM_PLAN_LEN;
        sim_trouble_crash(world, leader, true);
    } else {
        sim_trouble_strike(world, nemesis->plan[nemesis->planned++]);
    }
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = sim_world_now(world) + pause_us, .fire = nemesis_plan, .object = world});
}

static void nemesis_draw_plan(struct sim_nemesis *nemesis)
{
    static const enum sim_trouble always[] = {SIM_CRASH_DIRTY, SIM_CUT_LEADER, SIM_CRASH_DIRTY, SIM_PAUSE_LEADER};
    static const enum sim_trouble one_of[] = {SIM_FILL, SIM_FILL_LEADER, SIM_FILL_ALL, SIM_STALL_LEADER, SIM_MEMORY};
    _Static_assert(ARRAY_LEN(always) + 1 == SIM_PLAN_LEN, "one more is drawn");
    for (unsigned i = 0; i < ARRAY_LEN(always); i++) {
        nemesis->plan[i] = always[i];
    }
    nemesis->plan[SIM_PLAN_LEN - 1] = one_of[sim_random_between(&nemesis->random, 0, ARRAY_LEN(one_of) - 1)];
}

void sim_nemesis_init(struct sim_world *world)
{
    struct sim_nemesis *nemesis = &world->nemesis;
    sim_random_init(&nemesis->random, world->options.seed, 3);
    nemesis_draw_plan(nemesis);
    nemesis->every_us = sim_random_between(&nemesis->random, 80000, 600000);
    for (unsigned i = 0; i < SIM_TROUBLE_COUNT; i++) {
        bool likes = sim_random_chance(&nemesis->random, 700000);
        nemesis->weights[i] = likes ? (unsigned)sim_random_between(&nemesis->random, 1, 10) : 0;
        nemesis->weights[i] /= i == SIM_CRASH_ALL || i == SIM_FILL_ALL || i == SIM_MUTE ? 4 : 1;
        nemesis->weights_sum += nemesis->weights[i];
    }
    if (nemesis->weights_sum == 0) {
        nemesis->weights[SIM_CRASH] = nemesis->weights_sum = 1;
    }
    sim_queue_push(&world->queue, (struct sim_event){.at_us = 500000, .fire = nemesis_event, .object = world});
    sim_queue_push(&world->queue, (struct sim_event){.at_us = WATCH_US, .fire = nemesis_watch, .object = world});
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = sim_random_between(&nemesis->random, 500000, world->work_us * 3 / 4),
                                      .fire = nemesis_death,
                                      .object = &world->clients[world->clients_len - 1]});
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = world->work_us / 8, .fire = nemesis_plan, .object = world});
    if (world->rebuilds) {
        sim_queue_push(&world->queue,
                       (struct sim_event){.at_us = world->work_us / 10, .fire = nemesis_exile, .object = world});
    }
}

void sim_nemesis_stop(struct sim_world *world)
{
    sim_net_heal(world);
    sim_bulk_heal(world);
    nemesis_calm(world);
}
