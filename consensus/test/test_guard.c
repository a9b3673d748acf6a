/* The ten guards, each shown twice: with it the promise holds, and with it taken out the same events break the promise. */

#include "consensus/guard.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "proto/base/fault.h"

/* A follower of node 2 in term 2 that has stored `count` commands from index 2 on, with `commit` committed. */
static void follow(struct fixture *f, unsigned count, uint64_t commit)
{
    struct log_entry entries[8];
    for (unsigned i = 0; i < count; i++) {
        entries[i] = fixture_entry(2, "x");
    }
    cr_assert_eq(fixture_append(f, 2, 2, 1, 1, 1, entries, count), 0);
    fixture_disk(f);
    cr_assert_eq(fixture_append(f, 2, 2, 1 + count, count > 0 ? 2 : 1, commit, NULL, 0), 0);
    driver_step(f->driver);
    fixture_forget(f);
}

/* Runs the scenario with the guard, which must keep the promise, and without, which must break it. */
static void with_and_without(enum fault fault, bool (*promise_kept)(void))
{
    fault_reset();
    cr_assert(promise_kept(), "the promise does not hold");
    fault_set(fault, true);
    bool kept = promise_kept();
    fault_reset();
    cr_assert_not(kept, "the scenario does not need the guard");
}

/* G1: the engine must note the index of the CHANGE itself, and learn when it is committed. */
static bool change_is_noted_at_its_index(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    follow(&f, 0, 1);
    struct log_entry entries[] = {fixture_entry(2, "x"), fixture_change(2, (uint64_t[]){1, 2, 3}, 3, 4),
                                  fixture_entry(2, "y")};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, entries, 3), 0);
    fixture_disk(&f);
    bool kept = f.driver->raft.configuration_uncommitted_index == 3;
    cr_assert_eq(fixture_append(&f, 2, 2, 4, 2, 4, NULL, 0), 0);
    driver_step(f.driver);
    kept = kept && f.driver->raft.configuration_uncommitted_index == 0 &&
           f.driver->raft.configuration_committed_index == 3;
    fixture_done(&f);
    return kept;
}

Test(guard, G1_a_change_is_first_in_its_message_and_reported_when_committed)
{
    with_and_without(FAULT_SKIP_G1, change_is_noted_at_its_index);
}

/* G1: of two CHANGEs that arrive together, the first is known to be committed before the second is appended, so that a
 * rollback of the second returns to the first. */
Test(guard, G1_two_changes_in_one_message_roll_back_to_the_first)
{
    struct fixture f;
    fixture_init(&f, 3);
    follow(&f, 0, 1);
    struct log_entry entries[] = {fixture_change(2, (uint64_t[]){1, 2, 3}, 3, 4), fixture_entry(2, "x"),
                                  fixture_change(2, (uint64_t[]){1, 2, 3, 4}, 4, 0)};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 2, entries, 3), 0);
    fixture_disk(&f);
    cr_assert_eq(f.driver->raft.configuration_committed_index, 2u);
    cr_assert_eq(f.driver->raft.configuration_uncommitted_index, 4u);
    struct log_entry other[] = {fixture_entry(3, "z")};
    cr_assert_eq(fixture_append(&f, 3, 3, 3, 2, 2, other, 1), 0);
    cr_assert_eq(f.driver->raft.configuration.n, 4u);
    cr_assert_eq(configuration_voters(&f.driver->raft.configuration), 3u, "node 4 is a standby again");
    fixture_done(&f);
}

/* G2: a delayed message with entries that are long committed. */
static bool commit_never_goes_back(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    follow(&f, 5, 5);
    struct log_entry entries[] = {fixture_entry(2, "x")};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 6, entries, 1), 0);
    bool kept = raft_commit_index(&f.driver->raft) >= 5;
    const struct raft_message *answer = fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT);
    kept = kept && answer != NULL && answer->append_entries_result.rejected == 0;
    fixture_done(&f);
    return kept;
}

Test(guard, G2_an_append_below_the_commit_index_is_anchored_there)
{
    with_and_without(FAULT_SKIP_G2, commit_never_goes_back);
}

static int propose(struct fixture *f, const uint64_t *voters, unsigned voters_len, uint64_t standby)
{
    struct log_entry change = fixture_change(1, voters, voters_len, standby);
    struct raft_configuration next;
    cr_assert_eq(configuration_decode(change.payload.data, change.payload.len, &next), 0);
    const char *why = "";
    int err = driver_propose_members(f->driver, &next, &why);
    cr_assert(err == 0 || why[0] != '\0', "a refusal gives its reason");
    raft_configuration_close(&next);
    slice_unref(&change.payload);
    return err;
}

