/* Sessions and where they are attached: moved, displaced, left behind. */

#include <criterion/criterion.h>

#include "three_nodes.h"

static struct three three;
static struct client one;   /* At the follower a. */
static struct client again; /* The same client at b. */

static void setup(void)
{
    three_start(&three, NULL);
    client_init(&one, &three.a->home, 1);
    client_init(&again, &three.b->home, 1);
}

static void teardown(void)
{
    client_done(&one);
    client_done(&again);
    three_stop(&three);
}

TestSuite(attach, .init = setup, .fini = teardown);

static struct machine_session session_of(struct three_node *node, const struct client *client)
{
    struct machine_session session;
    cr_assert_eq(machine_session(shard_machine(node->shard), client->session, &session), 0);
    return session;
}

/* That of all sessions but those of clients in the test: the only one. */
static int take_session(void *arg, const struct machine_session *session)
{
    *(struct machine_session *)arg = *session;
    return 0;
}

static struct machine_session only_session(struct three_node *node)
{
    struct machine_session session = {0};
    cr_assert_eq(machine_sessions_len(shard_machine(node->shard)), 1u);
    cr_assert_eq(machine_sessions(shard_machine(node->shard), take_session, &session), 0);
    return session;
}

Test(attach, a_session_is_attached_where_its_client_is)
{
    client_ready(&one);
    three_wait(&three, 100);
    cr_assert_eq(session_of(three.leader, &one).node, three.a->id);
    cr_assert_eq(session_of(three.b, &one).node, three.a->id);
    client_detach(&one);
    three_wait(&three, 100);
    cr_assert_eq(session_of(three.leader, &one).node, 0u);
}

Test(attach, elsewhere_displaces_the_older_link)
{
    client_ready(&one);
    again.attempt = one.attempt;
    cr_assert_eq(client_attach_only(&again, true, 0), 0);
    three_wait(&three, 100);
    cr_assert_eq(again.attached, 1u);
    cr_assert_eq(again.session, one.session);
    client_expect_detached(&one, ERR_DISPLACED);
    again.number = again.last_number;
    cr_assert_eq(client_publish(&again, "q", "x"), 0);
    three_wait(&three, 100);
    client_expect_reply(&again, 0, 2, 0);
    cr_assert_eq(session_of(three.leader, &again).node, three.b->id);
    three_wait(&three, CLIENT_LEASE_MS + 1000);
    cr_assert_not(again.detached);
}

Test(attach, what_an_older_link_still_sends_is_not_done)
{
    client_ready(&one);
    three_hold(three.a, three.leader, true);
    cr_assert_eq(client_publish(&one, "q", "late"), 0);
    three_step(three.a);
    again.attempt = one.attempt;
    cr_assert_eq(client_attach_only(&again, true, 0), 0);
    three_settle(&three);
    cr_assert_eq(again.attached, 1u);
    three_hold(three.a, three.leader, false);
    three_wait(&three, 100);
    client_expect_detached(&one, ERR_DISPLACED);
    cr_assert_eq(one.replies, 0u);
    cr_assert_eq(again.replies, 0u);
    home_expect_queue(&three.leader->home, 0, 0);
    cr_assert_eq(shard_unanswered(three.a->shard), 0u);
}

/* The client has given up waiting at a; what it sent there arrives after it was served at b. */
Test(attach, a_late_attachment_does_not_steal_the_session_back)
{
    three_hold(three.a, three.leader, true);
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    three_step(three.a);
    client_detach(&one);
    again.attempt = one.attempt;
    client_attach(&again);
    three_hold(three.a, three.leader, false);
    three_wait(&three, 200);
    cr_assert_not(again.detached);
    cr_assert_eq(session_of(three.leader, &again).node, three.b->id);
    cr_assert_eq(client_declare(&again, "q"), 0);
    three_wait(&three, 100);
    client_expect_reply(&again, 0, 1, 0);
    cr_assert_eq(shard_unanswered(three.a->shard), 0u);
    three_wait(&three, CLIENT_LEASE_MS + 1000);
    cr_assert_not(again.detached);
}

static void lose_the_leader(void)
{
    three.leader->paused = true;
    three_isolate(three.leader);
    three_find_leader(&three);
    three_wait(&three, 200);
}

static void expect_lease_and_end(void)
{
    struct machine_session session = only_session(three.leader);
    cr_assert_eq(session.node, 0u, "attached at node %llu", (unsigned long long)session.node);
    cr_assert_neq(session.expires_ms, UINT64_MAX);
    cr_assert_eq(one.attached, 0u);
    three_wait(&three, CLIENT_LEASE_MS + 100);
    cr_assert_eq(machine_sessions_len(shard_machine(three.leader->shard)), 0u);
    cr_assert_eq(shard_unanswered(three.a->shard) + shard_unanswered(three.b->shard), 0u);
}

Test(attach, detached_on_the_way_and_never_proposed)
{
    three_hold(three.a, three.leader, true);
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    three_step(three.a);
    client_detach(&one);
    lose_the_leader();
    expect_lease_and_end();
}

Test(attach, detached_while_the_entry_is_not_committed)
{
    three_wait(&three, THREE_PRESENCE_MS);
    three_hold(three.leader, three.a, true);
    three_hold(three.leader, three.b, true);
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    three_settle(&three);
    client_detach(&one);
    three_settle(&three);
    lose_the_leader();
    expect_lease_and_end();
}

Test(attach, detached_while_its_node_does_not_know_that_it_is_attached)
{
    three_hold(three.leader, three.a, true);
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    three_settle(&three);
    cr_assert_eq(only_session(three.leader).node, three.a->id);
    client_detach(&one);
    three_settle(&three);
    struct three_node *old = three.leader;
    struct three_node *a = three.a;
    lose_the_leader();
    three_hold(old, a, false);
    expect_lease_and_end();
}

Test(attach, detached_and_the_word_of_it_is_lost)
{
    client_ready(&one);
    one.attached = 0;
    three_hold(three.a, three.leader, true);
    client_detach(&one);
    three_step(three.a);
    lose_the_leader();
    expect_lease_and_end();
}

Test(attach, what_was_held_is_delivered_at_the_next_node)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(client_publish(&one, "q", "x"), 0);
    }
    three_settle(&three);
    cr_assert_eq(one.deliveries, 5u);
    client_detach(&one);
    three_wait(&three, 1000);
    one.deliveries = 2; /* Has seen no more. */
    client_move(&one, &three.b->home);
    three_wait(&three, 100);
    cr_assert_eq(one.deliveries, 5u);
    cr_assert_eq(one.delivery[2].number, 3u);
    cr_assert_eq(one.delivery[2].delivery_count, 0u, "it is the same delivery");
    cr_assert_eq(client_accept(&one, 1, 1, 5), 0);
    three_wait(&three, 100);
    home_expect_queue(&three.leader->home, 0, 0);
}

/* What is sent again to a new leader attaches once. */
Test(attach, sent_twice_attaches_once)
{
    struct three_node *old = three.leader;
    three_hold(old, three.a, true);
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    three_settle(&three);
    uint64_t attachment = only_session(old).attachment;
    struct three_node *a = three.a;
    lose_the_leader();
    three_hold(old, a, false);
    cr_assert_eq(one.attached, 1u);
    cr_assert_eq(only_session(three.leader).attachment, attachment);
    cr_assert_eq(only_session(three.leader).node, a->id);
    cr_assert_not(one.detached);
}
