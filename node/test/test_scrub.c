/* Passes over all that a node has on disk: when, how fast, and what comes of what they find. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/core/scrub.h"
#include "one_node.h"
#include "proto/base/limits.h"

#define INTERVAL_MS 600000u
#define RATE (4 * MIB)
#define MESSAGES 300u
#define MESSAGE_LEN 8000u

/* A node that has something in its log and something in its store, and a scrubber of its own. */
struct scene {
    struct one_node node;
    struct client client;
    struct scrub scrub;
    struct scrub_options options;
    unsigned damaged;
    char what[600];
    bool busy;
    unsigned wakes;
};

static struct scene s;

static void scene_damaged(void *arg, const char *what)
{
    struct scene *scene = arg;
    scene->damaged++;
    snprintf(scene->what, sizeof scene->what, "%s", what);
}

static void scene_wake(void *arg)
{
    struct scene *scene = arg;
    scene->wakes++;
}

static bool scene_busy(void *arg)
{
    const struct scene *scene = arg;
    return scene->busy;
}

static void setup(void)
{
    struct shard_options options = {.checkpoint_len = 1 * MIB, .segment_len = 1 * MIB};
    memset(&s, 0, sizeof s);
    one_node_start(&s.node, &options);
    client_init(&s.client, &s.node.home, 1);
    client_ready(&s.client);
    for (unsigned i = 0; i < MESSAGES; i++) {
        cr_assert_eq(client_publish_large(&s.client, "q", MESSAGE_LEN), 0);
        one_node_settle(&s.node);
    }
    one_node_wait(&s.node, 3000);
    cr_assert_gt(store_memory_disk_rows(s.node.rows), MESSAGES / 2);
    s.options = (struct scrub_options){.disk = sim_disk_ops(s.node.disk),
                                       .clock = &s.node.clock.base,
                                       .driver = shard_driver(s.node.shard),
                                       .store = s.node.options.store,
                                       .bytes_per_s = RATE,
                                       .interval_ms = INTERVAL_MS,
                                       .arg = &s,
                                       .wake = scene_wake,
                                       .busy = scene_busy,
                                       .damaged = scene_damaged};
    scrub_open(&s.scrub, &s.options);
}

static void teardown(void)
{
    scrub_close(&s.scrub);
    client_done(&s.client);
    one_node_stop(&s.node);
}

TestSuite(scrub, .init = setup, .fini = teardown);

/* Lets the scrubber do what is due now, and then the clock go to its next deadline, up to a time. */
static void run_until(uint64_t end_ms)
{
    struct one_clock *clock = &s.node.clock;
    for (;;) {
        scrub_step(&s.scrub);
        if (sim_disk_pending(s.node.disk) > 0) {
            sim_disk_complete_one(s.node.disk);
            continue;
        }
        uint64_t deadline_ms = scrub_deadline_ms(&s.scrub);
        if (deadline_ms > end_ms || clock->now_ms >= end_ms) {
            return;
        }
        clock->now_ms = deadline_ms > clock->now_ms ? deadline_ms : clock->now_ms;
    }
}

static void run(uint64_t ms)
{
    run_until(s.node.clock.now_ms + ms);
}

