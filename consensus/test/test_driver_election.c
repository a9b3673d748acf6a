/* When a follower stands for election: at once when the leader has died, and not because it has slept itself. */

#include <criterion/criterion.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "fixture.h"

/* A follower of `leader` that has stored two entries of its. */
static void follow(struct fixture *f, uint64_t leader)
{
    fixture_init(f, 3);
    struct log_entry entries[] = {fixture_entry(2, "a"), fixture_entry(2, "b")};
    cr_assert_eq(fixture_append(f, leader, 2, 1, 1, 1, entries, 2), 0);
    fixture_disk(f);
    driver_step(f->driver);
    fixture_forget(f);
}

Test(driver_election, a_lost_leader_is_replaced_without_waiting_for_the_timeout)
{
    struct fixture f;
    follow(&f, 2);
    driver_peer_lost(f.driver, 3);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 0u, "node 3 does not lead");
    driver_peer_lost(f.driver, 2);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 0u, "it may live, and reach us by another connection");
    uint64_t lost_ms = f.now_ms;
    fixture_until_due(&f);
    cr_assert_leq(f.now_ms, lost_ms + 60, "a heartbeat, and some milliseconds");
    const struct raft_message *asked = fixture_last(&f, 3, RAFT_REQUEST_VOTE);
    cr_assert_not_null(asked);
    cr_assert(asked->request_vote.disrupt_leader, "node 3 may still believe in node 2");
    cr_assert_not(asked->request_vote.pre_vote);
    fixture_done(&f);
}

/* A connection has ended, and the leader reaches us by another: the one that we would have told of our vote. */
Test(driver_election, a_leader_that_is_heard_again_is_not_replaced)
{
    struct fixture f;
    follow(&f, 2);
    driver_peer_lost(f.driver, 2);
    for (int i = 0; i < 10; i++) {
        f.now_ms += 30;
        driver_step(f.driver);
        f.now_ms += 20;
        cr_assert_eq(fixture_append(&f, 2, 2, 3, 2, 3, NULL, 0), 0);
        driver_step(f.driver);
    }
    cr_assert_null(fixture_last(&f, 3, RAFT_REQUEST_VOTE));
    cr_assert_eq(f.leader, 2u);
    fixture_done(&f);
}

/* A disk on which each sync takes `slow_ms`. */
static struct fixture *slow_fixture;
static uint64_t slow_ms;
static struct disk_ops slow_ops;
static int (*quick_sync)(struct disk_file *file);

static int slow_sync(struct disk_file *file)
{
    slow_fixture->now_ms += slow_ms;
    return quick_sync(file);
}

static void make_slow(struct fixture *f, uint64_t ms)
{
    struct disk *disk = sim_disk_ops(f->disk);
    slow_fixture = f;
    slow_ms = ms;
    slow_ops = *disk->ops;
    quick_sync = slow_ops.sync;
    slow_ops.sync = slow_sync;
    disk->ops = &slow_ops;
}

static int grant_vote(struct fixture *f, uint64_t from, bool pre_vote)
{
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE_RESULT};
    vote.request_vote_result = (struct raft_request_vote_result){.term = 3, .vote_granted = true, .pre_vote = pre_vote};
    return fixture_say(f, from, &vote);
}

/* Term and vote are synced before a vote is asked for, and before it is given. Where that takes longer than the election
 * timeout, an answer must still find the candidate that asked. */
Test(driver_election, a_candidate_waits_for_voters_whose_disks_are_as_slow_as_its_own)
{
    struct fixture f;
    follow(&f, 2);
    fixture_time_out(&f);
    fixture_until_due(&f);
    make_slow(&f, 900);
    cr_assert_eq(grant_vote(&f, 3, true), 0);
    cr_assert_not(fixture_last(&f, 3, RAFT_REQUEST_VOTE)->request_vote.pre_vote);
    fixture_forget(&f);
    for (uint64_t end_ms = f.now_ms + 1000; f.now_ms < end_ms; f.now_ms++) {
        driver_step(f.driver);
    }
    cr_assert_eq(f.sent_len, 0u, "it does not begin again");
    cr_assert_eq(grant_vote(&f, 3, false), 0);
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_LEADER);
    fixture_done(&f);
}

