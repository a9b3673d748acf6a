/* A shard alone: what the gateway promises to a protocol, from attachment to restart. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "one_node.h"

static struct one_node node;
static struct client one;
static struct client two;

static void setup(void)
{
    one_node_start(&node, NULL);
    client_init(&one, &node.home, 1);
    client_init(&two, &node.home, 2);
}

static void teardown(void)
{
    client_done(&one);
    client_done(&two);
    one_node_stop(&node);
}

TestSuite(shard, .init = setup, .fini = teardown);

static void publish_many(struct client *client, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        char body[16];
        snprintf(body, sizeof body, "m%u", i);
        cr_assert_eq(client_publish(client, "q", body), 0);
    }
    one_node_settle(&node);
}

/* Back over a new connection, under the number before the last command. */
static void come_back_before_the_last(void)
{
    client_detach(&one);
    cr_assert_eq(client_attach_only(&one, true, 0), 0);
    one_node_settle(&node);
    cr_assert_eq(one.attached, 2u);
    one.number--;
}

Test(shard, confirms_only_what_is_on_disk)
{
    client_ready(&one);
    cr_assert_eq(client_publish(&one, "q", "hello"), 0);
    for (int i = 0; i < 5; i++) {
        node.clock.now_ms += 10;
        shard_step(node.shard);
        cr_assert_eq(one.replies, 0u, "the write has not completed");
    }
    cr_assert_eq(sim_disk_pending(node.disk), 1u);
    unsigned flushes = one.flushes;
    sim_disk_complete_one(node.disk);
    cr_assert_eq(one.replies, 0u, "callbacks are made from shard_step() alone");
    shard_step(node.shard);
    cr_assert_eq(one.replies, 1u);
    client_expect_reply(&one, 0, 2, 0);
    cr_assert_eq(one.reply[0].count, 1u);
    cr_assert_eq(one.flushes, flushes + 1);
    home_expect_queue(&node.home, 1, 0);
}

Test(shard, delivers_and_settles)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 3);
    cr_assert_eq(one.deliveries, 3u);
    for (unsigned i = 0; i < 3; i++) {
        char body[16];
        snprintf(body, sizeof body, "m%u", i + 1);
        cr_assert_eq(one.delivery[i].consumer, 1u);
        cr_assert_eq(one.delivery[i].number, i + 1);
        cr_assert_str_eq(one.delivery[i].body, body);
    }
    home_expect_queue(&node.home, 0, 3);
    cr_assert_eq(client_accept(&one, 1, 1, 2), 0);
    one_node_settle(&node);
    home_expect_queue(&node.home, 0, 1);
    cr_assert_eq(one.reply[one.replies - 1].count, 2u);
    cr_assert_eq(one.deliveries, 3u, "nothing twice");
}

Test(shard, a_lease_that_runs_out_gives_messages_back)
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

Test(shard, a_client_that_comes_back_is_sent_what_it_has_not_seen)
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

Test(shard, a_subscription_whose_queue_is_deleted_is_told)
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

Test(shard, who_unsubscribes_is_not_told)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 2);
    cr_assert_eq(client_unsubscribe(&one, 1), 0);
    cr_assert_eq(client_delete(&one, "q"), 0);
    one_node_settle(&node);
    cr_assert_eq(one.ended, 0u);
}

Test(shard, who_missed_the_end_of_a_subscription_is_told_when_it_comes_back)
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

Test(shard, who_is_paused_when_it_comes_back_is_told_afterwards)
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

Test(shard, what_was_not_lost_is_not_told_as_ended)
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

Test(shard, what_stands_for_a_publish_over_the_limit_is_refused_and_keeps_its_number)
{
    client_ready(&one);
    cr_assert_eq(client_submit_refused(&one), 0);
    one_node_settle(&node);
    client_expect_reply(&one, 0, 2, ERR_TOO_BIG);
    come_back_before_the_last();
    cr_assert_eq(client_publish(&one, "q", "small enough by now"), 0); /* Its number has been answered. */
    cr_assert_eq(client_publish(&one, "q", "next"), 0);
    one_node_settle(&node);
    client_expect_reply(&one, 1, 2, ERR_TOO_BIG);
    client_expect_reply(&one, 2, 3, 0);
    home_expect_queue(&node.home, 1, 0);
}

Test(shard_alone, tells_the_protocols_the_limit_of_a_body)
{
    struct shard_options options = {.body_len_max = 1234};
    one_node_start(&node, &options);
    cr_assert_eq(node.gateway->body_len_max, 1234u);
    one_node_stop(&node);
}

Test(shard, a_command_sent_again_is_answered_the_same)
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

Test(shard, numbers_rise)
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

