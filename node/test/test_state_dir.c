/* Which directory holds the state: the old one or the new one, whatever happens in between. */

#include "node/core/state_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/bytes.h"
#include "sim/sim_disk.h"
#include "stopping_disk.h"

#define DIR "shard-0"
#define COPY "incoming-2-00000000000000aa"

static struct sim_disk *sim;
static struct disk *disk;
static char detail[200];
static uint64_t dice;

static uint64_t throw_dice(void *arg)
{
    uint64_t z = (*(uint64_t *)arg += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ (z >> 31);
}

static void put_file(const char *path, const char *text)
{
    struct disk_file *file;
    cr_assert_eq(disk->ops->open(disk, path, DISK_CREATE, &file), 0);
    cr_assert_eq(disk->ops->write(file, 0, text, strlen(text)), 0);
    cr_assert_eq(disk->ops->sync(file), 0);
    disk->ops->close(file);
}

static bool has_file(const char *path, const char *text)
{
    const uint8_t *data;
    uint64_t len;
    return sim_disk_content(sim, path, &data, &len) == 0 && len == strlen(text) && memcmp(data, text, len) == 0;
}

static void put_dir(const char *dir)
{
    char path[128];
    cr_assert_eq(disk->ops->make_dir(disk, dir), 0);
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/00000%u.sst", dir, i);
        put_file(path, dir);
    }
    cr_assert_eq(disk->ops->sync_dir(disk, dir), 0);
}

static bool has_dir(const char *dir)
{
    char path[128];
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/00000%u.sst", dir, i);
        if (!has_file(path, dir)) {
            return false;
        }
    }
    return true;
}

static void make_disk(void)
{
    sim_disk_free(sim);
    sim = sim_disk_new();
    disk = sim_disk_ops(sim);
    put_dir(DIR "/state");
    put_dir(DIR "/" COPY);
    put_dir(DIR "/incoming-3-00000000000000bb");
    put_dir(DIR "/copy-00000000000000cc-7-1");
    put_dir(DIR "/log");
    put_file(DIR "/meta", "meta");
    cr_assert_eq(disk->ops->sync_dir(disk, DIR), 0);
    cr_assert_eq(disk->ops->sync_dir(disk, "."), 0);
}

static void setup(void)
{
    sim = NULL;
    dice = 1;
    make_disk();
}

static void teardown(void)
{
    sim_disk_free(sim);
}

TestSuite(state_dir, .init = setup, .fini = teardown);

static void expect_current(const char *name, bool fresh)
{
    struct state_dir current;
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0, "%s", detail);
    cr_assert_str_eq(current.name, name);
    cr_assert_eq(current.fresh, fresh);
}

Test(state_dir, is_state_when_there_never_was_another)
{
    expect_current("state", false);
    struct state_dir current = {.name = "state"};
    cr_assert_eq(state_dir_settle(disk, DIR, &current), 0);
    cr_assert(has_dir(DIR "/" COPY), "what is being fetched is left alone");
    cr_assert_eq(state_dir_read(disk, "none", &current, detail, sizeof detail), 0);
    cr_assert_str_eq(current.name, "state");
}

Test(state_dir, is_switched_and_settled)
{
    struct state_dir current;
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    sim_disk_crash_losing_all(sim);
    expect_current(COPY, true);
    cr_assert(has_dir(DIR "/state"));
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0);
    cr_assert_eq(state_dir_settle(disk, DIR, &current), 0);
    sim_disk_crash_losing_all(sim);
    expect_current(COPY, false);
    cr_assert(has_dir(DIR "/" COPY));
    cr_assert(has_dir(DIR "/log") && has_dir(DIR "/copy-00000000000000cc-7-1") && has_file(DIR "/meta", "meta"));
    struct disk_file *file;
    cr_assert_eq(disk->ops->open(disk, DIR "/state/000000.sst", DISK_READ_ONLY, &file), ERR_NOT_FOUND);
    cr_assert_eq(disk->ops->remove_dir(disk, DIR "/state"), ERR_NOT_FOUND);
    cr_assert_eq(disk->ops->remove_dir(disk, DIR "/incoming-3-00000000000000bb"), ERR_NOT_FOUND);
}

Test(state_dir, says_that_the_file_is_damaged)
{
    struct state_dir current = {.name = "untouched"};
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    for (uint64_t i = 0; i < 144; i++) {
        cr_assert_eq(sim_disk_corrupt(sim, DIR "/current", i, 1), 0);
        cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), ERR_CORRUPT);
        cr_assert_str_eq(current.name, "untouched");
        cr_assert_not_null(strstr(detail, DIR "/current"));
        cr_assert_eq(sim_disk_corrupt(sim, DIR "/current", i, 1), 0);
    }
    expect_current(COPY, true);
}

