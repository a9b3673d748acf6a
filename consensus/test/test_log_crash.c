/* The log and power failures: what was reported as stored is there afterwards, and everything there is right. */

#include <criterion/criterion.h>

#include "log_fixture.h"
#include "proto/base/fault.h"

struct tally {
    uint64_t crashes_with_loss;
    uint64_t torn;
    uint64_t truncations;
    uint64_t dropped; /* In this run, entries below were dropped at most. */
    uint64_t longer;  /* Recoveries that found entries that had not been reported. */
};

/* Appends, truncates, drops and completes at random, until the number of steps is used up. */
static void run_at_random(struct log_fixture *f, uint64_t *random, struct tally *tally)
{
    uint64_t steps = log_fixture_random(random) % 60;
    uint64_t term = log_term(f->log, log_last_index(f->log));
    for (uint64_t i = 0; i < steps; i++) {
        uint64_t dice = log_fixture_random(random) % 16;
        if (dice < 8) {
            log_fixture_append(f, 1 + (unsigned)(log_fixture_random(random) % 8), term == 0 ? ++term : term);
        } else if (dice == 8 && log_last_index(f->log) > log_first_index(f->log)) {
            uint64_t held = log_last_index(f->log) - log_first_index(f->log);
            uint64_t back = 1 + log_fixture_random(random) % (held < 20 ? held : 20);
            log_fixture_truncate(f, log_last_index(f->log) - back + 1);
            log_fixture_append(f, 1, ++term);
            tally->truncations++;
        } else if (dice == 9) {
            uint64_t index = f->promised / 2 + 1;
            tally->dropped = index > tally->dropped ? index : tally->dropped;
            cr_assert_eq(log_drop_before(f->log, index), 0);
        } else if (sim_disk_pending(f->sim) > 0) {
            sim_disk_complete_one(f->sim);
        }
    }
    cr_assert_eq(f->failure, 0);
}

/* What recovery found is what the log is from now on: entries that were in flight may or may not have made it. */
static void adopt(struct log_fixture *f)
{
    f->last = log_last_index(f->log);
    f->promised = log_stored_index(f->log);
    for (uint64_t i = log_first_index(f->log); i <= f->last; i++) {
        f->terms[i] = log_term(f->log, i);
    }
}

static void crash_and_check(struct log_fixture *f, uint64_t seed, uint64_t *random, struct tally *tally)
{
    uint64_t kind = log_fixture_random(random) % 8;
    if (kind == 0) {
        sim_disk_kill(f->sim);
    } else if (kind == 1) {
        sim_disk_crash_losing_all(f->sim);
    } else {
        sim_disk_crash(f->sim, log_fixture_random, random);
    }
    log_fixture_close(f);
    int err = log_fixture_open(f);
    cr_assert_eq(err, 0, "seed %d: %d: %s", (int)seed, err, f->recovery.detail);
    cr_assert(log_first_index(f->log) <= tally->dropped, "seed %d: the log begins too late", (int)seed);
    cr_assert(log_fixture_keeps_promise(f), "seed %d: promised %d, found %d", (int)seed, (int)f->promised,
              (int)log_last_index(f->log));
    tally->longer += log_last_index(f->log) > f->promised;
    adopt(f);
}

Test(log_crash, what_was_stored_survives_crashes_at_any_point)
{
    struct tally tally = {0};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        static struct log_fixture f;
        uint64_t random = seed;
        log_fixture_init(&f, 2048 + seed % 5 * 2048);
        tally.dropped = 1;
        f.cache_len_max = seed % 3 * 4000;
        cr_assert_eq(log_fixture_open(&f), 0);
        for (unsigned crash = 0; crash < 6; crash++) {
            run_at_random(&f, &random, &tally);
            crash_and_check(&f, seed, &random, &tally);
        }
        tally.crashes_with_loss += sim_disk_counters(f.sim)->crashes_with_loss;
        tally.torn += sim_disk_counters(f.sim)->sectors_torn;
        log_fixture_done(&f);
    }
    cr_assert(tally.crashes_with_loss > 500 && tally.torn > 1000 && tally.truncations > 500 && tally.longer > 20,
              "the test has become tame: %d %d %d %d", (int)tally.crashes_with_loss, (int)tally.torn,
              (int)tally.truncations, (int)tally.longer);
}

