/* Log time goes on after a time in which nobody counted it: by wall clocks that a majority has, and never too far. */

#include <criterion/criterion.h>
#include <string.h>

#include "node/core/gateway.h"
#include "node/core/time_keeper.h"
#include "one_node.h"

#define HOUR_MS UINT64_C(3600000)
#define DELAY_MS UINT64_C(60000)
#define MARKS "shard-0/" TIME_KEEPER_FILE

static struct one_node node;
static struct client client;
static uint64_t published_ms; /* By the monotonic clock. */

static void setup(void)
{
    const struct shard_options options = {.segment_len = 64 * 1024};
    one_node_start(&node, &options);
    one_node_wait(&node, 3000); /* It raises the machine's version. */
    client_init(&client, &node.home, 1);
    client_ready(&client);
    cr_assert_eq(client_publish_delayed(&client, "q", DELAY_MS), 0);
    one_node_settle(&node);
    published_ms = node.clock.now_ms;
    client_expect_reply(&client, client.replies - 1, client.number, 0);
}

static void teardown(void)
{
    client_done(&client);
    one_node_stop(&node);
}

TestSuite(time_goes_on, .init = setup, .fini = teardown);

static void kill_for(uint64_t down_ms)
{
    client_cut(&client);
    one_node_kill(&node, down_ms);
}

/* So long after it was published. */
static void wait_until(uint64_t ms)
{
    cr_assert_geq(published_ms + ms, node.clock.now_ms, "that is over");
    one_node_wait(&node, published_ms + ms - node.clock.now_ms);
}

/* What is left of the delay when a time nobody counted is known to within what clocks are read with. */
static void expect_on_time(void)
{
    wait_until(DELAY_MS - 1000);
    home_expect_queue(&node.home, 0, 0);
    wait_until(DELAY_MS + 1000);
    home_expect_queue(&node.home, 1, 0);
}

/* It comes, but not before its time by a clock that runs a tenth too fast. */
static void expect_late(void)
{
    uint64_t slow_ms = 0;
    for (; slow_ms < 2 * DELAY_MS; slow_ms += 1000) {
        uint64_t ready;
        uint64_t unsettled;
        one_node_wait(&node, 1000);
        home_queue(&node.home, "q", &ready, &unsettled);
        if (ready == 1) {
            break;
        }
    }
    cr_assert_gt(node.clock.now_ms - published_ms, DELAY_MS + 5000);
    cr_assert_lt(slow_ms, 2 * DELAY_MS);
}

Test(time_goes_on, idle_time_and_time_down_have_passed)
{
    one_node_wait(&node, 20000);
    kill_for(25000);
    expect_on_time();
}

Test(time_goes_on, what_is_over_meanwhile_is_there_at_once)
{
    one_node_wait(&node, 20000);
    kill_for(8 * HOUR_MS);
    one_node_wait(&node, 100);
    home_expect_queue(&node.home, 1, 0);
}

/* Its lease begins when the node is known to have begun anew, and that is after log time went on. */
Test(time_goes_on, a_session_does_not_end_while_the_node_of_its_client_is_down)
{
    uint64_t session = client.session;
    unsigned attached = client.attached;
    one_node_wait(&node, 20000);
    kill_for(8 * HOUR_MS);
    one_node_wait(&node, CLIENT_LEASE_MS / 2);
    cr_assert_eq(client_attach_only(&client, true, 0), 0);
    one_node_settle(&node);
    cr_assert_eq(client.attached, attached + 1, "%s", err_name(client.detached_err));
    cr_assert_eq(client.session, session);
}

Test(time_goes_on, a_session_that_was_left_before_has_ended_meanwhile)
{
    client_detach(&client);
    one_node_wait(&node, CLIENT_LEASE_MS / 2);
    kill_for(CLIENT_LEASE_MS);
    one_node_wait(&node, 100);
    struct gateway_status status;
    node.gateway->ops->status(node.gateway, &status);
    cr_assert_eq(status.sessions, 0u);
}

Test(time_goes_on, restarts_do_not_add_up)
{
    for (unsigned i = 0; i < 5; i++) {
        one_node_wait(&node, 6000);
        kill_for(4000);
    }
    expect_on_time();
}

/* Within the first second nothing was kept of the new leader. */
Test(time_goes_on, a_start_that_ends_at_once_changes_nothing)
{
    one_node_wait(&node, 20000);
    kill_for(10000);
    one_node_wait(&node, 2000);
    kill_for(10000);
    expect_on_time();
}

Test(time_goes_on, without_a_file_it_is_caught_up_slowly)
{
    one_node_wait(&node, 20000);
    cr_assert_eq(node.options.disk->ops->remove(node.options.disk, MARKS), 0);
    kill_for(30000);
    expect_late();
}

Test(time_goes_on, with_a_damaged_file_it_is_caught_up_slowly)
{
    one_node_wait(&node, 20000);
    for (unsigned place = 0; place < TIME_KEEPER_PLACES; place++) {
        cr_assert_eq(sim_disk_corrupt(node.disk, MARKS, place * TIME_KEEPER_PLACE_LEN + 20, 0x10), 0);
    }
    kill_for(30000);
    expect_late();
}

/* A wall clock that was set while the node ran is no time that has passed. */
Test(time_goes_on, a_wall_clock_that_was_wrong_all_the_time_does_not_matter)
{
    node.clock.wall_jump_ms = HOUR_MS;
    one_node_wait(&node, 20000);
    kill_for(20000);
    /* It leans towards it: by a tenth of what the process counted. */
    wait_until(DELAY_MS - 8000);
    home_expect_queue(&node.home, 0, 0);
    wait_until(DELAY_MS + 1000);
    home_expect_queue(&node.home, 1, 0);
}

Test(time_goes_on, a_wall_clock_that_went_back_does_not_take_it_back)
{
    one_node_wait(&node, 20000);
    node.clock.wall_jump_ms = -HOUR_MS;
    struct gateway_status before;
    struct gateway_status after;
    node.gateway->ops->status(node.gateway, &before);
    kill_for(20000);
    node.gateway->ops->status(node.gateway, &after);
    cr_assert_geq(after.log_time_ms + 20000, before.log_time_ms);
    expect_late();
}

/* No leader made a mark since the last entry was stamped by another: that entry may be of an older time. */
Test(time_goes_on, a_mark_from_before_the_last_leader_is_not_used)
{
    uint8_t old[TIME_KEEPER_PLACES * TIME_KEEPER_PLACE_LEN];
    const uint8_t *bytes;
    uint64_t len;
    one_node_wait(&node, 20000);
    cr_assert_eq(sim_disk_content(node.disk, MARKS, &bytes, &len), 0);
    cr_assert_eq(len, sizeof old);
    memcpy(old, bytes, len);
    cr_assert_eq(node.options.disk->ops->remove(node.options.disk, MARKS), 0);
    kill_for(HOUR_MS); /* Log time lags by an hour from here on, and what is stamped now with it. */
    client_attach(&client);
    cr_assert_eq(client_publish_delayed(&client, "q", DELAY_MS), 0);
    one_node_settle(&node);
    published_ms = node.clock.now_ms;
    cr_assert_eq(sim_disk_overwrite(node.disk, MARKS, 0, old, sizeof old), 0);
    kill_for(1000);
    wait_until(DELAY_MS - 8000);
    uint64_t ready;
    uint64_t unsettled;
    home_queue(&node.home, "q", &ready, &unsettled);
    cr_assert_leq(ready, 1u, "the second one is early");
}
