/* What a leader does for nodes that begin anew, are told to, or are in trouble: copies, votes, alarms. */

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

TestSuite(members_repair, .init = setup, .fini = teardown);

/* ---- Nodes that begin anew ---- */

Test(members_repair, a_dead_voter_may_have_a_copy_when_it_votes_no_more)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct three_node *b = three.b;
    cr_assert_eq(ask_copy(three.a, b->id, &index, &leader, detail), ERR_NOT_LEADER);
    cr_assert_eq(leader, three.leader->id);
    cr_assert_eq(ask_copy(three.leader, 7, &index, &leader, detail), ERR_NOT_FOUND);
    cr_assert_not_null(strstr(detail, "node 7 is no member of this cluster: holdfast cluster add 7"), "%s", detail);
    three_crash(b);
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    cr_assert_not_null(strstr(detail, "taken out of the votes"), "%s", detail);
    cr_assert_eq(index, 0u);
    uint64_t before = three_status(three.leader).log_last;
    three_settle(&three);
    expect_standing(&three, b->id, "learner");
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
    cr_assert_gt(index, before);
    cr_assert_leq(index, three_status(three.leader).applied_index);
    /* What the leader knows of it as of before does not make it a voter again. */
    roster_get(&core_of(three.leader)->roster, b->id, 0)->wants_vote = true;
    three_wait(&three, 2000);
    expect_standing(&three, b->id, "learner");
}

Test(members_repair, a_voter_is_not_admitted_while_its_demotion_is_not_applied)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct three_node *b = three.b;
    three_crash(b);
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    three_hold(three.a, three.leader, true);
    three_settle(&three);
    cr_assert_str_eq(standing_of(three.leader, b->id), "learner", "in the log");
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    cr_assert_not_null(strstr(detail, "being committed"), "%s", detail);
    three_hold(three.a, three.leader, false);
    three_settle(&three);
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
}

Test(members_repair, a_demotion_that_cannot_be_made_now_is_made_later)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct asked asked;
    struct three_node *b = three.b;
    three_hold(three.a, three.leader, true);
    three_hold(three.b, three.leader, true);
    ask_change(three.leader, &asked, GATEWAY_ADD, 4);
    three_settle(&three);
    cr_assert_eq(asked.calls, 0u);
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    three_hold(three.a, three.leader, false);
    three_hold(three.b, three.leader, false);
    three_wait(&three, 500);
    expect_answer(&asked, 0, "");
    cr_assert_str_eq(standing_of(three.leader, b->id), "learner");
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
}

Test(members_repair, the_second_of_three_is_not_taken_out_of_the_votes)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    make_change(&three, three.leader, GATEWAY_REMOVE, three.b->id);
    three_wait(&three, 100);
    cr_assert_lt(ask_copy(three.leader, three.a->id, &index, &leader, detail), 0);
    three_wait(&three, 500);
    int err = ask_copy(three.leader, three.a->id, &index, &leader, detail);
    cr_assert_eq(err, ERR_REFUSED, "%s", detail);
    cr_assert_not_null(strstr(detail, "cannot be taken out of the votes"), "%s", detail);
    cr_assert_str_eq(standing_of(three.leader, three.a->id), "voter");
}

Test(members_repair, a_leader_whose_own_state_may_be_wrong_gives_none)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    core_of(three.leader)->digests.divided = true;
    cr_assert_eq(ask_copy(three.leader, three.b->id, &index, &leader, detail), ERR_BUSY);
    cr_assert_not_null(strstr(detail, "may be wrong"), "%s", detail);
    core_of(three.leader)->digests.divided = false;
    three_settle(&three);
    expect_standing(&three, three.b->id, "voter");
}

Test(members_repair, the_sessions_at_a_node_that_is_removed_do_not_wait_for_its_silence)
{
    struct machine_node known;
    struct machine *machine = shard_machine(three.leader->shard);
    cr_assert_eq(machine_node(machine, three.b->id, &known), 0);
    make_change(&three, three.leader, GATEWAY_REMOVE, three.b->id);
    three_wait(&three, 2 * THREE_PRESENCE_MS / 5);
    cr_assert_eq(machine_node(machine, three.b->id, &known), ERR_NOT_FOUND);
    make_change(&three, three.leader, GATEWAY_ADD, three.b->id);
    three_wait(&three, THREE_PRESENCE_MS);
    cr_assert_eq(machine_node(machine, three.b->id, &known), 0);
}

