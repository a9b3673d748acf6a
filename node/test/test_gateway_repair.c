/* Nodes that are told to begin anew: by an operator, by a leader that knows better; and when not. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "members_fixture.h"

static struct three three;

static void setup(void)
{
    three_start(&three, NULL);
    three_wait(&three, THREE_PRESENCE_MS / 5);
}

static void teardown(void)
{
    three_stop(&three);
}

TestSuite(gateway_repair, .init = setup, .fini = teardown);

static unsigned repairs;
static char repair_reason[512];

static bool repair_ordered;

static void on_repair(void *arg, const char *reason, bool ordered)
{
    (void)arg;
    repairs++;
    repair_ordered = ordered;
    (void)snprintf(repair_reason, sizeof repair_reason, "%s", reason);
}

static int repair(struct three_node *at, uint64_t node)
{
    return at->home.gateway->ops->repair(at->home.gateway, node);
}

Test(gateway_repair, an_operator_has_a_node_repaired)
{
    repairs = 0;
    core_of(three.a)->options.repair = on_repair;
    cr_assert_eq(repair(three.a, three.a->id), 0);
    cr_assert_eq(repairs, 1u);
    cr_assert_str_eq(repair_reason, "asked for by an operator");
    cr_assert(repair_ordered);
    repair_ordered = false;
    cr_assert_eq(repair(three.b, three.a->id), 0);
    three_settle(&three);
    cr_assert_eq(repairs, 2u);
    cr_assert(repair_ordered);
    char expected[80];
    (void)snprintf(expected, sizeof expected, "node %u says: asked for by an operator", (unsigned)three.b->id);
    cr_assert_str_eq(repair_reason, expected);
    cr_assert_eq(repair(three.b, 9), ERR_NOT_FOUND);
    three_crash(three.a);
    cr_assert_eq(repair(three.b, three.a->id), ERR_UNAVAILABLE);
    cr_assert_eq(repair(three.b, three.leader->id), ERR_REFUSED, "the others are no majority");
    cr_assert_eq(repair(three.b, three.b->id), ERR_REFUSED);
}

Test(gateway_repair, a_node_that_has_lost_what_it_acknowledged_is_told_once_a_second)
{
    repairs = 0;
    core_of(three.a)->options.repair = on_repair;
    for (unsigned i = 0; i < 5; i++) {
        gateway_core_forgot(core_of(three.leader), three.a->id, 100, 50);
    }
    three_settle(&three);
    cr_assert_eq(repairs, 1u);
    cr_assert_not(repair_ordered);
    cr_assert_not_null(strstr(repair_reason, "its log ends at entry 50, but it had acknowledged 100"), "%s",
                       repair_reason);
    three_wait(&three, 1001);
    gateway_core_forgot(core_of(three.leader), three.a->id, 100, 50);
    three_settle(&three);
    cr_assert_eq(repairs, 2u);
    gateway_core_forgot(core_of(three.b), three.a->id, 100, 50); /* It does not lead. */
    three_settle(&three);
    cr_assert_eq(repairs, 2u);
}

/* The order was on its way when another node was told the same, or fell. */
Test(gateway_repair, an_order_that_comes_when_the_others_are_no_majority_is_not_carried_out)
{
    Holdfast__Repair said = HOLDFAST__REPAIR__INIT;
    said.reason = (char *)(uintptr_t) "asked for by an operator";
    said.ordered = true;
    repairs = 0;
    core_of(three.a)->options.repair = on_repair;
    three_crash(three.b);
    gateway_repair_take(core_of(three.a), three.leader->id, &said);
    cr_assert_eq(repairs, 0u);
    said.ordered = false;
    gateway_repair_take(core_of(three.a), three.leader->id, &said);
    cr_assert_eq(repairs, 1u, "what it has lost must not count");
}

Test(gateway_repair, learners_are_no_majority)
{
    make_change(&three, three.leader, GATEWAY_DEMOTE, three.b->id);
    cr_assert_eq(repair(three.leader, three.a->id), ERR_REFUSED, "one of two voters would be left");
}

Test(gateway_repair, nobody_counts_on_a_learner)
{
    repairs = 0;
    core_of(three.b)->options.repair = on_repair;
    make_change(&three, three.leader, GATEWAY_DEMOTE, three.b->id);
    three_crash(three.a);
    cr_assert_eq(repair(three.leader, three.b->id), 0);
    three_settle(&three);
    cr_assert_eq(repairs, 1u);
}

static void say(struct gateway_core *core, uint64_t from)
{
    Holdfast__Repair said = HOLDFAST__REPAIR__INIT;
    said.reason = (char *)(uintptr_t) "it has lost something";
    gateway_repair_take(core, from, &said);
}

Test(gateway_repair, only_another_member_may_say_so)
{
    repairs = 0;
    core_of(three.a)->options.repair = on_repair;
    say(core_of(three.a), 9);
    say(core_of(three.a), three.a->id);
    cr_assert_eq(repairs, 0u);
    say(core_of(three.a), three.b->id);
    cr_assert_eq(repairs, 1u);
}

Test(gateway_repair, the_only_voter_has_it_from_nobody)
{
    struct one_node one;
    uint64_t index;
    const char *why;
    one_node_start(&one, NULL);
    struct gateway_core *core = gateway_core_of(one.gateway);
    const struct driver_change learner = {.kind = DRIVER_ADD, .node = 4, .address = "node:4"};
    cr_assert_eq(driver_change(shard_driver(one.shard), &learner, &index, &why), 0, "%s", why);
    one_node_settle(&one);
    repairs = 0;
    core->options.repair = on_repair;
    say(core, 4);
    cr_assert_eq(repairs, 0u);
    one_node_stop(&one);
}

/* ---- Who asks for a copy ---- */

Test(gateway_repair, a_leader_that_does_not_serve_yet_admits_nobody)
{
    char detail[256];
    uint64_t index;
    uint64_t leader;
    struct gateway_core *core = core_of(three.leader);
    core->serving = false;
    cr_assert_eq(ask_copy(three.leader, three.b->id, &index, &leader, detail), ERR_NOT_LEADER);
    cr_assert_not_null(strstr(detail, "does not serve yet"), "%s", detail);
    core->serving = true;
    cr_assert_eq(ask_copy(three.leader, three.b->id, &index, &leader, detail), ERR_BUSY);
}

Test(gateway_repair, what_one_that_asks_for_a_copy_said_before_does_not_count)
{
    char detail[256];
    uint64_t index;
    uint64_t leader;
    struct gateway_core *core = core_of(three.leader);
    roster_get(&core->roster, three.b->id, 0)->wants_vote = true;
    cr_assert_eq(ask_copy(three.leader, three.b->id, &index, &leader, detail), ERR_BUSY);
    const struct roster_node *known = roster_find(&core->roster, three.b->id);
    cr_assert_not(known->wants_vote);
    cr_assert_str_eq(known->alarm, "its log is damaged");
}