Test(scrub, everything_is_read_no_faster_than_it_may_and_again_after_the_interval)
{
    const struct scrub_totals *totals = scrub_totals(&s.scrub);
    uint64_t first_ms = scrub_deadline_ms(&s.scrub);
    cr_assert_leq(first_ms, s.node.clock.now_ms + INTERVAL_MS / 8);
    cr_assert_null(scrub_text(&s.scrub));
    bool log = false;
    bool state = false;
    run_until(first_ms);
    while (totals->passes == 0) {
        const char *text = scrub_text(&s.scrub);
        cr_assert_not_null(text);
        log = log || strstr(text, "log, ") == text;
        state = state || strstr(text, "state, ") == text;
        run(10);
        s.node.clock.now_ms += 10;
    }
    cr_assert(log && state);
    cr_assert_null(scrub_text(&s.scrub));
    cr_assert_gt(totals->bytes, 2ull * MESSAGES * MESSAGE_LEN * 9 / 10);
    uint64_t took_ms = s.node.clock.now_ms - first_ms;
    cr_assert_gt(took_ms, (totals->bytes - 1 * MIB) * 1000 / RATE, "%" PRIu64 " bytes in %" PRIu64 " ms", totals->bytes,
                 took_ms);
    cr_assert_eq(scrub_deadline_ms(&s.scrub), first_ms + INTERVAL_MS);
    run(9ull * INTERVAL_MS / 2);
    cr_assert_eq(totals->passes, 5);
    cr_assert(s.damaged == 0 && totals->found == 0 && totals->mended == 0, "%u %s", (unsigned)totals->mended, s.what);
    cr_assert_gt(s.wakes, 10);
}

Test(scrub, without_an_interval_there_are_passes_only_when_asked_for)
{
    scrub_close(&s.scrub);
    s.options.interval_ms = 0;
    scrub_open(&s.scrub, &s.options);
    cr_assert_eq(scrub_deadline_ms(&s.scrub), UINT64_MAX);
    run(INTERVAL_MS);
    cr_assert_eq(scrub_totals(&s.scrub)->passes, 0);
    scrub_start_now(&s.scrub);
    run(INTERVAL_MS);
    cr_assert_eq(scrub_totals(&s.scrub)->passes, 1);
    cr_assert_eq(scrub_deadline_ms(&s.scrub), UINT64_MAX);
}

static void expect_end(const char *what)
{
    cr_assert_eq(s.damaged, 1);
    cr_assert_not_null(strstr(s.what, what), "%s", s.what);
    cr_assert_eq(scrub_totals(&s.scrub)->found, 1);
    cr_assert(scrub_idle(&s.scrub) && scrub_text(&s.scrub) == NULL);
    cr_assert_eq(scrub_deadline_ms(&s.scrub), UINT64_MAX);
    scrub_start_now(&s.scrub);
    run(INTERVAL_MS);
    cr_assert_eq(s.damaged, 1);
}

Test(scrub, damage_of_the_log_is_told_once_with_its_place)
{
    cr_assert_eq(sim_disk_corrupt(s.node.disk, "shard-0/log/00000001.log", 520, 4), 0);
    run(INTERVAL_MS);
    expect_end("shard-0/log/00000001.log, offset 512: the head of a batch is damaged");
}

Test(scrub, damage_of_a_row_is_told_once_with_its_name)
{
    cr_assert_eq(store_memory_disk_flip(s.node.rows, 5 * store_memory_disk_rows(s.node.rows) + 40), 0);
    run(INTERVAL_MS);
    expect_end("the store's row of message of queue 1, ");
}

Test(scrub, what_cannot_be_read_is_damage)
{
    cr_assert_eq(sim_disk_lose_sector(s.node.disk, "shard-0/log/00000001.log", 8192), 0);
    run(INTERVAL_MS);
    expect_end("shard-0/log/00000001.log, offset 8192: it cannot be read");
}

static int store_err;

static int failing_scrub(struct store *store, struct store_scrub *scrub)
{
    (void)store;
    (void)scrub;
    return store_err;
}

