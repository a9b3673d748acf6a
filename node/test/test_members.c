/* Changes of the membership: asked of any node, made by the leader, one at a time; nodes that begin anew; alarms. */

#include "node/core/members.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/core/gateway.h"
#include "three_nodes.h"

struct asked {
    struct gateway_change change;
    unsigned calls;
    int err;
    char detail[MEMBERS_TEXT_LEN];
    bool asking; /* The call that asks has not returned. */
};

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

static struct gateway_core *core_of(struct three_node *node)
{
    return gateway_core_of(node->home.gateway);
}

static void on_done(struct gateway_change *change, int err, const char *detail)
{
    struct asked *asked = container_of(change, struct asked, change);
    cr_assert_not(asked->asking, "from within the call");
    asked->calls++;
    asked->err = err;
    (void)snprintf(asked->detail, sizeof asked->detail, "%s", detail);
}

static void ask(struct three_node *at, struct asked *asked, enum gateway_change_kind kind, uint64_t node)
{
    *asked = (struct asked){.change = {.kind = kind, .node = node, .done = on_done}, .asking = true};
    if (kind == GATEWAY_ADD) {
        (void)snprintf(asked->change.address, sizeof asked->change.address, "node:%u", (unsigned)node);
    }
    at->home.gateway->ops->change(at->home.gateway, &asked->change);
    asked->asking = false;
}

static void expect(const struct asked *asked, int err, const char *part)
{
    cr_assert_eq(asked->calls, 1u, "%u answers", asked->calls);
    cr_assert_eq(asked->err, err, "%s: %s", err_text(asked->err), asked->detail);
    cr_assert_not_null(strstr(asked->detail, part), "%s", asked->detail);
    cr_assert((err == 0) == (asked->detail[0] == '\0'), "%s", asked->detail);
}

/* Asks until it is done: what must be first passes. */
static void change(struct three_node *at, enum gateway_change_kind kind, uint64_t node)
{
    struct asked asked;
    for (unsigned i = 0; i < 50; i++) {
        ask(at, &asked, kind, node);
        three_wait(&three, 50);
        if (asked.calls == 1 && asked.err == 0) {
            return;
        }
    }
    cr_assert_fail("not within 2.5 s: %s", asked.detail);
}

/* "voter", "learner", or "" for none, as the node has it. */
static const char *standing(struct three_node *at, uint64_t node)
{
    struct gateway_status status = three_status(at);
    for (unsigned i = 0; i < status.members_len; i++) {
        if (status.members[i].id == node) {
            bool learner = strcmp(status.members[i].role, "learner") == 0;
            cr_assert_eq(learner, !status.members[i].voter);
            return learner ? "learner" : "voter";
        }
    }
    return "";
}

static void expect_everywhere(uint64_t node, const char *what)
{
    for (unsigned i = 0; i < THREE; i++) {
        if (three.nodes[i].shard != NULL && !three.nodes[i].paused) {
            cr_assert_str_eq(standing(&three.nodes[i], node), what, "at node %u", i + 1);
        }
    }
}

/* ---- Requests ---- */

