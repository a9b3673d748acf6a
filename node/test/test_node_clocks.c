/* Wall clocks of nodes, zones, and who is to lead; and that no clock makes anything expire early. */

#include <criterion/criterion.h>
#include <string.h>

#include "node/core/gateway.h"
#include "rpc/native/native_frame.h"
#include "three_nodes.h"

#define SKEW_MS 5000u
#define HOUR_MS UINT64_C(3600000)
#define YEAR_MS (365 * 24 * HOUR_MS)

static struct three three;

static void setup(void)
{
    struct shard_options options = {.segment_len = 64 * 1024, .clock_skew_ms = SKEW_MS};
    three_start(&three, &options);
}

static void teardown(void)
{
    three_stop(&three);
}

TestSuite(clocks_of_nodes, .init = setup, .fini = teardown);

/* It is opened anew with what the test has set in its options. */
static void reopen(struct three_node *node)
{
    three_crash(node);
    three_restart(node);
    three_find_leader(&three);
}

static const struct gateway_status_member *member_of(const struct gateway_status *status, uint64_t id)
{
    for (unsigned i = 0; i < status->members_len; i++) {
        if (status->members[i].id == id) {
            return &status->members[i];
        }
    }
    return NULL;
}

static bool alarmed(struct three_node *node, const char *text)
{
    struct gateway_status status = three_status(node);
    for (unsigned i = 0; i < status.alarms_len; i++) {
        if (strstr(status.alarms[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

static unsigned alarms_of_all(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < THREE; i++) {
        count += three_status(&three.nodes[i]).alarms_len;
    }
    return count;
}

static uint64_t leader_now(void)
{
    three_find_leader(&three);
    return three.leader->id;
}

Test(clocks_of_nodes, agree_and_nothing_is_said)
{
    uint64_t leader = three.leader->id;
    three.a->clock.wall_jump_ms = 4000;
    three_wait(&three, 60000);
    cr_assert_eq(alarms_of_all(), 0u);
    cr_assert_eq(leader_now(), leader);
}

Test(clocks_of_nodes, a_leader_whose_clock_is_wrong_hands_over_and_says_so)
{
    struct three_node *old = three.leader;
    old->clock.wall_jump_ms = HOUR_MS;
    three_wait(&three, 10000);
    three_find_leader(&three);
    cr_assert_neq(three.leader, old);
    cr_assert(alarmed(old, "the wall clock is 60.0 min ahead of the majority's"));
    cr_assert(alarmed(three.leader, "the wall clock is 60.0 min ahead of the majority's"), "the leader tells, too");
    cr_assert_not(alarmed(three.a == old ? three.b : three.a, "wall clock"));
    /* It stays with the others. */
    uint64_t leader = three.leader->id;
    three_wait(&three, 60000);
    cr_assert_eq(leader_now(), leader);
    old->clock.wall_jump_ms = 0;
    three_wait(&three, 10000);
    cr_assert_eq(alarms_of_all(), 0u);
    cr_assert_eq(leader_now(), leader);
}

/* Back, and to the only other one that is right. */
Test(clocks_of_nodes, leadership_goes_to_a_node_whose_clock_is_right)
{
    struct three_node *old = three.leader;
    struct three_node *right = three.a->id < three.b->id ? three.b : three.a;
    struct three_node *wrong = three.a->id < three.b->id ? three.a : three.b;
    old->clock.wall_jump_ms = -HOUR_MS;
    wrong->clock.wall_jump_ms = HOUR_MS; /* No two agree: the one in the middle counts. */
    uint64_t term = three_status(old).term;
    three_wait(&three, 12000);
    cr_assert_eq(leader_now(), right->id);
    cr_assert_eq(three_status(right).term, term + 1, "at once");
    cr_assert(alarmed(old, "behind the majority's"));
    cr_assert(alarmed(wrong, "ahead of the majority's"));
}

Test(clocks_of_nodes, a_follower_whose_clock_is_wrong_is_told_of_by_the_leader)
{
    uint64_t leader = three.leader->id;
    three.a->clock.wall_jump_ms = -HOUR_MS;
    three_wait(&three, 10000);
    cr_assert_eq(leader_now(), leader);
    cr_assert(alarmed(three.leader, "the wall clock is 60.0 min behind the majority's"));
    cr_assert_not(alarmed(three.b, "wall clock"));
}

/* The first of the members, so that it would be chosen. */
Test(clocks_of_nodes, leadership_does_not_go_to_a_learner)
{
    struct three_node *old = three.leader;
    struct three_node *learner = three.a->id < three.b->id ? three.a : three.b;
    struct three_node *voter = learner == three.a ? three.b : three.a;
    const struct driver_change demotion = {.kind = DRIVER_DEMOTE, .node = learner->id};
    uint64_t index;
    const char *why;
    cr_assert_eq(driver_change(shard_driver(old->shard), &demotion, &index, &why), 0, "%s", why);
    three_wait(&three, 500);
    old->clock.wall_jump_ms = HOUR_MS;
    three_wait(&three, 12000);
    cr_assert_eq(leader_now(), voter->id);
}

Test(clocks_of_nodes, two_that_differ_alone_go_on)
{
    three_isolate(three.b);
    three_wait(&three, 12000);
    uint64_t leader = three.leader->id;
    three.leader->clock.wall_jump_ms = YEAR_MS;
    three_wait(&three, 60000);
    cr_assert_eq(three_status(three.leader).leader, leader);
    cr_assert(alarmed(three.leader, "365.0 days apart: no majority agrees"));
    cr_assert_not(alarmed(three.leader, "the wall clock is"), "nobody knows");
    cr_assert_not(alarmed(three.a, "the wall clock is"));
    three_heal(three.b);
    three_wait(&three, 12000);
    cr_assert_neq(leader_now(), leader, "now it is known who is right");
}

Test(clocks_of_nodes, are_not_compared_when_they_are_not_to_be)
{
    for (unsigned i = 0; i < THREE; i++) {
        three.nodes[i].options.clock_skew_ms = 0;
        reopen(&three.nodes[i]);
    }
    uint64_t leader = three.leader->id;
    three.leader->clock.wall_jump_ms = YEAR_MS;
    three_wait(&three, 60000);
    cr_assert_eq(leader_now(), leader);
    cr_assert_eq(alarms_of_all(), 0u);
}

Test(clocks_of_nodes, zones_and_preferences_are_known_everywhere)
{
    three.nodes[0].options.zone = "north";
    three.nodes[2].options.zone = "south";
    three.nodes[2].options.preferred = true;
    reopen(&three.nodes[0]);
    reopen(&three.nodes[2]);
    three_wait(&three, 2000);
    for (unsigned i = 0; i < THREE; i++) {
        struct gateway_status status = three_status(&three.nodes[i]);
        cr_assert_str_eq(member_of(&status, 1)->zone, "north");
        cr_assert_str_eq(member_of(&status, 2)->zone, "");
        cr_assert_str_eq(member_of(&status, 3)->zone, "south");
        cr_assert_not(member_of(&status, 1)->preferred);
        cr_assert(member_of(&status, 3)->preferred);
    }
}

static struct time_mark told_mark; /* With it. */

static int tell_from(uint64_t from, struct three_node *to, uint64_t wall_ms, const char *zone)
{
    Holdfast__WallClock clock = HOLDFAST__WALL_CLOCK__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_WALL_CLOCK;
    message.wall_clock = &clock;
    message.run = 1;
    clock.wall_ms = wall_ms;
    clock.zone = (char *)(uintptr_t)zone;
    clock.mark_term = told_mark.term;
    clock.mark_log_ms = told_mark.log_ms;
    clock.mark_wall_ms = told_mark.wall_ms;
    struct frame_out out;
    cr_assert_eq(native_frame_encode(FRAME_PEER_GATEWAY, &message.base, NULL, 0, &out), 0);
    struct slice head = slice_of_blob(out.head);
    struct frame frame = {.type = FRAME_PEER_GATEWAY,
                          .header = slice_part(head, FRAME_PREFIX_LEN, head.len - FRAME_PREFIX_LEN)};
    int err = shard_receive(to->shard, from, &frame);
    frame_out_done(&out);
    return err;
}

static int tell(struct three_node *to, uint64_t wall_ms, const char *zone)
{
    return tell_from(three.a->id == to->id ? three.b->id : three.a->id, to, wall_ms, zone);
}

static int changed_err = 1;

static void changed(struct gateway_change *change, int err, const char *detail)
{
    (void)change;
    cr_assert_eq(err, 0, "%s", detail);
    changed_err = err;
}

Test(clocks_of_nodes, a_zone_that_would_stop_the_cluster_is_told_when_there_are_others)
{
    three.nodes[0].options.zone = "north";
    three.nodes[1].options.zone = "south";
    three.nodes[2].options.zone = "north";
    for (unsigned i = 0; i < THREE; i++) {
        reopen(&three.nodes[i]);
    }
    three_wait(&three, 2000);
    cr_assert_eq(alarms_of_all(), 0u, "it cannot be otherwise with two");
    struct gateway *gateway = three.leader->home.gateway;
    struct gateway_change change = {.kind = GATEWAY_ADD, .node = 4, .address = "node:4", .done = changed};
    gateway->ops->change(gateway, &change);
    three_wait(&three, 2000);
    cr_assert_eq(changed_err, 0);
    cr_assert_eq(alarms_of_all(), 0u);
    cr_assert_eq(tell_from(4, three.leader, 5, "west"), 0);
    three_wait(&three, 2000);
    cr_assert(alarmed(three.leader, "zone north holds 2 of 3 voters: losing it stops the cluster"));
    cr_assert_not(alarmed(three.a, "zone"), "it has not heard of the third one");
}

Test(clocks_of_nodes, nonsense_is_refused)
{
    cr_assert_eq(tell(three.leader, 5, "a"), 0);
    cr_assert_eq(tell(three.leader, UINT64_MAX, "a"), ERR_BROKEN);
    cr_assert_eq(tell(three.leader, 5, "a\x1b[31m"), ERR_BROKEN);
    cr_assert_eq(tell(three.leader, 5, "0123456789012345678901234567890123456789"), ERR_BROKEN);
    told_mark = (struct time_mark){.term = 1, .log_ms = UINT64_MAX, .wall_ms = 5};
    cr_assert_eq(tell(three.leader, 5, "a"), ERR_BROKEN);
    told_mark = (struct time_mark){.term = 1, .log_ms = 5, .wall_ms = CLOCKS_WALL_MS_MAX};
    cr_assert_eq(tell(three.leader, 5, "a"), ERR_BROKEN);
}

/* A leader knows log time itself. */
Test(clocks_of_nodes, a_leader_takes_no_mark_from_others)
{
    const struct gateway_core *core = gateway_core_of(three.leader->home.gateway);
    three_wait(&three, 2000);
    struct time_mark before = core->mark;
    cr_assert_eq(before.term, three_status(three.leader).term);
    told_mark =
        (struct time_mark){.term = before.term + 7, .log_ms = before.log_ms + YEAR_MS, .wall_ms = before.wall_ms};
    cr_assert_eq(tell(three.leader, 5, "a"), 0);
    cr_assert_eq(core->mark.log_ms, before.log_ms);
    /* A follower does, until the leader says what is so. */
    core = gateway_core_of(three.a->home.gateway);
    cr_assert_eq(tell(three.a, 5, "a"), 0);
    cr_assert_eq(core->mark.log_ms, told_mark.log_ms);
    three_wait(&three, 2000);
    cr_assert_eq(core->mark.term, before.term);
    cr_assert_lt(core->mark.log_ms, before.log_ms + HOUR_MS);
}

/* ---- Preference ---- */

/* A follower becomes the one that is to lead. */
static struct three_node *prefer(void)
{
    struct three_node *node = three.a;
    node->options.preferred = true;
    reopen(node);
    three_wait(&three, 2000);
    return node;
}

Test(clocks_of_nodes, a_preferred_node_gets_the_leadership_when_it_has_been_fit_for_a_while)
{
    struct three_node *node = prefer();
    cr_assert_neq(leader_now(), node->id);
    three_wait(&three, 13000);
    cr_assert_eq(leader_now(), node->id);
    three_wait(&three, 60000);
    cr_assert_eq(leader_now(), node->id);
}

Test(clocks_of_nodes, of_two_that_are_preferred_the_one_that_leads_goes_on)
{
    uint64_t leader = three.leader->id;
    gateway_core_of(three.leader->home.gateway)->options.preferred = true;
    (void)prefer();
    uint64_t term = three_status(three.leader).term;
    three_wait(&three, 60000);
    cr_assert_eq(leader_now(), leader);
    cr_assert_eq(three_status(three.leader).term, term, "all the time");
}

Test(clocks_of_nodes, a_preferred_node_that_is_short_of_memory_does_not_lead)
{
    struct three_node *node = three.a;
    node->options.preferred = true;
    node->options.memory_max = 1000;
    node->memory_used = 2000;
    reopen(node);
    three_wait(&three, 120000);
    cr_assert_neq(leader_now(), node->id);
    node->memory_used = 10;
    three_wait(&three, 13000);
    cr_assert_eq(leader_now(), node->id);
}

Test(clocks_of_nodes, a_preferred_node_whose_clock_is_wrong_does_not_lead)
{
    struct three_node *node = prefer();
    node->clock.wall_jump_ms = HOUR_MS;
    uint64_t term = three_status(three.leader).term;
    three_wait(&three, 120000);
    cr_assert_neq(leader_now(), node->id);
    cr_assert_eq(three_status(three.leader).term, term, "nor did it for a moment");
}

Test(clocks_of_nodes, a_preferred_node_that_lags_does_not_lead)
{
    struct client client;
    three.a->options.disk_stall_ms = 600000; /* Its disk is slow, and nothing is said about it. */
    struct three_node *node = prefer();
    node->disk_held = true;
    client_init(&client, &three.leader->home, 1);
    client_ready(&client);
    for (unsigned i = 0; i < 300; i++) {
        cr_assert_eq(client_publish(&client, "q", "x"), 0);
        three_wait(&three, 10);
    }
    struct gateway_status status = three_status(three.leader);
    cr_assert_gt(status.log_last, member_of(&status, node->id)->match_index + 256, "%llu",
                 (unsigned long long)status.log_last);
    /* It is not asked either: that would hold up what clients want. */
    for (unsigned i = 0; i < 700; i++) {
        unsigned replies = client.replies;
        cr_assert_eq(client_publish(&client, "q", "x"), 0);
        three_wait(&three, CLIENT_ANSWER_MS);
        cr_assert_gt(client.replies, replies, "%u", i);
        three_wait(&three, 100 - CLIENT_ANSWER_MS);
    }
    cr_assert_eq(three_status(three.leader).leader, status.leader);
    cr_assert_eq(three_status(three.leader).term, status.term);
    client_done(&client);
    node->disk_held = false;
    three_wait(&three, 75000);
    cr_assert_eq(leader_now(), node->id);
}

Test(clocks_of_nodes, a_preferred_node_that_comes_and_goes_is_given_it_back_later_and_later)
{
    struct three_node *node = prefer();
    three_wait(&three, 13000);
    cr_assert_eq(leader_now(), node->id);
    const uint64_t pauses_ms[] = {60000, 120000, 240000};
    for (unsigned i = 0; i < 3; i++) {
        three_wait(&three, 5000);
        three_crash(node);
        three_find_leader(&three);
        three_restart(node);
        three_wait(&three, pauses_ms[i] - 5000);
        cr_assert_neq(leader_now(), node->id, "round %u", i);
        three_wait(&three, 10000);
        cr_assert_eq(leader_now(), node->id, "round %u", i);
    }
}

/* ---- Leases ---- */

/* A session that is detached ends after its lease, by the time that has passed; not a tenth earlier or later, with what an
 * answer takes. Whatever the clocks show, and whoever leads. */
static void lease_runs_as_it_should(void (*trouble)(unsigned second))
{
    struct client client;
    client_init(&client, &three.b->home, 1);
    client_ready(&client);
    three_wait(&three, 2000);
    client_detach(&client);
    three_wait(&three, CLIENT_ANSWER_MS);
    for (unsigned second = 0; second < 4; second++) {
        trouble(second);
        three_wait(&three, 1000);
    }
    three_wait(&three, CLIENT_LEASE_MS - 4000 - CLIENT_LEASE_MS / 10 - 2 * CLIENT_ANSWER_MS);
    three_find_leader(&three);
    cr_assert_eq(three_status(three.leader).sessions, 1u, "too early");
    three_wait(&three, 2 * CLIENT_LEASE_MS / 10 + 4 * CLIENT_ANSWER_MS);
    three_find_leader(&three);
    cr_assert_eq(three_status(three.leader).sessions, 0u, "too late");
    client_done(&client);
}

static void no_trouble(unsigned second)
{
    (void)second;
}

static void leader_leaps(unsigned second)
{
    three.leader->clock.wall_jump_ms = second % 2 == 0 ? YEAR_MS : -YEAR_MS;
}

static void leaders_change(unsigned second)
{
    struct three_node *next = second % 2 == 0 ? three.a : three.b;
    next->clock.wall_jump_ms = second % 2 == 0 ? YEAR_MS : -YEAR_MS;
    three_lead(&three, next);
}

Test(clocks_of_nodes, leases_run_by_time_that_passes)
{
    lease_runs_as_it_should(no_trouble);
}

Test(clocks_of_nodes, leases_do_not_run_by_a_leaders_wall_clock)
{
    lease_runs_as_it_should(leader_leaps);
}

Test(clocks_of_nodes, leases_do_not_run_by_the_wall_clocks_of_several_leaders)
{
    lease_runs_as_it_should(leaders_change);
}
