/* What the operator does, step by step. */

#include "sim_membership.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_world.h"

#define STREAM_MEMBERSHIP 42u /* Of the seed. */
#define CHANCE 200000u        /* Of worlds, in a million. */
#define TICK_US 100000u

static const char *const step_names[] = {"start", "add", "promote", "demote", "remove", "wipe", "repair", "await"};

static void plan_add(struct sim_membership *membership, enum sim_member_step step, unsigned node)
{
    CHECK(membership->steps_len < SIM_MEMBER_STEPS_MAX);
    membership->steps[membership->steps_len++] = (struct sim_member_plan){.step = step, .node = node};
}

static unsigned plan_new_node(struct sim_world *world)
{
    struct sim_membership *membership = &world->membership;
    unsigned node = world->nodes_len;
    plan_add(membership, SIM_MEMBER_START, node);
    plan_add(membership, SIM_MEMBER_ADD, node);
    plan_add(membership, SIM_MEMBER_PROMOTE, node);
    return node;
}

/* A node that is there, and about which there is nothing else under way. */
static unsigned plan_old_node(struct sim_world *world)
{
    unsigned node = (unsigned)sim_random_between(&world->membership.random, 0, world->nodes_len - 1);
    while (world->nodes[node].gone) {
        node = (node + 1) % world->nodes_len;
    }
    return node;
}

/* Clients that run know the nodes that there were when they began: two of the first ones stay. */
#define FIRST_LEAST 2u

static bool plan_may_remove(const struct sim_world *world, unsigned node)
{
    unsigned first = 0;
    for (unsigned i = 0; i < world->nodes_first; i++) {
        first += !world->nodes[i].gone;
    }
    return node >= world->nodes_first || first > FIRST_LEAST;
}

/* Where the data of some nodes are damaged, the others stay, and keep their votes. */
static void plan_draw(struct sim_world *world)
{
    struct sim_membership *membership = &world->membership;
    bool room = world->nodes_len < SIM_NODES_MAX;
    bool damaged = world->damage.victims_len > 0;
    unsigned old = plan_old_node(world);
    bool may_remove = !damaged && plan_may_remove(world, old);
    membership->steps_len = 0;
    membership->at = 0;
    switch (sim_random_between(&membership->random, 0, 4)) {
    case 0:
        if (room) {
            (void)plan_new_node(world);
        }
        break;
    case 1:
        if (room && may_remove) {
            (void)plan_new_node(world);
            plan_add(membership, SIM_MEMBER_REMOVE, old);
        }
        break;
    case 2:
        if (room && may_remove) {
            plan_add(membership, SIM_MEMBER_WIPE, old);
            (void)plan_new_node(world);
            plan_add(membership, SIM_MEMBER_REMOVE, old);
        }
        break;
    case 3:
        if (!damaged) {
            plan_add(membership, SIM_MEMBER_REPAIR, old);
            plan_add(membership, SIM_MEMBER_AWAIT, old);
        }
        break;
    default:
        if (!damaged &&
            world->nodes_len > 3) { /* With two votes none may be away, and one always is when troubles are many. */
            plan_add(membership, SIM_MEMBER_DEMOTE, old);
            plan_add(membership, SIM_MEMBER_PROMOTE, old);
        }
        break;
    }
}

static void step_done(struct sim_world *world)
{
    struct sim_membership *membership = &world->membership;
    const struct sim_member_plan *plan = &membership->steps[membership->at];
    static const enum sim_stat stats[] = {SIM_STAT_MEMBERS_STARTED, SIM_STAT_MEMBERS_ADDED,   SIM_STAT_MEMBERS_PROMOTED,
                                          SIM_STAT_MEMBERS_DEMOTED, SIM_STAT_MEMBERS_REMOVED, SIM_STAT_MEMBERS_WIPED,
                                          SIM_STAT_REPAIRS_ASKED,   SIM_STAT_REPAIRS_DONE};
    SIM_TRACE(world, "operator: %s of node %u is done", step_names[plan->step], plan->node + 1);
    sim_world_count(world, stats[plan->step], 1);
    sim_world_note(world, 18, plan->step, plan->node);
    membership->at++;
    membership->began_us = sim_world_now(world);
}