Test(members, a_node_is_added_and_removed_and_what_is_so_already_is_done)
{
    struct asked asked;
    ask(three.leader, &asked, GATEWAY_ADD, 4);
    cr_assert_eq(asked.calls, 0u);
    three_settle(&three);
    expect(&asked, 0, "");
    three_wait(&three, 100);
    expect_everywhere(4, "learner");
    ask(three.leader, &asked, GATEWAY_ADD, 4);
    three_settle(&three);
    expect(&asked, 0, "");
    ask(three.leader, &asked, GATEWAY_ADD, 4);
    (void)snprintf(asked.change.address, sizeof asked.change.address, "elsewhere:1");
    three_settle(&three);
    expect(&asked, ERR_REFUSED, "address");
    ask(three.leader, &asked, GATEWAY_PROMOTE, 4);
    three_settle(&three);
    expect(&asked, ERR_BUSY, "caught up");
    ask(three.leader, &asked, GATEWAY_REMOVE, 4);
    three_settle(&three);
    expect(&asked, 0, "");
    three_wait(&three, 100);
    expect_everywhere(4, "");
    ask(three.leader, &asked, GATEWAY_REMOVE, 4);
    three_settle(&three);
    expect(&asked, 0, "");
    ask(three.leader, &asked, GATEWAY_DEMOTE, 4);
    three_settle(&three);
    expect(&asked, ERR_NOT_FOUND, "no such member");
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
    ask(leader, &asked, GATEWAY_PROMOTE, three.b->id);
    three_settle(&three);
    cr_assert_eq(asked.calls, 0u, "it leads, as far as it knows");
    for (unsigned i = 0; i < THREE; i++) {
        three_hold(leader, &three.nodes[i], false);
    }
    three_settle(&three);
    expect(&asked, 0, "");
}

Test(members, any_node_takes_requests_for_the_leader)
{
    struct asked asked;
    ask(three.a, &asked, GATEWAY_ADD, 4);
    three_settle(&three);
    expect(&asked, 0, "");
    expect_everywhere(4, "learner");
    ask(three.b, &asked, GATEWAY_PROMOTE, 4);
    three_settle(&three);
    expect(&asked, ERR_BUSY, "caught up");
    ask(three.b, &asked, (enum gateway_change_kind)7, 4);
    three_settle(&three);
    expect(&asked, ERR_INVALID, "");
    ask(three.a, &asked, GATEWAY_PROMOTE, 0);
    three_settle(&three);
    expect(&asked, ERR_INVALID, "");
    ask(three.a, &asked, GATEWAY_REMOVE, 4);
    three_settle(&three);
    expect(&asked, 0, "");
}

Test(members, all_at_once_are_made_one_after_the_other)
{
    struct asked asked[9];
    struct three_node *nodes[] = {three.leader, three.a, three.b};
    for (unsigned i = 0; i < 9; i++) {
        ask(nodes[i % 3], &asked[i], GATEWAY_ADD, 4 + i % 5);
    }
    three_wait(&three, 200);
    for (unsigned i = 0; i < 9; i++) {
        expect(&asked[i], 0, "");
    }
    for (uint64_t node = 4; node <= 8; node++) {
        expect_everywhere(node, "learner");
    }
}

Test(members, what_is_sent_twice_is_made_once)
{
    struct asked asked;
    three_hold(three.a, three.leader, true);
    ask(three.a, &asked, GATEWAY_ADD, 4);
    three_step(three.a);
    three_hold(three.a, three.leader, false);
    three_cut(three.a, three.leader);
    three_join(three.a, three.leader);
    three_settle(&three);
    expect(&asked, 0, "");
    expect_everywhere(4, "learner");
}

Test(members, what_has_arrived_and_is_sent_again_is_one_request)
{
    struct asked first;
    struct asked second;
    three.a->disk_held = true;
    three.b->disk_held = true;
    ask(three.a, &first, GATEWAY_ADD, 4);
    ask(three.a, &second, GATEWAY_ADD, 5);
    three_settle(&three);
    cr_assert_eq(core_of(three.leader)->members.waiting_len, 1u);
    three_cut(three.a, three.leader);
    three_join(three.a, three.leader);
    three_settle(&three);
    cr_assert_eq(core_of(three.leader)->members.waiting_len, 1u);
    three.a->disk_held = false;
    three.b->disk_held = false;
    three_wait(&three, 200);
    expect(&first, 0, "");
    expect(&second, 0, "");
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
    ask(three.a, &at_a, GATEWAY_ADD, 4);
    three_wait(&three, 11000);
    cr_assert_eq(at_a.calls, 0u);
    three_wait(&three, 2000);
    expect(&at_a, ERR_UNAVAILABLE, "no leader");
    ask(three.a, &at_leader, GATEWAY_ADD, 4);
    three_settle(&three);
    three_heal(three.a);
    three_find_leader(&three);
    three_wait(&three, 500);
    expect(&at_leader, 0, "");
}

