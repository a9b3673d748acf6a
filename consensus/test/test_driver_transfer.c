/* Handing leadership over. */

#include <criterion/criterion.h>

#include "fixture.h"

static uint64_t term_of(const struct fixture *f)
{
    return raft_current_term(&f->driver->raft);
}

Test(driver_transfer, leadership_is_handed_over)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    fixture_forget(&f);
    cr_assert_eq(driver_transfer(f.driver, 9), ERR_NOT_FOUND);
    cr_assert_eq(driver_transfer(f.driver, 2), 0);
    const struct raft_message *now = fixture_last(&f, 2, RAFT_TIMEOUT_NOW);
    cr_assert_not_null(now);
    cr_assert_eq(now->timeout_now.last_log_index, log_last_index(f.driver->log));
    cr_assert_not(driver_ready(f.driver));
    struct log_entry entry = fixture_entry(0, "y");
    uint64_t index;
    uint64_t term;
    cr_assert_eq(driver_submit(f.driver, entry.payload, &index, &term), ERR_NOT_LEADER);
    slice_unref(&entry.payload);
    fixture_done(&f);
}

/* Two others are a majority without our disk: they can take over although nothing is stored here. */
Test(driver_transfer, a_leader_whose_disk_hangs_hands_over)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t index = fixture_submit(&f, "x");
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index - 1), 0);
    f.now_ms += 100;
    driver_step(f.driver);
    cr_assert_eq(fixture_status(&f).disk_wait_ms, 100u);
    cr_assert_lt(fixture_status(&f).log_stored, index);
    fixture_forget(&f);
    cr_assert_eq(driver_transfer(f.driver, 0), 0);
    const struct raft_message *now = fixture_last(&f, 2, RAFT_TIMEOUT_NOW);
    cr_assert_not_null(now, "node 2 holds everything");
    cr_assert_eq(now->timeout_now.last_log_index, index);
    cr_assert_eq(driver_transfer(f.driver, 0), 0, "it is under way");
    cr_assert_eq(driver_transfer(f.driver, 2), 0);
    cr_assert_eq(driver_transfer(f.driver, 3), ERR_BUSY);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(fixture_status(&f).disk_wait_ms, 0u);
    fixture_done(&f);
}

Test(driver_transfer, the_successor_is_alive_and_holds_most)
{
    struct fixture f;
    fixture_init(&f, 5);
    fixture_lead(&f);
    uint64_t before = log_last_index(f.driver->log);
    fixture_submit(&f, "x");
    uint64_t index = fixture_submit(&f, "y");
    cr_assert_eq(fixture_result(&f, 4, term_of(&f), 0, index), 0);
    f.now_ms += 299;
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, before), 0);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index - 1), 0);
    f.now_ms += 1;
    cr_assert_eq(driver_transfer(f.driver, 0), 0);
    cr_assert_eq(raft_transferee(&f.driver->raft), 3u, "node 4 has not been heard of, node 5 neither");
    fixture_done(&f);
}

Test(driver_transfer, with_nobody_alive_there_is_no_successor)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    f.now_ms += 300;
    cr_assert_eq(driver_transfer(f.driver, 0), ERR_NOT_FOUND);
    fixture_done(&f);
}

/* The engine tells the successor at its first answer, when it is still storing what follows, and then is deaf. */
Test(driver_transfer, a_successor_is_told_when_it_holds_everything_and_again)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    fixture_submit(&f, "x");
    uint64_t index = fixture_submit(&f, "y");
    cr_assert_eq(driver_transfer(f.driver, 2), 0);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index - 1), 0);
    driver_step(f.driver);
    fixture_forget(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    driver_step(f.driver);
    cr_assert_not_null(fixture_last(&f, 2, RAFT_TIMEOUT_NOW));
    cr_assert_eq(fixture_last(&f, 2, RAFT_TIMEOUT_NOW)->timeout_now.last_log_index, index);
    fixture_forget(&f);
    driver_step(f.driver);
    cr_assert_null(fixture_last(&f, 2, RAFT_TIMEOUT_NOW));
    f.now_ms += 50;
    driver_step(f.driver);
    cr_assert_not_null(fixture_last(&f, 2, RAFT_TIMEOUT_NOW), "the first may have been lost");
    cr_assert_null(fixture_last(&f, 3, RAFT_TIMEOUT_NOW));
    fixture_done(&f);
}

Test(driver_transfer, a_successor_that_does_nothing_is_given_up)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    cr_assert_eq(driver_transfer(f.driver, 2), 0);
    cr_assert_not(driver_ready(f.driver));
    for (int i = 0; i < 7; i++) {
        f.now_ms += 50;
        cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, log_last_index(f.driver->log)), 0);
        driver_step(f.driver);
    }
    cr_assert(driver_ready(f.driver));
    cr_assert_eq(driver_transfer(f.driver, 3), 0, "and another can be asked");
    fixture_done(&f);
}