static void member_answered(struct gateway_change *change, int err, const char *detail)
{
    struct sim_membership *membership = container_of(change, struct sim_membership, change);
    membership->answered = true;
    membership->err = err;
    snprintf(membership->detail, sizeof membership->detail, "%s", detail == NULL ? "" : detail);
}

/* Any node that serves; NULL: there is none at the moment. */
/* One that is to be removed may be, and not know it: it would find no leader, and say so after a while. */
static struct sim_node *operator_node(struct sim_world *world)
{
    struct sim_node *node = &world->nodes[sim_random_between(&world->membership.random, 0, world->nodes_len - 1)];
    return node->shard != NULL && node->damage[0] == '\0' && node->copy[0] == '\0' && !node->leaving &&
                   node->paused_until_us <= sim_world_now(world)
               ? node
               : NULL;
}

static void operator_ask(struct sim_world *world, enum gateway_change_kind kind, unsigned target)
{
    struct sim_membership *membership = &world->membership;
    struct sim_node *node = operator_node(world);
    if (node == NULL) {
        return;
    }
    struct gateway *gateway = shard_gateway(node->shard);
    membership->change = (struct gateway_change){.kind = kind, .node = target + 1, .done = member_answered};
    if (kind == GATEWAY_ADD) {
        snprintf(membership->change.address, sizeof membership->change.address, "node-%u:4101", target + 1);
    }
    membership->asking = true;
    membership->answered = false;
    membership->asked = node->index;
    membership->asked_life = node->life;
    gateway->ops->change(gateway, &membership->change);
    sim_node_wake(node);
}

/* The answer is there, or will never come. */
static bool operator_heard(struct sim_world *world)
{
    struct sim_membership *membership = &world->membership;
    const struct sim_node *node = &world->nodes[membership->asked];
    if (!membership->answered && node->life == membership->asked_life && node->shard != NULL) {
        return false;
    }
    membership->asking = false;
    if (!membership->answered) {
        membership->err = ERR_UNAVAILABLE;
        snprintf(membership->detail, sizeof membership->detail, "the node asked is gone");
    }
    if (membership->err != 0) {
        SIM_TRACE(world, "operator: node %u says: %s: %s", membership->asked + 1, err_name(membership->err),
                  membership->detail);
        sim_world_count(world, SIM_STAT_MEMBERS_REFUSED, 1);
    }
    return true;
}

/* Who is removed already is no member any more. */
static bool change_done(const struct sim_membership *membership, enum gateway_change_kind kind)
{
    return membership->err == 0 || (kind == GATEWAY_REMOVE && membership->err == ERR_NOT_FOUND);
}

static void operator_change(struct sim_world *world, enum gateway_change_kind kind, unsigned target)
{
    struct sim_membership *membership = &world->membership;
    if (!membership->asking) {
        operator_ask(world, kind, target);
    } else if (operator_heard(world) && change_done(membership, kind)) {
        if (kind == GATEWAY_REMOVE && !world->nodes[target].gone) {
            sim_node_lost(&world->nodes[target]); /* It is switched off. */
        }
        step_done(world);
    }
}

static void operator_repair(struct sim_world *world, unsigned target)
{
    struct sim_node *node = operator_node(world);
    if (node == NULL) {
        return;
    }
    struct gateway *gateway = shard_gateway(node->shard);
    world->nodes[target].repair_asked = true;
    world->membership.repair_life = world->nodes[target].life;
    int err = gateway->ops->repair(gateway, target + 1);
    sim_node_wake(node);
    if (err == 0 || err == ERR_REFUSED) {
        step_done(world);
    }
}

static bool node_voting(const struct sim_node *node)
{
    return node->gone || (node->shard != NULL && node->damage[0] == '\0' && shard_votes(node->shard));
}

/* An order that the node has not had by then is lost. */
#define ORDER_US 3000000u

/* It votes, and not because it has not had the order yet. */
static bool repair_over(const struct sim_world *world, const struct sim_node *node)
{
    const struct sim_membership *membership = &world->membership;
    bool had = node->life != membership->repair_life || node->gone;
    bool lost =
        sim_world_now(world) >= membership->began_us + ORDER_US && sim_world_now(world) >= node->paused_until_us;
    return node_voting(node) && (had || lost);
}

