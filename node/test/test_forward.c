/* Commands of clients at a follower: forwarded, sent again when anything changed, answered once and in order. */

#include <criterion/criterion.h>
#include <stdio.h>

#include "three_nodes.h"

static struct three three;
static struct client one; /* At the follower a. */
static struct client two; /* At the leader. */

static void setup(void)
{
    three_start(&three, NULL);
    client_init(&one, &three.a->home, 1);
    client_init(&two, &three.leader->home, 2);
    client_ready(&one);
    three_wait(&three, THREE_PRESENCE_MS / 5);
}

static void teardown(void)
{
    client_done(&one);
    client_done(&two);
    three_stop(&three);
}

TestSuite(forward, .init = setup, .fini = teardown);

static void publish(struct client *client, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char body[16];
        snprintf(body, sizeof body, "m%u", i);
        cr_assert_eq(client_publish(client, "q", body), 0);
    }
}

/* Each answered once, in order; each in the queue once, in order, as every replica has it. */
static void expect_each_once(unsigned count)
{
    cr_assert_eq(one.replies, count, "%u replies", one.replies);
    for (unsigned i = 0; i < count; i++) {
        client_expect_reply(&one, i, 2 + i, 0);
        cr_assert_eq(one.reply[i].count, 1u);
    }
    struct client reader;
    client_init(&reader, &three.b->home, 9);
    client_attach(&reader);
    cr_assert_eq(client_subscribe(&reader, "q", 1, 1000), 0);
    three_wait(&three, 100);
    cr_assert_eq(reader.deliveries, count, "%u in the queue", reader.deliveries);
    for (unsigned i = 0; i < count; i++) {
        char body[16];
        snprintf(body, sizeof body, "m%u", i + 1);
        cr_assert_str_eq(reader.delivery[i].body, body);
    }
    client_done(&reader);
    cr_assert_eq(shard_unanswered(three.a->shard), 0u);
}

static void lose_the_leader(void)
{
    three.leader->paused = true;
    three_isolate(three.leader);
    three_find_leader(&three);
}

static void bring_it_back(struct three_node *node)
{
    node->paused = false;
    three_heal(node);
    three_wait(&three, 200);
    three_find_leader(&three);
}

Test(forward, a_follower_confirms_what_its_own_replica_has_applied)
{
    three_hold(three.leader, three.a, true);
    publish(&one, 1, 1);
    three_settle(&three);
    home_expect_queue(&three.leader->home, 1, 0);
    cr_assert_eq(one.replies, 0u, "committed, but not known here");
    three_hold(three.leader, three.a, false);
    three_settle(&three);
    home_expect_queue(&three.a->home, 1, 0);
    expect_each_once(1);
}

Test(forward, what_a_follower_waits_for_does_not_wait_for_a_heartbeat)
{
    uint64_t now_ms = three.a->clock.now_ms;
    for (unsigned i = 1; i <= 10; i++) {
        publish(&one, i, i);
        three_settle(&three);
        cr_assert_eq(one.replies, i);
    }
    cr_assert_eq(three.a->clock.now_ms, now_ms);
    expect_each_once(10);
}

Test(forward, many_commands_go_in_one_frame)
{
    three_hold(three.a, three.leader, true);
    publish(&one, 1, 500);
    three_step(three.a);
    cr_assert_eq(three_on_wire(three.a, three.leader, FRAME_PEER_GATEWAY), 1u);
    three_hold(three.a, three.leader, false);
    three_settle(&three);
    expect_each_once(500);
}

Test(forward, what_was_sent_and_not_proposed_is_sent_to_the_next_leader)
{
    struct three_node *old = three.leader;
    struct three_node *a = three.a;
    three_hold(a, old, true);
    publish(&one, 1, 3);
    three_step(a);
    publish(&one, 4, 5);
    three_step(a);
    cr_assert_eq(three_on_wire(a, old, FRAME_PEER_GATEWAY), 2u);
    lose_the_leader();
    three_hold(a, old, false);
    cr_assert_neq(three.leader, old);
    bring_it_back(old);
    expect_each_once(5);
}