Test(members, one_that_is_not_committed_when_the_leader_is_lost_has_an_unknown_outcome)
{
    struct asked at_a;
    struct asked at_leader;
    struct three_node *old = three.leader;
    struct three_node *a = three.a;
    three_hold(old, three.a, true);
    three_hold(old, three.b, true);
    ask(a, &at_a, GATEWAY_ADD, 4);
    ask(old, &at_leader, GATEWAY_ADD, 5);
    three_settle(&three);
    cr_assert_eq(at_a.calls + at_leader.calls, 0u);
    old->paused = true;
    three_isolate(old);
    three_find_leader(&three);
    three_settle(&three);
    expect(&at_a, ERR_UNAVAILABLE, "unknown");
    cr_assert_not_null(core_of(old)->members.current);
    three_wait(&three, 300);
    change(a, GATEWAY_ADD, 4);
    old->paused = false;
    three_hold(old, &three.nodes[old->id % THREE], false);
    three_hold(old, &three.nodes[(old->id + 1) % THREE], false);
    three_heal(old);
    three_wait(&three, 500);
    expect(&at_leader, ERR_UNAVAILABLE, "unknown");
    cr_assert_null(core_of(old)->members.current);
    cr_assert_eq(core_of(old)->members.waiting_len, 0u, "it is not to do it when it leads again");
    expect_everywhere(4, "learner");
    expect_everywhere(5, "");
}

Test(members, a_leader_without_a_majority_answers_after_a_while)
{
    struct asked first;
    struct asked second;
    /* It hears them and is not heard, so it goes on leading. */
    three_hold(three.a, three.leader, false);
    three.a->disk_held = true;
    three.b->disk_held = true;
    ask(three.leader, &first, GATEWAY_ADD, 4);
    ask(three.leader, &second, GATEWAY_ADD, 5);
    three_wait(&three, MEMBERS_WAIT_MS - 500);
    cr_assert_eq(first.calls + second.calls, 0u);
    three_wait(&three, 600);
    expect(&first, ERR_UNAVAILABLE, "not committed");
    three_wait(&three, 2500);
    cr_assert_eq(second.calls, 1u);
    cr_assert(second.err == ERR_BUSY || second.err == ERR_UNAVAILABLE);
    three.a->disk_held = false;
    three.b->disk_held = false;
    three_wait(&three, 1000);
    expect_everywhere(4, "learner");
    change(three.leader, GATEWAY_ADD, 5);
}

Test(members, a_request_that_cannot_be_sent_keeps_nobody_busy)
{
    struct asked asked;
    three_fill(three.a, three.leader, true);
    ask(three.a, &asked, GATEWAY_ADD, 4);
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
    expect(&asked, 0, "");
}

Test(members, requests_are_bounded)
{
    static struct asked asked[MEMBERS_REQUESTS_MAX + 10];
    three_isolate(three.a);
    for (unsigned i = 0; i < MEMBERS_REQUESTS_MAX + 10; i++) {
        ask(three.a, &asked[i], GATEWAY_ADD, 4);
    }
    three_settle(&three);
    for (unsigned i = 0; i < MEMBERS_REQUESTS_MAX + 10; i++) {
        if (i < MEMBERS_REQUESTS_MAX) {
            cr_assert_eq(asked[i].calls, 0u);
        } else {
            expect(&asked[i], ERR_BUSY, "too many");
        }
    }
    three_heal(three.a);
    three_find_leader(&three);
    three_wait(&three, 500);
    for (unsigned i = 0; i < MEMBERS_REQUESTS_MAX; i++) {
        expect(&asked[i], 0, "");
    }
}

