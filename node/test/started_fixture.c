#include "started_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp_dir started_dir;
struct system_clock started_time;
char started_data[128];
char started_detail[512];

void started_setup(void)
{
    temp_dir_make(&started_dir);
    system_clock_init(&started_time);
    snprintf(started_data, sizeof started_data, "%s/data", started_dir.path);
    started_detail[0] = '\0';
}

void started_teardown(void)
{
    temp_dir_remove(&started_dir);
}

static int start_try(struct data_dir **ret_opened)
{
    return data_dir_open(started_data, "orders", 2, &started_time.base, ret_opened, started_detail,
                         sizeof started_detail);
}

struct data_dir *start(void)
{
    struct data_dir *opened = NULL;
    cr_assert_eq(start_try(&opened), 0, "%s", started_detail);
    return opened;
}

/* *ret_why: what it finds; "": nothing. */
static void start_once(char why[256])
{
    struct data_dir *opened = start();
    why[0] = '\0';
    (void)data_dir_shard_is_old(opened, why, 256);
    data_dir_close(opened);
}

void start_good(void)
{
    char why[256];
    start_once(why);
    cr_assert_str_empty(why);
}

void start_old(const char *said)
{
    char why[256];
    start_once(why);
    cr_assert_not_null(strstr(why, said), "not \"%s\": %s", said, why);
}

void start_refused(const char *said)
{
    struct data_dir *opened = NULL;
    cr_assert_eq(start_try(&opened), ERR_IO);
    cr_assert_not_null(strstr(started_detail, said), "not \"%s\": %s", said, started_detail);
}

void adopt(void)
{
    struct data_dir *opened = start();
    cr_assert_eq(data_dir_shard_adopt(opened, &started_time.base, started_detail, sizeof started_detail), 0, "%s",
                 started_detail);
    cr_assert_not(data_dir_shard_is_old(opened, started_detail, sizeof started_detail));
    data_dir_close(opened);
}

void file_path(char file[STARTED_PATH_LEN], const char *name)
{
    snprintf(file, STARTED_PATH_LEN, "%s/%s", started_data, name);
}

void shard_make(void)
{
    char file[STARTED_PATH_LEN];
    file_path(file, "shard-0");
    cr_assert_eq(mkdir(file, 0700), 0);
    file_path(file, "shard-0/log");
    cr_assert_eq(mkdir(file, 0700), 0);
}

void slots_load(const char *name, uint8_t slots[SLOTS_LEN])
{
    char file[STARTED_PATH_LEN];
    file_path(file, name);
    FILE *in = fopen(file, "r");
    cr_assert_not_null(in, "%s", file);
    cr_assert_eq(fread(slots, 1, SLOTS_LEN, in), SLOTS_LEN);
    (void)fclose(in);
}

void slots_store(const char *name, const uint8_t slots[SLOTS_LEN])
{
    char file[STARTED_PATH_LEN];
    file_path(file, name);
    FILE *out = fopen(file, "w");
    cr_assert_not_null(out, "%s", file);
    cr_assert_eq(fwrite(slots, 1, SLOTS_LEN, out), SLOTS_LEN);
    cr_assert_eq(fclose(out), 0);
}

void slots_forget(const char *name)
{
    uint8_t slots[SLOTS_LEN];
    slots_load(name, slots);
    memset(slots + FACTS_AT, 0, 512 - FACTS_AT);
    memset(slots + 512 + FACTS_AT, 0, 512 - FACTS_AT);
    slots_store(name, slots);
}

void gone(const char *name)
{
    char file[STARTED_PATH_LEN];
    file_path(file, name);
    cr_assert_eq(unlink(file), 0);
}

bool there(const char *name)
{
    char file[STARTED_PATH_LEN];
    file_path(file, name);
    return access(file, F_OK) == 0;
}

void become_somebody(void)
{
    const uid_t nobody = 65534;
    if (geteuid() == 0) {
        cr_assert_eq(chown(started_dir.path, nobody, (gid_t)-1), 0);
        cr_assert_eq(seteuid(nobody), 0);
    }
}
