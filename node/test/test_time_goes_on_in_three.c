/* Log time goes on in a cluster of three, whoever leads next, by what the wall clocks of two say. */

#include <criterion/criterion.h>

#include "node/core/gateway.h"
#include "three_nodes.h"

#define SKEW_MS 5000u
#define HOUR_MS UINT64_C(3600000)
#define YEAR_MS (365 * 24 * HOUR_MS)
#define DELAY_MS UINT64_C(60000)

static struct three three;
static struct client client;
static uint64_t published_ms; /* By the monotonic clocks, which are the same on all. */

static uint64_t now_ms(void)
{
    return three.nodes[0].clock.now_ms;
}

static void start(unsigned skew_ms)
{
    struct shard_options options = {.segment_len = 64 * 1024, .clock_skew_ms = skew_ms};
    three_start(&three, &options);
    three_wait(&three, 3000); /* The machine's version is raised. */
    three_find_leader(&three);
    client_init(&client, &three.leader->home, 1);
    client_ready(&client);
    cr_assert_eq(client_publish_delayed(&client, "q", DELAY_MS), 0);
    three_wait(&three, CLIENT_ANSWER_MS);
    published_ms = now_ms();
    client_expect_reply(&client, client.replies - 1, client.number, 0);
}

static void setup(void)
{
    start(SKEW_MS);
}

static void teardown(void)
{
    client_done(&client);
    three_stop(&three);
}

TestSuite(time_goes_on_in_three, .init = setup, .fini = teardown);

static void kill_all(void)
{
    client_cut(&client);
    for (unsigned i = 0; i < THREE; i++) {
        three_kill(&three.nodes[i]);
    }
}

static void pass(uint64_t ms)
{
    for (unsigned i = 0; i < THREE; i++) {
        three.nodes[i].clock.now_ms += ms;
    }
}

static void start_all(void)
{
    for (unsigned i = 0; i < THREE; i++) {
        three_restart(&three.nodes[i]);
    }
    three_find_leader(&three);
}

static void kill_all_for(uint64_t down_ms)
{
    kill_all();
    pass(down_ms);
    start_all();
}

/* So long after it was published. */
static void wait_until(uint64_t ms)
{
    cr_assert_geq(published_ms + ms, now_ms(), "that is over");
    three_wait(&three, published_ms + ms - now_ms());
    three_find_leader(&three);
}

static void expect_on_time(void)
{
    wait_until(DELAY_MS - 1000);
    home_expect_queue(&three.leader->home, 0, 0);
    wait_until(DELAY_MS + 1000);
    home_expect_queue(&three.leader->home, 1, 0);
}

static void expect_not_early(void)
{
    wait_until(DELAY_MS - 1000);
    home_expect_queue(&three.leader->home, 0, 0);
}

static void expect_late(void)
{
    wait_until(DELAY_MS + 5000);
    home_expect_queue(&three.leader->home, 0, 0);
    three_wait(&three, DELAY_MS);
    home_expect_queue(&three.leader->home, 1, 0);
}

static uint64_t kept_of(struct three_node *node)
{
    return gateway_core_of(node->home.gateway)->keeper.kept.term;
}

Test(time_goes_on_in_three, when_all_were_down)
{
    three_wait(&three, 20000);
    kill_all_for(25000);
    expect_on_time();
}

Test(time_goes_on_in_three, what_is_over_meanwhile_is_there_at_once)
{
    three_wait(&three, 20000);
    kill_all_for(8 * HOUR_MS);
    three_wait(&three, 100);
    home_expect_queue(&three.leader->home, 1, 0);
}

Test(time_goes_on_in_three, whoever_has_kept_a_mark)
{
    three_wait(&three, 20000);
    for (unsigned i = 0; i < THREE; i++) {
        cr_assert_eq(kept_of(&three.nodes[i]), three_status(three.leader).term, "each has it from the leader");
    }
    kill_all();
    struct disk *disks[] = {three.leader->options.disk, three.a->options.disk};
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(disks[i]->ops->remove(disks[i], "shard-0/" TIME_KEEPER_FILE), 0);
    }
    pass(25000);
    start_all();
    expect_on_time();
}

/* It was restarted, and the leader fell silent before it could tell it anything. */
Test(time_goes_on_in_three, when_a_follower_that_was_restarted_leads)
{
    three_wait(&three, 30000);
    struct three_node *next = three.a;
    client_cut(&client);
    three_kill(next);
    next->options.election_timeout_ms = THREE_ELECTION_MS / 3; /* The third one has more patience, */
    three.leader->paused = true;
    three_restart(next);
    three_hold(three.b, next, true);
    three_wait(&three, 2 * THREE_ELECTION_MS); /* and what it has said when it has none any more is lost. */
    three_cut(three.b, next);
    three_hold(three.b, next, false);
    three_join(three.b, next);
    three_find_leader(&three);
    cr_assert_eq(three.leader, next);
    expect_on_time();
}