Test(members, one_that_is_cancelled_is_not_answered)
{
    struct asked asked;
    ask(three.a, &asked, GATEWAY_ADD, 4);
    three.a->home.gateway->ops->change_cancel(three.a->home.gateway, &asked.change);
    three_settle(&three);
    cr_assert_eq(asked.calls, 0u);
    expect_everywhere(4, "");
    ask(three.a, &asked, GATEWAY_ADD, 4);
    three_step(three.a);
    three.a->home.gateway->ops->change_cancel(three.a->home.gateway, &asked.change);
    three_wait(&three, 100);
    cr_assert_eq(asked.calls, 0u);
    expect_everywhere(4, "learner");
    three.a->home.gateway->ops->change_cancel(three.a->home.gateway, &asked.change);
}

Test(members, a_leader_hands_over_before_it_is_taken_out)
{
    struct asked asked;
    struct three_node *old = three.leader;
    ask(three.a, &asked, GATEWAY_DEMOTE, old->id);
    three_settle(&three);
    cr_assert_eq(asked.calls, 1u);
    /* The news of the next leader may overtake the answer. */
    cr_assert(asked.err == ERR_BUSY || asked.err == ERR_UNAVAILABLE);
    three_wait(&three, 300);
    three_find_leader(&three);
    cr_assert_neq(three.leader, old);
    change(old, GATEWAY_DEMOTE, old->id);
    three_wait(&three, 100);
    expect_everywhere(old->id, "learner");
    cr_assert_str_eq(standing(old, old->id), "learner");
}

Test(members, a_promotion_is_done_when_the_new_voter_has_it)
{
    struct asked asked;
    struct three_node *b = three.b;
    change(three.leader, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 200);
    ask(three.leader, &asked, GATEWAY_PROMOTE, b->id);
    three_settle(&three);
    expect(&asked, ERR_BUSY, "asked whether it still has");
    three_hold(three.leader, b, true);
    ask(three.leader, &asked, GATEWAY_PROMOTE, b->id);
    three_settle(&three);
    cr_assert_eq(three_status(three.leader).applied_index, three_status(three.leader).log_last, "committed");
    cr_assert_str_eq(standing(three.leader, b->id), "voter");
    cr_assert_eq(asked.calls, 0u);
    three_hold(three.leader, b, false);
    three_settle(&three);
    expect(&asked, 0, "");
}

Test(members, a_node_that_is_no_member_changes_nothing)
{
    struct asked asked;
    change(three.leader, GATEWAY_REMOVE, three.b->id);
    cr_assert_str_eq(standing(three.leader, three.b->id), "");
    core_of(three.b)->leader = three.leader->id; /* It may still know. */
    core_of(three.b)->term = core_of(three.leader)->term;
    ask(three.b, &asked, GATEWAY_ADD, 4);
    three_settle(&three);
    if (asked.calls == 1) {
        cr_assert_neq(asked.err, 0);
    }
    cr_assert_str_eq(standing(three.leader, 4), "");
}

/* ---- Nodes that begin anew ---- */

static int admits(struct three_node *at, uint64_t node, uint64_t *index, uint64_t *leader, char detail[256])
{
    detail[0] = '\0';
    return gateway_core_admits(core_of(at), node, "its log is damaged", index, leader, detail, 256);
}

Test(members, a_dead_voter_may_have_a_copy_when_it_votes_no_more)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct three_node *b = three.b;
    cr_assert_eq(admits(three.a, b->id, &index, &leader, detail), ERR_NOT_LEADER);
    cr_assert_eq(leader, three.leader->id);
    cr_assert_eq(admits(three.leader, 7, &index, &leader, detail), ERR_NOT_FOUND);
    cr_assert_not_null(strstr(detail, "node 7 is no member of this cluster: holdfast cluster add 7"), "%s", detail);
    three_crash(b);
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    cr_assert_not_null(strstr(detail, "taken out of the votes"), "%s", detail);
    cr_assert_eq(index, 0u);
    uint64_t before = three_status(three.leader).log_last;
    three_settle(&three);
    expect_everywhere(b->id, "learner");
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
    cr_assert_gt(index, before);
    cr_assert_leq(index, three_status(three.leader).applied_index);
    /* What the leader knows of it as of before does not make it a voter again. */
    roster_get(&core_of(three.leader)->roster, b->id, 0)->wants_vote = true;
    three_wait(&three, 2000);
    expect_everywhere(b->id, "learner");
}

