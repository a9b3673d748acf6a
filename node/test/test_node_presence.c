/* Who is there: nodes that are lost, come back, restart, are cut off, stop, or whose disk does not answer. */

#include <criterion/criterion.h>

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
