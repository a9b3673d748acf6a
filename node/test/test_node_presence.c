/* Who is there: nodes that are lost, come back, restart, are cut off, stop, or whose disk does not answer. */

#include <criterion/criterion.h>

#include "proto/wire/frame.h"
#include "three_nodes.h"

static struct three three;
static struct client one; /* At the follower a. */
static struct client two; /* At the leader. */

static void setup(void)
{
    struct shard_options options = {.segment_len = 64 * 1024};
    three_start(&three, &options);
    client_init(&one, &three.a->home, 1);
    client_init(&two, &three.leader->home, 2);
}

static void teardown(void)
{
    client_done(&one);
    client_done(&two);
    three_stop(&three);
}

TestSuite(presence_of_nodes, .init = setup, .fini = teardown);

static void setup_short_log(void)
{
    struct shard_options options = {.segment_len = 64 * 1024, .checkpoint_len = 64 * 1024, .retain_len = 64 * 1024};
    three_start(&three, &options);
    client_init(&one, &three.a->home, 1);
    client_init(&two, &three.leader->home, 2);
}

TestSuite(presence_of_nodes_that_lag, .init = setup_short_log, .fini = teardown);

static struct machine_session session_of(struct three_node *node, const struct client *client)
{
    struct machine_session session;
    cr_assert_eq(machine_session(shard_machine(node->shard), client->session, &session), 0);
    return session;
}

/* one holds three messages. */
static void hold_three(void)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(client_publish(&one, "q", "x"), 0);
    }
    three_settle(&three);
    cr_assert_eq(one.deliveries, 3u);
    three_wait(&three, THREE_PRESENCE_MS / 2);
}

Test(presence_of_nodes, a_node_that_is_silent_for_long_is_lost_and_the_leases_begin)
{
    hold_three();
    three.a->paused = true;
    three_wait(&three, THREE_PRESENCE_MS - 400);
    cr_assert_eq(session_of(three.leader, &one).node, three.a->id, "not yet");
    three_wait(&three, 1000);
    cr_assert_eq(session_of(three.leader, &one).node, 0u);
    home_expect_queue(&three.leader->home, 0, 3);
    three_wait(&three, CLIENT_LEASE_MS);
    home_expect_queue(&three.leader->home, 3, 0);
}

Test(presence_of_nodes, woken_up_it_tells_its_clients_who_find_their_session_elsewhere)
{
    hold_three();
    three.a->paused = true;
    three_wait(&three, THREE_PRESENCE_MS + 600);
    cr_assert_not(one.detached);
    three.a->paused = false;
    three_wait(&three, 200);
    client_expect_detached(&one, ERR_UNAVAILABLE);
    cr_assert_not(two.detached);
    client_move(&one, &three.b->home);
    cr_assert_eq(client_accept(&one, 1, 1, 3), 0);
    three_wait(&three, 100);
    home_expect_queue(&three.leader->home, 0, 0);
}

Test(presence_of_nodes, woken_up_it_serves_again)
{
    hold_three();
    three.a->paused = true;
    three_wait(&three, THREE_PRESENCE_MS + 600);
    three.a->paused = false;
    three_wait(&three, THREE_PRESENCE_MS);
    client_expect_detached(&one, ERR_UNAVAILABLE);
    client_move(&one, &three.a->home);
    three_wait(&three, CLIENT_LEASE_MS + 1000);
    cr_assert_not(one.detached);
    home_expect_queue(&three.leader->home, 0, 3);
}

/* What the disk had done meanwhile is only known a moment later. */
Test(presence_of_nodes, woken_up_it_does_not_blame_its_disk)
{
    hold_three();
    three.a->disk_held = true;
    cr_assert_eq(client_publish(&one, "q", "x"), 0);
    three_settle(&three);
    for (unsigned i = 0; i < THREE; i++) {
        three.nodes[i].paused = true;
    }
    three_wait(&three, 5000);
    for (unsigned i = 0; i < THREE; i++) {
        three.nodes[i].paused = false;
    }
    three_settle(&three);
    three.a->disk_held = false;
    three_wait(&three, 1000);
    cr_assert_not(one.detached);
}

Test(presence_of_nodes, being_slow_is_not_being_lost)
{
    hold_three();
    for (unsigned i = 0; i < 10; i++) {
        three_hold(three.a, three.leader, true);
        three_wait(&three, THREE_PRESENCE_MS / 2);
        three_hold(three.a, three.leader, false);
        three_wait(&three, 50);
    }
    cr_assert_not(one.detached);
    cr_assert_eq(session_of(three.leader, &one).node, three.a->id);
}

