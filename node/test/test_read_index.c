/* Reads at any node: current when done, done only when this replica has caught up, and never by a leader of the past. */

#include <criterion/criterion.h>

#include "node/core/shard_private.h"
#include "three_nodes.h"

#define READ_TIMEOUT_MS 5000u

static struct three three;
static struct client one; /* At the follower a. */

static void setup(void)
{
    three_start(&three, NULL);
    client_init(&one, &three.a->home, 1);
    client_ready(&one);
    three_wait(&three, THREE_PRESENCE_MS / 5);
}

static void teardown(void)
{
    client_done(&one);
    three_stop(&three);
}

TestSuite(read_index, .init = setup, .fini = teardown);

static void publish(unsigned count)
{
    unsigned before = one.replies;
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(client_publish(&one, "q", "x"), 0);
    }
    three_wait(&three, CLIENT_ANSWER_MS);
    cr_assert_eq(one.replies, before + count);
}

static void expect_read(const struct reading *reading, uint64_t ready)
{
    cr_assert_eq(reading->done, 1u);
    cr_assert_eq(reading->err, 0, "%s", err_name(reading->err));
    cr_assert_eq(reading->ready, ready);
}

Test(read_index, is_current_at_every_node)
{
    struct reading readings[THREE];
    publish(3);
    for (unsigned i = 0; i < THREE; i++) {
        reading_start(&readings[i], &three.nodes[i].home);
    }
    cr_assert_gt(shard_unanswered(three.b->shard), 0u);
    three_wait(&three, CLIENT_ANSWER_MS);
    for (unsigned i = 0; i < THREE; i++) {
        expect_read(&readings[i], 3);
    }
    cr_assert_eq(shard_unanswered(three.b->shard), 0u);
}

#define SLOW_READS 10u
#define SLOW_MS 8u

static unsigned slow_done;

/* As a long look through a queue takes. */
static void on_slow_read(struct gateway_read *read, int err)
{
    (void)read;
    cr_assert_eq(err, 0);
    cr_assert_lt(three.leader->shard->gateway.reads_ms, 20u);
    slow_done++;
    three.leader->clock.now_ms += SLOW_MS;
}

/* Whoever asks for much must not stop the node: what follows waits for the next turn, which comes at once. */
Test(read_index, reads_take_a_part_of_a_turn)
{
    struct gateway_read reads[SLOW_READS];
    struct gateway *gateway = three.leader->home.gateway;
    for (unsigned i = 0; i < SLOW_READS; i++) {
        reads[i] = (struct gateway_read){.done = on_slow_read};
        gateway->ops->read(gateway, &reads[i]);
    }
    three_settle(&three);
    cr_assert_eq(slow_done, SLOW_READS);
}

Test(read_index, leaves_no_entry_in_the_log)
{
    uint64_t log_last = three_status(three.leader).log_last;
    struct reading reading;
    reading_start(&reading, &three.b->home);
    three_settle(&three);
    expect_read(&reading, 0);
    cr_assert_eq(three_status(three.leader).log_last, log_last);
}

Test(read_index, is_not_done_before_this_replica_has_applied)
{
    struct reading reading;
    three.b->disk_held = true;
    publish(3);
    reading_start(&reading, &three.b->home);
    three_wait(&three, CLIENT_ANSWER_MS);
    cr_assert_eq(reading.done, 0u);
    three.b->disk_held = false;
    three_wait(&three, CLIENT_ANSWER_MS);
    expect_read(&reading, 3);
}

Test(read_index, a_leader_waits_for_a_majority)
{
    struct reading reading;
    three_hold(three.a, three.leader, true);
    three_hold(three.b, three.leader, true);
    reading_start(&reading, &three.leader->home);
    three_settle(&three);
    cr_assert_eq(reading.done, 0u);
    three_hold(three.b, three.leader, false);
    three_settle(&three);
    expect_read(&reading, 0);
    three_hold(three.a, three.leader, false);
}

Test(read_index, a_deposed_leader_in_a_partition_never_completes_one)
{
    struct reading reading;
    struct reading late;
    struct three_node *old = three.leader;
    three_isolate(old);
    reading_start(&reading, &old->home); /* It believes to lead still. */
    struct three_node *deposed = old;
    deposed->paused = true;
    three_find_leader(&three);
    publish(1);
    deposed->paused = false;
    reading_start(&late, &old->home);
    for (unsigned i = 0; i < 50; i++) {
        three_wait(&three, 100);
        cr_assert(reading.done == 0 || reading.err == ERR_UNAVAILABLE);
        cr_assert(late.done == 0 || late.err == ERR_UNAVAILABLE);
    }
    three_wait(&three, 1000);
    cr_assert_eq(reading.done + late.done, 2u);
}

Test(read_index, a_leader_that_was_deposed_asks_the_next_one)
{
    struct reading reading;
    struct three_node *old = three.leader;
    three_isolate(old);
    reading_start(&reading, &old->home);
    three_settle(&three);
    old->paused = true;
    three_find_leader(&three);
    publish(2);
    old->paused = false;
    three_heal(old);
    three_wait(&three, 1000);
    expect_read(&reading, 2);
}

