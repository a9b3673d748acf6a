/* A shard alone: what is confirmed, what is refused, and what a crash leaves. */

#include <criterion/criterion.h>
#include <stdio.h>

#include "shard_fixture.h"

TestSuite(shard, .init = shard_setup, .fini = shard_teardown);

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