/* Some in entries that nobody else has, the rest waiting for the window of the leader. */
Test(forward, what_was_proposed_and_not_committed_is_sent_to_the_next_leader)
{
    struct three_node *old = three.leader;
    uint64_t log_last = three_status(old).log_last;
    three_hold(old, three.a, true);
    three_hold(old, three.b, true);
    for (unsigned i = 1; i <= 8; i++) {
        publish(&one, i, i);
        three_settle(&three);
    }
    cr_assert_eq(one.replies, 0u);
    cr_assert_eq(three_status(old).log_last, log_last + 4, "the window");
    lose_the_leader();
    three_hold(old, &three.nodes[old->id % THREE], false);
    three_hold(old, &three.nodes[(old->id + 1) % THREE], false);
    bring_it_back(old);
    expect_each_once(8);
}

Test(forward, what_was_committed_and_not_applied_here_is_answered_once)
{
    struct three_node *old = three.leader;
    struct three_node *a = three.a;
    three_hold(old, a, true);
    publish(&one, 1, 5);
    three_settle(&three);
    home_expect_queue(&old->home, 5, 0);
    cr_assert_eq(one.replies, 0u);
    lose_the_leader();
    three_hold(old, a, false);
    cr_assert_neq(three.leader, a, "it lacks what was committed");
    bring_it_back(old);
    expect_each_once(5);
}

Test(forward, a_follower_that_becomes_leader_answers_what_its_clients_have_sent)
{
    struct three_node *old = three.leader;
    three_hold(three.a, old, true);
    publish(&one, 1, 3);
    three_step(three.a);
    three_hold(three.a, old, false);
    three_lead(&three, three.a);
    expect_each_once(3);
}

Test(forward, what_a_lost_connection_swallowed_is_sent_again)
{
    uint64_t term = three_status(three.leader).term;
    three_hold(three.a, three.leader, true);
    publish(&one, 1, 3);
    three_step(three.a);
    three_cut(three.a, three.leader);
    publish(&one, 4, 5);
    three_step(three.a);
    three_hold(three.a, three.leader, false);
    three_join(three.a, three.leader);
    three_wait(&three, 200);
    cr_assert_eq(three_status(three.leader).term, term, "the same leadership");
    expect_each_once(5);
}

Test(forward, what_arrived_before_the_connection_was_lost_is_not_done_twice)
{
    three_hold(three.leader, three.a, true);
    publish(&one, 1, 3);
    three_settle(&three);
    home_expect_queue(&three.leader->home, 3, 0);
    three_hold(three.leader, three.a, false);
    three_cut(three.a, three.leader);
    three_join(three.a, three.leader);
    publish(&one, 4, 5);
    three_wait(&three, 200);
    expect_each_once(5);
}

Test(forward, what_found_no_room_on_the_way_is_tried_again)
{
    three_fill(three.a, three.leader, true);
    publish(&one, 1, 5);
    three_wait(&three, 100);
    cr_assert_eq(one.replies, 0u);
    three_fill(three.a, three.leader, false);
    three_wait(&three, 100);
    expect_each_once(5);
}

/* The leader has taken m1 and not proposed it; it loses its leadership, and wins it back, before m2, sent under the first,
 * arrives: alone in the log it would be refused as out of order, and then be carried out all the same. */