/* A name that only this process sees must not be built upon. */
Test(state_dir, what_is_read_is_durable)
{
    struct stopping_disk stopping;
    /* A look at the old one; then open, truncate, write, sync, rename: and no sync of the directory. */
    stopping_disk_init(&stopping, disk, 6);
    cr_assert_eq(state_dir_switch(&stopping.base, DIR, COPY), ERR_IO);
    expect_current(COPY, true);
    sim_disk_crash_losing_all(sim);
    expect_current(COPY, true);
}

/* What an earlier version wrote. */
static void put_v1(const char *name, bool fresh)
{
    uint8_t bytes[80] = {'H', 'F', 'D', '1', fresh, (uint8_t)strlen(name)};
    struct disk_file *file;
    memcpy(bytes + 8, name, strlen(name));
    put_u64(bytes + 72, XXH3_64bits(bytes, 72));
    cr_assert_eq(disk->ops->open(disk, DIR "/current", DISK_CREATE, &file), 0);
    cr_assert_eq(disk->ops->truncate(file, 0), 0);
    cr_assert_eq(disk->ops->write(file, 0, bytes, sizeof bytes), 0);
    disk->ops->close(file);
}

Test(state_dir, reads_what_an_earlier_version_wrote)
{
    struct state_dir current;
    put_v1(COPY, true);
    expect_current(COPY, true);
    cr_assert_eq(state_dir_return(disk, DIR), 0);
    expect_current("state", false);
    put_dir(DIR "/" COPY);
    put_v1(COPY, true);
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0);
    cr_assert_eq(state_dir_settle(disk, DIR, &current), 0);
    expect_current(COPY, false);
    cr_assert_eq(sim_disk_corrupt(sim, DIR "/current", 100, 1), 0);
    put_v1(COPY, false);
    cr_assert_eq(sim_disk_corrupt(sim, DIR "/current", 20, 1), 0);
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), ERR_CORRUPT);
}

Test(state_dir, a_copy_that_is_no_good_gives_its_place_back)
{
    struct state_dir current;
    cr_assert_eq(state_dir_return(disk, DIR), 0);
    expect_current("state", false);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(state_dir_return(disk, DIR), 0);
    sim_disk_crash_losing_all(sim);
    expect_current("state", false);
    cr_assert(has_dir(DIR "/state"));
    cr_assert_eq(disk->ops->remove_dir(disk, DIR "/" COPY), ERR_NOT_FOUND);

    put_dir(DIR "/" COPY);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(state_dir_switch(disk, DIR, "incoming-3-00000000000000bb"), 0);
    cr_assert_eq(state_dir_return(disk, DIR), 0);
    expect_current("state", false);

    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0);
    cr_assert_eq(state_dir_settle(disk, DIR, &current), 0);
    cr_assert_eq(state_dir_return(disk, DIR), 0);
    expect_current(COPY, false);
    cr_assert(has_dir(DIR "/" COPY), "it is the state now");

    put_dir(DIR "/incoming-3-00000000000000bb");
    cr_assert_eq(state_dir_switch(disk, DIR, "incoming-3-00000000000000bb"), 0);
    cr_assert_eq(state_dir_return(disk, DIR), 0);
    expect_current(COPY, false);
    cr_assert(has_dir(DIR "/" COPY));
}

/* Some of the old state has gone when it ends: the copy is all that there is. */
Test(state_dir, there_is_no_way_back_from_where_the_old_state_was_being_removed)
{
    for (uint64_t operations = 8; operations < 16; operations++) {
        struct state_dir current;
        struct stopping_disk stopping;
        make_disk();
        cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
        cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0);
        stopping_disk_init(&stopping, disk, operations);
        cr_assert_eq(state_dir_settle(&stopping.base, DIR, &current), ERR_IO);
        cr_assert_eq(state_dir_return(disk, DIR), 0);
        expect_current(COPY, false);
        cr_assert(has_dir(DIR "/" COPY));
    }
}

Test(state_dir, a_copy_that_could_not_be_settled_can_be_kept)
{
    cr_assert_eq(state_dir_keep(disk, DIR), 0);
    expect_current("state", false);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(state_dir_keep(disk, DIR), 0);
    sim_disk_crash_losing_all(sim);
    expect_current(COPY, false);
    cr_assert(has_dir(DIR "/" COPY) && has_dir(DIR "/state"));
}