/* G3: a new leader with an uncommitted entry of an older term must not change the membership yet. */
static bool change_waits_for_own_term(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    follow(&f, 1, 1);
    fixture_time_out(&f);
    fixture_disk(&f);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE_RESULT};
    vote.request_vote_result = (struct raft_request_vote_result){.term = 3, .vote_granted = true, .pre_vote = true};
    cr_assert_eq(fixture_say(&f, 2, &vote), 0);
    vote.request_vote_result.pre_vote = false;
    cr_assert_eq(fixture_say(&f, 2, &vote), 0);
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_LEADER);
    uint64_t last = log_last_index(f.driver->log);
    fixture_disk(&f);
    for (uint64_t node = 2; node <= 3; node++) { /* They have all that is older, so that nothing else is in the way. */
        cr_assert_eq(fixture_result(&f, node, 3, 0, last - 1), 0);
    }
    bool kept = propose(&f, (uint64_t[]){1, 2, 3}, 3, 4) == ERR_BUSY;
    cr_assert_eq(fixture_result(&f, 2, 3, 0, last), 0);
    driver_step(f.driver);
    kept = kept && propose(&f, (uint64_t[]){1, 2, 3}, 3, 4) == 0;
    fixture_done(&f);
    return kept;
}

Test(guard, G3_a_change_waits_until_an_entry_of_the_own_term_is_committed)
{
    with_and_without(FAULT_SKIP_G3, change_waits_for_own_term);
}

/* G3: nodes 1 to 4 vote, and 3 and 4 are silent: a membership in which 1, 3 and 4 vote is not to come into force. */
static bool change_waits_for_a_majority(void)
{
    struct fixture f;
    fixture_init(&f, 4);
    fixture_lead(&f);
    uint64_t term = raft_current_term(&f.driver->raft);
    f.now_ms += 300;
    cr_assert_eq(fixture_result(&f, 2, term, 0, log_last_index(f.driver->log)), 0);
    bool kept = propose(&f, (uint64_t[]){1, 3, 4}, 3, 2) == ERR_BUSY;
    cr_assert_eq(fixture_result(&f, 3, term, 0, log_last_index(f.driver->log)), 0);
    kept = kept && propose(&f, (uint64_t[]){1, 3, 4}, 3, 2) == 0;
    fixture_done(&f);
    return kept;
}

Test(guard, G3_a_change_waits_for_a_majority_of_those_that_vote_after_it)
{
    with_and_without(FAULT_SKIP_G3, change_waits_for_a_majority);
}

static bool change_is_of_one_other_member(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    bool kept = propose(&f, (uint64_t[]){1, 2, 4}, 3, 0) == ERR_REFUSED && /* An exchange at equal count. */
                propose(&f, (uint64_t[]){2, 3}, 2, 0) == ERR_REFUSED;      /* The leader itself. */
    fixture_done(&f);
    return kept;
}

Test(guard, G3_a_change_is_of_exactly_one_member_and_not_of_the_leader)
{
    with_and_without(FAULT_SKIP_G3, change_is_of_one_other_member);
}

/* Fills the stack below with a pattern, so that a field that the engine leaves uninitialised is not zero by luck. */
static __attribute__((noinline)) void scribble(void)
{
    volatile unsigned char space[128 * 1024];
    for (size_t i = 0; i < sizeof space; i++) {
        space[i] = 0x5a;
    }
}

/* G4: an old leader's first message (nothing before it, so nothing to reject) must not be answered with a number that it
 * could count. */
static bool old_term_is_answered_with_nothing(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    follow(&f, 3, 4);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = 9, .candidate_id = 3, .last_log_index = 9, .last_log_term = 8, .disrupt_leader = true};
    cr_assert_eq(fixture_say(&f, 3, &vote), 0);
    fixture_forget(&f);
    struct log_entry entries[] = {fixture_change(1, (uint64_t[]){1, 2, 3}, 3, 0)};
    scribble();
    cr_assert_eq(fixture_append(&f, 2, 2, 0, 0, 0, entries, 1), 0);
    const struct raft_message *answer = fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT);
    cr_assert_not_null(answer);
    bool kept = answer->append_entries_result.last_log_index == 0 && answer->append_entries_result.term == 9;
    fixture_done(&f);
    return kept;
}

