/* The directories of the shard and of its log belong to the last start: an older copy of either is found out, until that has been
 * noted. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "started_fixture.h"

TestSuite(data_dir_shard, .init = started_setup, .fini = started_teardown);

/* What is said of either. */
struct tied_case {
    const char *dir;
    const char *file;
    const char *older;
    const char *other;
    const char *missing;
    const char *damaged;
};

#define TIED_CASE(name)                                                                                                \
    {                                                                                                                  \
        .dir = (name), .file = name "/last-start", .older = name " is an older copy (of start 3, the last one was ",   \
        .other = name " is not the one that was used at start ", .missing = name "/last-start is missing",             \
        .damaged = name "/last-start is damaged"                                                                       \
    }

static const struct tied_case cases[] = {TIED_CASE("shard-0"), TIED_CASE("shard-0/log")};

/* Each with a directory of its own, that has been started three times. */
static void each_tied(void (*check)(const struct tied_case *tied))
{
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(started_data, sizeof started_data, "%s/data-%u", started_dir.path, i);
        start_good();
        cr_assert_not(there("shard-0"), "others make it");
        shard_make();
        start_good();
        start_good();
        check(&cases[i]);
    }
}

static void check_older_copy(const struct tied_case *tied)
{
    uint8_t old[SLOTS_LEN];
    slots_load(tied->file, old);
    start_good();
    slots_store(tied->file, old);
    for (unsigned i = 0; i < 3; i++) {
        start_old(tied->older);
    }
    adopt();
    start_good();
    slots_store(tied->file, old);
    start_old(tied->older);
}

Test(data_dir_shard, an_older_copy_is_found_at_every_start_until_that_is_noted)
{
    each_tied(check_older_copy);
}

static void check_random_numbers(const struct tied_case *tied)
{
    static const char *const files[] = {"starts", "shard-0/last-start", "shard-0/log/last-start"};
    uint8_t before[ARRAY_LEN(files)][SLOTS_LEN];
    uint8_t other[SLOTS_LEN];
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        slots_load(files[i], before[i]);
    }
    start_good();
    start_good();
    slots_load(tied->file, other); /* Of start 5. */
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        slots_store(files[i], before[i]); /* Of start 3, as is the other's. */
    }
    start_good();
    slots_store(tied->file, other);
    start_old(tied->other);
    start_old(tied->other);
}

Test(data_dir_shard, one_that_has_been_started_since_is_found_by_its_random_numbers)
{
    each_tied(check_random_numbers);
}

static void check_missing(const struct tied_case *tied)
{
    gone(tied->file);
    start_old(tied->missing);
    start_old(tied->missing);
    adopt();
    cr_assert(there(tied->file));
    start_good();
}

Test(data_dir_shard, one_that_is_missing_may_be_an_older_copy)
{
    each_tied(check_missing);
}

static void check_damaged(const struct tied_case *tied)
{
    uint8_t slots[SLOTS_LEN];
    char file[STARTED_PATH_LEN];
    slots_load(tied->file, slots);
    slots[20] ^= 1;
    slots[512 + 20] ^= 1;
    slots_store(tied->file, slots);
    start_old(tied->damaged);
    adopt();
    start_good();
    gone(tied->file);
    file_path(file, tied->file);
    cr_assert_eq(mkdir(file, 0700), 0);
    start_old(tied->damaged);
    adopt();
    start_good();
    gone(tied->file);
    cr_assert_eq(mkfifo(file, 0600), 0);
    start_old(tied->damaged);
    adopt();
    start_good();
}

Test(data_dir_shard, one_that_is_damaged_may_be_an_older_copy)
{
    each_tied(check_damaged);
}

Test(data_dir_shard, one_whose_directory_is_missing_is_lost)
{
    char file[STARTED_PATH_LEN];
    start_good();
    file_path(file, "shard-0");
    cr_assert_eq(mkdir(file, 0700), 0);
    start_good();
    gone("shard-0/last-start");
    cr_assert_eq(rmdir(file), 0);
    start_old("shard-0/last-start is missing");
    cr_assert_eq(mkdir(file, 0700), 0);
    start_old("shard-0/last-start is missing");
    adopt();
    start_good();
}

