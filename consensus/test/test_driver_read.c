/* Read indexes: no answer without a majority that is still in the leader's term. */

#include <criterion/criterion.h>

#include "fixture.h"
#include "proto/base/fault.h"

static uint64_t ask(struct fixture *f)
{
    uint64_t round = 0;
    cr_assert_eq(driver_read(f->driver, &round), 0);
    cr_assert_gt(round, 0u);
    return round;
}

static uint64_t term_of(const struct fixture *f)
{
    return raft_current_term(&f->driver->raft);
}

static void lead(struct fixture *f, unsigned members)
{
    fixture_init(f, members);
    fixture_lead(f);
    fixture_forget(f);
}

Test(driver_read, a_majority_of_the_same_term_answers)
{
    struct fixture f;
    lead(&f, 5);
    uint64_t commit = raft_commit_index(&f.driver->raft);
    uint64_t round = ask(&f);
    cr_assert_eq(f.sent_len, 0u, "the turn gathers");
    cr_assert_leq(driver_deadline_ms(f.driver), f.now_ms);
    driver_step(f.driver);
    for (uint64_t node = 2; node <= 5; node++) {
        const struct fixture_sent *ping = fixture_last_read(&f, node, MESSAGE_READ_PING);
        cr_assert_not_null(ping);
        cr_assert_eq(ping->round, round);
        cr_assert_eq(ping->term, term_of(&f));
    }
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), round), 0);
    }
    driver_step(f.driver);
    cr_assert_eq(f.reads, 0u, "two of five, one of them again and again");
    cr_assert_eq(fixture_say_read(&f, 5, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 1u);
    cr_assert_eq(f.read_round, round);
    cr_assert_eq(f.read_index, commit);
    cr_assert_eq(fixture_say_read(&f, 4, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 1u, "once");
    cr_assert_eq(log_last_index(f.driver->log), commit, "without an entry");
    fixture_done(&f);
}

Test(driver_read, the_index_is_that_of_the_moment_when_the_round_begins)
{
    struct fixture f;
    lead(&f, 3);
    ask(&f);
    uint64_t index = fixture_submit(&f, "x");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    driver_step(f.driver);
    uint64_t later = fixture_submit(&f, "y");
    fixture_disk(&f);
    fixture_acknowledge(&f);
    cr_assert_eq(raft_commit_index(&f.driver->raft), later);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), 1), 0);
    cr_assert_eq(f.read_index, index);
    fixture_done(&f);
}

Test(driver_read, what_is_asked_for_during_a_round_waits_for_the_next)
{
    struct fixture f;
    lead(&f, 3);
    uint64_t first = ask(&f);
    cr_assert_eq(ask(&f), first, "one turn, one round");
    driver_step(f.driver);
    fixture_forget(&f);
    uint64_t second = ask(&f);
    cr_assert_gt(second, first);
    driver_step(f.driver);
    cr_assert_null(fixture_last_read(&f, 2, MESSAGE_READ_PING), "one at a time");
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), first), 0);
    cr_assert_eq(f.read_round, first);
    driver_step(f.driver);
    cr_assert_eq(fixture_last_read(&f, 2, MESSAGE_READ_PING)->round, second);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), first), 0);
    cr_assert_eq(f.reads, 1u, "the answer to an older round");
    cr_assert_eq(fixture_say_read(&f, 3, MESSAGE_READ_PONG, term_of(&f), second), 0);
    cr_assert_eq(f.read_round, second);
    fixture_done(&f);
}

Test(driver_read, an_answer_of_another_term_does_not_count)
{
    struct fixture f;
    lead(&f, 3);
    uint64_t round = ask(&f);
    driver_step(f.driver);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f) - 1, round), 0);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f) + 1, round), 0);
    cr_assert_eq(f.reads, 0u);
    cr_assert_eq(fixture_say_read(&f, 9, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 0u, "nor one of a stranger");
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 1u);
    fixture_done(&f);
}

