/* The giving side of a rebuild: what it keeps, for whom, and for how long. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rebuild_pair.h"

static struct pair pair;

static void setup(void)
{
    pair_start(&pair, 1);
}

static void teardown(void)
{
    pair_stop(&pair);
}

TestSuite(rebuild_source, .init = setup, .fini = teardown);

Test(rebuild_source, the_source_holds_the_log_for_as_long_as_it_has_the_copy)
{
    uint64_t copy = pair_open_copy(&pair, 0);
    cr_assert_eq(pair.held, 500u);
    cr_assert_gt(pair_copies_there(&pair), 0u);
    pair.now_ms += REBUILD_SOURCE_IDLE_MS - 1;
    rebuild_source_step(pair.source);
    cr_assert(rebuild_source_idle(pair.source));
    cr_assert_eq(pair_open_copy(&pair, copy), copy);
    pair.now_ms += REBUILD_SOURCE_IDLE_MS;
    rebuild_source_step(pair.source);
    cr_assert_not(rebuild_source_idle(pair.source));
    sim_disk_complete_all(pair.source_disk);
    rebuild_source_step(pair.source);
    cr_assert_eq(pair.held, UINT64_MAX);
    cr_assert_eq(pair_copies_there(&pair), 0u);
    cr_assert_neq(pair_open_copy(&pair, copy), copy, "a new one");
}

Test(rebuild_source, another_node_gets_the_copy_when_the_first_is_not_heard_of)
{
    enum { FIRST = 77 };
    pair.connected = true;
    cr_assert_eq(pair_ask_open(&pair, FIRST, 0), 0);
    sim_disk_complete_all(pair.source_disk);
    cr_assert_gt(pair_copies_there(&pair), 0u);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(pair_ask_open(&pair, PAIR_SINK, 0), 0);
        struct pair_answer answer = pair_take_answer(&pair);
        cr_assert_eq(answer.error, (uint32_t)-ERR_BUSY);
        cr_assert_not_null(strstr(answer.detail, "one at a time"));
        pair.now_ms += i == 0 ? REBUILD_SOURCE_YIELD_MS - 1 : 1;
    }
    cr_assert_neq(pair_open_copy(&pair, 0), 0u);
    cr_assert_eq(pair.held, 500u);
}

Test(rebuild_source, the_source_holds_the_log_until_the_node_has_caught_up)
{
    pair_run(&pair);
    PAIR_RUN_UNTIL(&pair, pair_copies_there(&pair) == 0);
    cr_assert_eq(pair.held, 500u);
    pair.stored_index = 2000;
    for (pair.match = 600; pair.match < 2000; pair.match += 100) {
        pair.now_ms += REBUILD_SOURCE_IDLE_MS - 1;
        rebuild_source_step(pair.source);
        cr_assert_eq(pair.held, pair.match);
    }
    pair.now_ms += 1000;
    rebuild_source_step(pair.source);
    cr_assert_eq(pair.held, UINT64_MAX);
}

Test(rebuild_source, the_source_does_not_hold_the_log_for_a_node_that_stands_still)
{
    pair_run(&pair);
    PAIR_RUN_UNTIL(&pair, pair_copies_there(&pair) == 0);
    rebuild_source_step(pair.source);
    cr_assert_eq(pair.held, 500u);
    pair.now_ms += REBUILD_SOURCE_IDLE_MS;
    rebuild_source_step(pair.source);
    cr_assert_eq(pair.held, UINT64_MAX);
    cr_assert_eq(rebuild_source_deadline_ms(pair.source), UINT64_MAX);
}

/* ---- What it may cost ---- */

/* Whether the copy is still there when it is looked at the next time. */
static bool stays(uint64_t held_len)
{
    pair.held_len = held_len;
    pair.now_ms += 1000;
    rebuild_source_step(pair.source);
    sim_disk_complete_all(pair.source_disk);
    bool there = pair_copies_there(&pair) > 0;
    cr_assert_eq(pair.held == UINT64_MAX, !there);
    return there;
}

static uint64_t copy_bytes(void)
{
    struct rebuild_files files;
    char path[REBUILD_PATH_LEN_MAX];
    (void)snprintf(path, sizeof path, PAIR_DIR "/" REBUILD_COPY "%016" PRIx64 "-%" PRIu64 "-%" PRIu64,
                   pair.copy_ids[pair.copies_len - 1], pair.stored_index, pair.stored_index / 1000 + 1);
    cr_assert_eq(rebuild_files_list(sim_disk_ops(pair.source_disk), path, false, &files), 0);
    uint64_t bytes = files.bytes;
    rebuild_files_done(&files);
    return bytes;
}