Test(members_repair, a_node_that_is_gone_leaves_no_record)
{
    make_change(&three, three.leader, GATEWAY_REMOVE, three.b->id);
    three_crash(three.b);
    three_wait(&three, 2 * THREE_PRESENCE_MS);
    cr_assert_null(roster_find(&core_of(three.leader)->roster, three.b->id));
    cr_assert_not_null(roster_find(&core_of(three.leader)->roster, three.a->id));
}

Test(members_repair, a_node_is_present_as_soon_as_it_is_a_member)
{
    struct gateway_core *core = core_of(three.leader);
    struct machine_node known;
    gateway_presence_heard(core, 4, 77);
    three_settle(&three);
    cr_assert_eq(machine_node(core->machine, 4, &known), ERR_NOT_FOUND);
    make_change(&three, three.leader, GATEWAY_ADD, 4);
    core->status.members_len = 3; /* As it was last looked at. */
    gateway_presence_heard(core, 4, 77);
    three_settle(&three);
    cr_assert_eq(machine_node(core->machine, 4, &known), 0);
}

static bool wanting;

static bool wants_vote(void *arg)
{
    (void)arg;
    return wanting;
}

Test(members_repair, a_node_that_voted_before_votes_again_by_itself)
{
    struct three_node *b = three.b;
    core_of(b)->options.wants_vote = wants_vote;
    wanting = false;
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 1000);
    expect_standing(&three, b->id, "learner");
    three_hold(three.leader, b, true); /* It cannot catch up. */
    three_wait(&three, 2 * THREE_ELECTION_MS);
    wanting = true;
    three_wait(&three, 1000);
    cr_assert_str_eq(standing_of(three.leader, b->id), "learner");
    three_hold(three.leader, b, false);
    three_wait(&three, 1000);
    expect_standing(&three, b->id, "voter");
}

Test(members_repair, a_node_that_has_just_asked_for_a_copy_does_not_vote_again_at_once)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct three_node *b = three.b;
    core_of(b)->options.wants_vote = wants_vote;
    wanting = true;
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    three_settle(&three);
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
    three_wait(&three, MEMBERS_WISH_MS - 500);
    expect_standing(&three, b->id, "learner");
    three_wait(&three, 1500);
    expect_standing(&three, b->id, "voter");
}

Test(members_repair, one_that_has_begun_anew_since_votes_again_soon)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct three_node *b = three.b;
    wanting = true;
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    three_settle(&three);
    cr_assert_eq(ask_copy(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
    three_crash(b);
    three_restart(b);
    core_of(b)->options.wants_vote = wants_vote;
    three_wait(&three, 2000);
    expect_standing(&three, b->id, "voter");
}

/* ---- What a node that begins anew is told of its vote ---- */

static int ask_with(uint64_t node, enum rebuild_vote vote, struct rebuild_says *ret_says)
{
    const struct rebuild_asks asks = {.node = node, .reason = "its log is damaged", .vote = vote};
    return gateway_core_admits(core_of(three.leader), &asks, ret_says);
}

Test(members_repair, one_that_asks_is_told_whether_it_votes_and_keeps_its_vote)
{
    struct rebuild_says says;
    struct three_node *b = three.b;
    three_crash(b);
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_ASKED, &says), ERR_BUSY);
    cr_assert_eq(says.vote, REBUILD_VOTE_HAD);
    three_wait(&three, 1000);
    expect_standing(&three, b->id, "voter");
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_ASKED, &says), ERR_BUSY);
    cr_assert_eq(says.vote, REBUILD_VOTE_NONE);
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_NONE, &says), 0, "%s", says.why);
    cr_assert_eq(says.vote, REBUILD_VOTE_UNSAID);
}

/* What is not committed may not come to be. */
Test(members_repair, nothing_is_said_of_a_vote_while_the_membership_changes)
{
    struct asked asked;
    struct rebuild_says says;
    struct three_node *b = three.b;
    three_hold(three.leader, three.a, true);
    three_hold(three.leader, b, true);
    ask_change(three.leader, &asked, GATEWAY_DEMOTE, b->id);
    three_step(three.leader);
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_ASKED, &says), ERR_BUSY);
    cr_assert_eq(says.vote, REBUILD_VOTE_UNSAID);
    cr_assert_not_null(strstr(says.why, "being committed"), "%s", says.why);
}

