/* Changes of the membership: asked of any node, made by the leader, one at a time. */

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

TestSuite(members, .init = setup, .fini = teardown);

Test(members, a_node_is_added_and_removed_and_what_is_so_already_is_done)
{
    struct asked asked;
    ask_change(three.leader, &asked, GATEWAY_ADD, 4);
    cr_assert_eq(asked.calls, 0u);
    three_settle(&three);
    expect_answer(&asked, 0, "");
    three_wait(&three, 100);
    expect_standing(&three, 4, "learner");
    ask_change(three.leader, &asked, GATEWAY_ADD, 4);
    three_settle(&three);
    expect_answer(&asked, 0, "");
    ask_change(three.leader, &asked, GATEWAY_ADD, 4);
    (void)snprintf(asked.change.address, sizeof asked.change.address, "elsewhere:1");
    three_settle(&three);
    expect_answer(&asked, ERR_REFUSED, "address");
    ask_change(three.leader, &asked, GATEWAY_PROMOTE, 4);
    three_settle(&three);
    expect_answer(&asked, ERR_BUSY, "caught up");
    ask_change(three.leader, &asked, GATEWAY_REMOVE, 4);
    three_settle(&three);
    expect_answer(&asked, 0, "");
    three_wait(&three, 100);
    expect_standing(&three, 4, "");
    ask_change(three.leader, &asked, GATEWAY_REMOVE, 4);
    three_settle(&three);
    expect_answer(&asked, 0, "");
    ask_change(three.leader, &asked, GATEWAY_DEMOTE, 4);
    three_settle(&three);
    expect_answer(&asked, ERR_NOT_FOUND, "no such member");
}

/* Who has been deposed, and does not know it, knows of no later change. */
Test(members, what_is_so_already_is_not_done_before_a_majority_has_confirmed_it)
{
    struct asked asked;
    struct three_node *leader = three.leader;
    for (unsigned i = 0; i < THREE; i++) {
        if (&three.nodes[i] != leader) {
            three_hold(leader, &three.nodes[i], true);
        }
    }
    ask_change(leader, &asked, GATEWAY_PROMOTE, three.b->id);
    three_settle(&three);
    cr_assert_eq(asked.calls, 0u, "it leads, as far as it knows");
    for (unsigned i = 0; i < THREE; i++) {
        three_hold(leader, &three.nodes[i], false);
    }
    three_settle(&three);
    expect_answer(&asked, 0, "");
}

Test(members, any_node_takes_requests_for_the_leader)
{
    struct asked asked;
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three_settle(&three);
    expect_answer(&asked, 0, "");
    expect_standing(&three, 4, "learner");
    ask_change(three.b, &asked, GATEWAY_PROMOTE, 4);
    three_settle(&three);
    expect_answer(&asked, ERR_BUSY, "caught up");
    ask_change(three.b, &asked, (enum gateway_change_kind)7, 4);
    three_settle(&three);
    expect_answer(&asked, ERR_INVALID, "");
    ask_change(three.a, &asked, GATEWAY_PROMOTE, 0);
    three_settle(&three);
    expect_answer(&asked, ERR_INVALID, "");
    ask_change(three.a, &asked, GATEWAY_REMOVE, 4);
    three_settle(&three);
    expect_answer(&asked, 0, "");
}

Test(members, all_at_once_are_made_one_after_the_other)
{
    struct asked asked[9];
    struct three_node *nodes[] = {three.leader, three.a, three.b};
    for (unsigned i = 0; i < 9; i++) {
        ask_change(nodes[i % 3], &asked[i], GATEWAY_ADD, 4 + i % 5);
    }
    three_wait(&three, 200);
    for (unsigned i = 0; i < 9; i++) {
        expect_answer(&asked[i], 0, "");
    }
    for (uint64_t node = 4; node <= 8; node++) {
        expect_standing(&three, node, "learner");
    }
}

Test(members, what_is_sent_twice_is_made_once)
{
    struct asked asked;
    three_hold(three.a, three.leader, true);
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three_step(three.a);
    three_hold(three.a, three.leader, false);
    three_cut(three.a, three.leader);
    three_join(three.a, three.leader);
    three_settle(&three);
    expect_answer(&asked, 0, "");
    expect_standing(&three, 4, "learner");
}

Test(members, what_has_arrived_and_is_sent_again_is_one_request)
{
    struct asked first;
    struct asked second;
    three.a->disk_held = true;
    three.b->disk_held = true;
    ask_change(three.a, &first, GATEWAY_ADD, 4);
    ask_change(three.a, &second, GATEWAY_ADD, 5);
    three_settle(&three);
    cr_assert_eq(core_of(three.leader)->members.waiting_len, 1u);
    three_cut(three.a, three.leader);
    three_join(three.a, three.leader);
    three_settle(&three);
    cr_assert_eq(core_of(three.leader)->members.waiting_len, 1u);
    three.a->disk_held = false;
    three.b->disk_held = false;
    three_wait(&three, 200);
    expect_answer(&first, 0, "");
    expect_answer(&second, 0, "");
}

