/* A node without a vote: it follows, votes only as far as others may count it, and knows when its leader is gone; and a node
 * that alone has a vote. */

#include <criterion/criterion.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "fixture.h"

static uint64_t term_of(const struct fixture *f)
{
    return raft_current_term(&f->driver->raft);
}

/* Node 1 follows node 2 in term 2, and has no vote since entry 2. */
static void learn(struct fixture *f)
{
    fixture_init(f, 3);
    struct log_entry change = fixture_change(2, (uint64_t[]){2, 3}, 2, 1);
    cr_assert_eq(fixture_append(f, 2, 2, 1, 1, 1, &change, 1), 0);
    fixture_disk(f);
    cr_assert_eq(fixture_append(f, 2, 2, 2, 2, 2, NULL, 0), 0);
    driver_step(f->driver);
    cr_assert_eq(f->leader, 2u);
    fixture_forget(f);
}

static void run(struct fixture *f, uint64_t ms)
{
    for (uint64_t end_ms = f->now_ms + ms; f->now_ms < end_ms;) {
        f->now_ms += 10;
        driver_step(f->driver);
    }
}

static const struct raft_request_vote_result *ask(struct fixture *f, uint64_t from, uint64_t term, uint64_t last_index,
                                                  uint64_t last_term, bool pre_vote)
{
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){.term = term,
                                                   .candidate_id = from,
                                                   .last_log_index = last_index,
                                                   .last_log_term = last_term,
                                                   .pre_vote = pre_vote};
    fixture_forget(f);
    cr_assert_eq(fixture_say(f, from, &vote), 0);
    const struct raft_message *answer = fixture_last(f, from, RAFT_REQUEST_VOTE_RESULT);
    return answer != NULL ? &answer->request_vote_result : NULL;
}

Test(driver_learner, it_knows_no_leader_when_the_last_one_is_silent_and_does_not_stand)
{
    struct fixture f;
    learn(&f);
    driver_peer_lost(f.driver, 2);
    run(&f, 700);
    cr_assert_eq(f.leader, 0u);
    cr_assert_eq(f.sent_len, 0u);
    cr_assert_eq(f.role, DRIVER_FOLLOWER);
    cr_assert_eq(fixture_append(&f, 3, 3, 2, 2, 2, NULL, 0), 0);
    cr_assert_eq(f.leader, 3u);
    fixture_done(&f);
}

/* Thesis §4.1: it may have been promoted, and not know. */
Test(driver_learner, it_votes_once_a_term_for_a_log_as_good_as_its_own)
{
    struct fixture f;
    learn(&f);
    cr_assert_not(ask(&f, 3, 3, 2, 2, true)->vote_granted, "there is a leader");
    run(&f, 700);
    cr_assert(ask(&f, 3, 3, 2, 2, true)->vote_granted);
    cr_assert_not(ask(&f, 3, 3, 1, 1, false)->vote_granted);
    cr_assert(ask(&f, 3, 4, 2, 2, false)->vote_granted);
    fixture_reopen(&f, true);
    cr_assert_not(ask(&f, 2, 4, 2, 2, false)->vote_granted, "it has voted for another");
    cr_assert_eq(term_of(&f), 4u);
    cr_assert_not(configuration_votes(&f.driver->raft.configuration, 1), "for others alone");
    fixture_done(&f);
}

/* Nodes 4 and 5 were started with a configuration of five, and an empty log: another cluster. */
Test(driver_learner, nobody_votes_for_a_stranger)
{
    struct fixture f;
    fixture_init(&f, 3);
    cr_assert_null(ask(&f, 4, 2, 1, 1, true));
    cr_assert_null(ask(&f, 4, 2, 1, 1, false));
    cr_assert_eq(term_of(&f), 1u);
    cr_assert(ask(&f, 4, 2, 2, 1, false)->vote_granted, "it may have been added without our knowledge");
    fixture_done(&f);
}

