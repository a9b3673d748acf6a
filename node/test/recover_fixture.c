/* A node of three that is stopped, in a directory of its own, and what a look at that finds. */

#include "recover_fixture.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "consensus/driver.h"
#include "node/data_dir.h"
#include "node/recover.h"
#include "proto/base/check.h"
#include "temp_dir.h"

struct temp_dir stopped_dir;
struct system_clock stopped_time;
char stopped_data[128];
char stopped_detail[1024];
char stopped_said[16384];

/* ---- A node that is stopped ---- */

struct disk *stopped_disk_open(struct stopped_disk *open)
{
    struct posix_disk_options options = {.loop = &open->loop, .root = stopped_data};
    cr_assert_eq(uv_loop_init(&open->loop), 0);
    cr_assert_eq(posix_disk_open(&options, &open->disk), 0);
    return posix_disk_base(open->disk);
}

void stopped_disk_stop(struct stopped_disk *open)
{
    posix_disk_close(open->disk);
    open->disk = NULL;
}

void stopped_disk_close(struct stopped_disk *open)
{
    posix_disk_close(open->disk);
    cr_assert_eq(uv_run(&open->loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(uv_loop_close(&open->loop), 0);
}

static void no_send(void *arg, uint64_t node, struct frame_out *frame)
{
    (void)arg;
    (void)node;
    frame_out_done(frame);
}

static int no_apply(void *arg, uint64_t index, uint64_t term, struct slice payload)
{
    (void)arg;
    (void)index;
    (void)term;
    (void)payload;
    return 0;
}

static void no_role(void *arg, enum driver_role role, uint64_t leader, uint64_t term)
{
    (void)arg;
    (void)role;
    (void)leader;
    (void)term;
}

static void no_read(void *arg, uint64_t round, uint64_t index)
{
    (void)arg;
    (void)round;
    (void)index;
}

static void no_fatal(void *arg, int err, const char *what)
{
    (void)arg;
    cr_assert_fail("fatal: %s: %s", what, err_text(err));
}

/* The log of node 1 of three, as its first start leaves it. */
static void log_make(void)
{
    static const struct driver_member members[] = {
        {.id = 1, .address = "one:1"}, {.id = 2, .address = "two:2"}, {.id = 3, .address = "three:3"}};
    struct stopped_disk open;
    struct driver *driver;
    struct driver_options options = {
        .id = 1,
        .members = members,
        .members_len = ARRAY_LEN(members),
        .disk = stopped_disk_open(&open),
        .clock = &stopped_time.base,
        .dir = SHARD,
        .segment_len = 1 * MIB,
        .host = {.send = no_send, .apply = no_apply, .role_changed = no_role, .read_ready = no_read, .fatal = no_fatal},
    };
    cr_assert_eq(driver_open(&options, &driver, stopped_detail, sizeof stopped_detail), 0, "%s", stopped_detail);
    stopped_disk_stop(&open);
    driver_close(driver);
    stopped_disk_close(&open);
}

void stopped_setup(void)
{
    struct data_dir *made;
    temp_dir_make(&stopped_dir);
    system_clock_init(&stopped_time);
    (void)snprintf(stopped_data, sizeof stopped_data, "%s/data", stopped_dir.path);
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &made, stopped_detail, sizeof stopped_detail), 0,
        "%s", stopped_detail);
    data_dir_close(made);
    log_make();
}

void stopped_teardown(void)
{
    temp_dir_remove(&stopped_dir);
}

/* ---- Looking ---- */

static uint64_t hash;

static void hash_file(const char *path)
{
    uint8_t bytes[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0;) {
        hash = XXH3_64bits_withSeed(bytes, (size_t)got, hash);
    }
    (void)close(fd);
}

/* The order in which files are found is the same as long as none comes or goes. */
static int hash_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)where;
    hash = XXH3_64bits_withSeed(path, strlen(path), hash);
    if (type == FTW_F) {
        hash_file(path);
    }
    return 0;
}

uint64_t stopped_hash(void)
{
    hash = 0;
    cr_assert_eq(nftw(stopped_data, hash_one, 16, FTW_PHYS), 0);
    return hash;
}

void stopped_path(const char *name, char path[PATH_LEN])
{
    (void)snprintf(path, PATH_LEN, "%s/%s", stopped_data, name);
}

void stopped_write(const char *name, const char *text)
{
    char path[PATH_LEN];
    stopped_path(name, path);
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    cr_assert_geq(fputs(text, out), 0);
    cr_assert_eq(fclose(out), 0);
}

/* ---- Recovering ---- */

int recover_said(const struct recover_options *options)
{
    char path[PATH_LEN];
    (void)snprintf(path, sizeof path, "%s/said", stopped_dir.path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int nobody = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = dup(STDOUT_FILENO);
    int err = dup(STDERR_FILENO);
    (void)fflush(stdout);
    cr_assert(fd >= 0 && nobody >= 0 && out >= 0 && err >= 0);
    cr_assert(dup2(nobody, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    int status = recover_run(options);
    (void)fflush(stdout);
    cr_assert(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    ssize_t got = pread(fd, stopped_said, sizeof stopped_said - 1, 0);
    stopped_said[got > 0 ? got : 0] = '\0';
    (void)close(fd);
    (void)close(nobody);
    (void)close(out);
    (void)close(err);
    return status;
}

int recover_said_with(bool accept_loss, const char *confirm)
{
    struct recover_options options = {.data = stopped_data, .accept_loss = accept_loss, .confirm = confirm};
    return recover_said(&options);
}

void stopped_log(char name[256])
{
    char path[PATH_LEN];
    uv_fs_t scan;
    uv_dirent_t found;
    stopped_path(SHARD "/log", path);
    cr_assert_geq(uv_fs_scandir(NULL, &scan, path, 0, NULL), 0);
    name[0] = '\0';
    while (uv_fs_scandir_next(&scan, &found) == 0) {
        if (name[0] == '\0' || strcmp(found.name, name + strlen(SHARD "/log/")) < 0) {
            (void)snprintf(name, 256, SHARD "/log/%.200s", found.name);
        }
    }
    uv_fs_req_cleanup(&scan);
    cr_assert_str_not_empty(name);
}

void stopped_flip(const char *name, off_t at)
{
    char path[PATH_LEN];
    uint8_t byte;
    stopped_path(name, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}