Test(presence_of_nodes, a_leader_that_was_asleep_itself_does_not_take_the_others_for_lost)
{
    struct three_node *home = three.a;
    hold_three();
    for (unsigned i = 0; i < THREE; i++) {
        three.nodes[i].paused = true;
    }
    three_wait(&three, 4 * THREE_PRESENCE_MS);
    for (unsigned i = 0; i < THREE; i++) {
        three.nodes[i].paused = false;
    }
    three_find_leader(&three);
    three_wait(&three, THREE_PRESENCE_MS / 2);
    cr_assert_not(one.detached, "%s", err_name(one.detached_err));
    cr_assert_eq(session_of(three.leader, &one).node, home->id);
}

Test(presence_of_nodes, after_a_restart_the_sessions_of_the_process_before_are_detached)
{
    hold_three();
    three_crash(three.a);
    client_cut(&one);
    three_wait(&three, 200);
    cr_assert_eq(session_of(three.leader, &one).node, three.a->id, "it may be back soon");
    three_restart(three.a);
    three_wait(&three, THREE_PRESENCE_MS / 2);
    cr_assert_eq(session_of(three.leader, &one).node, 0u);
    client_move(&one, &three.a->home);
    three_wait(&three, CLIENT_LEASE_MS + 1000);
    cr_assert_not(one.detached);
    home_expect_queue(&three.leader->home, 0, 3);
}

Test(presence_of_nodes, a_dead_leaders_sessions_are_detached_by_the_next)
{
    client_ready(&two);
    struct three_node *old = three.leader;
    three_crash(old);
    client_cut(&two);
    three_find_leader(&three);
    cr_assert_eq(session_of(three.leader, &two).node, old->id);
    three_wait(&three, THREE_PRESENCE_MS + 800);
    cr_assert_eq(session_of(three.leader, &two).node, 0u);
    three_restart(old);
    three_wait(&three, 100);
}

Test(presence_of_nodes, a_node_without_a_leader_sends_its_clients_elsewhere_after_a_while)
{
    hold_three();
    three_isolate(three.a);
    three_wait(&three, THREE_PRESENCE_MS - 100);
    cr_assert_not(one.detached);
    three_wait(&three, 1200);
    client_expect_detached(&one, ERR_UNAVAILABLE);
    cr_assert_eq(one.detached_leader, 0u);
    cr_assert_eq(client_attach_only(&one, true, 0), ERR_UNAVAILABLE);
    client_move(&one, &three.b->home);
    cr_assert_eq(client_accept(&one, 1, 1, 3), 0);
    three_wait(&three, 100);
    home_expect_queue(&three.b->home, 0, 0);
    three_heal(three.a);
    three_wait(&three, 500);
    three_find_leader(&three);
    home_expect_queue(&three.leader->home, 0, 0);
    cr_assert_eq(shard_unanswered(three.a->shard), 0u);
}

Test(presence_of_nodes, a_leader_that_is_cut_off_sends_its_clients_elsewhere)
{
    client_ready(&two);
    struct three_node *old = three.leader;
    three_isolate(old);
    three_wait(&three, THREE_PRESENCE_MS - 100);
    cr_assert_not(two.detached);
    three_wait(&three, 1500);
    client_expect_detached(&two, ERR_UNAVAILABLE);
}

Test(presence_of_nodes, who_attaches_meanwhile_waits_and_is_answered_when_a_leader_comes)
{
    client_ready(&two);
    struct three_node *a = three.a;
    three_isolate(a);
    three_wait(&three, 700);
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    three_wait(&three, 300);
    cr_assert_eq(one.attached, 0u);
    cr_assert_not(one.detached);
    three_heal(a);
    three_wait(&three, 1000);
    cr_assert_eq(one.attached, 1u);
    cr_assert_not(one.detached);
}

Test(presence_of_nodes, a_stop_tells_the_clients_and_hands_leadership_over)
{
    client_ready(&two);
    struct three_node *old = three.leader;
    cr_assert_not(shard_stopped(old->shard));
    shard_stop(old->shard);
    cr_assert_not(two.detached, "never from within the call");
    three_wait(&three, 200);
    client_expect_detached(&two, ERR_UNAVAILABLE);
    cr_assert(shard_stopped(old->shard));
    three_find_leader(&three);
    cr_assert_neq(three.leader, old);
    cr_assert_eq(client_attach_only(&two, true, 0), ERR_UNAVAILABLE);
    cr_assert_eq(session_of(three.leader, &two).node, 0u, "detached by its node, not by being lost");
}