static void no_answer(void *arg, uint64_t from, uint64_t id, int err, const char *detail)
{
    (void)arg;
    cr_assert_fail("%u %u: %d %s", (unsigned)from, (unsigned)id, err, detail);
}

Test(members, what_waits_at_the_leader_is_bounded)
{
    struct members members;
    struct driver_change change = {.kind = DRIVER_ADD, .node = 4, .address = "x:1"};
    members_init(&members, &(struct members_options){.node = 1, .answer = no_answer});
    for (uint64_t id = 1; id <= MEMBERS_REQUESTS_MAX; id++) {
        cr_assert_eq(members_ask(&members, 2, id, &change, 1000), 0);
    }
    cr_assert_eq(members_ask(&members, 2, 7, &change, 1000), 0, "it has that one");
    cr_assert_eq(members_ask(&members, 3, 7, &change, 1000), ERR_BUSY);
    members_begin(&members);
    cr_assert_eq(members_ask(&members, 3, 7, &change, 1000), 0);
    members_done(&members);
}

Test(members, a_request_waits_for_a_leader_and_ends_without_one)
{
    struct asked at_leader;
    struct asked at_a;
    three.leader->paused = true;
    three_isolate(three.leader);
    three_isolate(three.a);
    three_wait(&three, 1000);
    ask_change(three.a, &at_a, GATEWAY_ADD, 4);
    three_wait(&three, 11000);
    cr_assert_eq(at_a.calls, 0u);
    three_wait(&three, 2000);
    expect_answer(&at_a, ERR_UNAVAILABLE, "no leader");
    ask_change(three.a, &at_leader, GATEWAY_ADD, 4);
    three_settle(&three);
    three_heal(three.a);
    three_find_leader(&three);
    three_wait(&three, 500);
    expect_answer(&at_leader, 0, "");
}

Test(members, one_that_is_not_committed_when_the_leader_is_lost_has_an_unknown_outcome)
{
    struct asked at_a;
    struct asked at_leader;
    struct three_node *old = three.leader;
    struct three_node *a = three.a;
    three_hold(old, three.a, true);
    three_hold(old, three.b, true);
    ask_change(a, &at_a, GATEWAY_ADD, 4);
    ask_change(old, &at_leader, GATEWAY_ADD, 5);
    three_settle(&three);
    cr_assert_eq(at_a.calls + at_leader.calls, 0u);
    old->paused = true;
    three_isolate(old);
    three_find_leader(&three);
    three_settle(&three);
    expect_answer(&at_a, ERR_UNAVAILABLE, "unknown");
    cr_assert_not_null(core_of(old)->members.current);
    three_wait(&three, 300);
    make_change(&three, a, GATEWAY_ADD, 4);
    old->paused = false;
    three_hold(old, &three.nodes[old->id % THREE], false);
    three_hold(old, &three.nodes[(old->id + 1) % THREE], false);
    three_heal(old);
    three_wait(&three, 500);
    expect_answer(&at_leader, ERR_UNAVAILABLE, "unknown");
    cr_assert_null(core_of(old)->members.current);
    cr_assert_eq(core_of(old)->members.waiting_len, 0u, "it is not to do it when it leads again");
    expect_standing(&three, 4, "learner");
    expect_standing(&three, 5, "");
}

Test(members, a_leader_without_a_majority_answers_after_a_while)
{
    struct asked first;
    struct asked second;
    /* It hears them and is not heard, so it goes on leading. */
    three_hold(three.a, three.leader, false);
    three.a->disk_held = true;
    three.b->disk_held = true;
    ask_change(three.leader, &first, GATEWAY_ADD, 4);
    ask_change(three.leader, &second, GATEWAY_ADD, 5);
    three_wait(&three, MEMBERS_WAIT_MS - 500);
    cr_assert_eq(first.calls + second.calls, 0u);
    three_wait(&three, 600);
    expect_answer(&first, ERR_UNAVAILABLE, "not committed");
    three_wait(&three, 2500);
    cr_assert_eq(second.calls, 1u);
    cr_assert(second.err == ERR_BUSY || second.err == ERR_UNAVAILABLE);
    three.a->disk_held = false;
    three.b->disk_held = false;
    three_wait(&three, 1000);
    expect_standing(&three, 4, "learner");
    make_change(&three, three.leader, GATEWAY_ADD, 5);
}

Test(members, a_request_that_cannot_be_sent_keeps_nobody_busy)
{
    struct asked asked;
    three_fill(three.a, three.leader, true);
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three_settle(&three); /* It comes to rest. */
    three_isolate(three.a);
    three_wait(&three, 1000);
    cr_assert_eq(core_of(three.a)->leader, 0u);
    three_settle(&three);
    cr_assert_gt(shard_deadline_ms(three.a->shard), three.a->clock.now_ms);
    three_fill(three.a, three.leader, false);
    three_heal(three.a);
    three_find_leader(&three);
    three_wait(&three, 500);
    expect_answer(&asked, 0, "");
}