Test(log_crash, entries_found_after_a_kill_survive_a_power_failure_right_after)
{
    struct log_fixture f;
    log_fixture_init(&f, 8192);
    cr_assert_eq(log_fixture_open(&f), 0);
    log_fixture_append(&f, 10, 1);
    sim_disk_kill(f.sim);
    log_fixture_close(&f);
    cr_assert_eq(log_fixture_open(&f), 0);
    cr_assert_eq(log_stored_index(f.log), 10);
    f.promised = 10;
    sim_disk_crash_losing_all(f.sim);
    log_fixture_close(&f);
    cr_assert_eq(log_fixture_open(&f), 0);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

/* The sync of a batch failed, and the process ended. What it reads again is not on disk, and syncing it is not enough. */
Test(log_crash, entries_found_after_a_failed_sync_survive_a_power_failure)
{
    for (unsigned before = 0; before < 3; before++) {
        struct log_fixture f;
        log_fixture_init(&f, 8192);
        cr_assert_eq(log_fixture_open(&f), 0);
        log_fixture_append(&f, before, 1);
        log_fixture_flush(&f);
        log_fixture_append(&f, 10, 1);
        sim_disk_fail_writeback(f.sim);
        sim_disk_kill(f.sim);
        log_fixture_close(&f);
        cr_assert_eq(log_fixture_open(&f), 0);
        cr_assert_eq(log_stored_index(f.log), before + 10);
        f.promised = before + 10;
        sim_disk_crash_losing_all(f.sim);
        log_fixture_close(&f);
        cr_assert_eq(log_fixture_open(&f), 0, "%s", f.recovery.detail);
        cr_assert(log_fixture_keeps_promise(&f), "%u", before);
        log_fixture_done(&f);
    }
}

/* A log that crashed with a batch in flight; recovery is interrupted by another crash at its nth sync. */
static bool interrupted_recovery(uint64_t seed, uint64_t nth)
{
    static struct log_fixture f;
    uint64_t random = seed;
    log_fixture_init(&f, 2048);
    cr_assert_eq(log_fixture_open(&f), 0);
    for (unsigned i = 0; i < 6; i++) {
        log_fixture_append(&f, 2, 1);
        log_fixture_flush(&f);
    }
    log_fixture_append(&f, 6, 1);
    sim_disk_complete_kind(f.sim, SIM_DISK_OFFLOAD);
    sim_disk_crash(f.sim, log_fixture_random, &random);
    log_fixture_close(&f);
    sim_disk_fail_nth_sync(f.sim, nth, ERR_IO);
    int err = log_fixture_open(&f);
    if (err != 0) {
        sim_disk_crash(f.sim, log_fixture_random, &random);
        cr_assert_eq(err, ERR_IO);
        cr_assert_eq(log_fixture_open(&f), 0, "seed %d, sync %d: %s", (int)seed, (int)nth, f.recovery.detail);
    }
    cr_assert(log_fixture_keeps_promise(&f), "seed %d, sync %d", (int)seed, (int)nth);
    log_fixture_done(&f);
    return err != 0;
}

Test(log_crash, recovery_survives_a_crash_at_each_of_its_syncs)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t nth = 0;
        while (interrupted_recovery(seed, nth)) {
            nth++;
        }
        cr_assert_geq(nth, 6, "recovery syncs less than it did");
    }
}

/* Stores entries, one batch after the other, and loses everything that was not synced; whether the promise held. */
static bool promise_holds_after_losing_all(bool skip_sync)
{
    struct log_fixture f;
    log_fixture_init(&f, 8192);
    cr_assert_eq(log_fixture_open(&f), 0);
    log_fixture_append(&f, 5, 1);
    log_fixture_flush(&f);
    fault_set(FAULT_SKIP_LOG_SYNC, skip_sync);
    log_fixture_append(&f, 5, 1);
    log_fixture_flush(&f);
    fault_reset();
    cr_assert_eq(f.promised, 10);
    sim_disk_crash_losing_all(f.sim);
    log_fixture_close(&f);
    bool holds = log_fixture_open(&f) == 0 && log_fixture_keeps_promise(&f);
    log_fixture_done(&f);
    return holds;
}

Test(log_crash, without_the_sync_the_promise_is_broken)
{
    cr_assert(promise_holds_after_losing_all(false));
    cr_assert_not(promise_holds_after_losing_all(true));
}

Test(log_crash, a_torn_batch_is_cut_and_never_comes_back)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct log_fixture f;
        uint64_t random = seed;
        log_fixture_init(&f, 16384);
        cr_assert_eq(log_fixture_open(&f), 0);
        log_fixture_append(&f, 10, 1);
        log_fixture_flush(&f);
        log_fixture_append(&f, 30, 1);
        sim_disk_crash(f.sim, log_fixture_random, &random);
        log_fixture_close(&f);
        cr_assert_eq(log_fixture_open(&f), 0, "%s", f.recovery.detail);
        uint64_t found = log_last_index(f.log);
        cr_assert(found == 10 || found == 40);
        f.last = found;
        log_fixture_append(&f, 1, 2);
        log_fixture_flush(&f);
        log_fixture_close(&f);
        cr_assert_eq(log_fixture_open(&f), 0, "%s", f.recovery.detail);
        cr_assert_eq(log_last_index(f.log), found + 1);
        cr_assert_eq(log_term(f.log, found + 1), 2);
        cr_assert_eq(f.recovery.torn_bytes, 0);
        log_fixture_done(&f);
    }
}

/* Segments are dropped one by one, and the process may end between two of them. The one that is then the first may have
 * nothing in it but a torn batch, which was to replace entries that are all the same in the segments before. */
Test(log_crash, a_log_whose_first_segment_holds_only_what_was_cut)
{
    struct log_fixture f;
    log_fixture_init(&f, 8192);
    cr_assert_eq(log_fixture_open(&f), 0);
    log_fixture_append(&f, 5, 1);
    log_fixture_flush(&f);
    sim_disk_kill(f.sim);
    log_fixture_close(&f);
    cr_assert_eq(log_fixture_open(&f), 0);
    log_fixture_truncate(&f, 4);
    log_fixture_append(&f, 1, 2);
    sim_disk_kill(f.sim);
    log_fixture_close(&f);
    cr_assert_eq(sim_disk_corrupt(f.sim, LOG_DIR "/00000002.log", 580, 1), 0);
    cr_assert_eq(log_fixture_open(&f), 0, "%s", f.recovery.detail);
    cr_assert_eq(log_last_index(f.log), 5);
    f.terms[4] = 1;
    f.terms[5] = 1;
    f.last = 5;
    log_fixture_append(&f, 20, 3);
    log_fixture_flush(&f);
    log_fixture_close(&f);
    struct disk *disk = sim_disk_ops(f.sim);
    cr_assert_eq(disk->ops->remove(disk, LOG_DIR "/00000001.log"), 0);
    cr_assert_eq(log_fixture_open(&f), 0, "%s", f.recovery.detail);
    cr_assert_eq(log_first_index(f.log), 6);
    cr_assert_eq(log_last_index(f.log), 25);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}