Test(driver_election, a_voter_whose_disk_is_slow_waits_for_whom_it_voted_for)
{
    struct fixture f;
    follow(&f, 2);
    make_slow(&f, 900);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = 3, .candidate_id = 3, .last_log_index = 3, .last_log_term = 2, .disrupt_leader = true};
    cr_assert_eq(fixture_say(&f, 3, &vote), 0);
    cr_assert(fixture_last(&f, 3, RAFT_REQUEST_VOTE_RESULT)->request_vote_result.vote_granted);
    fixture_forget(&f);
    for (uint64_t end_ms = f.now_ms + 250; f.now_ms < end_ms; f.now_ms++) {
        driver_step(f.driver);
    }
    cr_assert_eq(f.sent_len, 0u);
    fixture_done(&f);
}

/* Nobody answers: it does not take one term after the other, with which it would depose a leader when it is heard again. */
Test(driver_election, a_node_left_alone_keeps_its_term)
{
    struct fixture f;
    follow(&f, 2);
    driver_peer_lost(f.driver, 2);
    fixture_until_due(&f);
    struct driver_status status;
    driver_status(f.driver, &status);
    cr_assert_eq(status.term, 3u);
    for (int i = 0; i < 20; i++) {
        fixture_forget(&f);
        f.now_ms += 1000;
        driver_step(f.driver);
        f.now_ms += 100;
        driver_step(f.driver);
        const struct raft_message *asked = fixture_last(&f, 3, RAFT_REQUEST_VOTE);
        cr_assert_not_null(asked);
        cr_assert(asked->request_vote.pre_vote);
        cr_assert_not(asked->request_vote.disrupt_leader);
    }
    driver_status(f.driver, &status);
    cr_assert_eq(status.term, 3u);
    fixture_done(&f);
}

/* Of two connections that end with a process, the other may still have something to read. */
Test(driver_election, what_a_leader_said_before_it_died_postpones_its_successor_only_a_little)
{
    struct fixture f;
    follow(&f, 2);
    driver_peer_lost(f.driver, 2);
    f.now_ms += 1;
    cr_assert_eq(fixture_append(&f, 2, 2, 3, 2, 3, NULL, 0), 0);
    driver_step(f.driver);
    fixture_until_due(&f);
    cr_assert_not_null(fixture_last(&f, 3, RAFT_REQUEST_VOTE));
    cr_assert_leq(f.now_ms, 1000u + 1 + 60);
    fixture_done(&f);
}

/* A process that comes back as a follower is no leader. */
Test(driver_election, a_vote_of_the_lost_leader_does_not_keep_it)
{
    struct fixture f;
    follow(&f, 2);
    driver_peer_lost(f.driver, 2);
    f.now_ms += 20;
    cr_assert_eq(fixture_result(&f, 2, 2, 0, 3), 0);
    fixture_until_due(&f);
    cr_assert_not_null(fixture_last(&f, 3, RAFT_REQUEST_VOTE));
    cr_assert_leq(f.now_ms, 1000u + 60);
    fixture_done(&f);
}

/* The engine keeps the name of the old leader while it takes over terms. */
Test(driver_election, the_leader_of_an_earlier_term_is_not_named_for_a_later_one)
{
    struct fixture f;
    follow(&f, 2);
    cr_assert_eq(fixture_say_read(&f, 3, MESSAGE_READ_PING, 5, 1), 0);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = 5, .candidate_id = 3, .last_log_index = 3, .last_log_term = 2, .disrupt_leader = true};
    cr_assert_eq(fixture_say(&f, 3, &vote), 0);
    cr_assert_eq(raft_current_term(&f.driver->raft), 5u);
    cr_assert_eq(f.leader, 0u);
    cr_assert_eq(fixture_append(&f, 3, 5, 3, 2, 3, NULL, 0), 0);
    cr_assert_eq(f.leader, 3u);
    fixture_done(&f);
}