Test(read_index, is_asked_again_of_the_next_leader)
{
    struct reading reading;
    publish(2);
    struct three_node *old = three.leader;
    three_hold(three.a, old, true);
    struct three_node *a = three.a;
    reading_start(&reading, &a->home);
    three_step(a);
    three_isolate(old);
    old->paused = true;
    three_find_leader(&three);
    three_wait(&three, 300);
    three_hold(a, old, false);
    expect_read(&reading, 2);
}

Test(read_index, a_question_that_was_lost_is_asked_again)
{
    struct reading reading;
    three_hold(three.a, three.leader, true);
    reading_start(&reading, &three.a->home);
    three_step(three.a);
    three_cut(three.a, three.leader);
    three_hold(three.a, three.leader, false);
    three_join(three.a, three.leader);
    three_wait(&three, 200);
    expect_read(&reading, 0);
}

Test(read_index, a_question_that_found_no_room_on_the_way_is_asked_again)
{
    struct reading reading;
    three_fill(three.a, three.leader, true);
    reading_start(&reading, &three.a->home);
    three_step(three.a);
    three_fill(three.a, three.leader, false);
    three_wait(&three, 600);
    expect_read(&reading, 0);
}

static void deliver_all(struct three_node *from, struct three_node *to)
{
    for (size_t left = three_on_wire(from, to, FRAME_PEER_RAFT) + three_on_wire(from, to, FRAME_PEER_GATEWAY); left > 0;
         left--) {
        three_deliver_one(from, to);
    }
}

/* The round for the first question is still under way when the node asks again, for a read that came since. */
Test(read_index, a_later_question_is_not_answered_by_an_earlier_round)
{
    struct reading first;
    struct reading second;
    struct three_node *leader = three.leader;
    three_hold(three.a, leader, true);
    three_hold(three.b, leader, true);
    reading_start(&first, &three.a->home);
    three_step(three.a);
    deliver_all(three.a, leader);
    three_settle(&three);
    reading_start(&second, &three.a->home);
    three_wait(&three, 210);
    deliver_all(three.a, leader); /* Asked again, together with the second. */
    cr_assert_eq(first.done + second.done, 0u, "the answers to the round are still on their way");
    shard_step(leader->shard);
    deliver_all(three.b, leader);
    three_settle(&three);
    cr_assert_eq(first.done + second.done, 0u);
    three_hold(three.a, leader, false);
    three_hold(three.b, leader, false);
    three_wait(&three, 300);
    expect_read(&first, 0);
    expect_read(&second, 0);
}

Test(read_index, cancelled_it_is_not_done)
{
    struct reading waiting;
    struct reading asked;
    struct gateway *gateway = three.a->home.gateway;
    reading_start(&asked, &three.a->home);
    three_step(three.a);
    reading_start(&waiting, &three.a->home);
    gateway->ops->read_cancel(gateway, &asked.read);
    gateway->ops->read_cancel(gateway, &waiting.read);
    three_wait(&three, READ_TIMEOUT_MS + 500);
    cr_assert_eq(waiting.done + asked.done, 0u);
    struct reading done;
    reading_start(&done, &three.a->home);
    three_wait(&three, CLIENT_ANSWER_MS);
    expect_read(&done, 0);
    gateway->ops->read_cancel(gateway, &done.read);
    cr_assert_eq(shard_unanswered(three.a->shard), 0u);
}

Test(read_index, without_a_leader_it_ends_after_some_seconds)
{
    struct reading reading;
    three_isolate(three.a);
    reading_start(&reading, &three.a->home);
    three_wait(&three, READ_TIMEOUT_MS - 100);
    cr_assert_eq(reading.done, 0u);
    three_wait(&three, 500);
    cr_assert_eq(reading.done, 1u);
    cr_assert_eq(reading.err, ERR_UNAVAILABLE);
}

/* The round that an earlier process of the node asked for is still under way when the next process asks: what it brings is
 * older than the question. */
Test(read_index, an_answer_for_the_process_before_is_not_taken)
{
    struct reading before;
    struct reading after;
    struct three_node *leader = three.leader;
    struct three_node *asker = three.b;
    three_hold(three.a, leader, true); /* No majority answers. */
    reading_start(&before, &asker->home);
    three_step(asker);
    while (three_on_wire(asker, leader, FRAME_PEER_GATEWAY) > 0) {
        three_deliver_one(asker, leader);
    }
    three_hold(asker, leader, true);
    three_step(leader);
    three_crash(asker);
    three_restart(asker);
    three_hold(leader, three.a, true);
    three_wait(&three, 2 * THREE_HEARTBEAT_MS); /* It knows who leads. */
    reading_start(&after, &asker->home);
    three_settle(&three);
    size_t questions = three_on_wire(asker, leader, FRAME_PEER_GATEWAY);
    cr_assert_gt(questions, 0u);
    three_hold(leader, three.a, false);
    three_hold(three.a, leader, false); /* The majority answers. */
    three_settle(&three);
    cr_assert_eq(three_on_wire(asker, leader, FRAME_PEER_GATEWAY), questions, "the new question is on its way");
    cr_assert_eq(after.done, 0u);
    three_hold(asker, leader, false);
    three_wait(&three, 300);
    expect_read(&after, 0);
}