static void start_with(uint64_t granted, uint64_t disk_free_min)
{
    pair_stop(&pair);
    pair_start(&pair, 1);
    pair.held_len_granted = granted;
    pair.disk_free_min = disk_free_min;
    pair_restart_source(&pair, PAIR_KILL);
}

/* A large state is worth more log than a small one. */
Test(rebuild_source, the_copy_goes_when_it_costs_too_much_log)
{
    start_with(1000, 0);
    (void)pair_open_copy(&pair, 0);
    uint64_t bytes = copy_bytes();
    cr_assert_gt(bytes, 1000u);
    cr_assert(stays(1000));
    cr_assert(stays(4 * bytes));
    cr_assert_not(stays(4 * bytes + 1));
    start_with(4 * bytes + 1, 0);
    (void)pair_open_copy(&pair, 0);
    cr_assert(stays(4 * bytes + 1), "what is granted, is granted");
    cr_assert_not(stays(4 * bytes + 2));
}

/* However fast the log grows while a copy is fetched, a later one may cost enough. */
Test(rebuild_source, each_copy_that_cost_too_much_lets_the_next_cost_more)
{
    start_with(1000, 0);
    unsigned copies = 0;
    uint64_t first = 0;
    do {
        (void)pair_open_copy(&pair, 0);
        first = first == 0 ? 4 * copy_bytes() : first;
        cr_assert_leq(++copies, 8u);
    } while (!stays(100 * first));
    cr_assert_eq(copies, 8u, "1, 2, 4 ... 128 times as much");
    cr_assert_not(stays(129 * first));
    pair_run(&pair); /* One gets there, and its node catches up: it is as before. */
    PAIR_RUN_UNTIL(&pair, pair_copies_there(&pair) == 0);
    pair.match = 2000;
    pair.held_len = 0;
    pair.now_ms += 1000;
    rebuild_source_step(pair.source);
    cr_assert_eq(pair.held, UINT64_MAX);
    rebuild_sink_cancel(pair.sink);
    sim_disk_complete_all(pair.sink_disk);
    (void)pair_open_copy(&pair, 0);
    cr_assert_not(stays(first + 1));
}

Test(rebuild_source, the_log_that_is_held_leaves_the_disk_its_room)
{
    start_with(1000, 500000);
    sim_disk_set_capacity(pair.source_disk, sim_disk_used(pair.source_disk) + 100000000);
    (void)pair_open_copy(&pair, 0);
    cr_assert(stays(2000));
    sim_disk_set_capacity(pair.source_disk, sim_disk_used(pair.source_disk) + 1000000);
    cr_assert(stays(2000));
    sim_disk_set_capacity(pair.source_disk, sim_disk_used(pair.source_disk) + 999999);
    cr_assert(stays(1000), "what is granted may be held down to the watermark");
    cr_assert_not(stays(1001));
}

Test(rebuild_source, without_a_watermark_the_log_that_is_held_leaves_a_gibibyte)
{
    start_with(1000, 0);
    sim_disk_set_capacity(pair.source_disk, sim_disk_used(pair.source_disk) + REBUILD_SOURCE_FREE_MIN + 10000000);
    (void)pair_open_copy(&pair, 0);
    cr_assert(stays(2000));
    sim_disk_set_capacity(pair.source_disk, sim_disk_used(pair.source_disk) + REBUILD_SOURCE_FREE_MIN - 1);
    cr_assert(stays(1000));
    cr_assert_not(stays(1001));
}

Test(rebuild_source, a_short_disk_gives_no_copy_and_keeps_none)
{
    start_with(1000000, 500000);
    sim_disk_set_capacity(pair.source_disk, sim_disk_used(pair.source_disk) + 499999);
    pair.connected = true;
    cr_assert_eq(pair_ask_open(&pair, PAIR_SINK, 0), 0);
    struct pair_answer answer = pair_take_answer(&pair);
    cr_assert_eq(answer.error, (uint32_t)-ERR_NO_SPACE);
    cr_assert_eq(pair.held, UINT64_MAX);
    sim_disk_set_capacity(pair.source_disk, 0);
    (void)pair_open_copy(&pair, 0);
    sim_disk_set_capacity(pair.source_disk, sim_disk_used(pair.source_disk) + 500000);
    cr_assert(stays(0));
    sim_disk_set_capacity(pair.source_disk, sim_disk_used(pair.source_disk) + 499999);
    cr_assert_not(stays(0));
}

