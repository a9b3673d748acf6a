/* A copy of a state comes to another node whole, whatever happens on the way. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "rebuild_pair.h"
#include "stopping_disk.h"

static struct pair pair;

static void setup(void)
{
    pair_start(&pair, 1);
}

static void teardown(void)
{
    pair_stop(&pair);
}

TestSuite(rebuild, .init = setup, .fini = teardown);

static struct disk *sink_disk(void)
{
    return sim_disk_ops(pair.sink_disk);
}

static void run_quietly(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        pair_run_one(&pair);
    }
}

/* ---- The whole of it ---- */

Test(rebuild, brings_the_copy_and_names_its_position)
{
    struct rebuild_sink_status status;
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_eq(pair.index, 500u);
    cr_assert_eq(pair.term, 1u);
    rebuild_sink_status(pair.sink, &status);
    cr_assert(status.running && status.bytes_total == status.bytes_here && status.source == PAIR_SOURCE);
    sim_disk_crash_losing_all(pair.sink_disk);
    pair_expect_copy(&pair); /* It was said when it was durable. */
    run_quietly(50);
    cr_assert_eq(pair.readies, 1u);
}

Test(rebuild, what_is_not_needed_any_more_is_removed)
{
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    PAIR_RUN_UNTIL(&pair, pair_incoming_there(&pair) > 0);
    rebuild_sink_cancel(pair.sink);
    PAIR_RUN_UNTIL(&pair, rebuild_sink_idle(pair.sink) && pair_incoming_there(&pair) == 0);
    cr_assert_not(pair.connected);
    pair_run(&pair); /* And it may be needed again. */
    pair_expect_copy(&pair);
    rebuild_sink_cancel(pair.sink);
    PAIR_RUN_UNTIL(&pair, rebuild_sink_idle(pair.sink) && pair_incoming_there(&pair) == 0);
    cr_assert_eq(pair_files_below(pair.sink_disk, PAIR_DIR "/state/"), 1u);
}

Test(rebuild, what_has_become_the_state_is_not_removed)
{
    pair_run(&pair);
    cr_assert_eq(state_dir_switch(sink_disk(), PAIR_DIR, pair.name), 0);
    rebuild_sink_cancel(pair.sink);
    PAIR_RUN_UNTIL(&pair, rebuild_sink_idle(pair.sink));
    pair_expect_copy(&pair);
}

Test(rebuild, what_an_earlier_process_left_is_removed_when_it_is_not_needed)
{
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    PAIR_RUN_UNTIL(&pair, pair_incoming_there(&pair) > 0);
    pair_restart_sink(&pair, PAIR_KILL);
    run_quietly(10);
    cr_assert_gt(pair_incoming_there(&pair), 0u, "it may be needed");
    rebuild_sink_cancel(pair.sink);
    PAIR_RUN_UNTIL(&pair, rebuild_sink_idle(pair.sink) && pair_incoming_there(&pair) == 0);
}

/* A version with several files of several parts. */
static void choose_large(void)
{
    pair_stop(&pair);
    pair_start(&pair, 11);
    for (;;) {
        pair_run(&pair);
        struct rebuild_sink_status status;
        rebuild_sink_status(pair.sink, &status);
        rebuild_sink_cancel(pair.sink);
        PAIR_RUN_UNTIL(&pair, rebuild_sink_idle(pair.sink) && pair_incoming_there(&pair) == 0 &&
                                  pair_copies_there(&pair) == 0);
        if (status.bytes_total > 6 * REBUILD_PART_LEN_MAX) {
            return;
        }
        pair_change(&pair);
    }
}