/* It would have its vote again soon after it was said to vote no more. */
Test(members_repair, one_that_is_to_have_its_vote_back_is_not_said_to_have_none)
{
    struct asked asked;
    struct rebuild_says says;
    struct three_node *b = three.b;
    three_crash(b);
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_HAD, &says), ERR_BUSY);
    three_settle(&three);
    expect_standing(&three, b->id, "learner");
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_HAD, &says), 0, "%s", says.why);
    ask_change(three.leader, &asked, GATEWAY_DEMOTE, b->id);
    three_step(three.leader);
    expect_answer(&asked, ERR_BUSY, "is being repaired, and gets its vote back");
    three_restart(b);
    core_of(b)->options.wants_vote = wants_vote;
    wanting = true;
    three_wait(&three, 2000);
    expect_standing(&three, b->id, "voter");
    wanting = false;
    three_wait(&three, THREE_PRESENCE_MS);
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    expect_standing(&three, b->id, "learner");
    ask_change(three.leader, &asked, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 50);
    expect_answer(&asked, 0, ""); /* It is so already, and stays so. */
}

/* What it says of that may have been said before it heard that it votes. */
Test(members_repair, one_that_has_its_vote_back_does_not_get_it_twice)
{
    struct rebuild_says says;
    struct three_node *b = three.b;
    for (unsigned round = 0; round < 2; round++) {
        three_crash(b);
        cr_assert_eq(ask_with(b->id, REBUILD_VOTE_HAD, &says), ERR_BUSY);
        three_settle(&three);
        expect_standing(&three, b->id, "learner");
        three_restart(b);
        core_of(b)->options.wants_vote = wants_vote;
        wanting = true;
        three_wait(&three, 2000);
        expect_standing(&three, b->id, "voter");
    }
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 2000);
    expect_standing(&three, b->id, "learner");
}

/* Its data were put back, say: the leader that took its vote remembers, until the node has its copy. */
Test(members_repair, one_that_has_lost_what_it_was_told_of_its_vote_is_told_again)
{
    struct rebuild_says says;
    struct three_node *b = three.b;
    three_crash(b);
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_HAD, &says), ERR_BUSY);
    three_settle(&three);
    expect_standing(&three, b->id, "learner");
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_ASKED, &says), ERR_BUSY);
    cr_assert_eq(says.vote, REBUILD_VOTE_HAD);
    three_restart(b);
    three_wait(&three, THREE_PRESENCE_MS);
    cr_assert_eq(ask_with(b->id, REBUILD_VOTE_ASKED, &says), ERR_BUSY);
    cr_assert_eq(says.vote, REBUILD_VOTE_NONE);
}

/* ---- Alarms ---- */

static const char *alarm_text = "";

static const char *alarm_of(void *arg)
{
    (void)arg;
    return alarm_text;
}

static bool has_alarm(struct three_node *at, const char *text)
{
    struct gateway_status status = three_status(at);
    for (unsigned i = 0; i < status.alarms_len; i++) {
        if (strcmp(status.alarms[i], text) == 0) {
            return true;
        }
    }
    return false;
}

Test(members_repair, what_is_wrong_with_a_node_is_shown_by_it_and_by_the_leader)
{
    char expected[80];
    core_of(three.a)->options.alarm = alarm_of;
    alarm_text = "the disk smells\nof \x7f smoke";
    three_wait(&three, THREE_PRESENCE_MS / 5 + 50);
    (void)snprintf(expected, sizeof expected, "node %u: the disk smells of   smoke", (unsigned)three.a->id);
    cr_assert(has_alarm(three.leader, expected));
    cr_assert_eq(three_status(three.b).alarms_len, 0u);
    cr_assert_eq(three_status(three.a).alarms_len, 1u);
    alarm_text = "";
    three_wait(&three, THREE_PRESENCE_MS / 5 + 50);
    cr_assert_eq(three_status(three.leader).alarms_len, 0u);
    cr_assert_eq(three_status(three.a).alarms_len, 0u);
}

Test(members_repair, a_learner_that_is_short_of_room_refuses_nobodys_messages)
{
    make_change(&three, three.leader, GATEWAY_DEMOTE, three.b->id);
    struct gateway_core *core = core_of(three.leader);
    uint64_t now_ms = three.leader->clock.now_ms;
    driver_status(core->driver, &core->status);
    roster_forget(&core->roster, three.a->id); /* As when a leadership begins. */
    roster_get(&core->roster, three.b->id, now_ms)->disk_low = true;
    gateway_room_refuse(core, now_ms);
    cr_assert_str_eq(three_status(three.leader).refusing, "");
    roster_get(&core->roster, three.a->id, now_ms)->disk_low = true;
    gateway_room_refuse(core, now_ms);
    cr_assert_str_neq(three_status(three.leader).refusing, "");
}