Test(state_dir, settles_on_a_full_disk_which_makes_room)
{
    struct state_dir current;
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0);
    sim_disk_set_capacity(sim, sim_disk_used(sim) + 100);
    cr_assert_eq(state_dir_settle(disk, DIR, &current), 0);
    expect_current(COPY, false);
    cr_assert_eq(disk->ops->remove_dir(disk, DIR "/state"), ERR_NOT_FOUND);
}

Test(state_dir, a_damaged_file_is_made_anew_with_what_is_there)
{
    struct state_dir current;
    cr_assert_eq(state_dir_mend(disk, DIR), 0);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(sim_disk_corrupt(sim, DIR "/current", 9, 1), 0);
    cr_assert_eq(state_dir_return(disk, DIR), ERR_CORRUPT);
    cr_assert_eq(state_dir_mend(disk, DIR), 0);
    sim_disk_crash_losing_all(sim);
    expect_current("state", false);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0);
    cr_assert_eq(state_dir_settle(disk, DIR, &current), 0);
    cr_assert_eq(sim_disk_corrupt(sim, DIR "/current", 9, 1), 0);
    cr_assert_eq(state_dir_mend(disk, DIR), 0);
    expect_current(COPY, false);
    cr_assert_eq(sim_disk_corrupt(sim, DIR "/current", 9, 1), 0);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0, "what it said does not matter then");
    expect_current(COPY, true);
}

Test(state_dir, a_full_disk_leaves_the_old_one)
{
    sim_disk_set_capacity(sim, sim_disk_used(sim) + 100);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), ERR_NO_SPACE);
    expect_current("state", false);
    sim_disk_set_capacity(sim, 0);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    expect_current(COPY, true);
}

Test(state_dir, removes_a_directory)
{
    cr_assert_eq(state_dir_remove(disk, DIR "/none"), 0);
    cr_assert_eq(state_dir_remove(disk, DIR "/state"), 0);
    cr_assert_not(has_dir(DIR "/state"));
    cr_assert_eq(disk->ops->remove_dir(disk, DIR "/state"), ERR_NOT_FOUND);
}

enum crash { CRASH_KILL, CRASH_ALL, CRASH_SOME, CRASH_KINDS };

static void crash(enum crash kind)
{
    if (kind == CRASH_KILL) {
        sim_disk_kill(sim);
    } else if (kind == CRASH_ALL) {
        sim_disk_crash_losing_all(sim);
    } else {
        sim_disk_crash(sim, throw_dice, &dice);
    }
}

/* One of the two, and it is whole. */
static void expect_either(void)
{
    struct state_dir current;
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0, "%s", detail);
    bool old = strcmp(current.name, "state") == 0;
    cr_assert(old || strcmp(current.name, COPY) == 0);
    cr_assert(has_dir(old ? DIR "/state" : DIR "/" COPY));
    cr_assert(!old || !current.fresh);
    sim_disk_crash_losing_all(sim);
    expect_current(current.name, current.fresh);
}

/* What a node does at its start, and when the copy is there, as far as the disk lets it. */
static void go_through(struct disk *through)
{
    struct state_dir current;
    int err = state_dir_read(through, DIR, &current, detail, sizeof detail);
    if (err == 0 && strcmp(current.name, "state") == 0) {
        err = state_dir_switch(through, DIR, COPY);
        err = err == 0 ? state_dir_read(through, DIR, &current, detail, sizeof detail) : err;
    }
    if (err == 0 && current.fresh) {
        err = state_dir_settle(through, DIR, &current);
    }
}

static bool crash_after(uint64_t operations, enum crash kind)
{
    struct stopping_disk stopping;
    struct state_dir current;
    make_disk();
    stopping_disk_init(&stopping, disk, operations);
    go_through(&stopping.base);
    crash(kind);
    expect_either();
    go_through(disk); /* After the start it is done again. */
    crash(kind);
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0);
    cr_assert_str_eq(current.name, COPY);
    cr_assert_not(current.fresh);
    cr_assert(has_dir(DIR "/" COPY) && has_dir(DIR "/log"));
    cr_assert_eq(disk->ops->remove_dir(disk, DIR "/state"), ERR_NOT_FOUND);
    cr_assert_eq(disk->ops->remove_dir(disk, DIR "/incoming-3-00000000000000bb"), ERR_NOT_FOUND);
    return stopping.stopped;
}

Test(state_dir, is_the_old_one_or_the_new_one_after_a_crash_at_any_operation)
{
    for (enum crash kind = 0; kind < CRASH_KINDS; kind++) {
        for (unsigned again = 0; again < (kind == CRASH_SOME ? 20u : 1u); again++) {
            uint64_t operations = 0;
            while (crash_after(operations, kind)) {
                operations++;
            }
            cr_assert_gt(operations, 20u);
        }
    }
}
