/* What is different with the log: its directory is tied by way of the shard's, and may begin anew. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "started_fixture.h"

#define LOG_FILE "shard-0/log/last-start"
#define SHARD_FILE "shard-0/last-start"

static void setup(void)
{
    started_setup();
    start_good();
    shard_make();
    start_good();
}

TestSuite(data_dir_log, .init = setup, .fini = started_teardown);

/* It may be put back alone, or together with anything but the shard's own file. */
Test(data_dir_log, is_found_when_the_shard_is_the_latest)
{
    uint8_t log[SLOTS_LEN];
    uint8_t shard[SLOTS_LEN];
    slots_load(LOG_FILE, log);
    slots_load(SHARD_FILE, shard);
    start_good();
    slots_store(LOG_FILE, log);
    start_old(
        "shard-0/log is an older copy (of start 2, the last one was 3): it has lost what this node promised since");
    slots_store(SHARD_FILE, shard);
    start_old("shard-0 is an older copy (of start 2, the last one was 4)");
}

/* One whose copy is of before the file was there. */
Test(data_dir_log, without_the_file_may_be_an_older_copy)
{
    gone(LOG_FILE);
    start_old(LOG_FILE " is missing: nobody knows whether the log is this node's latest");
}

/* The log's is written first, then the shard's, then the count. */
Test(data_dir_log, may_be_ahead_after_a_crash)
{
    static const char *const later[] = {"starts", SHARD_FILE};
    uint8_t before[2][SLOTS_LEN];
    for (unsigned i = 0; i < 6; i++) {
        unsigned lost = i % 2 + 1; /* Of what is written later. */
        for (unsigned k = 0; k < lost; k++) {
            slots_load(later[k], before[k]);
        }
        start_good();
        for (unsigned k = 0; k < lost; k++) {
            slots_store(later[k], before[k]);
        }
        start_good();
    }
}

/* One that ties the shard alone keeps what it does not know of in DATA/starts, and nothing in the shard's file. */
static void start_earlier(void)
{
    struct data_dir_starts starts;
    int fd = open(started_data, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(data_dir_slots_read(fd, "starts", &starts), 0);
    memmove(starts.stamps + 1, starts.stamps, starts.stamps_len * sizeof starts.stamps[0]);
    starts.stamps[0] = 4711;
    starts.stamps_len++;
    starts.count++;
    cr_assert_eq(data_dir_slots_write(fd, "starts", &starts), 0);
    starts.facts = 0;
    cr_assert_eq(data_dir_slots_write(fd, SHARD_FILE, &starts), 0);
    cr_assert_eq(close(fd), 0);
}

Test(data_dir_log, is_untied_by_a_program_that_does_not_know_it_and_tied_again)
{
    uint8_t old[SLOTS_LEN];
    slots_load(LOG_FILE, old);
    start_earlier();
    start_earlier();
    start_good();
    slots_store(LOG_FILE, old);
    start_old("shard-0/log is an older copy");
    adopt();
    slots_forget("starts"); /* One that knows neither. */
    slots_store(LOG_FILE, old);
    start_good();
    slots_store(LOG_FILE, old);
    start_old("shard-0/log is an older copy");
    adopt();
    gone(LOG_FILE); /* Of a directory that never had it. */
    start_earlier();
    start_good();
    cr_assert(there(LOG_FILE));
}

/* What is lost with its directory is noted; it begins anew in one that is made, and must not be lost again then. */
Test(data_dir_log, that_begins_anew_in_a_new_directory_is_tied)
{
    char log[STARTED_PATH_LEN];
    gone(LOG_FILE);
    file_path(log, "shard-0/log");
    cr_assert_eq(rmdir(log), 0);
    start_old(LOG_FILE " is missing");
    adopt();
    start_good();
    struct data_dir *opened = start();
    cr_assert_eq(mkdir(log, 0700), 0);
    data_dir_close(opened); /* A crash before its starts are renewed. */
    opened = start();
    cr_assert_not(data_dir_shard_is_old(opened, started_detail, sizeof started_detail), "%s", started_detail);
    cr_assert_eq(data_dir_renew(opened, &started_time.base, started_detail, sizeof started_detail), 0, "%s",
                 started_detail);
    data_dir_close(opened);
    start_good();
    gone(LOG_FILE);
    start_old(LOG_FILE " is missing");
}
