/* Random logs of version 2 on two machines, one of which is checkpointed and restarted all the time: nothing tells them apart, and
 * no answer does. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fixture.h"
#include "log_maker.h"
#include "statemachine/state.h"
#include "view.h"

struct pair {
    struct log_maker maker;
    uint64_t seed;
    uint64_t random; /* For what happens to the disturbed one. */
    uint64_t work;   /* That an entry may do (work.h); 0: as much as ever. */
    struct fixture plain;
    struct fixture disturbed;
    struct machine_checkpoint *checkpoint; /* Of the disturbed one. */
    bool written;
    struct slice *log; /* log[i] is the entry of index i + 1. */
    size_t log_len;
};

static uint64_t chance(struct pair *pair, uint64_t limit)
{
    struct log_maker dice = {.random = pair->random};
    uint64_t chosen = maker_below(&dice, limit);
    pair->random = dice.random;
    return chosen;
}

/* What is bounded per entry is spread over many. */
static void limit_work(const struct pair *pair, struct fixture *f)
{
    f->machine->work.max = pair->work != 0 ? pair->work : f->machine->work.max;
}

static void checkpoint_end(struct pair *pair)
{
    if (pair->checkpoint != NULL) {
        machine_checkpoint_done(pair->checkpoint, pair->written ? 0 : ERR_IO);
        pair->checkpoint = NULL;
    }
}

static void restart(struct pair *pair)
{
    checkpoint_end(pair);
    fixture_crash(&pair->disturbed);
    limit_work(pair, &pair->disturbed);
    while (pair->disturbed.index < pair->log_len) {
        cr_assert_eq(fixture_apply(&pair->disturbed, slice_ref(pair->log[pair->disturbed.index])), 0);
    }
}

static void disturb(struct pair *pair)
{
    uint64_t what = chance(pair, 10);
    if (what == 0 && pair->checkpoint == NULL) {
        pair->written = false;
        cr_assert_eq(machine_checkpoint(pair->disturbed.machine, (struct slice){0}, &pair->checkpoint), 0);
    } else if (what == 1 && pair->checkpoint != NULL && !pair->written) {
        if (chance(pair, 5) == 0) {
            store_memory_disk_fail_write(pair->disturbed.disk, ERR_IO);
        }
        pair->written = machine_checkpoint_write(pair->checkpoint) == 0;
    } else if (what == 2 && (pair->written || chance(pair, 4) == 0)) {
        checkpoint_end(pair);
    } else if (what == 3 && chance(pair, 4) == 0) {
        restart(pair);
    }
}

static uint64_t memory_digest(const struct fixture *f)
{
    uint64_t digest;
    cr_assert_eq(machine_memory_digest(f->machine, &digest), 0);
    return digest;
}

static void same(const struct pair *pair, uint64_t plain, uint64_t disturbed, const char *what)
{
    cr_assert_eq(plain, disturbed, "seed %" PRIu64 ", entry %zu: another %s", pair->seed, pair->log_len, what);
}

/* Nothing is ready while somebody is free, unless the next entry is due at once: else it would stay there until something else
 * happens. */
static void nothing_stays(const struct pair *pair)
{
    struct machine *machine = pair->plain.machine;
    if (machine_due_ms(machine) == 0) {
        return;
    }
    for (const struct queue *queue = machine->queues; queue != NULL; queue = queue->by_id.next) {
        bool goes = !RB_EMPTY(&queue->waiting) && queue_has_next(queue) && !queue->options.paused &&
                    !virtual_host_is_going(machine, queue->virtual_host);
        cr_assert_not(goes, "seed %" PRIu64 ", entry %zu: queue %s has messages, and a consumer that is free",
                      pair->seed, pair->log_len, queue->name);
    }
}

static void compare(struct pair *pair, bool thoroughly)
{
    nothing_stays(pair);
    struct machine *plain = pair->plain.machine;
    struct machine *disturbed = pair->disturbed.machine;
    same(pair, machine_running_digest(plain), machine_running_digest(disturbed), "running digest");
    same(pair, machine_due_ms(plain), machine_due_ms(disturbed), "time at which something is due");
    same(pair, memory_digest(&pair->plain), memory_digest(&pair->disturbed), "digest of memory");
    if (thoroughly) {
        same(pair, fixture_digest(&pair->plain), fixture_digest(&pair->disturbed), "digest");
        same(pair, machine_view(plain), machine_view(disturbed), "answer");
    }
}

