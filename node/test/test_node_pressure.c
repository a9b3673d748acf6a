/* Nodes that are short of disk or memory: who takes new messages, who leads, and what is taken all the same. */

#include <criterion/criterion.h>

#include "three_nodes.h"

#define FREE_MIN (1u << 20)
#define MEMORY_MAX 1000000u
#define LOOK_MS 700u /* Within which the leader knows how everybody is. */

static struct three three;
static struct client one; /* At the follower a. */
static struct client two; /* At the leader. */

static void setup(void)
{
    struct shard_options options = {
        .segment_len = 64 * 1024, .disk_free_min = FREE_MIN, .memory_max = MEMORY_MAX, .presence_timeout_ms = 600};
    three_start(&three, &options);
    client_init(&one, &three.a->home, 1);
    client_init(&two, &three.leader->home, 2);
    client_ready(&one);
}

static void teardown(void)
{
    client_done(&one);
    client_done(&two);
    three_stop(&three);
}

TestSuite(pressure_of_nodes, .init = setup, .fini = teardown);

/* Less than the watermark is left, and enough for the log. */
static void disk_low(struct three_node *node)
{
    sim_disk_set_capacity(node->disk, sim_disk_used(node->disk) + FREE_MIN - 1);
}

static void disk_enough(struct three_node *node)
{
    sim_disk_set_capacity(node->disk, 0);
}

static int publish(struct client *client)
{
    unsigned before = client->replies;
    cr_assert_eq(client_publish(client, "q", "x"), 0);
    three_wait(&three, CLIENT_ANSWER_MS);
    cr_assert_gt(client->replies, before);
    cr_assert_eq(client->reply[client->replies - 1].number, client->number);
    return -(int)client->reply[client->replies - 1].error;
}

Test(pressure_of_nodes, one_follower_may_be_short)
{
    struct three_node *leader = three.leader;
    disk_low(three.b);
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), 0);
    cr_assert_str_empty(three_status(leader).refusing);
    cr_assert_eq(three_status(leader).leader, leader->id);
}

Test(pressure_of_nodes, a_leader_that_is_short_hands_over)
{
    struct three_node *old = three.leader;
    disk_low(old);
    three_wait(&three, 2 * LOOK_MS);
    three_find_leader(&three);
    cr_assert_neq(three.leader, old);
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), 0);
    cr_assert_eq(three_status(three.leader).leader, three.leader->id);
}

/* The status of a member, as the leader tells it. */
static const char *detail_of(struct three_node *leader, uint64_t id)
{
    static struct gateway_status status;
    status = three_status(leader);
    for (unsigned i = 0; i < status.members_len; i++) {
        if (status.members[i].id == id) {
            return status.members[i].detail;
        }
    }
    return "";
}

Test(pressure_of_nodes, with_a_majority_short_new_messages_are_refused_and_the_rest_goes_on)
{
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    cr_assert_eq(publish(&one), 0);
    cr_assert_eq(one.deliveries, 1u);
    disk_low(three.a);
    disk_low(three.b);
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), ERR_NO_SPACE);
    cr_assert_str_not_empty(three_status(three.leader).refusing);
    cr_assert_str_not_empty(detail_of(three.leader, three.a->id));
    cr_assert_str_empty(detail_of(three.leader, three.leader->id));
    cr_assert_eq(client_accept(&one, 1, 1, 1), 0);
    three_wait(&three, CLIENT_ANSWER_MS);
    client_expect_reply(&one, one.replies - 1, one.number, 0);
    home_expect_queue(&three.leader->home, 0, 0);
    disk_enough(three.a);
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), 0);
    cr_assert_str_empty(three_status(three.leader).refusing);
    cr_assert_eq(one.deliveries, 2u);
    cr_assert_not(one.detached);
}

Test(pressure_of_nodes, with_all_short_leadership_does_not_wander)
{
    for (unsigned i = 0; i < THREE; i++) {
        disk_low(&three.nodes[i]);
    }
    three_wait(&three, LOOK_MS);
    three_find_leader(&three);
    uint64_t term = three_status(three.leader).term;
    three_wait(&three, 5000);
    cr_assert_eq(three_status(three.leader).term, term);
    cr_assert_eq(publish(&one), ERR_NO_SPACE);
    for (unsigned i = 0; i < THREE; i++) {
        disk_enough(&three.nodes[i]);
    }
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), 0);
}

Test(pressure_of_nodes, memory_counts_like_the_disk)
{
    three.a->memory_used = MEMORY_MAX + 1;
    three.b->memory_used = MEMORY_MAX + 1;
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), ERR_NO_SPACE);
    three.a->memory_used = MEMORY_MAX - MEMORY_MAX / 16;
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), ERR_NO_SPACE, "not flickering");
    three.a->memory_used = MEMORY_MAX / 2;
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), 0);
}

Test(pressure_of_nodes, a_link_that_was_refused_waits_a_moment_with_new_messages)
{
    three.a->memory_used = MEMORY_MAX + 1;
    three.b->memory_used = MEMORY_MAX + 1;
    three_wait(&three, LOOK_MS);
    cr_assert_eq(client_publish(&one, "q", "x"), 0);
    three_settle(&three);
    client_expect_reply(&one, 0, one.number, ERR_NO_SPACE);
    cr_assert_eq(client_publish(&one, "q", "y"), ERR_BUSY);
    cr_assert_eq(client_subscribe(&one, "q", 1, 1), 0, "all else is taken");
    three_wait(&three, 90);
    cr_assert_eq(one.resumes, 0u);
    three_wait(&three, 20);
    cr_assert_eq(one.resumes, 1u);
    cr_assert_eq(client_publish(&one, "q", "y"), 0);
    three_wait(&three, CLIENT_ANSWER_MS);
    client_expect_reply(&one, one.replies - 1, one.number, ERR_NO_SPACE);
}

Test(pressure_of_nodes, what_waited_when_room_ran_out_is_refused_in_its_place)
{
    three_hold(three.leader, three.a, true);
    three_hold(three.leader, three.b, true);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(client_publish(&one, "q", "x"), 0);
        three_settle(&three);
    }
    three.leader->memory_used = MEMORY_MAX + 1;
    for (unsigned i = 0; i < 6; i++) {
        three.leader->clock.now_ms += 25; /* It looks; nobody else grows impatient. */
        three_step(three.leader);
    }
    three_hold(three.leader, three.a, false);
    three_hold(three.leader, three.b, false);
    three_wait(&three, CLIENT_ANSWER_MS);
    cr_assert_eq(one.replies, 8u);
    unsigned taken = 0;
    for (unsigned i = 0; i < 8; i++) {
        bool ok = one.reply[i].error == 0;
        cr_assert(ok || one.reply[i].error == (uint32_t)-ERR_NO_SPACE);
        cr_assert(!ok || taken == i, "what was in an entry already comes first");
        cr_assert_eq(one.reply[i].number, 2 + i);
        taken += ok;
    }
    cr_assert(taken > 0 && taken < 8, "%u taken", taken);
}
