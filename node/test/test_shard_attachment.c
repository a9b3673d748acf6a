/* A session at a shard alone: which connection speaks for it, what is answered twice, and how long it outlives the last one. */

#include <criterion/criterion.h>

#include "shard_fixture.h"

TestSuite(shard_attachment, .init = shard_setup, .fini = shard_teardown);

Test(shard_attachment, a_lease_that_runs_out_gives_messages_back)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 3);
    client_detach(&one);
    one_node_wait(&node, 4900);
    client_attach(&two);
    home_expect_queue(&node.home, 0, 3);
    one_node_wait(&node, 200);
    home_expect_queue(&node.home, 3, 0);
    cr_assert_eq(client_attach_only(&one, true, 3), 0);
    one_node_settle(&node);
    client_expect_detached(&one, ERR_SESSION_EXPIRED);
}

Test(shard_attachment, a_command_sent_again_is_answered_the_same)
{
    client_ready(&one);
    publish_many(&one, 1);
    come_back_before_the_last();
    cr_assert_eq(client_publish(&one, "q", "m1"), 0);
    one_node_settle(&node);
    cr_assert_eq(one.replies, 2u);
    client_expect_reply(&one, 0, 2, 0);
    client_expect_reply(&one, 1, 2, 0);
    cr_assert_eq(one.reply[1].count, 1u);
    home_expect_queue(&node.home, 1, 0);
}

Test(shard_attachment, numbers_rise)
{
    client_ready(&one);
    publish_many(&one, 1);
    one.number--;
    cr_assert_eq(client_publish(&one, "q", "m1"), ERR_INVALID);
    one.number++;
    cr_assert_eq(client_publish(&one, "q", "m2"), 0);
    one_node_settle(&node);
    cr_assert_eq(one.replies, 2u);
    home_expect_queue(&node.home, 2, 0);
}

Test(shard_attachment, a_later_attachment_displaces_an_earlier_one)
{
    struct client again;
    client_ready(&one);
    client_init(&again, &node.home, 1);
    again.attempt = one.attempt;
    cr_assert_eq(client_attach_only(&again, true, 0), 0);
    /* Behind the attachment in the log: refused, and the refusal must not reach the new connection. */
    cr_assert_eq(client_publish(&one, "q", "late"), 0);
    one_node_settle(&node);
    client_expect_detached(&one, ERR_DISPLACED);
    cr_assert_eq(again.attached, 1u);
    cr_assert_eq(again.session, one.session);
    cr_assert_eq(again.replies, 0u);
    again.number = again.last_number;
    cr_assert_eq(client_publish(&again, "q", "new"), 0);
    one_node_settle(&node);
    cr_assert_eq(again.replies, 1u);
    client_expect_reply(&again, 0, 2, 0);
    home_expect_queue(&node.home, 1, 0);
    client_done(&again);
}

/* Sent by the older connection, applied when the newer one waits for the answer to the same number of its own. */
Test(shard_attachment, what_an_older_connection_is_answered_is_not_taken_for_the_newer_ones)
{
    struct client again;
    client_ready(&one);
    client_init(&again, &node.home, 1);
    again.attempt = one.attempt;
    cr_assert_eq(client_attach_only(&again, true, 0), 0);
    shard_step(node.shard);
    cr_assert_eq(client_publish(&one, "q", "late"), 0);
    shard_step(node.shard); /* An entry behind that of the attachment. */
    while (again.attached == 0) {
        cr_assert_gt(sim_disk_pending(node.disk), 0u);
        sim_disk_complete_one(node.disk);
        shard_step(node.shard);
    }
    again.number = again.last_number;
    cr_assert_eq(again.number, one.number - 1, "the late one is not applied");
    cr_assert_eq(client_publish(&again, "q", "new"), 0);
    one_node_settle(&node);
    cr_assert_eq(again.replies, 1u);
    client_expect_reply(&again, 0, 2, 0);
    home_expect_queue(&node.home, 1, 0);
    client_done(&again);
}

Test(shard_attachment, a_closed_session_is_answered_then_detached)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 2);
    home_expect_queue(&node.home, 0, 2);
    cr_assert_eq(client_close_session(&one), 0);
    one_node_settle(&node);
    client_expect_reply(&one, one.replies - 1, one.number, 0);
    client_expect_detached(&one, ERR_CLOSED);
    home_expect_queue(&node.home, 2, 0);
}

Test(shard_attachment, the_lease_begins_when_the_process_that_had_the_connection_is_over)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 3);
    client_cut(&one);
    one_node_crash(&node);
    one_node_wait(&node, 4000);
    home_expect_queue(&node.home, 0, 3);
    one_node_wait(&node, 1100);
    home_expect_queue(&node.home, 3, 0);
}

Test(shard_attachment, a_crash_keeps_what_remains_of_a_lease)
{
    client_ready(&one);
    client_ready(&two);
    cr_assert_eq(client_subscribe(&one, "q", 1, 3), 0);
    publish_many(&one, 3);
    client_detach(&one);
    one_node_wait(&node, 3000);
    publish_many(&two, 1); /* So that the log knows the time. */
    client_cut(&two);
    one_node_crash(&node);
    one_node_wait(&node, 1700);
    home_expect_queue(&node.home, 1, 3);
    one_node_wait(&node, 500);
    home_expect_queue(&node.home, 4, 0);
}

static uint64_t sessions_len(void)
{
    struct gateway_status status;
    node.gateway->ops->status(node.gateway, &status);
    return status.sessions;
}

Test(shard_attachment, detaching_while_attaching_leaves_a_lease)
{
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    shard_step(node.shard); /* It is proposed. */
    client_detach(&one);
    one_node_settle(&node);
    cr_assert_eq(one.attached, 0u);
    one_node_wait(&node, CLIENT_LEASE_MS - 500);
    cr_assert_eq(sessions_len(), 1u);
    one_node_wait(&node, 600);
    cr_assert_eq(sessions_len(), 0u);
    cr_assert_eq(shard_unanswered(node.shard), 0u);
}

Test(shard_attachment, detaching_before_anything_was_sent_leaves_nothing)
{
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    client_detach(&one);
    one_node_settle(&node);
    cr_assert_eq(one.attached, 0u);
    cr_assert_eq(sessions_len(), 0u);
    cr_assert_eq(shard_unanswered(node.shard), 0u);
}