/* It is written first, so it may be ahead. */
Test(data_dir_shard, a_crash_between_the_two_writes_does_no_harm)
{
    uint8_t before[SLOTS_LEN];
    start_good();
    shard_make();
    start_good();
    for (unsigned i = 0; i < 4; i++) {
        slots_load("starts", before);
        start_good();
        slots_store("starts", before);
        start_good();
    }
    slots_load("starts", before);
    struct data_dir *opened = start();
    cr_assert_eq(data_dir_renew(opened, &started_time.base, started_detail, sizeof started_detail), 0, "%s",
                 started_detail);
    data_dir_close(opened);
    slots_store("starts", before);
    start_good();
    start_good();
}

/* A directory of an earlier program goes on, and is tied from its first start on; an earlier one that goes on with it unties it. */
Test(data_dir_shard, an_earlier_program_keeps_no_such_file)
{
    uint8_t old[SLOTS_LEN];
    start_good();
    shard_make();
    start_good();
    slots_load("shard-0/last-start", old);
    start_good();
    slots_forget("starts");
    gone("shard-0/last-start");
    start_good();
    cr_assert(there("shard-0/last-start"));
    slots_forget("starts");
    slots_store("shard-0/last-start", old);
    start_good();
    slots_store("shard-0/last-start", old);
    start_old("older copy");
}

/* The count begins anew: what was ahead of it must not hide what comes. */
static void check_lost_starts(const struct tied_case *tied)
{
    uint8_t old[SLOTS_LEN];
    char said[300];
    for (unsigned i = 0; i < 6; i++) {
        start_good();
    }
    gone("starts");
    start_good();
    slots_load(tied->file, old);
    start_good();
    slots_store(tied->file, old);
    snprintf(said, sizeof said, "%s is an older copy (of start 1, the last one was 2)", tied->dir);
    start_old(said);
}

Test(data_dir_shard, lost_starts_do_not_untie_it)
{
    each_tied(check_lost_starts);
}

Test(data_dir_shard, damaged_facts_are_damage)
{
    uint8_t slots[SLOTS_LEN];
    start_good();
    shard_make();
    start_good();
    start_good();
    for (size_t at = FACTS_AT; at < FACTS_AT + 16; at++) {
        struct data_dir_starts starts;
        slots_load("starts", slots);
        slots[512 + at] ^= 1; /* Of start 3. */
        slots_store("starts", slots);
        int fd = open(started_data, O_RDONLY | O_DIRECTORY);
        cr_assert_eq(data_dir_slots_read(fd, "starts", &starts), 0);
        cr_assert_eq(starts.count, 2u, "byte %zu", at);
        cr_assert_eq(close(fd), 0);
        slots[512 + at] ^= 1;
        slots_store("starts", slots);
    }
}

static void check_closed(const char *name, mode_t open_again)
{
    char said[300];
    char file[STARTED_PATH_LEN];
    file_path(file, name);
    cr_assert_eq(chmod(file, 0), 0);
    snprintf(said, sizeof said, "%s: Permission denied", name);
    start_refused(said);
    cr_assert_eq(chmod(file, open_again), 0);
    start_good();
}

static void check_may_not_be_read(const struct tied_case *tied)
{
    check_closed(tied->file, 0600);
    check_closed(tied->dir, 0700);
}

/* It is no damage: for nothing is the state thrown away. */
Test(data_dir_shard, what_may_not_be_read_ends_the_start)
{
    become_somebody();
    each_tied(check_may_not_be_read);
}

/* Neither is a disk that is not mounted. */
static void check_link(const struct tied_case *tied)
{
    uint8_t old[SLOTS_LEN];
    char said[300];
    char file[STARTED_PATH_LEN];
    char disk[STARTED_PATH_LEN + 8];
    char elsewhere[STARTED_PATH_LEN + 16];
    file_path(file, tied->dir);
    snprintf(disk, sizeof disk, "%s.disk", file);
    snprintf(elsewhere, sizeof elsewhere, "%s.away", disk);
    cr_assert_eq(rename(file, disk), 0);
    cr_assert_eq(symlink(disk, file), 0);
    start_good();
    slots_load(tied->file, old);
    start_good();
    cr_assert_eq(rename(disk, elsewhere), 0);
    snprintf(said, sizeof said, "%s: No such file or directory", tied->dir);
    start_refused(said);
    cr_assert_eq(rename(elsewhere, disk), 0);
    start_good();
    slots_store(tied->file, old);
    start_old("older copy");
}

Test(data_dir_shard, one_on_a_disk_of_its_own_is_tied_and_a_link_to_nowhere_ends_the_start)
{
    each_tied(check_link);
}
