/* What a change requires of the members, by its reason; and what one that is removed, or has no vote, is not taken for. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"

#define CAUGHT_UP "it has not caught up"
#define BEING_ASKED "it is being asked"

static uint64_t term_of(const struct fixture *f)
{
    return raft_current_term(&f->driver->raft);
}

static uint64_t last_of(const struct fixture *f)
{
    return log_last_index(f->driver->log);
}

/* A change that is committed at once. */
static void make(struct fixture *f, enum driver_change_kind kind, uint64_t node, const char *address)
{
    const struct driver_change change = {.kind = kind, .node = node, .address = address};
    uint64_t index;
    const char *why;
    cr_assert_eq(driver_change(f->driver, &change, &index, &why), 0, "%s", why);
    fixture_disk(f);
    cr_assert_eq(fixture_result(f, 2, term_of(f), 0, index), 0);
    driver_step(f->driver);
    cr_assert_eq(fixture_status(f).change_index, 0u);
    fixture_forget(f);
}

/* Node 1 leads three, and node 4 follows without a vote; it has said nothing. */
static void lead_with_learner(struct fixture *f)
{
    fixture_init(f, 3);
    fixture_lead(f);
    make(f, DRIVER_ADD, 4, "d:1");
}

/* So many entries of that length, which the voters have. */
static void store(struct fixture *f, uint64_t count, size_t len)
{
    static char text[100001];
    memset(text, 'x', len);
    text[len] = '\0';
    for (uint64_t i = 0; i < count; i++) {
        (void)fixture_submit(f, text);
        fixture_disk(f);
        fixture_acknowledge(f);
        fixture_forget(f);
        f->applied_len = 0;
    }
}

static void expect_no_vote_yet(struct fixture *f, const char *reason)
{
    const struct driver_change change = {.kind = DRIVER_PROMOTE, .node = 4};
    uint64_t index;
    const char *why = "";
    cr_assert_eq(driver_change(f->driver, &change, &index, &why), ERR_BUSY);
    cr_assert_eq(strncmp(why, reason, strlen(reason)), 0, "%s", why);
}

static void lags(struct fixture *f, uint64_t entries)
{
    cr_assert_eq(fixture_result(f, 4, term_of(f), 0, last_of(f) - entries), 0);
}

Test(driver_change_members, of_whom_nothing_is_known_nobody_says_that_it_has_caught_up)
{
    struct fixture f;
    lead_with_learner(&f);
    cr_assert_eq(fixture_result(&f, 4, term_of(&f), last_of(&f), 0), 0); /* It is there, and has nothing. */
    expect_no_vote_yet(&f, CAUGHT_UP);
    lags(&f, 0);
    expect_no_vote_yet(&f, BEING_ASKED);
    fixture_done(&f);
}

Test(driver_change_members, who_lacks_few_entries_has_caught_up_unless_they_are_long)
{
    struct fixture f;
    lead_with_learner(&f);
    uint64_t window = f.driver->options.window;
    store(&f, 2 * window + 12, 100000);
    lags(&f, 2 * window + 12);
    expect_no_vote_yet(&f, CAUGHT_UP);
    lags(&f, 2 * window);
    expect_no_vote_yet(&f, BEING_ASKED);
    fixture_done(&f);
}

Test(driver_change_members, who_lacks_short_entries_has_caught_up_unless_they_are_many)
{
    struct fixture f;
    lead_with_learner(&f);
    cr_assert_gt(DRIVER_INFLIGHT_MAX, 2 * f.driver->options.window);
    store(&f, DRIVER_INFLIGHT_MAX + 1, 1);
    lags(&f, DRIVER_INFLIGHT_MAX + 1);
    expect_no_vote_yet(&f, CAUGHT_UP);
    lags(&f, DRIVER_INFLIGHT_MAX);
    expect_no_vote_yet(&f, BEING_ASKED);
    fixture_done(&f);
}

/* What a node has answered before it gets its vote is true for a while only. */
Test(driver_change_members, what_it_still_has_is_asked_again_after_a_while)
{
    struct fixture f;
    lead_with_learner(&f);
    lags(&f, 0);
    expect_no_vote_yet(&f, BEING_ASKED);
    const struct raft_message *asked = fixture_last(&f, 4, RAFT_APPEND_ENTRIES);
    cr_assert_not_null(asked);
    cr_assert_eq(fixture_result(&f, 4, term_of(&f), asked->append_entries.prev_log_index, last_of(&f)), 0);
    for (int i = 0; i < 20 * 6; i++) { /* Twenty election timeouts, in heartbeats. */
        f.now_ms += 50;
        driver_step(f.driver);
        fixture_acknowledge(&f);
        lags(&f, 0);
        fixture_forget(&f);
    }
    expect_no_vote_yet(&f, BEING_ASKED);
    fixture_done(&f);
}

/* ---- Who is removed ---- */

/* The CHANGE that brings it back is in its log, and not committed as far as it knows. */
Test(driver_change_members, one_that_comes_back_is_not_removed)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct log_entry entries[] = {fixture_change(2, (uint64_t[]){2, 3}, 2, 0),
                                  fixture_change(2, (uint64_t[]){2, 3}, 2, 1)};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, &entries[0], 1), 0);
    cr_assert_eq(fixture_append(&f, 2, 2, 2, 2, 2, &entries[1], 1), 0);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(fixture_status(&f).applied_index, 2u);
    cr_assert_eq(f.removed, 0u);
    fixture_done(&f);
}

static bool is_told(struct fixture *f, uint64_t node, uint64_t index)
{
    fixture_forget(f);
    f->now_ms += 50;
    driver_step(f->driver);
    const struct raft_message *told = fixture_last(f, node, RAFT_APPEND_ENTRIES);
    return told != NULL && told->append_entries.leader_commit == index && told->append_entries.n_entries > 0;
}

Test(driver_change_members, what_one_that_is_removed_lacks_others_need_not_have)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    make(&f, DRIVER_REMOVE, 3, NULL);
    uint64_t index = last_of(&f);
    cr_assert(is_told(&f, 3, index));
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    cr_assert(is_told(&f, 3, index), "that was another one's answer");
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index), 0);
    cr_assert_not(is_told(&f, 3, index));
    fixture_done(&f);
}

Test(driver_change_members, one_that_is_added_again_hears_from_the_engine_alone)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    make(&f, DRIVER_REMOVE, 3, NULL);
    uint64_t index = last_of(&f);
    cr_assert(is_told(&f, 3, index));
    make(&f, DRIVER_ADD, 3, "c:1");
    driver_step(f.driver);
    cr_assert_eq(f.driver->feeds[DRIVER_FEED_REMOVED].id, 0u);
    fixture_done(&f);
}

/* ---- Who has no vote ---- */

/* One voter is left, and it is not this node. */
Test(driver_change_members, a_learner_beside_the_only_voter_does_not_take_itself_for_it)
{
    struct fixture f;
    fixture_init(&f, 2);
    struct log_entry entry = fixture_change(2, (uint64_t[]){2}, 1, 1);
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, &entry, 1), 0);
    fixture_disk(&f);
    cr_assert_eq(fixture_append(&f, 2, 2, 2, 2, 2, NULL, 0), 0);
    for (int i = 0; i < 20; i++) {
        fixture_until_due(&f);
        fixture_disk(&f);
    }
    cr_assert_eq(term_of(&f), 2u);
    cr_assert_eq(f.role, DRIVER_FOLLOWER);
    fixture_reopen(&f, true);
    driver_step(f.driver);
    cr_assert_eq(term_of(&f), 2u);
    fixture_done(&f);
}
