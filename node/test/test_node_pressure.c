/* Nodes that are short of disk or memory: who takes new messages, who leads, and what is taken all the same. */

#include <criterion/criterion.h>
#include <stdio.h>

#include "three_nodes.h"

#define FREE_MIN (1u << 20)
#define MEMORY_MAX 1000000u
#define LOOK_MS 700u /* Within which the leader knows how everybody is. */

static struct three three;
static struct client one; /* At the follower a. */
static struct client two; /* At the leader. */

/* What the system gets back when it is given back: nothing, unless a test says so. */
static uint64_t freed;

static void relax(void *arg)
{
    struct three_node *node = arg;
    node->memory_used -= freed < node->memory_used ? freed : node->memory_used;
}

static void setup(void)
{
    struct shard_options options = {.segment_len = 64 * 1024,
                                    .disk_free_min = FREE_MIN,
                                    .memory_max = MEMORY_MAX,
                                    .presence_timeout_ms = 600,
                                    .relax = relax};
    freed = 0;
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

/* The lowest number comes first in the membership. */
Test(pressure_of_nodes, a_leader_that_is_short_hands_over_to_one_that_keeps_up)
{
    struct three_node *old = three.leader;
    struct three_node *stuck = three.a->id < three.b->id ? three.a : three.b;
    struct three_node *healthy = stuck == three.a ? three.b : three.a;
    stuck->disk_held = true;
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(client_publish(&one, "q", "x"), 0);
        three_settle(&three);
    }
    disk_low(old);
    for (unsigned i = 0; i < 10 && three_status(old).leader == old->id; i++) {
        three_wait(&three, 100);
    }
    cr_assert_eq(three_status(old).leader, healthy->id);
    stuck->disk_held = false;
    three_find_leader(&three);
}

/* What is in can be delivered and settled there, at least. */
Test(pressure_of_nodes, a_leader_whose_disk_does_not_answer_hands_over_even_to_one_that_is_short)
{
    struct three_node *old = three.leader;
    disk_low(three.a);
    disk_low(three.b);
    three_wait(&three, LOOK_MS);
    old->disk_held = true;
    cr_assert_eq(client_publish(&one, "q", "x"), 0);
    three_wait(&three, 4000);
    three_find_leader(&three);
    cr_assert_neq(three.leader, old);
    for (unsigned i = 0; i < 40; i++) {
        unsigned before = one.replies;
        cr_assert_eq(client_declare(&one, "q"), 0);
        three_wait(&three, CLIENT_ANSWER_MS);
        cr_assert_eq(one.replies, before + 1, "it is not asked back");
    }
    old->disk_held = false;
    three_wait(&three, LOOK_MS);
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
    char why[256];
    snprintf(why, sizeof why,
             "new messages are refused: node %llu: its disk is nearly full, or does not answer; node %llu: its disk is "
             "nearly full, or does not answer",
             (unsigned long long)(three.a->id < three.b->id ? three.a->id : three.b->id),
             (unsigned long long)(three.a->id < three.b->id ? three.b->id : three.a->id));
    cr_assert_str_eq(three_status(three.leader).refusing, why);
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

static void refusing_everywhere(bool is)
{
    for (unsigned i = 0; i < THREE; i++) {
        cr_assert_eq(three_status(&three.nodes[i]).refusing[0] != '\0', is, "node %llu: %s",
                     (unsigned long long)three.nodes[i].id, three_status(&three.nodes[i]).refusing);
    }
}

/* The clients of the others have to wait as well. */
Test(pressure_of_nodes, all_nodes_know_that_messages_are_refused_and_when_they_are_taken_again)
{
    disk_low(three.a);
    disk_low(three.b);
    three_wait(&three, LOOK_MS);
    refusing_everywhere(true);
    disk_enough(three.b);
    three_wait(&three, LOOK_MS);
    refusing_everywhere(false);
}

/* It does not know how the others are before it has heard of them, and nobody is told that there is room meanwhile. */
Test(pressure_of_nodes, the_next_leader_goes_on_refusing)
{
    struct three_node *next = three.a;
    struct three_node *others[] = {three.leader, three.b};
    disk_low(three.b);
    disk_low(three.a);
    three_wait(&three, LOOK_MS);
    refusing_everywhere(true);
    for (unsigned i = 0; i < 2; i++) {
        three_swallow(others[i], next, true);
    }
    disk_enough(next);
    disk_low(three.leader);
    for (unsigned i = 0; i < 100; i++) {
        three_wait(&three, 10);
        cr_assert_str_not_empty(three_status(next).refusing, "%u", i);
    }
    cr_assert_eq(three_status(next).leader, next->id, "it has room, but no majority has");
    for (unsigned i = 0; i < 2; i++) {
        three_swallow(others[i], next, false);
    }
    three_wait(&three, LOOK_MS);
    refusing_everywhere(true);
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

/* Not a byte is left anywhere; what was allocated ahead has to do. */
Test(pressure_of_nodes, restarted_while_all_disks_are_full_they_deliver_and_settle)
{
    for (unsigned i = 0; i < 20; i++) {
        cr_assert_eq(publish(&one), 0);
    }
    for (unsigned i = 0; i < THREE; i++) {
        sim_disk_set_capacity(three.nodes[i].disk, sim_disk_used(three.nodes[i].disk));
    }
    client_cut(&one);
    client_cut(&two);
    for (unsigned i = 0; i < THREE; i++) {
        three_crash(&three.nodes[i]);
    }
    for (unsigned i = 0; i < THREE; i++) {
        three_restart(&three.nodes[i]);
    }
    three_find_leader(&three);
    three_wait(&three, LOOK_MS);
    client_move(&one, &three.a->home);
    cr_assert_eq(publish(&one), ERR_NO_SPACE);
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    three_wait(&three, CLIENT_ANSWER_MS);
    cr_assert_eq(one.deliveries, 10u);
    cr_assert_eq(client_accept(&one, 1, 1, 10), 0);
    three_wait(&three, CLIENT_ANSWER_MS);
    client_expect_reply(&one, one.replies - 1, one.number, 0);
    cr_assert_eq(one.deliveries, 20u);
    for (unsigned i = 0; i < THREE; i++) {
        disk_enough(&three.nodes[i]);
    }
    three_wait(&three, 2 * LOOK_MS);
    cr_assert_eq(publish(&one), 0);
}

Test(pressure_of_nodes, a_leader_that_is_short_of_memory_hands_over_too)
{
    struct three_node *old = three.leader;
    old->memory_used = MEMORY_MAX + 1;
    three_wait(&three, 2 * LOOK_MS);
    three_find_leader(&three);
    cr_assert_neq(three.leader, old);
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), 0);
}

Test(pressure_of_nodes, memory_that_was_freed_does_not_count)
{
    freed = MEMORY_MAX / 2;
    three.a->memory_used = MEMORY_MAX + 1;
    three.b->memory_used = MEMORY_MAX + 1;
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), 0);

    freed = 0;
    three.a->memory_used = MEMORY_MAX + 1;
    three.b->memory_used = MEMORY_MAX + 1;
    three_wait(&three, LOOK_MS);
    cr_assert_eq(publish(&one), ERR_NO_SPACE, "not asked all the time");
    freed = MEMORY_MAX / 2;
    three_wait(&three, 30000);
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
    three.a->memory_used = MEMORY_MAX + 1;
    three.b->memory_used = MEMORY_MAX + 1;
    three_wait(&three, 250); /* They say so; nobody grows impatient. */
    cr_assert_str_not_empty(three_status(three.leader).refusing);
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