static void plant(const char *dir, const char *name, size_t len)
{
    static const uint8_t nonsense[100];
    char path[REBUILD_PATH_LEN_MAX];
    struct disk_file *file;
    cr_assert_eq(rebuild_path(path, dir, name, ""), 0);
    cr_assert_eq(sink_disk()->ops->open(sink_disk(), path, DISK_CREATE, &file), 0);
    cr_assert_eq(sink_disk()->ops->truncate(file, 0), 0);
    cr_assert_eq(sink_disk()->ops->write(file, 0, nonsense, len), 0);
    sink_disk()->ops->close(file);
}

static void note_name(void *arg, const char *name)
{
    if (strncmp(name, REBUILD_INCOMING, strlen(REBUILD_INCOMING)) == 0 || strstr(name, ".sst") != NULL) {
        (void)snprintf(arg, REBUILD_FILE_NAME_LEN_MAX + 1, "%s", name);
    }
}

/* What does not belong into the directory of the fetch, and a file that is too short. */
static void plant_strangers(void)
{
    char dir[REBUILD_PATH_LEN_MAX];
    char name[REBUILD_FILE_NAME_LEN_MAX + 1] = "";
    cr_assert_eq(sink_disk()->ops->list(sink_disk(), PAIR_DIR, note_name, name), 0);
    cr_assert_eq(rebuild_path(dir, PAIR_DIR, name, ""), 0);
    cr_assert_eq(sink_disk()->ops->list(sink_disk(), dir, note_name, name), 0);
    plant(dir, "stranger", 10);
    plant(dir, "stranger.part", 10);
    if (strstr(name, REBUILD_PART) == NULL) {
        plant(dir, name, 100);
    }
}

Test(rebuild, goes_on_where_an_earlier_process_was)
{
    struct rebuild_sink_status status;
    choose_large();
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    unsigned copies = pair.copies_len;
    do {
        pair_run_one(&pair);
        rebuild_sink_status(pair.sink, &status);
    } while (status.bytes_here < status.bytes_total / 2 || status.bytes_here == 0);
    pair_restart_sink(&pair, PAIR_KILL);
    plant_strangers();
    pair_restart_source(&pair, PAIR_KILL);
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    do {
        pair_run_one(&pair);
        rebuild_sink_status(pair.sink, &status);
    } while (status.bytes_total == 0 || !rebuild_sink_idle(pair.sink));
    cr_assert_gt(status.bytes_here, 0u, "what is whole is not fetched again");
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_eq(pair.copies_len, copies + 1, "the same copy");
}

Test(rebuild, asks_no_faster_than_it_may)
{
    choose_large();
    rebuild_sink_close(pair.sink);
    pair.sink_options.rate = REBUILD_PART_LEN_MAX / 10;
    cr_assert_eq(rebuild_sink_open(&pair.sink_options, &pair.sink), 0);
    uint64_t from_ms = pair.now_ms;
    pair_run(&pair);
    pair_expect_copy(&pair);
    struct rebuild_sink_status status;
    rebuild_sink_status(pair.sink, &status);
    uint64_t least_ms = (status.bytes_total / REBUILD_PART_LEN_MAX - 2) * 10000;
    cr_assert_geq(pair.now_ms - from_ms, least_ms);
    cr_assert_leq(pair.now_ms - from_ms, status.bytes_total * 1000 / pair.sink_options.rate + 30000);
}

Test(rebuild, does_not_begin_where_there_is_no_room)
{
    rebuild_sink_close(pair.sink);
    pair.sink_options.disk_free_min = 1000000;
    cr_assert_eq(rebuild_sink_open(&pair.sink_options, &pair.sink), 0);
    sim_disk_set_capacity(pair.sink_disk, sim_disk_used(pair.sink_disk) + 1000000);
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    run_quietly(200);
    cr_assert_eq(pair.readies + pair.fatals, 0u);
    cr_assert_eq(pair_incoming_there(&pair), 0u);
    sim_disk_set_capacity(pair.sink_disk, 0);
    pair_run(&pair);
    pair_expect_copy(&pair);
}

