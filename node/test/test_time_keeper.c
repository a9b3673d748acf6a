/* The newest time mark is kept: now and then, in place, and never to the harm of anything else. */

#include "node/core/time_keeper.h"

#include <criterion/criterion.h>

#include "sim/sim_disk.h"

#define DIR "shard-0"
#define FILE_PATH DIR "/" TIME_KEEPER_FILE
#define WALL UINT64_C(1800000000000)

static struct sim_disk *sim;
static struct disk *disk;
static struct time_keeper keeper;
static struct time_mark read_mark;
static uint64_t now_ms;
static struct time_mark mark;

static void open_again(void)
{
    time_keeper_open(&keeper, disk, NULL, DIR, &read_mark);
}

static void setup(void)
{
    sim = sim_disk_new();
    disk = sim_disk_ops(sim);
    cr_assert_eq(disk->ops->make_dir(disk, DIR), 0);
    cr_assert_eq(disk->ops->sync_dir(disk, "."), 0);
    now_ms = 500;
    mark = (struct time_mark){.term = 3, .log_ms = WALL - 100, .wall_ms = WALL};
    open_again();
}

static void teardown(void)
{
    sim_disk_free(sim);
}

TestSuite(time_keeper, .init = setup, .fini = teardown);

static void finish(void)
{
    while (sim_disk_pending(sim) > 0) {
        sim_disk_complete_one(sim);
    }
    cr_assert(time_keeper_idle(&keeper));
}

/* So much later; log time has run evenly but for `gain_ms`. Whether that was written. */
static bool take_with(uint64_t later_ms, uint64_t gain_ms, uint64_t stamped_ms, bool disk_low)
{
    now_ms += later_ms;
    mark.wall_ms += later_ms;
    mark.log_ms += later_ms + gain_ms;
    time_keeper_take(&keeper, &mark, stamped_ms, disk_low, now_ms);
    bool begun = !time_keeper_idle(&keeper);
    finish();
    return begun && keeper.kept.log_ms == mark.log_ms;
}

static bool take(uint64_t later_ms, uint64_t gain_ms)
{
    return take_with(later_ms, gain_ms, 0, false);
}

static void expect_read(const struct time_mark *expected)
{
    open_again();
    cr_assert(read_mark.term == expected->term && read_mark.log_ms == expected->log_ms &&
                  read_mark.wall_ms == expected->wall_ms,
              "term %llu", (unsigned long long)read_mark.term);
}

Test(time_keeper, there_is_none_at_first)
{
    const struct time_mark none = {0};
    expect_read(&none);
    time_keeper_take(&keeper, &none, 0, false, now_ms);
    cr_assert(time_keeper_idle(&keeper), "nothing to write");
}

Test(time_keeper, what_was_written_last_is_read)
{
    for (unsigned i = 0; i < 5; i++) {
        cr_assert(take(i == 0 ? 0 : 60000, 0));
        expect_read(&mark);
    }
}

Test(time_keeper, an_even_time_is_written_once_a_minute)
{
    unsigned written = 0;
    for (unsigned second = 0; second < 300; second++) {
        written += take(1000, 0);
    }
    cr_assert_eq(written, 5u);
}

Test(time_keeper, one_that_leans_or_is_stamped_is_written_every_five_seconds)
{
    cr_assert(take(0, 0));
    cr_assert_not(take(4000, 100));
    cr_assert(take(1000, 0));
    cr_assert_not(take(5000, 40));
    cr_assert(take(1000, 40));
    cr_assert_not(take_with(4000, 0, mark.log_ms + 1, false));
    cr_assert(take_with(1000, 0, mark.log_ms + 1, false));
}

Test(time_keeper, one_of_a_new_leader_or_of_another_wall_clock_is_written_at_once)
{
    cr_assert(take(0, 0));
    mark.term++;
    cr_assert_not(take(999, 0));
    cr_assert(take(1, 0));
    mark.wall_ms += 3600000;
    cr_assert(take(1000, 0));
}