static void operator_step(struct sim_world *world)
{
    struct sim_membership *membership = &world->membership;
    const struct sim_member_plan *plan = &membership->steps[membership->at];
    switch (plan->step) {
    case SIM_MEMBER_START:
        CHECK(plan->node == world->nodes_len);
        world->nodes_len++;
        sim_node_init(world, plan->node, true);
        sim_net_node_new(world, plan->node);
        step_done(world);
        break;
    case SIM_MEMBER_ADD: operator_change(world, GATEWAY_ADD, plan->node); break;
    case SIM_MEMBER_PROMOTE: operator_change(world, GATEWAY_PROMOTE, plan->node); break;
    case SIM_MEMBER_DEMOTE: operator_change(world, GATEWAY_DEMOTE, plan->node); break;
    case SIM_MEMBER_REMOVE:
        world->nodes[plan->node].leaving = true;
        operator_change(world, GATEWAY_REMOVE, plan->node);
        break;
    case SIM_MEMBER_WIPE:
        sim_node_lost(&world->nodes[plan->node]);
        step_done(world);
        break;
    case SIM_MEMBER_REPAIR: operator_repair(world, plan->node); break;
    case SIM_MEMBER_AWAIT:
        if (repair_over(world, &world->nodes[plan->node])) {
            step_done(world);
        }
        break;
    }
}

static bool membership_idle(const struct sim_membership *membership)
{
    return membership->at == membership->steps_len;
}

/* It was to have its vote again, and what said so is lost: the operator sees a learner that ought to vote. */
static void plan_give_back(struct sim_world *world)
{
    struct sim_membership *membership = &world->membership;
    for (unsigned i = 0; i < world->nodes_len; i++) {
        struct sim_node *node = &world->nodes[i];
        if (node->vote_forgotten && !node->gone && node->shard != NULL && membership_idle(membership)) {
            node->vote_forgotten = false;
            membership->steps_len = membership->at = 0;
            plan_add(membership, SIM_MEMBER_PROMOTE, i);
            membership->began_us = sim_world_now(world);
            sim_world_count(world, SIM_STAT_VOTES_GIVEN_BACK, 1);
        }
    }
}

static void operator_tick(struct sim_event *event)
{
    struct sim_world *world = event->object;
    struct sim_membership *membership = &world->membership;
    if (world->phase == SIM_END) {
        return;
    }
    if (!membership_idle(membership)) {
        operator_step(world);
    } else if (membership->plans > 0 && world->phase == SIM_WORK) {
        membership->plans--;
        plan_draw(world);
        membership->began_us = sim_world_now(world);
    } else {
        plan_give_back(world);
    }
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = sim_world_now(world) + TICK_US, .fire = operator_tick, .object = world});
}

void sim_membership_init(struct sim_world *world)
{
    struct sim_membership *membership = &world->membership;
    sim_random_init(&membership->random, world->options.seed, STREAM_MEMBERSHIP);
    if (sim_random_chance(&membership->random, CHANCE)) {
        membership->plans = (unsigned)sim_random_between(&membership->random, 1, 4);
        sim_world_count(world, SIM_STAT_MEMBERSHIP_WORLDS, 1);
    } else if (!sim_damage_chosen(world->options.seed)) {
        return;
    }
    sim_queue_push(&world->queue,
                   (struct sim_event){.at_us = sim_random_between(&membership->random, 300000, world->work_us / 3),
                                      .fire = operator_tick,
                                      .object = world});
}

bool sim_membership_done(const struct sim_world *world, char *why, size_t why_len)
{
    const struct sim_membership *membership = &world->membership;
    if (membership_idle(membership)) {
        return true;
    }
    const struct sim_member_plan *plan = &membership->steps[membership->at];
    snprintf(why, why_len, "the operator wants to %s node %u since %" PRIu64 " ms: %s: %s", step_names[plan->step],
             plan->node + 1, (sim_world_now(world) - membership->began_us) / 1000, err_name(membership->err),
             membership->detail);
    return false;
}
