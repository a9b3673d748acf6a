/* What a node asks the leader for on behalf of its clients: whose answers count, and when it is time to look again. */

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

TestSuite(gateway_members, .init = setup, .fini = teardown);

static void answer(struct three_node *at, uint64_t from, uint64_t id, uint32_t error)
{
    Holdfast__ChangeMemberResult result = HOLDFAST__CHANGE_MEMBER_RESULT__INIT;
    result.id = id;
    result.error = error;
    gateway_members_take_result(core_of(at), from, &result);
    three_step(at);
}

Test(gateway_members, only_the_leader_answers)
{
    struct asked asked;
    three_hold(three.a, three.leader, true);
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three_step(three.a);
    answer(three.a, three.b->id, asked.change.id, 0);
    cr_assert_eq(asked.calls, 0u);
    answer(three.a, three.leader->id, asked.change.id, 0);
    cr_assert_eq(asked.calls, 1u);
}

Test(gateway_members, what_was_not_sent_has_no_answer)
{
    struct asked asked;
    three_fill(three.a, three.leader, true);
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three_step(three.a);
    answer(three.a, three.leader->id, asked.change.id, 0);
    cr_assert_eq(asked.calls, 0u);
    uint64_t now_ms = three.a->clock.now_ms;
    cr_assert_eq(gateway_members_deadline_ms(core_of(three.a)), now_ms + 50, "it is sent again soon");
    three_fill(three.a, three.leader, false);
    three_wait(&three, 50);
    expect_answer(&asked, 0, "");
}

Test(gateway_members, an_error_that_is_none_is_not_taken_for_success)
{
    struct asked asked;
    three_hold(three.a, three.leader, true);
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three_step(three.a);
    answer(three.a, three.leader->id, asked.change.id, UINT32_MAX);
    cr_assert_eq(asked.calls, 1u);
    cr_assert_eq(asked.err, ERR_INVALID);
}

Test(gateway_members, an_answer_is_waited_for_until_the_deadline)
{
    struct asked asked;
    three_hold(three.a, three.leader, true);
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three_step(three.a);
    cr_assert_eq(gateway_members_deadline_ms(core_of(three.a)), asked.change.deadline_ms);
}

Test(gateway_members, an_address_that_is_too_long_is_refused)
{
    char address[ADDRESS_LEN_MAX + 2];
    memset(address, 'a', sizeof address);
    address[ADDRESS_LEN_MAX + 1] = '\0';
    Holdfast__ChangeMember change = HOLDFAST__CHANGE_MEMBER__INIT;
    change.id = 1;
    change.kind = HOLDFAST__CHANGE_MEMBER__KIND__PROMOTE; /* Which needs no address; it may have any of that length. */
    change.node = 4;
    change.address = address;
    gateway_members_take(core_of(three.leader), three.a->id, &change);
    cr_assert_eq(core_of(three.leader)->members.waiting_len, 0u);
    address[ADDRESS_LEN_MAX] = '\0';
    gateway_members_take(core_of(three.leader), three.a->id, &change);
    cr_assert_eq(core_of(three.leader)->members.waiting_len, 1u);
}

/* The leader may still have a request of it, and answer that. */
Test(gateway_members, a_process_does_not_ask_under_the_numbers_of_the_one_before)
{
    uint64_t before = core_of(three.a)->change_id;
    three_crash(three.a);
    three_restart(three.a);
    cr_assert_neq(core_of(three.a)->change_id, before);
}

/* ---- As leader ---- */

static uint64_t now_of(const struct three_node *node)
{
    return node->clock.now_ms;
}

static void ask_leader(uint64_t node, uint64_t now_ms)
{
    struct gateway_core *core = core_of(three.leader);
    const struct driver_change change = {.kind = DRIVER_ADD, .node = node, .address = "node:x"};
    cr_assert_eq(members_ask(&core->members, three.leader->id, 1000 + node, &change, now_ms), 0);
}

Test(gateway_members, what_waits_is_begun_in_the_next_turn)
{
    struct gateway_core *core = core_of(three.leader);
    cr_assert_eq(members_deadline_ms(&core->members), UINT64_MAX);
    ask_leader(4, now_of(three.leader));
    cr_assert_eq(members_deadline_ms(&core->members), 0u);
    cr_assert_eq(gateway_members_deadline_ms(core), 0u);
}