/* The same mark is known for as long as nobody leads. */
Test(time_keeper, the_same_is_written_once)
{
    cr_assert(take(0, 0));
    now_ms += 3600000;
    time_keeper_take(&keeper, &mark, 0, false, now_ms);
    cr_assert(time_keeper_idle(&keeper));
}

Test(time_keeper, one_at_a_time)
{
    time_keeper_take(&keeper, &mark, 0, false, now_ms);
    cr_assert_not(time_keeper_idle(&keeper));
    mark.term++;
    time_keeper_take(&keeper, &mark, 0, false, now_ms + 60000);
    cr_assert_eq(sim_disk_pending(sim), 1u);
    finish();
    cr_assert_eq(keeper.kept.term, mark.term - 1);
}

/* Whatever a crash leaves of the last one, the one before is whole. */
Test(time_keeper, a_torn_one_leaves_the_one_before)
{
    for (unsigned at = 0; at < TIME_MARK_LEN; at++) {
        cr_assert(take(60000, 0));
        struct time_mark before = mark;
        unsigned place = keeper.place;
        cr_assert(take(60000, 0));
        cr_assert_eq(sim_disk_corrupt(sim, FILE_PATH, (uint64_t)place * TIME_KEEPER_PLACE_LEN + at, 0x40), 0);
        expect_read(&before);
        cr_assert_eq(keeper.place, place, "what is whole is not written over");
    }
}

/* Otherwise there would be none of the last leader, after which those of earlier ones are worth nothing. */
Test(time_keeper, the_first_of_each_leader_outlasts_the_machine)
{
    for (unsigned i = 0; i < 3; i++) {
        mark.term++;
        cr_assert(take(60000, 0));
        struct time_mark first = mark;
        cr_assert(take(60000, 0));
        sim_disk_crash_losing_all(sim);
        expect_read(&first);
    }
}

Test(time_keeper, a_file_of_another_kind_is_none)
{
    const struct time_mark none = {0};
    struct disk_file *file;
    cr_assert_eq(disk->ops->open(disk, FILE_PATH, DISK_CREATE, &file), 0);
    cr_assert_eq(disk->ops->write(file, 0, "short", 5), 0);
    disk->ops->close(file);
    expect_read(&none);
    cr_assert(take(0, 0), "and is written over");
    expect_read(&mark);
}

Test(time_keeper, a_disk_that_is_short_gives_it_no_room_and_keeps_what_it_has)
{
    const struct time_mark none = {0};
    cr_assert_not(take_with(0, 0, 0, true));
    cr_assert_not(keeper.failed);
    expect_read(&none);
    cr_assert(take(60000, 0));
    cr_assert(take_with(60000, 0, 0, true), "it is there: it takes no more");
    expect_read(&mark);
}

Test(time_keeper, a_disk_that_fails_harms_nothing)
{
    cr_assert(take(0, 0));
    sim_disk_fail_next_offload(sim, ERR_IO);
    cr_assert_not(take(60000, 0));
    cr_assert(keeper.failed);
    cr_assert(take(60000, 0));
    expect_read(&mark);
}

Test(time_keeper, what_cannot_be_read_or_is_no_file_is_made_anew)
{
    const struct time_mark none = {0};
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(take(60000, 0));
        if (i == 0) {
            cr_assert_eq(sim_disk_lose_sector(sim, FILE_PATH, 0), 0);
            cr_assert_eq(sim_disk_lose_sector(sim, FILE_PATH, TIME_KEEPER_PLACE_LEN), 0);
        } else {
            cr_assert_eq(disk->ops->remove(disk, FILE_PATH), 0);
            cr_assert_eq(disk->ops->make_dir(disk, FILE_PATH), 0);
        }
        expect_read(&none);
        cr_assert(take(60000, 0));
        expect_read(&mark);
    }
}