static void step(struct pair *pair)
{
    struct slice entry = log_maker_next(&pair->maker);
    pair->log = realloc(pair->log, (pair->log_len + 1) * sizeof *pair->log);
    cr_assert_not_null(pair->log);
    pair->log[pair->log_len++] = slice_ref(entry);
    cr_assert_eq(fixture_apply(&pair->plain, slice_ref(entry)), 0, "seed %" PRIu64 ", entry %zu", pair->seed,
                 pair->log_len);
    log_maker_learn(&pair->maker, pair->plain.machine, &pair->plain.effects);
    cr_assert_eq(fixture_apply(&pair->disturbed, entry), 0, "seed %" PRIu64 ", entry %zu", pair->seed, pair->log_len);
    compare(pair, pair->log_len % 8 == 0);
    disturb(pair);
}

static void run(uint64_t seed, uint64_t uses, unsigned entries, uint64_t raise_at, uint64_t work, uint64_t kinds[40])
{
    struct pair pair = {.seed = seed, .random = seed, .work = work};
    log_maker_init(&pair.maker, seed, uses);
    pair.maker.raise_at = raise_at;
    fixture_init_empty(&pair.plain);
    fixture_init_empty(&pair.disturbed);
    limit_work(&pair, &pair.plain);
    limit_work(&pair, &pair.disturbed);
    while (pair.log_len < entries) {
        step(&pair);
    }
    restart(&pair);
    compare(&pair, true);
    for (size_t i = 0; i < 40; i++) {
        kinds[i] += pair.maker.kinds[i];
    }
    for (size_t i = 0; i < pair.log_len; i++) {
        slice_unref(&pair.log[i]);
    }
    free(pair.log);
    log_maker_done(&pair.maker);
    fixture_done(&pair.plain);
    fixture_done(&pair.disturbed);
}

struct plan {
    uint64_t uses;
    uint64_t from;
    uint64_t seeds;
    unsigned entries;
    uint64_t raise_at;
    uint64_t work;
};

/* HOLDFAST_SEEDS="FROM COUNT" instead of the usual ones. */
static void run_seeds(const struct plan *plan)
{
    uint64_t kinds[40] = {0};
    const char *given = getenv("HOLDFAST_SEEDS");
    uint64_t from = plan->from;
    uint64_t seeds = plan->seeds;
    if (given != NULL) {
        char *rest;
        from = strtoull(given, &rest, 10);
        seeds = strtoull(rest, NULL, 10);
    }
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        run(seed, plan->uses, plan->entries, plan->raise_at, plan->work, kinds);
    }
    for (unsigned i = 0; i < holdfast__command__descriptor.n_fields && seeds >= 40; i++) {
        cr_assert_gt(kinds[holdfast__command__descriptor.fields[i].id], 0u, "%s never came",
                     holdfast__command__descriptor.fields[i].name);
    }
}

Test(random_new, restarts_show_in_nothing)
{
    run_seeds(&(struct plan){.from = 1, .seeds = 60, .entries = 200, .raise_at = 1});
}

Test(random_new, restarts_show_in_nothing_with_everything_at_once)
{
    run_seeds(&(struct plan){.uses = UINT64_MAX, .from = 1000, .seeds = 8, .entries = 600, .raise_at = 1});
}

Test(random_new, restarts_show_in_nothing_when_the_version_is_raised)
{
    run_seeds(&(struct plan){.from = 2000, .seeds = 40, .entries = 200, .raise_at = 80});
    run_seeds(&(struct plan){.uses = UINT64_MAX, .from = 3000, .seeds = 4, .entries = 300, .raise_at = 150});
}

/* What has been begun is gone on with by the entries that follow. */
Test(random_new, restarts_show_in_nothing_when_entries_do_little)
{
    run_seeds(&(struct plan){.from = 4000, .seeds = 40, .entries = 200, .raise_at = 1, .work = 1});
    run_seeds(&(struct plan){.from = 5000, .seeds = 40, .entries = 200, .raise_at = 1, .work = 7});
    run_seeds(&(struct plan){.uses = UINT64_MAX, .from = 6000, .seeds = 8, .entries = 400, .raise_at = 1, .work = 13});
}