Test(rebuild, a_failed_sync_is_the_end)
{
    for (uint64_t nth = 0; nth < 3; nth++) {
        pair_stop(&pair);
        pair_start(&pair, 3);
        sim_disk_fail_nth_sync(pair.sink_disk, nth, ERR_IO);
        rebuild_sink_want(pair.sink, PAIR_SOURCE);
        PAIR_RUN_UNTIL(&pair, pair.fatals == 1);
        run_quietly(100);
        cr_assert_eq(pair.fatals, 1u);
        cr_assert_eq(pair.readies, 0u);
    }
}

/* Nobody is there: the sink neither gives up for good nor dials all the time. */
Test(rebuild, waits_for_a_source_that_cannot_be_reached)
{
    pair.apart = true;
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    while (pair.now_ms < 61000) {
        pair_run_one(&pair);
    }
    cr_assert_gt(pair.dialled, 10u);
    cr_assert_leq(pair.dialled, 700u);
    pair.apart = false;
    pair_run(&pair);
    pair_expect_copy(&pair);
}

/* ---- Copies that are damaged ---- */

static void find_content(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    (void)data;
    if (len > 0 && (strstr(path, REBUILD_COPY) != NULL || strstr(path, REBUILD_INCOMING) != NULL)) {
        (void)snprintf(arg, REBUILD_PATH_LEN_MAX, "%s", path);
    }
}

/* A bit of a file of a copy on that disk. */
static void damage(struct sim_disk *disk)
{
    char path[REBUILD_PATH_LEN_MAX] = "";
    sim_disk_each_file(disk, find_content, path);
    cr_assert_neq(path[0], '\0');
    cr_assert_eq(sim_disk_corrupt(disk, path, 0, 1), 0);
}

static struct rebuild_sink_status sink_status(void)
{
    struct rebuild_sink_status status;
    rebuild_sink_status(pair.sink, &status);
    return status;
}

/* All of its parts have the checksum that the source gave them. */
Test(rebuild, a_copy_that_was_damaged_on_the_sources_disk_does_not_count)
{
    choose_large();
    unsigned copies = pair.copies_len;
    unsigned readies = pair.readies;
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    PAIR_RUN_UNTIL(&pair, pair.copies_len > copies && sim_disk_pending(pair.source_disk) == 0);
    damage(pair.source_disk);
    PAIR_RUN_UNTIL(&pair, pair.suspected == 1);
    cr_assert_eq(pair.readies, readies);
    PAIR_RUN_UNTIL(&pair, rebuild_sink_idle(pair.sink) && pair_incoming_there(&pair) == 0);
    cr_assert(sink_status().running, "another one is wanted");
    PAIR_RUN_UNTIL(&pair, pair_copies_there(&pair) == 0);
    cr_assert_eq(pair.held, UINT64_MAX, "nobody needs the log after it");
    uint64_t from_ms = pair.now_ms;
    PAIR_RUN_UNTIL(&pair, pair.copies_len == copies + 2);
    cr_assert_geq(pair.now_ms - from_ms, REBUILD_SINK_RETRY_MS / 2, "not at once");
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_eq(pair.copies_len, copies + 2, "not the damaged one again");
    cr_assert_eq(pair.suspected, 1u);
}

Test(rebuild, a_copy_that_was_damaged_on_our_disk_does_not_count)
{
    choose_large();
    unsigned readies = pair.readies;
    unsigned checks = pair.checks_begun;
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    PAIR_RUN_UNTIL(&pair, pair.checks_begun > checks);
    damage(pair.sink_disk);
    PAIR_RUN_UNTIL(&pair, pair.suspected == 1 || pair.readies > readies);
    cr_assert_eq(pair.suspected, 1u);
    pair_run(&pair);
    pair_expect_copy(&pair);
}