Test(forward, what_was_sent_to_an_earlier_leadership_is_not_taken_by_a_later_one)
{
    struct three_node *a = three.a;
    struct three_node *b = three.b;
    struct three_node *leader = three.leader;
    three_hold(a, leader, true);
    publish(&one, 1, 1);
    three_step(a);
    publish(&one, 2, 2);
    three_step(a);
    a->paused = true;
    cr_assert_eq(three_on_wire(a, leader, FRAME_PEER_GATEWAY), 2u);
    three_hold(leader, b, true);
    cr_assert_eq(leader->home.gateway->ops->transfer(leader->home.gateway, b->id), 0);
    while (three_on_wire(a, leader, FRAME_PEER_GATEWAY) == 2) {
        three_deliver_one(a, leader);
    }
    three_step(leader); /* While leadership is handed over nothing is proposed. */
    three_hold(leader, b, false);
    three_find_leader(&three);
    cr_assert_eq(three.leader, b);
    three_lead(&three, leader);
    while (three_on_wire(a, leader, FRAME_PEER_GATEWAY) == 1) {
        three_deliver_one(a, leader);
    }
    three_settle(&three);
    a->paused = false;
    three_hold(a, leader, false);
    three_wait(&three, 200);
    three_find_leader(&three);
    expect_each_once(2);
}

Test(forward, clients_of_all_nodes_share_a_queue)
{
    client_ready(&two);
    cr_assert_eq(client_subscribe(&two, "q", 1, 100), 0);
    three_settle(&three);
    publish(&one, 1, 20);
    three_settle(&three);
    cr_assert_eq(two.deliveries, 20u);
    cr_assert_eq(client_accept(&two, 1, 1, 20), 0);
    three_wait(&three, 100);
    home_expect_queue(&three.a->home, 0, 0);
    home_expect_queue(&three.b->home, 0, 0);
}

Test(forward, a_consumer_at_a_follower_is_delivered_to_by_its_own_node)
{
    client_ready(&two);
    cr_assert_eq(client_subscribe(&one, "q", 1, 100), 0);
    three_settle(&three);
    publish(&two, 1, 20);
    three_settle(&three);
    cr_assert_eq(one.deliveries, 20u);
    for (unsigned i = 0; i < 20; i++) {
        cr_assert_eq(one.delivery[i].number, i + 1);
    }
}

/* What each node may make the leader keep. */
Test(forward, only_so_much_is_sent_ahead)
{
    enum { CLIENTS = 10, EACH = 1000 };
    static struct client many[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_init(&many[i], &three.a->home, (uint8_t)(20 + i));
        client_attach(&many[i]);
    }
    struct three_node *leader = three.leader;
    three_hold(three.a, leader, true);
    for (unsigned i = 0; i < CLIENTS; i++) {
        for (unsigned at = 0; at < EACH; at++) {
            cr_assert_eq(client_publish(&many[i], "q", "x"), 0);
        }
    }
    three_step(three.a);
    cr_assert_eq(shard_unanswered(three.a->shard), (size_t)CLIENTS * EACH);
    size_t frames = three_on_wire(three.a, leader, FRAME_PEER_GATEWAY);
    cr_assert_eq(frames, 2u, "8192 commands in frames of at most 4096");
    three_hold(three.a, leader, false);
    three_settle(&three);
    cr_assert_eq(shard_unanswered(three.a->shard), 0u);
    for (unsigned i = 0; i < CLIENTS; i++) {
        cr_assert_eq(many[i].replies, (unsigned)EACH);
        client_done(&many[i]);
    }
}

Test(forward, a_leader_that_becomes_a_follower_forwards_what_it_had)
{
    client_ready(&two);
    three_hold(three.leader, three.a, true);
    three_hold(three.leader, three.b, true);
    struct three_node *old = three.leader;
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(client_publish(&two, "q", "x"), 0);
        three_step(old);
    }
    cr_assert_eq(two.replies, 0u);
    three_isolate(old);
    old->paused = true;
    three_find_leader(&three);
    three_hold(old, &three.nodes[old->id % THREE], false);
    three_hold(old, &three.nodes[(old->id + 1) % THREE], false);
    bring_it_back(old);
    cr_assert_not(two.detached);
    cr_assert_eq(two.replies, 10u);
    home_expect_queue(&old->home, 10, 0);
}