Test(guard, G4_an_answer_to_an_old_term_carries_no_index)
{
    with_and_without(FAULT_SKIP_G4, old_term_is_answered_with_nothing);
}

/* G5: the disk is slow, the entries it is writing are replaced, and only then the write completes. */
static bool replaced_entries_are_not_confirmed(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    follow(&f, 0, 1);
    struct log_entry first[] = {fixture_entry(2, "a"), fixture_entry(2, "b")};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, first, 2), 0);
    struct log_entry second[] = {fixture_entry(3, "c"), fixture_entry(3, "d")};
    cr_assert_eq(fixture_append(&f, 3, 3, 1, 1, 1, second, 2), 0);
    fixture_forget(&f);
    bool kept = true;
    while (log_stored_index(f.driver->log) < 3 && f.sent_len == 0) {
        const struct raft_message *answer;
        cr_assert(fixture_disk_one(&f));
        answer = fixture_last(&f, 3, RAFT_APPEND_ENTRIES_RESULT);
        if (answer != NULL && answer->append_entries_result.last_log_index > 1) {
            /* The new leader is told that its entries are stored: is it so? A crash tells. */
            fixture_reopen(&f, true);
            kept = log_term(f.driver->log, 2) == 3;
            break;
        }
    }
    fixture_done(&f);
    return kept;
}

Test(guard, G5_a_write_in_flight_confirms_nothing_that_was_taken_back)
{
    with_and_without(FAULT_SKIP_G5, replaced_entries_are_not_confirmed);
}

static bool two_voters_remain(void)
{
    struct fixture f;
    fixture_init(&f, 2);
    fixture_lead(&f);
    bool kept = propose(&f, (uint64_t[]){1}, 1, 0) == ERR_REFUSED;
    fixture_done(&f);
    return kept;
}

Test(guard, G6_the_last_but_one_voter_stays)
{
    with_and_without(FAULT_SKIP_G6, two_voters_remain);
}

static bool refused_pre_vote_tells_our_term(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote =
        (struct raft_request_vote){.term = 9, .candidate_id = 3, .last_log_index = 1, .last_log_term = 1};
    cr_assert_eq(fixture_say(&f, 3, &vote), 0);
    fixture_forget(&f);
    vote.request_vote = (struct raft_request_vote){
        .term = 3, .candidate_id = 2, .last_log_index = 1, .last_log_term = 1, .pre_vote = true};
    cr_assert_eq(fixture_say(&f, 2, &vote), 0);
    const struct raft_message *answer = fixture_last(&f, 2, RAFT_REQUEST_VOTE_RESULT);
    cr_assert_not_null(answer);
    cr_assert_not(answer->request_vote_result.vote_granted);
    bool kept = answer->request_vote_result.term == 9;
    fixture_done(&f);
    return kept;
}

Test(guard, G7_a_refused_pre_vote_tells_our_term)
{
    with_and_without(FAULT_SKIP_G7, refused_pre_vote_tells_our_term);
}

/* A leader whose follower 2 was quiet for an election timeout, so that it is probed again; follower 3 was not. */
static void lead_with_a_quiet_follower(struct fixture *f)
{
    fixture_init(f, 3);
    fixture_lead(f);
    uint64_t term = raft_current_term(&f->driver->raft);
    for (int i = 0; i < 20; i++) {
        f->now_ms += 50;
        driver_step(f->driver);
        cr_assert_eq(fixture_result(f, 3, term, 0, log_last_index(f->driver->log)), 0);
    }
    fixture_forget(f);
}

/* G8: a rejection that is older than what is known to match reaches a probing leader. The engine lowers next_index below
 * the match index: its own assertion fails, or it sends what the follower has. */
static bool stale_rejection_changes_nothing(void)
{
    struct fixture f;
    lead_with_a_quiet_follower(&f);
    uint64_t term = raft_current_term(&f.driver->raft);
    uint64_t match = log_last_index(f.driver->log);
    cr_assert_eq(fixture_result(&f, 2, term, match, 0), 0);
    bool kept = fixture_last(&f, 2, RAFT_APPEND_ENTRIES) == NULL;
    fixture_done(&f);
    return kept;
}

Test(guard, G8_a_stale_rejection_is_dropped)
{
    fault_reset();
    cr_assert(stale_rejection_changes_nothing());
}

Test(guard, G8_without_it_the_engine_breaks, .signal = SIGABRT)
{
    fault_set(FAULT_SKIP_G8, true);
    if (!stale_rejection_changes_nothing()) {
        abort();
    }
}