/* The source does not let go of the log meanwhile. */
Test(rebuild, a_look_at_a_copy_may_take_long)
{
    choose_large();
    unsigned checks = pair.checks_begun;
    unsigned readies = pair.readies;
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    PAIR_RUN_UNTIL(&pair, pair.checks_begun > checks);
    uint64_t from_ms = pair.now_ms;
    while (pair.readies == readies && pair.now_ms < from_ms + 3 * REBUILD_SOURCE_IDLE_MS) {
        pair.now_ms += 1000;
        pair_step(&pair);
        while (pair_carry_question(&pair) || pair_carry_answer(&pair)) {
        }
        sim_disk_complete_all(pair.source_disk);
        if (pair.now_ms % 40000 == 0 && sim_disk_pending(pair.sink_disk) > 0) {
            sim_disk_complete_one(pair.sink_disk);
        }
        cr_assert(pair.readies > readies || pair_copies_there(&pair) > 0);
    }
    cr_assert_neq(pair.held, UINT64_MAX);
}

Test(rebuild, a_look_at_a_copy_can_be_cancelled)
{
    choose_large();
    unsigned checks = pair.checks_begun;
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    PAIR_RUN_UNTIL(&pair, pair.checks_begun > checks);
    rebuild_sink_cancel(pair.sink);
    PAIR_RUN_UNTIL(&pair, rebuild_sink_idle(pair.sink) && pair_incoming_there(&pair) == 0);
    cr_assert_eq(pair.checks, 0u);
    pair_run(&pair);
    pair_expect_copy(&pair);
}

Test(rebuild, a_look_at_a_copy_waits_for_memory)
{
    choose_large();
    unsigned checks = pair.checks_begun;
    unsigned copies = pair.copies_len;
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    PAIR_RUN_UNTIL(&pair, pair.checks_begun > checks);
    pair_step(&pair);
    cr_assert_gt(sim_disk_pending(pair.sink_disk), 0u);
    sim_disk_fail_next_offload(pair.sink_disk, ERR_NOMEM);
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_eq(pair.copies_len, copies + 1);
    cr_assert_eq(pair.suspected, 0u);
}

/* ---- Crashes ---- */

/* Fetches through a disk that stops after so many operations; then the node starts again. */
static bool stop_after(uint64_t operations, enum pair_end end)
{
    struct stopping_disk stopping;
    pair_stop(&pair);
    pair_start(&pair, 5);
    rebuild_sink_close(pair.sink);
    stopping_disk_init(&stopping, sink_disk(), operations + 4); /* Those of the start are not of interest. */
    pair.sink_options.disk = &stopping.base;
    cr_assert_eq(rebuild_sink_open(&pair.sink_options, &pair.sink), 0);
    for (unsigned i = 0; i < 20000 && pair.readies == 0 && pair.fatals == 0; i++) {
        rebuild_sink_want(pair.sink, PAIR_SOURCE);
        pair_run_one(&pair);
    }
    cr_assert_eq(pair.readies + pair.fatals, 1u);
    bool switched = pair.readies == 1 && state_dir_switch(&stopping.base, PAIR_DIR, pair.name) == 0;
    pair.sink_options.disk = sink_disk();
    pair_restart_sink(&pair, end);
    struct state_dir current;
    char detail[200];
    cr_assert_eq(state_dir_read(sink_disk(), PAIR_DIR, &current, detail, sizeof detail), 0);
    bool is_new = strcmp(current.name, "state") != 0;
    cr_assert(is_new || !switched);
    cr_assert_eq(pair_files_below(pair.sink_disk, PAIR_DIR "/state/rows"), 1u);
    if (is_new) {
        cr_assert_str_eq(current.name, pair.name);
        pair_expect_copy(&pair);
        rebuild_sink_cancel(pair.sink); /* It is the state now, and not to be removed. */
        sim_disk_complete_all(pair.sink_disk);
        pair_expect_copy(&pair);
    } else {
        pair_run(&pair);
        pair_expect_copy(&pair);
    }
    return stopping.stopped;
}