static bool frame_comes(struct three_node *from, struct three_node *to)
{
    if (three_on_wire(from, to, FRAME_PEER_RAFT) + three_on_wire(from, to, FRAME_PEER_GATEWAY) == 0) {
        return false;
    }
    three_deliver_one(from, to);
    return true;
}

/* A process looks after each turn whether it may end, and ends at once. */
static void stop_and_end(struct three_node *node, struct three_node *first, struct three_node *second)
{
    three_hold(first, node, true);
    three_hold(second, node, true);
    shard_stop(node->shard);
    shard_step(node->shard);
    for (unsigned i = 0; i < 1000 && !shard_stopped(node->shard); i++) {
        if (frame_comes(first, node) || frame_comes(second, node)) {
            shard_step(node->shard);
        } else {
            three_wait(&three, 1);
        }
    }
    cr_assert(shard_stopped(node->shard));
    three_settle(&three); /* What it had sent arrives. */
    three_crash(node);
    three_hold(first, node, false);
    three_hold(second, node, false);
    three_find_leader(&three);
}

Test(presence_of_nodes, a_leader_that_stops_leaves_no_session_attached)
{
    client_ready(&two);
    struct three_node *old = three.leader;
    stop_and_end(old, three.a, three.b);
    three_wait(&three, 100);
    cr_assert_eq(session_of(three.leader, &two).node, 0u, "it would hold deliveries until its node is lost");
    three_restart(old);
    three_wait(&three, 100);
}

Test(presence_of_nodes, a_follower_that_stops_leaves_no_session_attached)
{
    client_ready(&one);
    struct three_node *old = three.a;
    stop_and_end(old, three.leader, three.b);
    three_wait(&three, 100);
    cr_assert_eq(session_of(three.leader, &one).node, 0u);
    three_restart(old);
    three_wait(&three, 100);
}

Test(presence_of_nodes, a_leader_whose_disk_does_not_answer_hands_over_and_says_so)
{
    client_ready(&two);
    struct three_node *old = three.leader;
    old->disk_held = true;
    cr_assert_eq(client_publish(&two, "q", "x"), 0);
    three_wait(&three, 1500);
    cr_assert_not(two.detached);
    three_wait(&three, 2000);
    client_expect_detached(&two, ERR_UNAVAILABLE);
    cr_assert_eq(client_attach_only(&two, true, 0), ERR_UNAVAILABLE);
    three_find_leader(&three);
    cr_assert_neq(three.leader, old);
    client_move(&two, &three.leader->home);
    cr_assert_eq(client_publish(&two, "q", "y"), 0);
    three_wait(&three, 100);
    client_expect_reply(&two, two.replies - 1, two.number, 0);
    old->disk_held = false;
    three_wait(&three, 1000);
    struct client three_again;
    client_init(&three_again, &old->home, 3);
    client_attach(&three_again);
    client_done(&three_again);
}

/* It cannot apply even the first entry of its term. */
Test(presence_of_nodes, one_whose_disk_stops_answering_as_it_begins_to_lead_hands_over)
{
    client_ready(&two);
    struct three_node *old = three.leader;
    struct three_node *next = three.a;
    next->disk_held = true;
    cr_assert_eq(old->home.gateway->ops->transfer(old->home.gateway, next->id), 0);
    three_wait(&three, 1500);
    cr_assert_eq(three_status(next).leader, next->id);
    three_wait(&three, 2000);
    three_find_leader(&three);
    cr_assert_neq(three.leader, next);
    cr_assert_eq(client_publish(&two, "q", "x"), 0);
    three_wait(&three, 100);
    client_expect_reply(&two, two.replies - 1, two.number, 0);
    next->disk_held = false;
    three_wait(&three, 1000);
}

Test(presence_of_nodes, a_follower_whose_disk_does_not_answer_sends_its_clients_elsewhere)
{
    client_ready(&one);
    client_ready(&two);
    three.a->disk_held = true;
    cr_assert_eq(client_publish(&two, "q", "x"), 0);
    three_wait(&three, 3000);
    client_expect_reply(&two, 0, 2, 0);
    client_expect_detached(&one, ERR_UNAVAILABLE);
    cr_assert_not(two.detached);
}