Test(members, requests_are_bounded)
{
    static struct asked asked[MEMBERS_REQUESTS_MAX + 10];
    three_isolate(three.a);
    for (unsigned i = 0; i < MEMBERS_REQUESTS_MAX + 10; i++) {
        ask_change(three.a, &asked[i], GATEWAY_ADD, 4);
    }
    three_settle(&three);
    for (unsigned i = 0; i < MEMBERS_REQUESTS_MAX + 10; i++) {
        if (i < MEMBERS_REQUESTS_MAX) {
            cr_assert_eq(asked[i].calls, 0u);
        } else {
            expect_answer(&asked[i], ERR_BUSY, "too many");
        }
    }
    three_heal(three.a);
    three_find_leader(&three);
    three_wait(&three, 500);
    for (unsigned i = 0; i < MEMBERS_REQUESTS_MAX; i++) {
        expect_answer(&asked[i], 0, "");
    }
}

Test(members, one_that_is_cancelled_is_not_answered)
{
    struct asked asked;
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three.a->home.gateway->ops->change_cancel(three.a->home.gateway, &asked.change);
    three_settle(&three);
    cr_assert_eq(asked.calls, 0u);
    expect_standing(&three, 4, "");
    ask_change(three.a, &asked, GATEWAY_ADD, 4);
    three_step(three.a);
    three.a->home.gateway->ops->change_cancel(three.a->home.gateway, &asked.change);
    three_wait(&three, 100);
    cr_assert_eq(asked.calls, 0u);
    expect_standing(&three, 4, "learner");
    three.a->home.gateway->ops->change_cancel(three.a->home.gateway, &asked.change);
}

Test(members, a_leader_hands_over_before_it_is_taken_out)
{
    struct asked asked;
    struct three_node *old = three.leader;
    ask_change(three.a, &asked, GATEWAY_DEMOTE, old->id);
    three_settle(&three);
    cr_assert_eq(asked.calls, 1u);
    /* The news of the next leader may overtake the answer. */
    cr_assert(asked.err == ERR_BUSY || asked.err == ERR_UNAVAILABLE);
    three_wait(&three, 300);
    three_find_leader(&three);
    cr_assert_neq(three.leader, old);
    make_change(&three, old, GATEWAY_DEMOTE, old->id);
    three_wait(&three, 100);
    expect_standing(&three, old->id, "learner");
    cr_assert_str_eq(standing_of(old, old->id), "learner");
}

Test(members, a_leader_does_not_hand_over_for_what_would_be_refused)
{
    struct asked asked;
    struct three_node *leader = three.leader;
    struct three_node *follower = leader == three.a ? three.b : three.a;
    make_change(&three, leader, GATEWAY_DEMOTE, follower->id);
    for (unsigned i = 0; i < 2; i++) {
        ask_change(follower, &asked, i == 0 ? GATEWAY_DEMOTE : GATEWAY_REMOVE, leader->id);
        three_settle(&three);
        expect_answer(&asked, ERR_REFUSED, "fewer than two voters");
    }
    three_wait(&three, 300);
    three_find_leader(&three);
    cr_assert_eq(three.leader, leader);
    expect_standing(&three, leader->id, "voter");
}

Test(members, a_promotion_is_done_when_the_new_voter_has_it)
{
    struct asked asked;
    struct three_node *b = three.b;
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 200);
    ask_change(three.leader, &asked, GATEWAY_PROMOTE, b->id);
    three_settle(&three);
    expect_answer(&asked, ERR_BUSY, "asked whether it still has");
    three_hold(three.leader, b, true);
    ask_change(three.leader, &asked, GATEWAY_PROMOTE, b->id);
    three_settle(&three);
    cr_assert_eq(three_status(three.leader).applied_index, three_status(three.leader).log_last, "committed");
    cr_assert_str_eq(standing_of(three.leader, b->id), "voter");
    cr_assert_eq(asked.calls, 0u);
    three_hold(three.leader, b, false);
    three_settle(&three);
    expect_answer(&asked, 0, "");
}

Test(members, a_node_that_is_no_member_changes_nothing)
{
    struct asked asked;
    make_change(&three, three.leader, GATEWAY_REMOVE, three.b->id);
    cr_assert_str_eq(standing_of(three.leader, three.b->id), "");
    core_of(three.b)->leader = three.leader->id; /* It may still know. */
    core_of(three.b)->term = core_of(three.leader)->term;
    ask_change(three.b, &asked, GATEWAY_ADD, 4);
    three_settle(&three);
    if (asked.calls == 1) {
        cr_assert_neq(asked.err, 0);
    }
    cr_assert_str_eq(standing_of(three.leader, 4), "");
}