Test(rebuild_source, one_node_at_a_time)
{
    uint64_t copy = pair_open_copy(&pair, 0);
    pair.connected = true;
    cr_assert_eq(pair_ask_open(&pair, 3, 0), 0);
    cr_assert_eq(pair_ask_open(&pair, 3, copy), 0);
    cr_assert_eq(pair.copies_len, 1u);
    cr_assert_eq(sim_disk_pending(pair.source_disk), 0u);
    cr_assert_eq(pair_open_copy(&pair, 0), copy, "nobody has read from it: it is the one that was announced");
    cr_assert_eq(pair_ask_read(&pair, copy, 0, 0, 1), 0);
    sim_disk_complete_all(pair.source_disk);
    (void)pair_answer_kind(&pair, NULL);
    cr_assert_neq(pair_open_copy(&pair, 0), copy, "a new one");
    cr_assert_eq(pair.copies_len, 2u);
}

Test(rebuild_source, a_copy_outlives_the_process_and_not_a_crash_in_its_making)
{
    uint64_t copy = pair_open_copy(&pair, 0);
    pair_restart_source(&pair, PAIR_KILL);
    cr_assert_eq(pair.held, 500u);
    cr_assert_eq(pair_open_copy(&pair, copy), copy);
    pair_restart_source(&pair, PAIR_CRASH_LOSING_ALL);
    cr_assert_eq(pair_open_copy(&pair, copy), copy, "it was synced when it was announced");
    pair.log_first = 502;
    pair_restart_source(&pair, PAIR_KILL);
    cr_assert_eq(pair_copies_there(&pair), 0u, "the log after it is gone");
    cr_assert_eq(pair.held, UINT64_MAX);
    pair.log_first = 1;
    struct disk *disk = sim_disk_ops(pair.source_disk);
    struct disk_file *file;
    cr_assert_eq(disk->ops->make_dir(disk, PAIR_DIR "/copy-00000000000000aa-500-1"), 0);
    cr_assert_eq(disk->ops->open(disk, PAIR_DIR "/copy-00000000000000aa-500-1/x.sst", DISK_CREATE, &file), 0);
    disk->ops->close(file);
    pair_restart_source(&pair, PAIR_KILL);
    cr_assert_eq(pair_copies_there(&pair), 0u, "it was not whole");
}

Test(rebuild_source, the_source_says_why_there_is_no_copy)
{
    pair.connected = true;
    pair.copy_err = ERR_NO_SPACE;
    cr_assert_eq(pair_ask_open(&pair, PAIR_SINK, 0), 0);
    sim_disk_complete_all(pair.source_disk);
    cr_assert_eq(pair_answer_kind(&pair, NULL), HOLDFAST__PEER_REBUILD__KIND_REFUSED);
    cr_assert_eq(pair.held, UINT64_MAX);
    cr_assert_eq(pair_copies_there(&pair), 0u);
    pair.stored_index = 0;
    cr_assert_eq(pair_ask_open(&pair, PAIR_SINK, 0), 0);
    cr_assert_eq(pair_answer_kind(&pair, NULL), HOLDFAST__PEER_REBUILD__KIND_REFUSED, "nothing is stored yet");
    cr_assert_eq(pair.held, UINT64_MAX);
}

Test(rebuild_source, the_source_reads_within_the_copy_alone)
{
    uint64_t copy = pair_open_copy(&pair, 0);
    cr_assert_eq(pair_ask_read(&pair, copy, 1000, 0, 1), ERR_BROKEN);
    cr_assert_eq(pair_ask_read(&pair, copy, 0, UINT64_C(1) << 39, 1), ERR_BROKEN);
    cr_assert_eq(pair_ask_read(&pair, copy, 0, 0, 0), ERR_BROKEN);
    cr_assert_eq(pair_ask_read(&pair, copy, 0, 0, REBUILD_PART_LEN_MAX + 1), ERR_BROKEN);
    cr_assert_eq(pair_ask_read(&pair, copy + 1, 0, 0, 1), 0);
    cr_assert_eq(pair_answer_kind(&pair, NULL), HOLDFAST__PEER_REBUILD__KIND_REFUSED);
    for (unsigned i = 0; i < REBUILD_SOURCE_READS_MAX + 3; i++) {
        cr_assert_eq(pair_ask_read(&pair, copy, 0, 0, 1), 0);
    }
    sim_disk_complete_all(pair.source_disk);
    cr_assert_eq(pair.answers.len, REBUILD_SOURCE_READS_MAX, "what is asked beyond that is dropped");
}
