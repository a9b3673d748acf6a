/* The directory of the shard belongs to the last start: an older copy of it is found out, until that has been noted. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/data_dir_private.h"
#include "node/system_clock.h"
#include "temp_dir.h"

#define SLOTS_LEN 1024u
#define FACTS_AT 280u /* To the end of a slot; likewise in the second one. */

static struct temp_dir dir;
static struct system_clock system_time;
static char path[128];
static char detail[512];

static void setup(void)
{
    temp_dir_make(&dir);
    system_clock_init(&system_time);
    snprintf(path, sizeof path, "%s/data", dir.path);
    detail[0] = '\0';
}

static void teardown(void)
{
    temp_dir_remove(&dir);
}

TestSuite(data_dir_shard, .init = setup, .fini = teardown);

static struct data_dir *start(void)
{
    struct data_dir *opened = NULL;
    cr_assert_eq(data_dir_open(path, "orders", 2, &system_time.base, &opened, detail, sizeof detail), 0, "%s", detail);
    return opened;
}

/* Of a process that ends. *ret_why: what it finds; "": nothing. */
static void start_once(char why[256])
{
    struct data_dir *opened = start();
    why[0] = '\0';
    (void)data_dir_shard_is_old(opened, why, 256);
    data_dir_close(opened);
}

static void start_good(void)
{
    char why[256];
    start_once(why);
    cr_assert_str_empty(why);
}

static void start_old(const char *said)
{
    char why[256];
    start_once(why);
    cr_assert_not_null(strstr(why, said), "not \"%s\": %s", said, why);
}

static void file_path(char file[256], const char *name)
{
    snprintf(file, 256, "%s/%s", path, name);
}

static void shard_make(void)
{
    char file[256];
    file_path(file, "shard-0");
    cr_assert_eq(mkdir(file, 0700), 0);
}

static void slots_load(const char *name, uint8_t slots[SLOTS_LEN])
{
    char file[256];
    file_path(file, name);
    FILE *in = fopen(file, "r");
    cr_assert_not_null(in);
    cr_assert_eq(fread(slots, 1, SLOTS_LEN, in), SLOTS_LEN);
    (void)fclose(in);
}

static void slots_store(const char *name, const uint8_t slots[SLOTS_LEN])
{
    char file[256];
    file_path(file, name);
    FILE *out = fopen(file, "w");
    cr_assert_not_null(out);
    cr_assert_eq(fwrite(slots, 1, SLOTS_LEN, out), SLOTS_LEN);
    cr_assert_eq(fclose(out), 0);
}

static void gone(const char *name)
{
    char file[256];
    file_path(file, name);
    cr_assert_eq(unlink(file), 0);
}

static bool there(const char *name)
{
    char file[256];
    file_path(file, name);
    return access(file, F_OK) == 0;
}

static void adopt(void)
{
    struct data_dir *opened = start();
    cr_assert_eq(data_dir_shard_adopt(opened, &system_time.base, detail, sizeof detail), 0, "%s", detail);
    cr_assert_not(data_dir_shard_is_old(opened, detail, sizeof detail));
    data_dir_close(opened);
}

Test(data_dir_shard, an_older_copy_is_found_at_every_start_until_that_is_noted)
{
    uint8_t old[SLOTS_LEN];
    start_good();
    cr_assert_not(there("shard-0"), "others make it");
    shard_make();
    start_good();
    slots_load("shard-0/last-start", old);
    start_good();
    slots_store("shard-0/last-start", old);
    for (unsigned i = 0; i < 3; i++) {
        start_old("shard-0 is an older copy (of start 2, the last one was ");
    }
    adopt();
    start_good();
    slots_store("shard-0/last-start", old);
    start_old("shard-0 is an older copy (of start 2,");
}

Test(data_dir_shard, one_that_has_been_started_since_is_found_by_its_random_numbers)
{
    uint8_t starts[SLOTS_LEN];
    uint8_t other[SLOTS_LEN];
    start_good();
    shard_make();
    start_good();
    slots_load("starts", starts);
    start_good();
    start_good();
    slots_load("shard-0/last-start", other); /* Of start 4. */
    slots_store("starts", starts);           /* Of start 2, as is the other's. */
    start_good();
    slots_store("shard-0/last-start", other);
    start_old("shard-0 is not the one that was used at start 3");
    start_old("shard-0 is not the one that was used at start 4");
}

