/* Histories of version 2, ended at any operation of the store, or for want of memory: what is found afterwards is a prefix of the log,
 * and with the rest applied it is what the whole log makes. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fixture.h"
#include "log_maker.h"
#include "proto/base/fault.h"
#include "store_failing.h"
#include "view.h"

#define ENTRIES 120u
#define POINTS_MAX 160u

/* A log, and what a machine that is left alone makes of it; [i] is after the entry of that index. */
struct story {
    uint64_t seed;
    struct slice log[ENTRIES + 1];
    uint64_t running[ENTRIES + 1];
    uint64_t digests[ENTRIES + 1];
    uint64_t view; /* At the end. */
};

static uint64_t digest_of(struct machine *machine)
{
    uint64_t digest;
    cr_assert_eq(machine_digest(machine, &digest), 0);
    return digest;
}

static void story_make(struct story *story, uint64_t seed, uint64_t uses)
{
    struct log_maker maker;
    struct fixture f;
    story->seed = seed;
    log_maker_init(&maker, seed, uses);
    fixture_init_empty(&f);
    story->running[0] = machine_running_digest(f.machine);
    story->digests[0] = digest_of(f.machine);
    for (size_t i = 1; i <= ENTRIES; i++) {
        story->log[i] = log_maker_next(&maker);
        cr_assert_eq(fixture_apply(&f, slice_ref(story->log[i])), 0);
        log_maker_learn(&maker, f.machine, &f.effects);
        story->running[i] = machine_running_digest(f.machine);
        story->digests[i] = digest_of(f.machine);
    }
    story->view = machine_view(f.machine);
    log_maker_done(&maker);
    fixture_done(&f);
}

static void story_done(struct story *story)
{
    for (size_t i = 1; i <= ENTRIES; i++) {
        slice_unref(&story->log[i]);
    }
}

/* A machine on a store that fails at some time. */
struct attempt {
    struct store_memory_disk *disk;
    struct store_failing failing;
    struct machine *machine;
    uint64_t index;
    uint64_t stored; /* The index of the last checkpoint that is known to be in the store. */
};

static int attempt_open(struct attempt *attempt)
{
    struct store *behind;
    struct store *store;
    struct slice consensus;
    char detail[256];
    attempt->machine = NULL;
    cr_assert_eq(store_memory_open(attempt->disk, &behind), 0);
    cr_assert_eq(store_failing_open(&attempt->failing, behind, &store), 0);
    int err = machine_open(store, &attempt->machine, &attempt->index, &consensus, detail, sizeof detail);
    if (err != 0) {
        cr_assert(err == ERR_IO || err == ERR_NOMEM);
        store->ops->close(store);
        return err;
    }
    slice_unref(&consensus);
    return 0;
}

static int attempt_apply(struct attempt *attempt, const struct story *story, uint64_t upto)
{
    struct effects effects;
    int err = 0;
    while (err == 0 && attempt->index < upto && attempt->index < ENTRIES) {
        err = machine_apply(attempt->machine, attempt->index + 1, story->log[attempt->index + 1], &effects);
        attempt->index += err == 0;
    }
    return err;
}

/* Some entries come in while the checkpoint is written. */
static int attempt_checkpoint(struct attempt *attempt, const struct story *story)
{
    struct machine_checkpoint *checkpoint;
    uint64_t index = attempt->index;
    int err = machine_checkpoint(attempt->machine, (struct slice){0}, &checkpoint);
    if (err != 0) {
        return err;
    }
    int err_applied = attempt_apply(attempt, story, index + 3);
    err = machine_checkpoint_write(checkpoint);
    machine_checkpoint_done(checkpoint, err);
    attempt->stored = err == 0 ? index : attempt->stored;
    return err_applied != 0 ? err_applied : err;
}

/* Goes through the log until something fails. */
static int attempt_run(struct attempt *attempt, const struct story *story)
{
    int err = attempt_open(attempt);
    while (err == 0 && attempt->index < ENTRIES) {
        err = attempt_apply(attempt, story, attempt->index + 4);
        if (err == 0) {
            err = attempt_checkpoint(attempt, story);
        }
        if (err == 0 && attempt->index % 3 == 0) {
            machine_close(attempt->machine);
            err = attempt_open(attempt);
        }
    }
    machine_close(attempt->machine);
    attempt->machine = NULL;
    return err;
}

