/* Deliveries reach the client's program once, in order and undamaged, or not at all. */

#include <criterion/criterion.h>

#include "fake_node.h"

static void subscribe(struct fake_node *node, struct fake_reply *reply)
{
    fake_node_init(node, 2, 0, false);
    fake_node_attach(node, "a:1", 0);
    cr_assert_eq(client_core_subscribe(node->core, "q", 9, 10, 0, fake_reply_cb, reply), 0);
    cr_assert_eq(fake_node_expect_frame(node, FRAME_COMMAND)->consumer, 9);
    fake_node_reply(node, 1, 0);
    cr_assert_eq(reply->err, 0);
    cr_assert_eq(reply->calls, 1);
}

static int settle(struct fake_node *node, uint64_t first, uint64_t last, struct fake_reply *reply)
{
    return client_core_settle(node->core, 9, CLIENT_ACCEPT, &(struct client_range){first, last}, 1, 0, fake_reply_cb,
                              reply);
}

Test(client_delivery, duplicates_are_dropped)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    subscribe(&node, &reply);
    fake_node_deliver(&node, 9, 1, "one", 0);
    fake_node_deliver(&node, 9, 1, "one", 0);
    fake_node_deliver(&node, 9, 2, "two", 0);
    fake_node_deliver(&node, 9, 1, "one", 0);
    fake_node_deliver(&node, 4, 1, "not ours", 0);
    cr_assert_eq(node.deliveries_len, 2);
    cr_assert_str_eq(node.deliveries[0].body, "one");
    cr_assert_str_eq(node.deliveries[1].body, "two");
    fake_node_expect_nothing(&node);
    fake_node_done(&node);
}

Test(client_delivery, a_gap_is_asked_for_again)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    subscribe(&node, &reply);
    fake_node_deliver(&node, 9, 1, "one", 0);
    fake_node_deliver(&node, 9, 3, "three", 0);
    cr_assert_eq(node.deliveries_len, 1);
    fake_node_expect(&node, FAKE_DISCONNECT);
    const struct fake_event *attach = fake_node_attach(&node, "a:1", 1);
    cr_assert(attach->resume);
    cr_assert_eq(attach->consumers_len, 1);
    cr_assert_eq(attach->consumer, 9);
    cr_assert_eq(attach->seen, 1);
    fake_node_deliver(&node, 9, 2, "two", 0);
    cr_assert_eq(node.deliveries_len, 2);
    fake_node_done(&node);
}

Test(client_delivery, damaged_bytes_are_never_handed_out)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    subscribe(&node, &reply);
    fake_node_deliver(&node, 9, 1, "one", 1);
    cr_assert_eq(node.deliveries_len, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(fake_node_attach(&node, "a:1", 1)->seen, 0);
    fake_node_deliver(&node, 9, 1, "one", 0);
    cr_assert_eq(node.deliveries_len, 1);
    fake_node_done(&node);
}

Test(client_delivery, a_lost_session_ends_subscriptions_and_voids_settlements)
{
    struct fake_node node;
    struct fake_reply reply = {0}, sent = {0}, refused = {0};
    subscribe(&node, &reply);
    fake_node_deliver(&node, 9, 1, "one", 0);
    cr_assert_eq(settle(&node, 1, 2, &refused), ERR_INVALID); /* Two has not been seen. */
    cr_assert_eq(settle(&node, 1, 1, &sent), 0);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    cr_assert_eq(node.ended_calls, 1);
    cr_assert_eq(node.ended_consumer, 9);
    cr_assert_eq(node.ended_err, ERR_SESSION_EXPIRED);
    cr_assert_eq(sent.err, ERR_OUTCOME_UNKNOWN); /* It may have been carried out before the end. */
    cr_assert_eq(settle(&node, 1, 1, &refused), ERR_NOT_FOUND);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(fake_node_attach(&node, "a:1", 0)->consumers_len, 0);
    fake_node_expect_nothing(&node);
    fake_node_done(&node);
}

Test(client_delivery, a_settlement_that_was_not_sent_is_void_with_its_session)
{
    struct fake_node node;
    struct fake_reply reply = {0}, unsent = {0};
    subscribe(&node, &reply);
    fake_node_deliver(&node, 9, 1, "one", 0);
    client_core_disconnected(node.core, ERR_CLOSED);
    cr_assert_eq(settle(&node, 1, 1, &unsent), 0);
    fake_node_connect(&node, NULL);
    fake_node_welcome(&node, 1, 1, "");
    fake_node_expect_frame(&node, FRAME_ATTACH);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    cr_assert_eq(unsent.calls, 1);
    cr_assert_eq(unsent.err, ERR_SESSION_EXPIRED);
    fake_node_done(&node);
}

Test(client_delivery, a_subscription_that_nobody_noticed_is_made_again)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(client_core_subscribe(node.core, "q", 9, 10, 0, fake_reply_cb, &reply), 0);
    cr_assert_eq(client_core_subscribe(node.core, "q", 9, 10, 0, fake_reply_cb, &reply), ERR_EXISTS);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(reply.calls, 0);
    cr_assert_eq(fake_node_attach(&node, NULL, 0)->consumers_len, 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->consumer, 9);
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(reply.err, 0);
    cr_assert_eq(reply.calls, 1);
    cr_assert_eq(node.ended_calls, 0);
    fake_node_deliver(&node, 9, 1, "one", 0);
    cr_assert_eq(node.deliveries_len, 1);
    fake_node_done(&node);
}

Test(client_delivery, nothing_arrives_after_unsubscribing)
{
    struct fake_node node;
    struct fake_reply reply = {0}, ended = {0};
    subscribe(&node, &reply);
    cr_assert_eq(client_core_unsubscribe(node.core, 9, 0, fake_reply_cb, &ended), 0);
    cr_assert_eq(client_core_unsubscribe(node.core, 9, 0, fake_reply_cb, &ended), ERR_NOT_FOUND);
    fake_node_deliver(&node, 9, 1, "one", 0);
    cr_assert_eq(node.deliveries_len, 0);
    fake_node_reply(&node, 2, 0);
    cr_assert_eq(ended.calls, 1);
    cr_assert_eq(node.ended_calls, 0);
    fake_node_done(&node);
}

Test(client_delivery, a_settlement_tells_that_the_queue_is_gone)
{
    struct fake_node node;
    struct fake_reply reply = {0}, settled = {0};
    subscribe(&node, &reply);
    fake_node_deliver(&node, 9, 1, "one", 0);
    cr_assert_eq(settle(&node, 1, 1, &settled), 0);
    fake_node_reply(&node, 2, ERR_NOT_FOUND);
    cr_assert_eq(settled.err, ERR_NOT_FOUND);
    cr_assert_eq(node.ended_calls, 1);
    cr_assert_eq(node.ended_err, ERR_NOT_FOUND);
    fake_node_done(&node);
}

Test(client_delivery, an_idle_subscriber_pings_and_leaves_when_nobody_answers)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    subscribe(&node, &reply);
    for (int i = 0; i < 3; i++) {
        fake_node_run(&node, 2000);
        fake_node_pong(&node, fake_node_expect_frame(&node, FRAME_PING)->id);
    }
    fake_node_run(&node, 2000);
    fake_node_expect_frame(&node, FRAME_PING);
    fake_node_run(&node, 4999);
    fake_node_expect_nothing(&node);
    fake_node_run(&node, 1);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(fake_node_attach(&node, "b:1", 1)->consumers_len, 1);
    fake_node_done(&node);
}