Test(members, a_voter_is_not_admitted_while_its_demotion_is_not_applied)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct three_node *b = three.b;
    three_crash(b);
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    three_hold(three.a, three.leader, true);
    three_settle(&three);
    cr_assert_str_eq(standing(three.leader, b->id), "learner", "in the log");
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    cr_assert_not_null(strstr(detail, "being committed"), "%s", detail);
    three_hold(three.a, three.leader, false);
    three_settle(&three);
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
}

Test(members, a_demotion_that_cannot_be_made_now_is_made_later)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct asked asked;
    struct three_node *b = three.b;
    three_hold(three.a, three.leader, true);
    three_hold(three.b, three.leader, true);
    ask(three.leader, &asked, GATEWAY_ADD, 4);
    three_settle(&three);
    cr_assert_eq(asked.calls, 0u);
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    three_hold(three.a, three.leader, false);
    three_hold(three.b, three.leader, false);
    three_wait(&three, 500);
    expect(&asked, 0, "");
    cr_assert_str_eq(standing(three.leader, b->id), "learner");
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
}

Test(members, the_second_of_three_is_not_taken_out_of_the_votes)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    change(three.leader, GATEWAY_REMOVE, three.b->id);
    three_wait(&three, 100);
    cr_assert_lt(admits(three.leader, three.a->id, &index, &leader, detail), 0);
    three_wait(&three, 500);
    int err = admits(three.leader, three.a->id, &index, &leader, detail);
    cr_assert_eq(err, ERR_REFUSED, "%s", detail);
    cr_assert_not_null(strstr(detail, "cannot be taken out of the votes"), "%s", detail);
    cr_assert_str_eq(standing(three.leader, three.a->id), "voter");
}

Test(members, a_leader_whose_own_state_may_be_wrong_gives_none)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    core_of(three.leader)->digests.divided = true;
    cr_assert_eq(admits(three.leader, three.b->id, &index, &leader, detail), ERR_BUSY);
    cr_assert_not_null(strstr(detail, "may be wrong"), "%s", detail);
    core_of(three.leader)->digests.divided = false;
    three_settle(&three);
    expect_everywhere(three.b->id, "voter");
}

Test(members, the_sessions_at_a_node_that_is_removed_do_not_wait_for_its_silence)
{
    struct machine_node known;
    struct machine *machine = shard_machine(three.leader->shard);
    cr_assert_eq(machine_node(machine, three.b->id, &known), 0);
    change(three.leader, GATEWAY_REMOVE, three.b->id);
    three_wait(&three, 2 * THREE_PRESENCE_MS / 5);
    cr_assert_eq(machine_node(machine, three.b->id, &known), ERR_NOT_FOUND);
    change(three.leader, GATEWAY_ADD, three.b->id);
    three_wait(&three, THREE_PRESENCE_MS);
    cr_assert_eq(machine_node(machine, three.b->id, &known), 0);
}

Test(members, a_node_that_is_gone_leaves_no_record)
{
    change(three.leader, GATEWAY_REMOVE, three.b->id);
    three_crash(three.b);
    three_wait(&three, 2 * THREE_PRESENCE_MS);
    cr_assert_null(roster_find(&core_of(three.leader)->roster, three.b->id));
    cr_assert_not_null(roster_find(&core_of(three.leader)->roster, three.a->id));
}