Test(data_dir_shard, one_that_is_missing_or_damaged_may_be_an_older_copy)
{
    uint8_t slots[SLOTS_LEN];
    char file[256];
    start_good();
    shard_make();
    start_good();
    gone("shard-0/last-start");
    start_old("shard-0/last-start is missing");
    file_path(file, "shard-0");
    cr_assert_eq(rmdir(file), 0);
    start_old("shard-0/last-start is missing");
    shard_make();
    start_old("shard-0/last-start is missing");
    adopt();
    slots_load("shard-0/last-start", slots);
    slots[20] ^= 1;
    slots[512 + 20] ^= 1;
    slots_store("shard-0/last-start", slots);
    start_old("shard-0/last-start is damaged");
    adopt();
    start_good();
    gone("shard-0/last-start");
    file_path(file, "shard-0/last-start");
    cr_assert_eq(mkdir(file, 0700), 0);
    start_old("shard-0/last-start is damaged");
    adopt();
    start_good();
    gone("shard-0/last-start");
    cr_assert_eq(mkfifo(file, 0600), 0);
    start_old("shard-0/last-start is damaged");
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
    cr_assert_eq(data_dir_renew(opened, &system_time.base, detail, sizeof detail), 0, "%s", detail);
    data_dir_close(opened);
    slots_store("starts", before);
    start_good();
    start_good();
}

/* A directory of an earlier program goes on, and is tied from its first start on; an earlier one that goes on with it unties it. */
Test(data_dir_shard, an_earlier_program_keeps_no_such_file)
{
    uint8_t starts[SLOTS_LEN];
    uint8_t old[SLOTS_LEN];
    start_good();
    shard_make();
    start_good();
    slots_load("shard-0/last-start", old);
    start_good();
    slots_load("starts", starts);
    memset(starts + FACTS_AT, 0, 512 - FACTS_AT);
    memset(starts + 512 + FACTS_AT, 0, 512 - FACTS_AT);
    slots_store("starts", starts);
    gone("shard-0/last-start");
    start_good();
    cr_assert(there("shard-0/last-start"));
    slots_load("starts", starts);
    memset(starts + FACTS_AT, 0, 512 - FACTS_AT);
    memset(starts + 512 + FACTS_AT, 0, 512 - FACTS_AT);
    slots_store("starts", starts);
    slots_store("shard-0/last-start", old);
    start_good();
    slots_store("shard-0/last-start", old);
    start_old("older copy");
}

/* The count begins anew: what was ahead of it must not hide what comes. */
Test(data_dir_shard, lost_starts_do_not_untie_it)
{
    uint8_t old[SLOTS_LEN];
    start_good();
    shard_make();
    for (unsigned i = 0; i < 6; i++) {
        start_good();
    }
    gone("starts");
    start_good();
    slots_load("shard-0/last-start", old);
    start_good();
    slots_store("shard-0/last-start", old);
    start_old("(of start 1, the last one was 2)");
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
        int fd = open(path, O_RDONLY | O_DIRECTORY);
        cr_assert_eq(data_dir_slots_read(fd, "starts", &starts), 0);
        cr_assert_eq(starts.count, 2u, "byte %zu", at);
        cr_assert_eq(close(fd), 0);
        slots[512 + at] ^= 1;
        slots_store("starts", slots);
    }
}

/* Root may read everything: as somebody else, to whom it belongs. */
static void become_somebody(void)
{
    const uid_t nobody = 65534;
    if (geteuid() == 0) {
        cr_assert_eq(chown(dir.path, nobody, (gid_t)-1), 0);
        cr_assert_eq(seteuid(nobody), 0);
    }
}

static void start_refused(const char *said)
{
    struct data_dir *opened = NULL;
    cr_assert_eq(data_dir_open(path, "orders", 2, &system_time.base, &opened, detail, sizeof detail), ERR_IO);
    cr_assert_not_null(strstr(detail, said), "not \"%s\": %s", said, detail);
}

/* It is no damage: for nothing is the state thrown away. */
Test(data_dir_shard, what_may_not_be_read_ends_the_start)
{
    char file[256];
    become_somebody();
    start_good();
    shard_make();
    start_good();
    file_path(file, "shard-0/last-start");
    cr_assert_eq(chmod(file, 0), 0);
    start_refused("shard-0/last-start: Permission denied");
    cr_assert_eq(chmod(file, 0600), 0);
    start_good();
    file_path(file, "shard-0");
    cr_assert_eq(chmod(file, 0), 0);
    start_refused("shard-0: Permission denied");
    cr_assert_eq(chmod(file, 0700), 0);
    start_good();
}