Test(gateway_members, what_is_under_way_is_looked_at_again_when_its_time_is_over)
{
    struct gateway_core *core = core_of(three.leader);
    uint64_t now_ms = now_of(three.leader);
    three_hold(three.a, three.leader, true);
    three_hold(three.b, three.leader, true);
    ask_leader(4, now_ms);
    three_step(three.leader);
    cr_assert_not_null(core->members.current);
    cr_assert_eq(members_deadline_ms(&core->members), now_ms + MEMBERS_WAIT_MS);
    cr_assert_eq(gateway_members_deadline_ms(core), now_ms + MEMBERS_WAIT_MS);
}

Test(gateway_members, what_has_waited_for_too_long_is_not_begun)
{
    ask_leader(4, now_of(three.leader) - MEMBERS_WAIT_MS);
    three_settle(&three);
    cr_assert_str_eq(standing_of(three.leader, 4), "");
    ask_leader(5, now_of(three.leader) - MEMBERS_WAIT_MS + 1);
    three_settle(&three);
    cr_assert_str_eq(standing_of(three.leader, 5), "learner");
}

Test(gateway_members, while_leadership_is_handed_over_nothing_is_changed)
{
    struct asked asked;
    three_hold(three.leader, three.a, true);
    cr_assert_eq(driver_transfer(shard_driver(three.leader->shard), three.a->id), 0);
    ask_change(three.leader, &asked, GATEWAY_ADD, 4);
    three_step(three.leader);
    expect_answer(&asked, ERR_BUSY, "being handed over; ask again");
    cr_assert_str_eq(standing_of(three.leader, 4), "");
}

/* ---- Nodes to be taken out of the votes ---- */

static int admits(uint64_t node, char detail[256])
{
    struct gateway_core *core = core_of(three.leader);
    struct rebuild_says says = {0};
    int err = members_admits(&core->members, &(struct rebuild_asks){.node = node}, 1, now_of(three.leader), &says);
    (void)snprintf(detail, 256, "%.255s", says.why);
    return err;
}

Test(gateway_members, what_cannot_be_done_for_one_that_begins_anew_is_tried_again_soon)
{
    char detail[256] = "";
    struct members *members = &core_of(three.leader)->members;
    three_crash(three.a);
    three_wait(&three, 10);
    cr_assert_eq(members_deadline_ms(members), UINT64_MAX);
    cr_assert_eq(admits(three.b->id, detail), ERR_BUSY);
    cr_assert_leq(members_deadline_ms(members), now_of(three.leader), "now");
    three_step(three.leader);
    cr_assert_str_eq(standing_of(three.leader, three.b->id), "voter", "no majority would be left");
    cr_assert_eq(members_deadline_ms(members), now_of(three.leader) + 50);
}

Test(gateway_members, one_that_begins_anew_does_not_put_another_off)
{
    char detail[256] = "";
    struct members *members = &core_of(three.leader)->members;
    cr_assert_eq(admits(three.a->id, detail), ERR_BUSY);
    cr_assert_eq(admits(three.b->id, detail), ERR_BUSY);
    cr_assert_eq(members->wishes[0].node, three.a->id);
    cr_assert_eq(members->wishes[1].node, three.b->id);
}

Test(gateway_members, the_membership_of_a_copy_is_one_that_is_committed_and_applied)
{
    char detail[256] = "";
    struct members *members = &core_of(three.leader)->members;
    make_change(&three, three.leader, GATEWAY_DEMOTE, three.b->id);
    cr_assert_eq(admits(three.b->id, detail), 0, "%s", detail);
    members->last_index = three_status(three.leader).applied_index + 1;
    cr_assert_eq(admits(three.b->id, detail), ERR_BUSY, "committed, and not applied");
    cr_assert_not_null(strstr(detail, "being committed"), "%s", detail);
    three_hold(three.a, three.leader, true);
    ask_leader(4, now_of(three.leader));
    three_step(three.leader);
    members->last_index = 0;
    cr_assert_eq(admits(three.b->id, detail), ERR_BUSY, "another leader's, perhaps");
}

Test(gateway_members, a_new_leadership_knows_nothing_of_those_before)
{
    char detail[256] = "";
    struct members *members = &core_of(three.leader)->members;
    cr_assert_eq(admits(three.b->id, detail), ERR_BUSY);
    members->last_index = 5;
    ask_leader(4, now_of(three.leader));
    members_begin(members);
    cr_assert_eq(members->waiting_len, 0u);
    cr_assert_eq(members->last_index, 0u);
    cr_assert_eq(members->wishes[0].node, 0u);
    cr_assert_eq(members_deadline_ms(members), UINT64_MAX);
}