Test(shard, a_later_attachment_displaces_an_earlier_one)
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
Test(shard, what_an_older_connection_is_answered_is_not_taken_for_the_newer_ones)
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

Test(shard, a_closed_session_is_answered_then_detached)
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

Test(shard, a_paused_link_is_caught_up_in_order)
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

Test(shard, a_consumer_subscribed_again_begins_anew)
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

Test(shard, what_one_entry_may_not_deliver_the_next_ones_do)
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

Test(shard, what_gathers_while_the_window_is_full_goes_out_together)
{
    struct gateway_status before;
    struct gateway_status after;
    client_ready(&one);
    node.gateway->ops->status(node.gateway, &before);
    for (unsigned i = 0; i < 500; i++) {
        cr_assert_eq(client_publish(&one, "q", "x"), 0);
        shard_step(node.shard);
    }
    cr_assert_eq(one.replies, 0u);
    one_node_settle(&node);
    cr_assert_eq(one.replies, 500u);
    for (unsigned i = 0; i < 500; i++) {
        client_expect_reply(&one, i, 2 + i, 0);
    }
    node.gateway->ops->status(node.gateway, &after);
    cr_assert_leq(after.log_last - before.log_last, 6u, "%llu entries",
                  (unsigned long long)(after.log_last - before.log_last));
}

Test(shard, says_busy_and_resumes)
{
    client_ready(&one);
    unsigned sent = 0;
    int err = 0;
    while (sent < 10000 && (err = client_publish_large(&one, "q", 8000)) == 0) {
        sent++;
        shard_step(node.shard);
    }
    cr_assert_eq(err, ERR_BUSY);
    cr_assert_gt(sent, 100u);
    cr_assert_eq(one.resumes, 0u);
    cr_assert_eq(client_publish(&one, "q", "x"), 0, "a smaller one has room");
    cr_assert_eq(client_publish_large(&one, "q", 8000), ERR_BUSY);
    one_node_settle(&node);
    cr_assert_geq(one.resumes, 1u);
    cr_assert_eq(one.replies, sent + 1);
    cr_assert_eq(client_publish_large(&one, "q", 8000), 0);
    one_node_settle(&node);
    for (unsigned i = 0; i < one.replies; i++) {
        client_expect_reply(&one, i, 2 + i, 0);
    }
    home_expect_queue(&node.home, sent + 2, 0);
}

Test(shard, one_client_cannot_take_the_room_of_another)
{
    client_ready(&one);
    client_ready(&two);
    while (client_publish_large(&one, "q", 8000) == 0) {
        shard_step(node.shard);
    }
    cr_assert_eq(client_publish_large(&two, "q", BODY_LEN_MAX), 0, "the first command of a link is taken");
    cr_assert_eq(client_publish(&two, "q", "x"), ERR_BUSY);
    one_node_settle(&node);
    cr_assert_eq(two.replies, 1u);
    client_expect_reply(&two, 0, 2, 0);
    cr_assert_eq(two.resumes, 1u);
}

Test(shard, what_is_too_big_is_refused)
{
    client_ready(&one);
    cr_assert_eq(client_publish_large(&one, "q", COMMAND_BODIES_LEN_MAX + 1), ERR_TOO_BIG);
    cr_assert_eq(client_publish_large(&one, "q", COMMAND_BODIES_LEN_MAX), 0);
    one_node_settle(&node);
    client_expect_reply(&one, 0, 2, 0);
}

Test(shard, a_crash_keeps_what_was_confirmed)
{
    client_ready(&one);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    publish_many(&one, 3);
    cr_assert_eq(client_publish(&one, "q", "lost"), 0);
    shard_step(node.shard);
    client_cut(&one);
    one_node_crash(&node);
    struct gateway_status status;
    node.gateway->ops->status(node.gateway, &status);
    cr_assert_gt(status.entries_replayed, 0u);
    home_expect_queue(&node.home, 0, 3);
    one.deliveries = 0;
    cr_assert_eq(client_attach_only(&one, true, 1), 0);
    one_node_settle(&node);
    cr_assert_eq(one.deliveries, 2u);
    cr_assert_eq(one.last_number, one.number - 1, "what was not on disk was not carried out");
}

Test(shard, the_lease_begins_when_the_process_that_had_the_connection_is_over)
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

Test(shard, a_crash_keeps_what_remains_of_a_lease)
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