Test(driver_election, entries_that_are_being_written_are_stored_before_an_election)
{
    struct fixture f;
    follow(&f, 2);
    struct log_entry entries[] = {fixture_entry(2, "c")};
    cr_assert_eq(fixture_append(&f, 2, 2, 3, 2, 3, entries, 1), 0);
    driver_peer_lost(f.driver, 2);
    f.now_ms += 60;
    driver_step(f.driver);
    cr_assert_null(fixture_last(&f, 3, RAFT_REQUEST_VOTE));
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_not_null(fixture_last(&f, 3, RAFT_REQUEST_VOTE));
    cr_assert_eq(fixture_last(&f, 3, RAFT_REQUEST_VOTE)->request_vote.last_log_index, 4u);
    fixture_done(&f);
}

/* The process was paused: the leader's heartbeats wait in the sockets, which the loop has not read when it sees the time. */
Test(driver_election, a_timeout_that_is_noticed_late_waits_for_what_is_there_to_be_read)
{
    struct fixture f;
    follow(&f, 2);
    f.now_ms = raft_timeout(&f.driver->raft) + 500;
    driver_step(f.driver);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 0u);
    cr_assert_gt(driver_deadline_ms(f.driver), f.now_ms, "and does not spin");
    cr_assert_eq(fixture_append(&f, 2, 2, 3, 2, 3, NULL, 0), 0);
    fixture_forget(&f);
    f.now_ms += 20;
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 0u);
    cr_assert_eq(f.leader, 2u);
    fixture_done(&f);
}

Test(driver_election, a_late_timeout_is_fired_when_nothing_was_there_to_be_read)
{
    struct fixture f;
    follow(&f, 2);
    f.now_ms = raft_timeout(&f.driver->raft) + 500;
    driver_step(f.driver);
    uint64_t late_ms = f.now_ms;
    fixture_until_due(&f);
    cr_assert_not_null(fixture_last(&f, 3, RAFT_REQUEST_VOTE));
    cr_assert_leq(f.now_ms, late_ms + 10);
    fixture_done(&f);
}

/* Its followers' answers are in the sockets. */
Test(driver_election, a_leader_that_was_paused_reads_before_it_gives_up)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    f.now_ms += 1000;
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_LEADER);
    cr_assert_eq(fixture_result(&f, 2, raft_current_term(&f.driver->raft), 0, log_last_index(f.driver->log)), 0);
    f.now_ms += 10;
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_LEADER);
    f.now_ms += 1000;
    driver_step(f.driver);
    f.now_ms += 10;
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_FOLLOWER, "nobody has answered");
    fixture_done(&f);
}

/* Followers that do not hear it have elected another one by then; and to those that do it is the leader. */
Test(driver_election, a_leader_is_more_patient_than_its_followers)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t heard_ms = f.now_ms;
    for (; f.now_ms < heard_ms + 890; f.now_ms += 10) {
        fixture_forget(&f);
        driver_step(f.driver);
        cr_assert_eq(f.role, DRIVER_LEADER, "after %d ms", (int)(f.now_ms - heard_ms));
    }
    cr_assert_eq(fixture_result(&f, 2, raft_current_term(&f.driver->raft), 0, log_last_index(f.driver->log)), 0);
    heard_ms = f.now_ms;
    for (; f.role == DRIVER_LEADER && f.now_ms < heard_ms + 2000; f.now_ms += 10) {
        fixture_forget(&f);
        driver_step(f.driver);
    }
    cr_assert_geq(f.now_ms, heard_ms + 900);
    cr_assert_leq(f.now_ms, heard_ms + 1000);
    fixture_done(&f);
}