/* Whatever the reason may be. */
Test(presence_of_nodes, a_follower_that_gets_no_answers_sends_its_clients_elsewhere)
{
    client_ready(&one);
    three_swallow(three.a, three.leader, true);
    cr_assert_eq(client_publish(&one, "q", "x"), 0);
    three_wait(&three, THREE_PRESENCE_MS - 200);
    cr_assert_not(one.detached);
    for (unsigned i = 0; i < 60 && !one.detached; i++) {
        three_wait(&three, 500);
    }
    client_expect_detached(&one, ERR_UNAVAILABLE);
    cr_assert_gt(shard_unanswered(three.a->shard), 0u, "it would say that the session is detached");
    cr_assert_eq(client_attach_only(&one, false, 0), ERR_UNAVAILABLE, "nobody is taken in who would wait as well");
    three_swallow(three.a, three.leader, false);
    for (unsigned i = 0; i < 60 && shard_unanswered(three.a->shard) > 0; i++) {
        three_wait(&three, 500);
    }
    cr_assert_eq(shard_unanswered(three.a->shard), 0u, "and does, when it is heard again");
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    three_wait(&three, CLIENT_ANSWER_MS);
    cr_assert_eq(one.attached, 2u);
}

/* A log that can get no more disk: what the leader says is heard, and nothing of it is applied. */
Test(presence_of_nodes, a_follower_whose_log_is_full_sends_its_clients_elsewhere_and_recovers)
{
    client_ready(&one);
    client_ready(&two);
    struct three_node *a = three.a;
    sim_disk_set_capacity(a->disk, sim_disk_used(a->disk));
    for (unsigned i = 0; i < 100 && !one.detached; i++) {
        cr_assert_eq(client_publish_large(&two, "q", 16000), 0);
        three_wait(&three, 50);
    }
    client_expect_detached(&one, ERR_UNAVAILABLE);
    cr_assert_eq(client_attach_only(&one, true, 0), ERR_UNAVAILABLE);
    cr_assert_not(two.detached);
    cr_assert_eq(two.reply[two.replies - 1].error, 0u);
    sim_disk_set_capacity(a->disk, 0);
    three_wait(&three, 3000);
    client_move(&one, &a->home);
    cr_assert_eq(three_status(a).applied_index, three_status(three.leader).applied_index);
}

/* It says that it is there, and hears the leader; but what it would have to apply is nowhere any more. */
static void leave_behind(struct three_node *node)
{
    three_crash(node);
    for (unsigned i = 0; i < 700; i++) {
        cr_assert_eq(client_publish_large(&two, "large", 1000), 0);
        three_wait(&three, 5);
    }
    three_wait(&three, 3000); /* A checkpoint, and the log before it goes. */
    three_restart(node);
    three_wait(&three, 1000);
    cr_assert_lt(three_status(node).applied_index, three_status(three.leader).log_first, "it can catch up");
}

/* one is attached at this node, and holds a message. */
static void hold_one_at(struct three_node *node)
{
    one.home = &node->home;
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    cr_assert_eq(client_publish(&one, "q", "x"), 0);
    three_settle(&three);
    cr_assert_eq(one.deliveries, 1u);
}

Test(presence_of_nodes_that_lag, a_session_is_not_left_with_a_node_that_needs_a_rebuild)
{
    client_ready(&two);
    cr_assert_eq(client_declare(&two, "large"), 0);
    hold_one_at(three.b);
    leave_behind(three.a);
    client_detach(&one);
    one.home = &three.a->home;
    cr_assert_eq(client_attach_only(&one, true, 0), 0);
    three_wait(&three, 100);
    cr_assert_eq(one.attached, 1u, "it has not applied that");
    client_detach(&one);
    three_wait(&three, CLIENT_LEASE_MS + THREE_PRESENCE_MS + 1000);
    home_expect_queue(&three.leader->home, 1, 0);
}

Test(presence_of_nodes_that_lag, a_session_is_not_left_with_a_node_whose_disk_does_not_answer)
{
    client_ready(&two);
    hold_one_at(three.b);
    three.a->disk_held = true;
    client_detach(&one);
    one.home = &three.a->home;
    cr_assert_eq(client_attach_only(&one, true, 0), 0);
    three_wait(&three, 100);
    cr_assert_eq(one.attached, 1u, "it cannot apply that");
    client_detach(&one);
    three_wait(&three, CLIENT_LEASE_MS + 8 * THREE_PRESENCE_MS);
    home_expect_queue(&three.leader->home, 1, 0);
    three.a->disk_held = false;
    three_wait(&three, 1000);
    struct client again;
    client_init(&again, &three.a->home, 3);
    client_attach(&again);
    client_done(&again);
}