/* G9: a leader whose loop turns often must not take its quiet moments for lost followers. */
static bool turns_do_not_abort_the_pipeline(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    for (int i = 0; i < 4; i++) {
        driver_step(f.driver);
    }
    fixture_forget(&f);
    uint64_t index;
    uint64_t term;
    struct log_entry entry = fixture_entry(0, "x");
    cr_assert_eq(driver_submit(f.driver, entry.payload, &index, &term), 0);
    slice_unref(&entry.payload);
    const struct raft_message *sent = fixture_last(&f, 2, RAFT_APPEND_ENTRIES);
    bool kept = sent != NULL && sent->append_entries.n_entries == 1 && driver_deadline_ms(f.driver) > f.now_ms;
    fixture_done(&f);
    return kept;
}

Test(guard, G9_a_timeout_is_fired_only_when_due)
{
    with_and_without(FAULT_SKIP_G9, turns_do_not_abort_the_pipeline);
}

/* G9: when the engine's time has long come, a leader that has just fired still waits a heartbeat. */
static bool a_leader_pauses_between_timeouts(void)
{
    struct fixture f;
    struct guards guards = {0};
    fixture_init(&f, 3);
    fixture_lead(&f);
    f.now_ms += 10000;
    cr_assert_lt(raft_timeout(&f.driver->raft), f.now_ms, "the engine's time has come");
    bool kept = guard_timeout_ms(&guards, &f.driver->raft, f.now_ms) == f.now_ms + 50 && guards.acted[9] == 1;
    fixture_done(&f);
    return kept;
}

Test(guard, G9_a_leader_fires_once_a_heartbeat)
{
    with_and_without(FAULT_SKIP_G9, a_leader_pauses_between_timeouts);
}

/* The engine's allocator, counted. */
static long outstanding;
static const struct raft_heap *base_heap;

static void *count_malloc(void *data, size_t size)
{
    (void)data;
    outstanding++;
    return base_heap->malloc(base_heap->data, size);
}

static void *count_calloc(void *data, size_t count, size_t size)
{
    (void)data;
    outstanding++;
    return base_heap->calloc(base_heap->data, count, size);
}

static void *count_realloc(void *data, void *pointer, size_t size)
{
    (void)data;
    outstanding += pointer == NULL;
    return base_heap->realloc(base_heap->data, pointer, size);
}

static void count_free(void *data, void *pointer)
{
    (void)data;
    outstanding -= pointer != NULL;
    base_heap->free(base_heap->data, pointer);
}

static bool second_install_leaks_nothing(void)
{
    struct fixture f;
    fixture_init(&f, 3);
    follow(&f, 3, 4);
    f.driver->raft.snapshot.installing = true;
    base_heap = raft_heap_get();
    struct raft_heap counting = *base_heap;
    counting.malloc = count_malloc;
    counting.free = count_free;
    counting.calloc = count_calloc;
    counting.realloc = count_realloc;
    outstanding = 0;
    raft_heap_set(&counting);
    struct raft_message install = {.type = RAFT_INSTALL_SNAPSHOT};
    install.install_snapshot =
        (struct raft_install_snapshot){.term = 2, .last_index = 4, .last_term = 2, .conf_index = 1};
    cr_assert_eq(fixture_say(&f, 2, &install), 0);
    bool kept = outstanding == 0;
    raft_heap_set_default();
    f.driver->raft.snapshot.installing = false;
    fixture_done(&f);
    return kept;
}

Test(guard, G10_a_second_install_is_dropped)
{
    with_and_without(FAULT_SKIP_G10, second_install_leaks_nothing);
}

/* Beside the guards: the engine reads a candidate's field when an answer to a pre-vote comes late, whatever it is by then,
 * and may take the term in it for its own. */
Test(guard, a_late_pre_vote_answer_changes_no_term)
{
    for (int leads = 0; leads < 2; leads++) {
        struct fixture f;
        fixture_init(&f, 3);
        if (leads) {
            fixture_lead(&f);
        } else {
            follow(&f, 2, 1);
        }
        uint64_t term = raft_current_term(&f.driver->raft);
        struct raft_message vote = {.type = RAFT_REQUEST_VOTE_RESULT};
        vote.request_vote_result = (struct raft_request_vote_result){.term = term + 1, .pre_vote = true};
        cr_assert_eq(fixture_say(&f, 3, &vote), 0);
        cr_assert_eq(raft_current_term(&f.driver->raft), term);
        fixture_done(&f);
    }
}