Test(rebuild, a_crash_at_any_operation_leaves_the_old_state_or_the_new_one, .timeout = 120)
{
    for (enum pair_end end = PAIR_KILL; end <= PAIR_CRASH_LOSING_ALL; end++) {
        uint64_t operations = 0;
        while (stop_after(operations, end)) {
            operations++;
        }
        cr_assert_gt(operations, 30u);
    }
}

/* ---- Everything at once ---- */

static void damage_answer(void)
{
    if (pair.answers.len > 0) {
        struct slice body = pair.answers.frames[pair_random(&pair, pair.answers.len)].body;
        if (body.len > 0) {
            ((uint8_t *)(uintptr_t)body.data)[pair_random(&pair, body.len)] ^= 0x10;
        }
    }
}

static void fill_disk(struct sim_disk *disk)
{
    sim_disk_set_capacity(disk, sim_disk_used(disk) + pair_random(&pair, 20000));
}

static void bad_luck(void)
{
    switch (pair_random(&pair, 15)) {
    case 0: pair_restart_sink(&pair, (enum pair_end)pair_random(&pair, 3)); break;
    case 1: pair_restart_source(&pair, (enum pair_end)pair_random(&pair, 3)); break;
    case 2: pair.now_ms += pair_random(&pair, 2) == 0 ? 4000 : 70000; break;
    case 3: fill_disk(pair.sink_disk); break;
    case 4: fill_disk(pair.source_disk); break;
    case 5: sim_disk_set_capacity(pair.sink_disk, 0); break;
    case 6: sim_disk_set_capacity(pair.source_disk, 0); break;
    case 7: pair.copy_err = ERR_IO; break;
    case 8: pair_change(&pair); break;
    case 9: rebuild_sink_cancel(pair.sink); break;
    case 10:
        cr_assert_eq(pair_ask_open(&pair, 3, 0), 0); /* Another node is served. */
        break;
    case 11: pair.held_len = pair_random(&pair, 2) * 2000000; break;
    case 12: pair.apart = !pair.apart; break;
    case 13: damage_answer(); break;
    default: pair_disconnect(&pair); break;
    }
}

static void settle_disks(void)
{
    sim_disk_set_capacity(pair.sink_disk, 0);
    sim_disk_set_capacity(pair.source_disk, 0);
    pair.held_len = 0;
    pair.apart = false;
    pair.copy_err = 0;
}

static void go_through(uint64_t seed)
{
    struct state_dir current;
    char detail[200];
    pair_stop(&pair);
    pair_start(&pair, seed);
    unsigned turns = (unsigned)pair_random(&pair, 400);
    for (unsigned i = 0; i < turns && pair.readies == 0; i++) {
        rebuild_sink_want(pair.sink, PAIR_SOURCE);
        pair_some_turn(&pair);
        if (pair_random(&pair, 25) == 0) {
            bad_luck();
        }
    }
    settle_disks();
    if (pair.readies == 0) {
        pair_run(&pair);
    }
    cr_assert_eq(pair.fatals, 0u);
    pair_expect_copy(&pair);
    sim_disk_kill(pair.sink_disk);
    sim_disk_crash_losing_all(pair.sink_disk);
    cr_assert_eq(state_dir_switch(sink_disk(), PAIR_DIR, pair.name), 0);
    sim_disk_crash_losing_all(pair.sink_disk);
    cr_assert_eq(state_dir_read(sink_disk(), PAIR_DIR, &current, detail, sizeof detail), 0);
    cr_assert(current.fresh && strcmp(current.name, pair.name) == 0);
    cr_assert_eq(state_dir_settle(sink_disk(), PAIR_DIR, &current), 0);
    pair_expect_copy(&pair);
    cr_assert_eq(pair_files_below(pair.sink_disk, PAIR_DIR "/state/"), 0u);
}

#define SEEDS 300u

Test(rebuild, whatever_happens_the_copy_comes_whole, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        go_through(seed);
    }
}
