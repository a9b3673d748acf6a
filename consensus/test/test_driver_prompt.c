/* Who waits for what is committed hears of it at once. */

#include <criterion/criterion.h>

#include "fixture.h"

static void lead(struct fixture *f)
{
    fixture_init(f, 3);
    fixture_lead(f);
    f->now_ms += 50;
    driver_step(f->driver); /* A heartbeat tells all of them of what there is. */
    fixture_forget(f);
}

static uint64_t submit_stored(struct fixture *f)
{
    uint64_t index = fixture_submit(f, "x");
    fixture_disk(f);
    fixture_forget(f);
    return index;
}

static uint64_t term_of(const struct fixture *f)
{
    return raft_current_term(&f->driver->raft);
}

Test(driver_prompt, a_commit_is_told_without_waiting_for_a_heartbeat)
{
    struct fixture f;
    lead(&f);
    driver_set_prompt(f.driver, 3, true);
    uint64_t index = submit_stored(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 0u, "node 3 does not hold the entry yet, and node 2 does not wait");
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index), 0);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 1u);
    const struct raft_append_entries *told = &fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries;
    cr_assert_eq(told->leader_commit, index);
    cr_assert_eq(told->prev_log_index, index);
    cr_assert_eq(told->prev_log_term, term_of(&f));
    cr_assert_eq(told->n_entries, 0u);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 1u, "once");
    /* Its answer, and a late one, change nothing. */
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index), 0);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), index, index - 1), 0);
    driver_step(f.driver);
    raft_index match;
    cr_assert_eq(raft_match_index(&f.driver->raft, 3, &match), 0);
    cr_assert_eq(match, index);
    fixture_forget(&f);
    uint64_t next = fixture_submit(&f, "y");
    cr_assert_eq(fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries.prev_log_index, next - 1,
                 "the pipeline goes on");
    cr_assert_eq(fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries.n_entries, 1u);
    fixture_done(&f);
}

Test(driver_prompt, nobody_else_is_told_more)
{
    struct fixture f;
    lead(&f);
    submit_stored(&f);
    fixture_acknowledge(&f);
    cr_assert_eq(f.sent_len, 0u);
    driver_set_prompt(f.driver, 2, true);
    driver_set_prompt(f.driver, 2, false);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 0u);
    driver_set_prompt(f.driver, 2, true);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 1u, "who begins to wait is told what there is");
    fixture_done(&f);
}

Test(driver_prompt, under_load_the_next_entry_tells_it)
{
    struct fixture f;
    lead(&f);
    driver_set_prompt(f.driver, 2, true);
    driver_set_prompt(f.driver, 3, true);
    fixture_submit(&f, "x");
    for (int i = 0; i < 20; i++) {
        uint64_t stored = log_last_index(f.driver->log);
        fixture_submit(&f, "x");
        fixture_disk(&f);
        fixture_forget(&f);
        cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, stored), 0);
        cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, stored), 0);
        fixture_submit(&f, "x");
        driver_step(f.driver);
        cr_assert_eq(f.sent_len, 2u, "one entry to each");
        cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, stored + 1), 0);
        cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, stored + 1), 0);
    }
    fixture_done(&f);
}

/* A commit index beyond what a message brings is not taken over: it has not been told. */
Test(driver_prompt, who_could_not_make_use_of_it_is_told_again)
{
    struct fixture f;
    lead(&f);
    driver_set_prompt(f.driver, 3, true);
    uint64_t match = log_last_index(f.driver->log);
    fixture_submit(&f, "x");
    uint64_t index = fixture_submit(&f, "y");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), index, match), 0); /* Back to probing. */
    const struct raft_message *sent = NULL;
    for (int i = 0; i < 20 && (sent == NULL || sent->append_entries.n_entries > 0); i++) {
        f.now_ms += 50;
        fixture_forget(&f);
        if (driver_peer_find(f.driver, 3)->offers == 2) { /* The next offer comes without the entries. */
            cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
        }
        cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, match), 0);
        driver_step(f.driver);
        sent = fixture_last(&f, 3, RAFT_APPEND_ENTRIES);
    }
    cr_assert_eq(sent->append_entries.prev_log_index, match);
    cr_assert_eq(sent->append_entries.leader_commit, index);
    fixture_forget(&f);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index), 0); /* It had got them, and has stored them now. */
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 1u);
    cr_assert_eq(fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries.prev_log_index, index);
    fixture_done(&f);
}

Test(driver_prompt, who_was_lost_is_told_again)
{
    struct fixture f;
    lead(&f);
    driver_set_prompt(f.driver, 2, true);
    driver_step(f.driver);
    fixture_forget(&f);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 0u);
    driver_peer_lost(f.driver, 2);
    driver_step(f.driver);
    cr_assert_eq(f.sent_len, 1u);
    fixture_done(&f);
}

Test(driver_prompt, a_follower_applies_what_it_is_told)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct log_entry entries[] = {fixture_entry(2, "a"), fixture_entry(2, "b")};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, entries, 2), 0);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 0u);
    fixture_forget(&f);
    f.now_ms += 200;
    cr_assert_eq(fixture_append(&f, 2, 2, 3, 2, 3, NULL, 0), 0);
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 2u);
    const struct raft_append_entries_result *answer =
        &fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT)->append_entries_result;
    cr_assert_eq(answer->rejected, 0u);
    cr_assert_eq(answer->last_log_index, 3u);
    cr_assert_geq(driver_deadline_ms(f.driver), f.now_ms + 300, "it counts as a heartbeat");
    fixture_done(&f);
}
