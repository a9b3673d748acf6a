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

/* A delivery whose lock ended before it could be sent is not sent any more. */
Test(client_delivery, under_locks_numbers_may_be_missing)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    subscribe(&node, &reply);
    node.lock_until_ms = 5000;
    fake_node_deliver(&node, 9, 1, "one", 0);
    fake_node_deliver(&node, 9, 3, "three", 0);
    fake_node_deliver(&node, 9, 2, "two", 0);
    cr_assert_eq(node.deliveries_len, 2);
    cr_assert_str_eq(node.deliveries[1].body, "three");
    fake_node_expect_nothing(&node);
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
    cr_assert_eq(fake_node_attach(&node, "b:1", 1)->seen, 0); /* Another replica may have it undamaged. */
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

Test(client_delivery, a_subscription_that_the_node_ends_is_told_once_and_forgotten)
{
    struct fake_node node;
    struct fake_reply reply = {0}, settled = {0}, late = {0};
    subscribe(&node, &reply);
    fake_node_deliver(&node, 9, 1, "one", 0);
    cr_assert_eq(settle(&node, 1, 1, &settled), 0);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_end(&node, 9, ERR_NOT_FOUND);
    cr_assert_eq(node.ended_calls, 1);
    cr_assert_eq(node.ended_consumer, 9);
    cr_assert_eq(node.ended_err, ERR_NOT_FOUND);
    fake_node_end(&node, 9, ERR_NOT_FOUND);
    fake_node_end(&node, 5, ERR_NOT_FOUND); /* Never heard of. */
    fake_node_deliver(&node, 9, 2, "late", 0);
    cr_assert_eq(node.deliveries_len, 1);
    fake_node_reply(&node, 2, ERR_NOT_FOUND); /* The settlement came too late: void, and no second end. */
    cr_assert_eq(settled.err, ERR_NOT_FOUND);
    cr_assert_eq(node.ended_calls, 1);
    cr_assert_eq(settle(&node, 1, 1, &late), ERR_NOT_FOUND);
    fake_node_expect_nothing(&node);
    client_core_disconnected(node.core, ERR_CLOSED);
    cr_assert_eq(fake_node_attach(&node, NULL, 2)->consumers_len, 0);
    fake_node_done(&node);
}

Test(client_delivery, a_subscription_that_ended_can_be_made_again_under_its_id)
{
    struct fake_node node;
    struct fake_reply reply = {0}, again = {0};
    subscribe(&node, &reply);
    fake_node_deliver(&node, 9, 1, "one", 0);
    fake_node_end(&node, 9, ERR_NOT_FOUND);
    cr_assert_eq(client_core_subscribe(node.core, "q", 9, 10, 0, fake_reply_cb, &again), 0);
    fake_node_reply(&node, 2, 0);
    fake_node_deliver(&node, 9, 1, "new", 0);
    cr_assert_eq(node.deliveries_len, 2);
    cr_assert_str_eq(node.deliveries[1].body, "new");
    cr_assert_eq(node.ended_calls, 1);
    fake_node_done(&node);
}

Test(client_delivery, an_end_while_unsubscribing_is_no_news)
{
    struct fake_node node;
    struct fake_reply reply = {0}, ended = {0};
    subscribe(&node, &reply);
    cr_assert_eq(client_core_unsubscribe(node.core, 9, 0, fake_reply_cb, &ended), 0);
    fake_node_end(&node, 9, ERR_NOT_FOUND);
    fake_node_reply(&node, 2, ERR_NOT_FOUND);
    cr_assert_eq(ended.calls, 1);
    cr_assert_eq(node.ended_calls, 0);
    fake_node_done(&node);
}

/* Subscribes; the connection is lost before the answer. `last_number`: what the machine has carried out by then. */
static void subscribe_unanswered(struct fake_node *node, struct fake_reply *reply, uint64_t last_number)
{
    fake_node_init(node, 1, 0, false);
    fake_node_attach(node, NULL, 0);
    cr_assert_eq(client_core_subscribe(node->core, "q", 9, 10, 0, fake_reply_cb, reply), 0);
    fake_node_expect_frame(node, FRAME_COMMAND);
    client_core_disconnected(node->core, ERR_CLOSED);
    const struct fake_event *attach = fake_node_attach(node, NULL, last_number);
    cr_assert_eq(attach->consumers_len, 1);
    fake_node_expect_frame(node, FRAME_COMMAND); /* Asked again. */
}

Test(client_delivery, a_subscription_that_has_still_to_be_made_has_not_ended)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    subscribe_unanswered(&node, &reply, 0);
    fake_node_end(&node, 9, ERR_NOT_FOUND); /* It was named in the attachment, and the machine has never had it. */
    cr_assert_eq(node.ended_calls, 0);
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(reply.err, 0);
    fake_node_deliver(&node, 9, 1, "one", 0);
    cr_assert_eq(node.deliveries_len, 1);
    cr_assert_eq(node.ended_calls, 0);
    fake_node_done(&node);
}

Test(client_delivery, a_subscription_that_was_made_and_ended_before_its_answer_came_has_ended)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    subscribe_unanswered(&node, &reply, 1);
    fake_node_end(&node, 9, ERR_NOT_FOUND);
    cr_assert_eq(node.ended_calls, 0, "it is confirmed first");
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(reply.calls, 1);
    cr_assert_eq(reply.err, 0);
    cr_assert_eq(node.ended_calls, 1);
    cr_assert_eq(node.ended_consumer, 9);
    cr_assert_eq(node.ended_err, ERR_NOT_FOUND);
    cr_assert_eq(client_core_subscribe(node.core, "q", 9, 10, 0, fake_reply_cb, &reply), 0);
    fake_node_done(&node);
}

Test(client_delivery, an_end_that_gives_no_reason_breaks_the_rules)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    subscribe(&node, &reply);
    fake_node_end(&node, 9, 0);
    cr_assert_eq(node.ended_calls, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
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
    fake_node_run(&node, 2999);
    fake_node_expect_nothing(&node);
    fake_node_run(&node, 1);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(fake_node_attach(&node, "b:1", 1)->consumers_len, 1);
    fake_node_done(&node);
}