/* The process has ended; another one begins. */
static void attempt_recover(struct attempt *attempt, const struct story *story, const char *what, uint64_t point)
{
    attempt->failing = (struct store_failing){0};
    cr_assert_eq(attempt_open(attempt), 0, "seed %" PRIu64 ": %s %" PRIu64, story->seed, what, point);
    cr_assert_geq(attempt->index, attempt->stored);
    cr_assert_eq(machine_running_digest(attempt->machine), story->running[attempt->index]);
    cr_assert_eq(digest_of(attempt->machine), story->digests[attempt->index],
                 "seed %" PRIu64 ": %s %" PRIu64 ": no state of the log at %" PRIu64, story->seed, what, point,
                 attempt->index);
    cr_assert_eq(attempt_apply(attempt, story, ENTRIES), 0);
    cr_assert_eq(machine_running_digest(attempt->machine), story->running[ENTRIES]);
    cr_assert_eq(digest_of(attempt->machine), story->digests[ENTRIES],
                 "seed %" PRIu64 ": %s %" PRIu64 ": another state at the end", story->seed, what, point);
    cr_assert_eq(machine_view(attempt->machine), story->view);
    machine_close(attempt->machine);
}

static uint64_t operations_of(const struct story *story)
{
    struct attempt attempt = {.disk = store_memory_disk_new()};
    cr_assert_eq(attempt_run(&attempt, story), 0);
    uint64_t operations = attempt.failing.operations;
    store_memory_disk_free(attempt.disk);
    return operations;
}

static void crash_at_operations(uint64_t seed, uint64_t uses, bool written_after_all)
{
    struct story story;
    story_make(&story, seed, uses);
    uint64_t operations = operations_of(&story);
    uint64_t step = 1 + operations / POINTS_MAX;
    for (uint64_t point = 1 + seed % step; point <= operations; point += step) {
        struct attempt attempt = {.disk = store_memory_disk_new()};
        attempt.failing.fail_at = point;
        attempt.failing.written_after_all = written_after_all;
        cr_assert_eq(attempt_run(&attempt, &story), ERR_IO, "seed %" PRIu64 ": operation %" PRIu64, seed, point);
        attempt_recover(&attempt, &story, "operation", point);
        store_memory_disk_free(attempt.disk);
    }
    story_done(&story);
}

/* Some failures are got over: what is read ahead can be read again. Returns how many were not. */
static unsigned crash_for_memory(uint64_t seed, uint64_t uses, uint64_t points)
{
    struct story story;
    story_make(&story, seed, uses);
    unsigned failures = 0;
    for (uint64_t point = 0; point < points; point++) {
        struct attempt attempt = {.disk = store_memory_disk_new()};
        fault_set_nth(FAULT_ALLOCATION, point);
        int err = attempt_run(&attempt, &story);
        fault_reset();
        cr_assert(err == 0 || err == ERR_NOMEM, "seed %" PRIu64 ": allocation %" PRIu64 ": %s", seed, point,
                  err_name(err));
        failures += err != 0;
        attempt_recover(&attempt, &story, "allocation", point);
        store_memory_disk_free(attempt.disk);
    }
    story_done(&story);
    return failures;
}

Test(crash_new, any_operation_of_the_store)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        crash_at_operations(seed, UINT64_MAX, false);
    }
}

Test(crash_new, any_operation_of_the_store_with_few_features)
{
    for (uint64_t seed = 11; seed <= 15; seed++) {
        crash_at_operations(seed, 0, false);
    }
}

Test(crash_new, a_write_that_failed_may_be_there)
{
    for (uint64_t seed = 21; seed <= 23; seed++) {
        crash_at_operations(seed, seed == 21 ? UINT64_MAX : 0, true);
    }
}

Test(crash_new, no_memory)
{
    cr_assert_gt(crash_for_memory(31, UINT64_MAX, 100), 50u);
    cr_assert_gt(crash_for_memory(32, 0, 50), 20u);
}