/* Messages to it say what is to be known of the log; nothing of it is asked for a read, and leadership is not handed to it. */
Test(driver_learner, it_is_no_part_of_any_majority)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t index;
    const char *why;
    struct driver_change change = {.kind = DRIVER_DEMOTE, .node = 3};
    cr_assert_eq(driver_change(f.driver, &change, &index, &why), 0);
    fixture_disk(&f);
    fixture_acknowledge(&f);
    index = fixture_submit(&f, "x");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index), 0);
    cr_assert_lt(fixture_status(&f).commit_index, index);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    cr_assert_eq(fixture_status(&f).commit_index, index);
    cr_assert_eq(driver_transfer(f.driver, 3), ERR_NOT_FOUND);
    uint64_t round;
    fixture_forget(&f);
    cr_assert_eq(driver_read(f.driver, &round), 0);
    driver_step(f.driver);
    cr_assert_null(fixture_last_read(&f, 3, MESSAGE_READ_PING));
    cr_assert_eq(fixture_say_read(&f, 3, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 0u);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 1u);
    fixture_done(&f);
}

/* Node 3 is missing, and loses its vote while a round is under way, which node 2 has answered before. */
Test(driver_learner, a_read_is_answered_by_those_who_vote_by_then)
{
    struct fixture f;
    fixture_init(&f, 4);
    fixture_lead(&f);
    uint64_t round;
    uint64_t index;
    const char *why;
    struct driver_change change = {.kind = DRIVER_DEMOTE, .node = 4};
    cr_assert_eq(driver_read(f.driver, &round), 0);
    driver_step(f.driver);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 0u, "two of four");
    cr_assert_eq(driver_change(f.driver, &change, &index, &why), 0);
    driver_step(f.driver);
    cr_assert_eq(f.reads, 1u, "two of three");
    fixture_done(&f);
}

Test(driver_learner, it_hears_of_a_commit_at_once_when_clients_wait_there)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t index;
    const char *why;
    struct driver_change change = {.kind = DRIVER_DEMOTE, .node = 3};
    cr_assert_eq(driver_change(f.driver, &change, &index, &why), 0);
    fixture_disk(&f);
    fixture_acknowledge(&f);
    driver_set_prompt(f.driver, 3, true);
    index = fixture_submit(&f, "x");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index), 0);
    fixture_forget(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    driver_step(f.driver);
    const struct raft_message *told = fixture_last(&f, 3, RAFT_APPEND_ENTRIES);
    cr_assert_not_null(told);
    cr_assert_eq(told->append_entries.leader_commit, index);
    fixture_done(&f);
}

/* G6: what it had sent to others and not stored is gone when its power fails. The same indexes are given out in a new term. */
Test(driver_learner, a_lone_voter_takes_a_new_term_at_its_start)
{
    struct fixture f;
    fixture_init(&f, 1);
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_LEADER);
    uint64_t term = term_of(&f);
    uint64_t index = fixture_submit(&f, "not stored");
    fixture_reopen(&f, true);
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_LEADER);
    cr_assert_eq(term_of(&f), term + 1);
    cr_assert_eq(fixture_status(&f).voted_for, 1u);
    cr_assert_leq(fixture_submit(&f, "another"), index);
    fixture_reopen(&f, true);
    cr_assert_eq(term_of(&f), term + 2, "and has written it down");
    fixture_done(&f);
}

/* G6: it was deposed by a message of a later term, and somebody may lead in that one. */
Test(driver_learner, a_lone_voter_takes_a_new_term_when_it_hears_nothing)
{
    struct fixture f;
    fixture_init(&f, 1);
    driver_step(f.driver);
    fixture_disk(&f);
    driver_step(f.driver);
    uint64_t term = term_of(&f) + 7;
    cr_assert_eq(fixture_append(&f, 2, term, fixture_status(&f).log_last, term - 7, 1, NULL, 0), 0);
    cr_assert_eq(f.role, DRIVER_FOLLOWER);
    cr_assert_eq(term_of(&f), term);
    struct raft_message now = {.type = RAFT_TIMEOUT_NOW};
    now.timeout_now = (struct raft_timeout_now){
        .term = term, .last_log_index = fixture_status(&f).log_last, .last_log_term = term - 7};
    cr_assert_eq(fixture_say(&f, 2, &now), 0);
    cr_assert_eq(f.role, DRIVER_FOLLOWER, "not in this term");
    driver_peer_lost(f.driver, 2);
    f.now_ms += 200;
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_FOLLOWER, "nor now");
    fixture_time_out(&f);
    cr_assert_eq(f.role, DRIVER_LEADER);
    cr_assert_eq(term_of(&f), term + 1);
    fixture_reopen(&f, true);
    cr_assert_eq(term_of(&f), term + 2);
    fixture_done(&f);
}
