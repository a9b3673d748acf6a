/* What a consumer is sent, again and in which order, and when it is told that there is nothing to come. */

#include <criterion/criterion.h>

#include "shard_fixture.h"

TestSuite(shard_subscriptions, .init = shard_setup, .fini = shard_teardown);

Test(shard_subscriptions, a_client_that_comes_back_is_sent_what_it_has_not_seen)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 5);
    client_detach(&one);
    one.deliveries = 0;
    one_node_wait(&node, 4000);
    cr_assert_eq(client_attach_only(&one, true, 2), 0);
    one_node_settle(&node);
    cr_assert_eq(one.attached, 2u);
    cr_assert_eq(one.last_number, one.number);
    cr_assert_eq(one.deliveries, 3u);
    cr_assert_eq(one.delivery[0].number, 3u);
    cr_assert_eq(one.delivery[2].number, 5u);
    one_node_wait(&node, 6000);
    home_expect_queue(&node.home, 0, 5);
    cr_assert_not(one.detached, "the lease of a session with a connection does not run");
}

/* Subscribes and is gone, with two deliveries that it has not seen; then the queue is deleted. */
static void miss_the_end(void)
{
    client_ready(&one);
    client_ready(&two);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&two, 2);
    cr_assert_eq(one.deliveries, 2u);
    client_detach(&one);
    one.deliveries = 0;
    cr_assert_eq(client_delete(&two, "q"), 0);
    one_node_settle(&node);
    cr_assert_eq(one.ended + two.ended, 0u);
}

Test(shard_subscriptions, a_subscription_whose_queue_is_deleted_is_told)
{
    client_ready(&one);
    client_ready(&two);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    cr_assert_eq(client_subscribe(&one, "q", 7, 10), 0); /* Has been sent nothing. */
    publish_many(&two, 1);
    cr_assert_eq(one.deliveries, 1u);
    unsigned flushes = one.flushes;
    cr_assert_eq(client_delete(&two, "q"), 0);
    cr_assert_eq(one.ended, 0u, "never from within the call");
    one_node_settle(&node);
    cr_assert_eq(one.ended, 2u);
    cr_assert_eq(one.ended_consumer, 7u);
    cr_assert_eq(one.ended_err, ERR_NOT_FOUND);
    cr_assert_eq(one.ended_after_deliveries, 1u);
    cr_assert_gt(one.flushes, flushes);
    cr_assert_not(one.unflushed);
    cr_assert_eq(two.ended, 0u);
    one_node_wait(&node, 100);
    cr_assert_eq(one.ended, 2u, "once each");
}

Test(shard_subscriptions, who_unsubscribes_is_not_told)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 2);
    cr_assert_eq(client_unsubscribe(&one, 1), 0);
    cr_assert_eq(client_delete(&one, "q"), 0);
    one_node_settle(&node);
    cr_assert_eq(one.ended, 0u);
}

Test(shard_subscriptions, who_missed_the_end_of_a_subscription_is_told_when_it_comes_back)
{
    miss_the_end();
    cr_assert_eq(client_attach_only(&one, true, 0), 0);
    one_node_settle(&node);
    cr_assert_eq(one.attached, 2u);
    cr_assert_eq(one.ended, 1u);
    cr_assert_eq(one.ended_consumer, 1u);
    cr_assert_eq(one.ended_err, ERR_NOT_FOUND);
    cr_assert_eq(one.deliveries, 0u);
    one_node_wait(&node, 100);
    cr_assert_eq(one.ended, 1u);
}

Test(shard_subscriptions, who_is_paused_when_it_comes_back_is_told_afterwards)
{
    miss_the_end();
    cr_assert_eq(client_attach_only(&one, true, 0), 0);
    node.gateway->ops->pause(one.link, true);
    one_node_settle(&node);
    cr_assert_eq(one.ended, 0u);
    node.gateway->ops->pause(one.link, false);
    cr_assert_eq(one.ended, 0u, "never from within the call");
    one_node_settle(&node);
    cr_assert_eq(one.ended, 1u);
}

Test(shard_subscriptions, what_was_not_lost_is_not_told_as_ended)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 2);
    client_detach(&one);
    cr_assert_eq(client_attach_only(&one, true, 2), 0);
    one_node_settle(&node);
    cr_assert_eq(one.ended, 0u);
    /* From here on it is a subscription like any other: its end as asked is no news, also when it is behind. */
    node.gateway->ops->pause(one.link, true);
    publish_many(&one, 1);
    cr_assert_eq(client_unsubscribe(&one, 1), 0);
    one_node_settle(&node);
    node.gateway->ops->pause(one.link, false);
    one_node_settle(&node);
    cr_assert_eq(one.deliveries, 2u);
    cr_assert_eq(one.ended, 0u);
}

Test(shard_subscriptions, a_paused_link_is_caught_up_in_order)
{
    client_ready(&one);
    client_ready(&two);
    cr_assert_eq(client_subscribe(&one, "q", 1, 1000), 0);
    one_node_settle(&node);
    node.gateway->ops->pause(one.link, true);
    publish_many(&two, 600);
    cr_assert_eq(one.deliveries, 0u);
    node.gateway->ops->pause(one.link, false);
    cr_assert_eq(one.deliveries, 0u, "never from within the call");
    publish_many(&two, 100);
    cr_assert_eq(one.deliveries, 700u);
    for (unsigned i = 0; i < 700; i++) {
        cr_assert_eq(one.delivery[i].number, i + 1);
    }
}

Test(shard_subscriptions, a_consumer_subscribed_again_begins_anew)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 2), 0);
    publish_many(&one, 4);
    cr_assert_eq(one.deliveries, 2u);
    cr_assert_eq(client_unsubscribe(&one, 1), 0);
    cr_assert_eq(client_subscribe(&one, "q", 1, 4), 0);
    one_node_settle(&node);
    cr_assert_eq(one.deliveries, 6u);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(one.delivery[2 + i].number, i + 1);
        cr_assert_eq(one.delivery[2 + i].delivery_count, i < 2 ? 1u : 0u);
    }
}

Test(shard_subscriptions, what_one_entry_may_not_deliver_the_next_ones_do)
{
    enum { MESSAGES = 18000, AT_ONCE = 1000 };
    client_ready(&one);
    client_ready(&two);
    for (unsigned i = 0; i < MESSAGES / AT_ONCE; i++) {
        publish_many(&two, AT_ONCE);
    }
    home_expect_queue(&node.home, MESSAGES, 0);
    cr_assert_eq(client_subscribe(&one, "q", 1, CREDIT_MAX), 0);
    one_node_settle(&node);
    cr_assert_eq(one.deliveries, (unsigned)MESSAGES);
    for (unsigned i = 0; i < MESSAGES; i++) {
        cr_assert_eq(one.delivery[i].number, i + 1);
    }
    cr_assert_eq(machine_due_ms(shard_machine(node.shard)), UINT64_MAX);
}