Test(time_goes_on_in_three, a_failover_waits_for_no_clock)
{
    three_wait(&three, 10000);
    client_cut(&client);
    three_kill(three.leader);
    three_find_leader(&three);
    three_wait(&three, 100);
    cr_assert(gateway_core_of(three.leader->home.gateway)->serving);
    cr_assert_eq(gateway_core_of(three.leader->home.gateway)->time_wait_ms, 0u);
}

Test(time_goes_on_in_three, clocks_are_told_when_a_connection_begins)
{
    uint64_t ms;
    three_wait(&three, 2000);
    three_cut(three.a, three.b);
    three_wait(&three, CLOCKS_FRESH_MS + 500);
    const struct gateway_core *core = gateway_core_of(three.a->home.gateway);
    cr_assert_eq(clocks_agree(&core->clocks, &three.b->id, 1, 1, now_ms(), &ms, &ms), CLOCKS_UNKNOWN);
    three_join(three.a, three.b);
    three_settle(&three);
    cr_assert_neq(clocks_agree(&core->clocks, &three.b->id, 1, 1, now_ms(), &ms, &ms), CLOCKS_UNKNOWN, "at once");
}

/* ---- Clocks that are not to be believed ---- */

static void one_is_wrong(unsigned which, uint64_t by_ms)
{
    three_wait(&three, 20000);
    kill_all();
    three.nodes[which].clock.wall_jump_ms = by_ms;
    pass(25000);
    start_all();
    expect_on_time();
}

Test(time_goes_on_in_three, the_first_is_a_year_ahead)
{
    one_is_wrong(0, YEAR_MS);
}

Test(time_goes_on_in_three, the_second_is_a_year_ahead)
{
    one_is_wrong(1, YEAR_MS);
}

Test(time_goes_on_in_three, the_third_is_a_year_ahead)
{
    one_is_wrong(2, YEAR_MS);
}

Test(time_goes_on_in_three, the_first_is_an_hour_behind)
{
    one_is_wrong(0, -HOUR_MS);
}

Test(time_goes_on_in_three, the_third_is_an_hour_behind)
{
    one_is_wrong(2, -HOUR_MS);
}

Test(time_goes_on_in_three, not_when_no_two_agree)
{
    three_wait(&three, 20000);
    kill_all();
    three.nodes[0].clock.wall_jump_ms = YEAR_MS;
    three.nodes[1].clock.wall_jump_ms = HOUR_MS;
    pass(25000);
    start_all();
    expect_late();
}

Test(time_goes_on_in_three, a_leader_whose_clock_jumped_before_makes_no_wrong_mark)
{
    three_wait(&three, 10000);
    three.leader->clock.wall_jump_ms = -YEAR_MS;
    three_wait(&three, 500); /* It leads on for some seconds. */
    struct three_node *wrong = three.leader;
    three_wait(&three, 1000);
    kill_all();
    wrong->clock.wall_jump_ms = 0;
    pass(25000);
    start_all();
    expect_on_time();
}

/* Within the limit of each other: what the earliest shows counts, of those that are there now. */
Test(time_goes_on_in_three, clocks_that_differ_a_little_make_nothing_early)
{
    three.nodes[0].clock.wall_jump_ms = 4000;
    three.nodes[2].clock.wall_jump_ms = -UINT64_C(500);
    three_wait(&three, 20000);
    kill_all_for(25000);
    expect_not_early();
    wait_until(DELAY_MS + 5000);
    home_expect_queue(&three.leader->home, 1, 0);
}

Test(time_goes_on_in_three, not_when_clocks_are_not_compared)
{
    teardown();
    start(0);
    three_wait(&three, 20000);
    kill_all_for(25000);
    expect_late();
}

/* ---- Clocks that are not known ---- */

/* Whoever leads hears nothing of the others' gateways for a while. */
Test(time_goes_on_in_three, a_leader_waits_for_clocks_and_not_for_long)
{
    three_wait(&three, 20000);
    kill_all();
    pass(25000);
    for (unsigned i = 0; i < THREE; i++) {
        for (unsigned to = 0; to < THREE; to++) {
            three_swallow(&three.nodes[i], &three.nodes[to], true);
        }
    }
    start_all();
    const struct gateway_core *core = gateway_core_of(three.leader->home.gateway);
    three_wait(&three, 900);
    cr_assert_not(core->serving, "others may know better");
    three_wait(&three, 200);
    cr_assert(core->serving);
    for (unsigned i = 0; i < THREE; i++) {
        for (unsigned to = 0; to < THREE; to++) {
            three_swallow(&three.nodes[i], &three.nodes[to], false);
        }
    }
    expect_late();
}

/* What it waits for comes with the connection to another. */
Test(time_goes_on_in_three, a_leader_serves_as_soon_as_it_knows_a_clock)
{
    three_wait(&three, 20000);
    kill_all_for(25000);
    three_wait(&three, 10);
    cr_assert(gateway_core_of(three.leader->home.gateway)->serving);
    expect_on_time();
}
