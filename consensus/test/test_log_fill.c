/* Zeroes are written ahead when the disk has nothing else to do for the log, and never touch a batch: the simulated disk
 * ends the test where they would. */

#include <criterion/criterion.h>

#include "log_fixture.h"

#define AHEAD (256u << 10)
#define PIECE (128u << 10)

static void start(struct log_fixture *f, uint64_t segment_len)
{
    log_fixture_init(f, segment_len);
    f->fill_len = AHEAD;
    cr_assert_eq(log_fixture_open(f), 0, "%s", f->recovery.detail);
}

/* What the disk has been asked to fill. */
static uint64_t filled(const struct log_fixture *f)
{
    return sim_disk_counters(f->sim)->zeroes;
}

/* Completes the oldest append: the batch, or zeroes. */
static void complete_append(struct log_fixture *f)
{
    cr_assert(sim_disk_complete_kind(f->sim, SIM_DISK_APPEND));
}

Test(log_fill, begins_after_a_batch_and_ends_where_there_is_enough)
{
    struct log_fixture f;
    start(&f, 1 << 20);
    log_fixture_flush(&f);
    cr_assert_eq(filled(&f), 0, "nothing is filled before the segment is begun");
    log_fixture_append(&f, 1, 1);
    complete_append(&f);
    cr_assert_eq(f.promised, 1);
    cr_assert_eq(filled(&f), PIECE);
    cr_assert_not(log_idle(f.log), "its file may not be closed");
    log_fixture_flush(&f);
    cr_assert_eq(filled(&f), AHEAD);
    cr_assert(log_idle(f.log));
    for (unsigned i = 0; i < 20; i++) {
        log_fixture_append(&f, 1, 1);
        log_fixture_flush(&f);
    }
    cr_assert_eq(filled(&f), AHEAD + PIECE, "what was used up is filled again, in pieces");
    log_fixture_done(&f);
}

Test(log_fill, does_not_come_to_it_while_there_is_something_to_write)
{
    struct log_fixture f;
    start(&f, 1 << 20);
    log_fixture_append(&f, 1, 1);
    for (unsigned i = 0; i < 20; i++) {
        log_fixture_append(&f, 1, 1);
        complete_append(&f);
        cr_assert_eq(filled(&f), 0);
    }
    log_fixture_flush(&f);
    cr_assert_eq(filled(&f), AHEAD);
    log_fixture_done(&f);
}

Test(log_fill, a_batch_that_comes_meanwhile_is_written_after_it)
{
    struct log_fixture f;
    start(&f, 1 << 20);
    log_fixture_append(&f, 1, 1);
    complete_append(&f);
    cr_assert_eq(sim_disk_pending(f.sim), 2, "a piece, and the next segment");
    log_fixture_append(&f, 100, 1);
    cr_assert_eq(sim_disk_pending(f.sim), 3);
    complete_append(&f);
    cr_assert_eq(f.promised, 1, "the piece comes first");
    cr_assert_eq(filled(&f), PIECE, "and no other before the batch");
    complete_append(&f);
    cr_assert_eq(f.promised, 101);
    log_fixture_flush(&f);
    sim_disk_crash_losing_all(f.sim);
    log_fixture_reopen(&f);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

/* Many segments of odd lengths, batches of all sizes, crashes at any moment. */
Test(log_fill, nothing_is_lost_with_it)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct log_fixture f;
        uint64_t random = seed;
        start(&f, 4096 + log_fixture_random(&random) % 60000);
        for (unsigned step = 0; step < 300; step++) {
            uint64_t draw = log_fixture_random(&random);
            if (draw % 4 == 0) {
                log_fixture_append(&f, 1 + (unsigned)(draw >> 8) % 30, 1);
            } else if (draw % 97 == 1) {
                sim_disk_crash(f.sim, log_fixture_random, &random);
                log_fixture_close(&f);
                cr_assert_eq(log_fixture_open(&f), 0, "seed %lu: %s", (unsigned long)seed, f.recovery.detail);
                cr_assert(log_fixture_keeps_promise(&f), "seed %lu", (unsigned long)seed);
                f.last = log_last_index(f.log);
                f.promised = log_stored_index(f.log);
            } else if (sim_disk_pending(f.sim) > 0) {
                sim_disk_complete_one(f.sim);
            }
        }
        log_fixture_flush(&f);
        cr_assert_eq(f.failure, 0);
        cr_assert(log_fixture_keeps_promise(&f), "seed %lu", (unsigned long)seed);
        cr_assert_gt(filled(&f), 0);
        log_fixture_done(&f);
    }
}

Test(log_fill, stays_in_its_segment)
{
    struct log_fixture f;
    start(&f, 20000);
    for (unsigned i = 0; i < 200; i++) {
        log_fixture_append(&f, 1, 1);
        log_fixture_flush(&f);
    }
    cr_assert_gt(filled(&f), 40000, "of several segments");
    cr_assert_eq(f.promised, 200);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log_fill, a_disk_that_fails_at_it_has_failed)
{
    struct log_fixture f;
    start(&f, 1 << 20);
    log_fixture_append(&f, 1, 1);
    complete_append(&f);
    sim_disk_fail_next_append(f.sim, ERR_IO);
    complete_append(&f);
    cr_assert_eq(f.failure, ERR_IO);
    log_fixture_done(&f);
}

Test(log_fill, a_reset_waits_for_it)
{
    struct log_fixture f;
    start(&f, 1 << 20);
    log_fixture_flush(&f);
    log_fixture_append(&f, 1, 1);
    while (log_stored_index(f.log) < 1) {
        complete_append(&f);
    }
    while (sim_disk_complete_kind(f.sim, SIM_DISK_OFFLOAD)) {
    }
    cr_assert_eq(log_reset(f.log, 10), ERR_BUSY);
    log_fixture_flush(&f);
    cr_assert_eq(log_reset(f.log, 10), 0);
    log_fixture_done(&f);
}