/* What the store cannot read is damage, what there is no memory for is not. */
Test(scrub, a_store_that_fails_is_damaged_or_is_read_later)
{
    static const struct store_ops ops = {.scrub = failing_scrub};
    static const int damage[] = {ERR_IO, ERR_CHECKSUM, ERR_CORRUPT, ERR_VERSION};
    struct store failing = {.ops = &ops};
    s.options.store = &failing;
    for (unsigned i = 0; i < sizeof damage / sizeof *damage; i++) {
        scrub_close(&s.scrub);
        scrub_open(&s.scrub, &s.options);
        store_err = ERR_NOMEM;
        run(INTERVAL_MS);
        cr_assert_eq(s.damaged, i, "%s", s.what);
        cr_assert_eq(scrub_totals(&s.scrub)->passes, 0);
        store_err = damage[i];
        run(INTERVAL_MS);
        cr_assert_eq(s.damaged, i + 1, "%s", err_text(damage[i]));
        cr_assert_not_null(strstr(s.what, "the store: "), "%s", s.what);
    }
    scrub_close(&s.scrub);
    scrub_open(&s.scrub, &s.options);
    store_err = ERR_NOMEM;
    run(INTERVAL_MS);
    store_err = 0;
    run(INTERVAL_MS / 2);
    cr_assert_gt(scrub_totals(&s.scrub)->passes, 0);
}

Test(scrub, a_slot_of_term_and_vote_is_mended)
{
    cr_assert_eq(sim_disk_corrupt(s.node.disk, "shard-0/meta", 20, 4), 0);
    run(2ull * INTERVAL_MS);
    const struct scrub_totals *totals = scrub_totals(&s.scrub);
    cr_assert(totals->mended == 1 && totals->passes == 2 && s.damaged == 0, "%u %u %s", (unsigned)totals->mended,
              (unsigned)totals->passes, s.what);
    cr_assert_eq(sim_disk_corrupt(s.node.disk, "shard-0/meta", 20, 4), 0);
    cr_assert_eq(sim_disk_corrupt(s.node.disk, "shard-0/meta", 532, 4), 0);
    run(INTERVAL_MS);
    expect_end("shard-0/meta, offset 0: ");
}

Test(scrub, it_gives_way_to_a_busy_thread_and_to_a_slow_disk)
{
    scrub_start_now(&s.scrub);
    s.busy = true;
    run(5000);
    cr_assert_eq(scrub_totals(&s.scrub)->bytes, 0);
    s.busy = false;
    run(1100);
    uint64_t bytes = scrub_totals(&s.scrub)->bytes;
    cr_assert_gt(bytes, 0);
    cr_assert_eq(client_publish_large(&s.client, "q", 100), 0);
    shard_step(s.node.shard); /* The disk has been given a write, and does not answer. */
    cr_assert_gt(sim_disk_pending(s.node.disk), 0);
    s.node.clock.now_ms += 500;
    shard_step(s.node.shard);
    for (unsigned i = 0; i < 5; i++) {
        s.node.clock.now_ms += 1500;
        scrub_step(&s.scrub);
        cr_assert(scrub_idle(&s.scrub) && scrub_text(&s.scrub) != NULL);
    }
    one_node_settle(&s.node);
    run(INTERVAL_MS);
    cr_assert_gt(scrub_totals(&s.scrub)->passes, 0);
}

Test(scrub, one_that_is_stopped_begins_nothing)
{
    scrub_start_now(&s.scrub);
    scrub_step(&s.scrub);
    cr_assert_not(scrub_idle(&s.scrub));
    scrub_stop(&s.scrub);
    scrub_step(&s.scrub);
    cr_assert_not(scrub_idle(&s.scrub));
    run(INTERVAL_MS);
    cr_assert(scrub_idle(&s.scrub));
    cr_assert_eq(scrub_totals(&s.scrub)->passes, 0);
    cr_assert_eq(scrub_deadline_ms(&s.scrub), UINT64_MAX);
}

Test(scrub, the_process_may_die_at_any_piece)
{
    for (unsigned pieces = 0; pieces < 6; pieces++) {
        scrub_start_now(&s.scrub);
        scrub_step(&s.scrub);
        for (unsigned i = 0; i < pieces; i++) {
            sim_disk_complete_one(s.node.disk);
            s.node.clock.now_ms += 2000;
            scrub_step(&s.scrub);
        }
        cr_assert_not(scrub_idle(&s.scrub));
        sim_disk_kill(s.node.disk);
        scrub_close(&s.scrub);
        scrub_open(&s.scrub, &s.options);
    }
}