Test(members, a_node_is_present_as_soon_as_it_is_a_member)
{
    struct gateway_core *core = core_of(three.leader);
    struct machine_node known;
    gateway_presence_heard(core, 4, 77);
    three_settle(&three);
    cr_assert_eq(machine_node(core->machine, 4, &known), ERR_NOT_FOUND);
    change(three.leader, GATEWAY_ADD, 4);
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

Test(members, a_node_that_voted_before_votes_again_by_itself)
{
    struct three_node *b = three.b;
    core_of(b)->options.wants_vote = wants_vote;
    wanting = false;
    change(three.leader, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 1000);
    expect_everywhere(b->id, "learner");
    three_hold(three.leader, b, true); /* It cannot catch up. */
    three_wait(&three, 2 * THREE_ELECTION_MS);
    wanting = true;
    three_wait(&three, 1000);
    cr_assert_str_eq(standing(three.leader, b->id), "learner");
    three_hold(three.leader, b, false);
    three_wait(&three, 1000);
    expect_everywhere(b->id, "voter");
}

Test(members, a_node_that_has_just_asked_for_a_copy_does_not_vote_again_at_once)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct three_node *b = three.b;
    core_of(b)->options.wants_vote = wants_vote;
    wanting = true;
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    three_settle(&three);
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
    three_wait(&three, MEMBERS_WISH_MS - 500);
    expect_everywhere(b->id, "learner");
    three_wait(&three, 1500);
    expect_everywhere(b->id, "voter");
}

Test(members, one_that_has_begun_anew_since_votes_again_soon)
{
    uint64_t index = 0;
    uint64_t leader = 0;
    char detail[256];
    struct three_node *b = three.b;
    wanting = true;
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), ERR_BUSY);
    three_settle(&three);
    cr_assert_eq(admits(three.leader, b->id, &index, &leader, detail), 0, "%s", detail);
    three_crash(b);
    three_restart(b);
    core_of(b)->options.wants_vote = wants_vote;
    three_wait(&three, 2000);
    expect_everywhere(b->id, "voter");
}

/* ---- Repairs ---- */

static unsigned repairs;
static char repair_reason[512];

static void on_repair(void *arg, const char *reason)
{
    (void)arg;
    repairs++;
    (void)snprintf(repair_reason, sizeof repair_reason, "%s", reason);
}

static int repair(struct three_node *at, uint64_t node)
{
    return at->home.gateway->ops->repair(at->home.gateway, node);
}

Test(members, an_operator_has_a_node_repaired)
{
    repairs = 0;
    core_of(three.a)->options.repair = on_repair;
    cr_assert_eq(repair(three.a, three.a->id), 0);
    cr_assert_eq(repairs, 1u);
    cr_assert_str_eq(repair_reason, "asked for by an operator");
    cr_assert_eq(repair(three.b, three.a->id), 0);
    three_settle(&three);
    cr_assert_eq(repairs, 2u);
    char expected[80];
    (void)snprintf(expected, sizeof expected, "node %u says: asked for by an operator", (unsigned)three.b->id);
    cr_assert_str_eq(repair_reason, expected);
    cr_assert_eq(repair(three.b, 9), ERR_NOT_FOUND);
    three_crash(three.a);
    cr_assert_eq(repair(three.b, three.a->id), ERR_UNAVAILABLE);
    cr_assert_eq(repair(three.b, three.leader->id), ERR_REFUSED, "the others are no majority");
    cr_assert_eq(repair(three.b, three.b->id), ERR_REFUSED);
}

Test(members, a_node_that_has_lost_what_it_acknowledged_is_told_once_a_second)
{
    repairs = 0;
    core_of(three.a)->options.repair = on_repair;
    for (unsigned i = 0; i < 5; i++) {
        gateway_core_forgot(core_of(three.leader), three.a->id, 100, 50);
    }
    three_settle(&three);
    cr_assert_eq(repairs, 1u);
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

Test(members, what_is_wrong_with_a_node_is_shown_by_it_and_by_the_leader)
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

Test(members, a_learner_that_is_short_of_room_refuses_nobodys_messages)
{
    change(three.leader, GATEWAY_DEMOTE, three.b->id);
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