Test(shard, log_time_does_not_follow_a_wall_clock_that_jumps)
{
    struct gateway_status before;
    struct gateway_status after;
    client_ready(&one);
    publish_many(&one, 1);
    node.gateway->ops->status(node.gateway, &before);
    node.clock.wall_jump_ms = UINT64_C(365) * 24 * 3600 * 1000;
    one_node_wait(&node, 1000);
    publish_many(&one, 1);
    node.gateway->ops->status(node.gateway, &after);
    cr_assert_geq(after.log_time_ms, before.log_time_ms + 1000);
    cr_assert_leq(after.log_time_ms, before.log_time_ms + 1101);
}

Test(shard, stops_when_it_is_alone)
{
    client_ready(&one);
    cr_assert_not(shard_stopped(node.shard));
    shard_stop(node.shard);
    cr_assert_not(one.detached, "never from within the call");
    one_node_settle(&node);
    client_expect_detached(&one, ERR_UNAVAILABLE);
    cr_assert(shard_stopped(node.shard));
    cr_assert_eq(client_attach_only(&two, false, 0), ERR_UNAVAILABLE);
}

static uint64_t sessions_len(void)
{
    struct gateway_status status;
    node.gateway->ops->status(node.gateway, &status);
    return status.sessions;
}

Test(shard, detaching_while_attaching_leaves_a_lease)
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

Test(shard, detaching_before_anything_was_sent_leaves_nothing)
{
    cr_assert_eq(client_attach_only(&one, false, 0), 0);
    client_detach(&one);
    one_node_settle(&node);
    cr_assert_eq(one.attached, 0u);
    cr_assert_eq(sessions_len(), 0u);
    cr_assert_eq(shard_unanswered(node.shard), 0u);
}

Test(shard_alone, without_a_majority_nobody_is_served)
{
    static const struct driver_member members[] = {{1, "a:1"}, {2, "b:1"}, {3, "c:1"}};
    struct shard_options options = {.members = members, .members_len = 3, .isolation_timeout_ms = 2000};
    one_node_start(&node, &options);
    client_init(&one, &node.home, 1);
    struct reading reading;
    cr_assert_eq(client_attach_only(&one, false, 0), 0, "a leader may be found yet");
    reading_start(&reading, &node.home);
    for (int i = 0; i < 19; i++) {
        one_node_wait(&node, 100);
        cr_assert_not(one.detached);
    }
    for (int i = 0; i < 5; i++) {
        one_node_wait(&node, 100);
    }
    client_expect_detached(&one, ERR_UNAVAILABLE);
    cr_assert_eq(client_attach_only(&one, false, 0), ERR_UNAVAILABLE);
    cr_assert_eq(reading.done, 0u);
    for (int i = 0; i < 30; i++) {
        one_node_wait(&node, 100);
    }
    cr_assert_eq(reading.done, 1u);
    cr_assert_eq(reading.err, ERR_UNAVAILABLE);
    client_done(&one);
    one_node_stop(&node);
}

static void publish_volume(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(client_publish_large(&one, "q", 4000), 0);
        one_node_settle(&node);
    }
}

Test(shard_checkpoint, bytes_of_log_make_checkpoints_and_shorten_replay)
{
    struct gateway_status status;
    struct shard_options options = {.checkpoint_len = 64 * 1024, .segment_len = 64 * 1024, .retain_len = 1};
    one_node_start(&node, &options);
    client_init(&one, &node.home, 1);
    client_ready(&one);
    publish_volume(100);
    node.gateway->ops->status(node.gateway, &status);
    cr_assert_gt(status.checkpoint_index, 50u);
    uint64_t last = status.log_last;
    client_cut(&one);
    one_node_crash(&node);
    node.gateway->ops->status(node.gateway, &status);
    cr_assert_gt(status.entries_replayed, 0u);
    cr_assert_leq(status.entries_replayed, last - status.checkpoint_index);
    cr_assert_lt(status.entries_replayed, 40u);
    home_expect_queue(&node.home, 100, 0);
    client_done(&one);
    one_node_stop(&node);
}

Test(shard_checkpoint, without_space_it_is_tried_again)
{
    struct gateway_status status;
    struct shard_options options = {.checkpoint_len = 64 * 1024, .segment_len = 1 << 20};
    one_node_start(&node, &options);
    client_init(&one, &node.home, 1);
    client_ready(&one);
    publish_volume(10);
    while (sim_disk_pending(node.disk) > 0) {
        sim_disk_complete_one(node.disk);
    }
    sim_disk_fail_next_offload(node.disk, ERR_NO_SPACE);
    publish_volume(10);
    node.gateway->ops->status(node.gateway, &status);
    cr_assert_eq(status.checkpoint_index, 0u);
    one_node_wait(&node, 11000);
    node.gateway->ops->status(node.gateway, &status);
    cr_assert_gt(status.checkpoint_index, 0u);
    home_expect_queue(&node.home, 20, 0);
    client_done(&one);
    one_node_stop(&node);
}