Test(driver_read, a_member_without_a_vote_does_not_count)
{
    struct fixture f;
    lead(&f, 3);
    struct log_entry change = fixture_change(1, (uint64_t[]){1, 2, 3}, 3, 4);
    struct raft_configuration next;
    const char *why = "";
    cr_assert_eq(configuration_decode(change.payload.data, change.payload.len, &next), 0);
    cr_assert_eq(driver_propose_members(f.driver, &next, &why), 0, "%s", why);
    raft_configuration_close(&next);
    slice_unref(&change.payload);
    uint64_t round = ask(&f);
    driver_step(f.driver);
    cr_assert_null(fixture_last_read(&f, 4, MESSAGE_READ_PING));
    cr_assert_eq(fixture_say_read(&f, 4, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 0u);
    cr_assert_eq(fixture_say_read(&f, 3, MESSAGE_READ_PONG, term_of(&f), round), 0);
    cr_assert_eq(f.reads, 1u);
    fixture_done(&f);
}

Test(driver_read, a_question_without_a_majority_is_asked_again_each_heartbeat)
{
    struct fixture f;
    lead(&f, 3);
    uint64_t round = ask(&f);
    driver_step(f.driver);
    fixture_forget(&f);
    f.now_ms += 49;
    driver_step(f.driver);
    cr_assert_null(fixture_last_read(&f, 2, MESSAGE_READ_PING));
    cr_assert_leq(driver_deadline_ms(f.driver), f.now_ms + 1);
    f.now_ms += 1;
    driver_step(f.driver);
    cr_assert_eq(fixture_last_read(&f, 2, MESSAGE_READ_PING)->round, round);
    cr_assert_eq(f.reads, 0u);
    fixture_done(&f);
}

Test(driver_read, a_deposed_leader_never_answers)
{
    struct fixture f;
    lead(&f, 3);
    uint64_t term = term_of(&f);
    uint64_t round = ask(&f);
    driver_step(f.driver);
    uint64_t next = ask(&f);
    fixture_forget(&f);
    cr_assert_eq(fixture_append(&f, 3, term + 1, 1, 1, 1, NULL, 0), 0);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term, round), 0);
    driver_step(f.driver);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term, next), 0);
    cr_assert_eq(driver_read(f.driver, &round), ERR_NOT_LEADER);
    cr_assert_null(fixture_last_read(&f, 2, MESSAGE_READ_PING));
    fixture_forget(&f);
    fixture_lead(&f);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), next), 0);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), round), 0);
    driver_step(f.driver);
    cr_assert_eq(f.reads, 0u, "not even when it leads again");
    cr_assert_null(fixture_last_read(&f, 2, MESSAGE_READ_PING));
    uint64_t newer = ask(&f);
    cr_assert_gt(newer, next);
    driver_step(f.driver);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PONG, term_of(&f), newer), 0);
    cr_assert_eq(f.read_round, newer);
    fixture_done(&f);
}

Test(driver_read, not_before_an_entry_of_the_own_term_is_committed)
{
    struct fixture f;
    uint64_t round;
    fixture_init(&f, 3);
    fixture_time_out(&f);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE_RESULT};
    vote.request_vote_result = (struct raft_request_vote_result){.term = 2, .vote_granted = true, .pre_vote = true};
    cr_assert_eq(fixture_say(&f, 2, &vote), 0);
    vote.request_vote_result.pre_vote = false;
    cr_assert_eq(fixture_say(&f, 2, &vote), 0);
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_LEADER);
    cr_assert_eq(driver_read(f.driver, &round), ERR_NOT_LEADER);
    fault_set(FAULT_SKIP_READ_TERM, true);
    cr_assert_eq(driver_read(f.driver, &round), 0, "without the check it would be");
    fault_reset();
    fixture_disk(&f);
    fixture_acknowledge(&f);
    cr_assert_eq(driver_read(f.driver, &round), 0);
    fixture_done(&f);
}

Test(driver_read, a_node_alone_answers_in_its_next_turn)
{
    struct fixture f;
    fixture_init(&f, 1);
    driver_step(f.driver);
    fixture_disk(&f);
    driver_step(f.driver);
    uint64_t round = ask(&f);
    cr_assert_eq(f.reads, 0u);
    driver_step(f.driver);
    cr_assert_eq(f.read_round, round);
    cr_assert_eq(f.read_index, raft_commit_index(&f.driver->raft));
    cr_assert_gt(driver_deadline_ms(f.driver), f.now_ms);
    fixture_done(&f);
}

Test(driver_read, a_follower_answers_in_its_own_term_alone)
{
    struct fixture f;
    fixture_init(&f, 3);
    cr_assert_eq(fixture_append(&f, 2, 5, 1, 1, 1, NULL, 0), 0);
    fixture_forget(&f);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PING, 4, 7), 0);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PING, 6, 7), 0);
    cr_assert_eq(f.sent_len, 0u);
    cr_assert_eq(raft_current_term(&f.driver->raft), 5u);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PING, 5, 7), 0);
    const struct fixture_sent *pong = fixture_last_read(&f, 2, MESSAGE_READ_PONG);
    cr_assert_not_null(pong);
    cr_assert_eq(pong->term, 5u);
    cr_assert_eq(pong->round, 7u);
    cr_assert_eq(fixture_say_read(&f, 2, MESSAGE_READ_PING, 5, 0), ERR_BROKEN);
    fixture_done(&f);
}

/* A leader that nobody hears any more, and of whose successor it knows nothing. */
Test(driver_read, without_the_round_a_leader_that_is_cut_off_answers)
{
    struct fixture f;
    lead(&f, 3);
    ask(&f);
    driver_step(f.driver);
    cr_assert_eq(f.reads, 0u);
    fixture_done(&f);
    lead(&f, 3);
    fault_set(FAULT_SKIP_READ_ROUND, true);
    ask(&f);
    driver_step(f.driver);
    fault_reset();
    cr_assert_eq(f.reads, 1u);
    fixture_done(&f);
}
