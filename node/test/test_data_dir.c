/* A data directory knows whose it is, lets one process in at a time, and remembers what others must not get away with. */

#include "node/data_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "node/data_dir_private.h"
#include "node/system_clock.h"
#include "temp_dir.h"

static struct temp_dir dir;
static struct system_clock system_time;
static char path[128];
static char detail[512];

static void setup(void)
{
    temp_dir_make(&dir);
    system_clock_init(&system_time);
    snprintf(path, sizeof path, "%s/some/where", dir.path);
    detail[0] = '\0';
}

static void teardown(void)
{
    temp_dir_remove(&dir);
}

static int open_as(const char *cluster, uint64_t node, struct data_dir **ret)
{
    return data_dir_open(path, cluster, node, &system_time.base, ret, detail, sizeof detail);
}

static void write_file(const char *name, const char *text)
{
    char file[256];
    snprintf(file, sizeof file, "%s/%s", path, name);
    FILE *out = fopen(file, "w");
    cr_assert_not_null(out);
    cr_assert_geq(fputs(text, out), 0);
    cr_assert_eq(fclose(out), 0);
}

static void read_file(const char *name, char *text, size_t len)
{
    char file[256];
    snprintf(file, sizeof file, "%s/%s", path, name);
    FILE *in = fopen(file, "r");
    cr_assert_not_null(in);
    text[fread(text, 1, len - 1, in)] = '\0';
    (void)fclose(in);
}

TestSuite(data_dir, .init = setup, .fini = teardown);

Test(data_dir, keeps_its_incarnation)
{
    struct data_dir *first;
    cr_assert_eq(open_as("orders", 2, &first), 0, "%s", detail);
    uint64_t incarnation = data_dir_incarnation(first);
    data_dir_close(first);
    cr_assert_eq(open_as("orders", 2, &first), 0, "%s", detail);
    cr_assert_eq(data_dir_incarnation(first), incarnation);
    data_dir_close(first);
}

Test(data_dir, a_second_process_is_told_who_has_it)
{
    struct data_dir *first;
    struct data_dir *second = NULL;
    char pid[256];
    cr_assert_eq(open_as("orders", 2, &first), 0);
    cr_assert_eq(open_as("orders", 2, &second), ERR_LOCKED);
    cr_assert_null(second);
    snprintf(pid, sizeof pid, "(pid %ld) uses %s", (long)getpid(), path);
    cr_assert_not_null(strstr(detail, pid), "%s", detail);
    data_dir_close(first);
    cr_assert_eq(open_as("orders", 2, &second), 0);
    data_dir_close(second);
}

Test(data_dir, another_cluster_or_node_is_foreign)
{
    struct data_dir *opened;
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    data_dir_close(opened);
    cr_assert_eq(open_as("returns", 2, &opened), ERR_FOREIGN);
    cr_assert(strstr(detail, "\"orders\"") != NULL && strstr(detail, "\"returns\"") != NULL, "%s", detail);
    cr_assert_eq(open_as("orders", 3, &opened), ERR_FOREIGN);
    cr_assert(strstr(detail, "node 2") != NULL && strstr(detail, "node 3") != NULL, "%s", detail);
}

Test(data_dir, every_damaged_byte_of_the_identity_is_found)
{
    struct data_dir *opened;
    char text[512];
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    data_dir_close(opened);
    read_file("identity", text, sizeof text);
    size_t len = strlen(text);
    for (size_t i = 0; i + 1 < len; i++) {
        text[i] ^= 1;
        write_file("identity", text);
        int err = open_as("orders", 2, &opened);
        cr_assert(err == ERR_CORRUPT || err == ERR_VERSION, "byte %zu: %s", i, err_name(err));
        cr_assert_not_null(strstr(detail, "/identity"), "%s", detail);
        text[i] ^= 1;
    }
    write_file("identity", text);
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    data_dir_close(opened);
}

Test(data_dir, a_newer_version_is_refused)
{
    struct data_dir *opened;
    char text[512] = "holdfast-data 2\ncluster orders\nnode 2\nincarnation 0000000000000001\n";
    size_t len = strlen(text);
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    data_dir_close(opened);
    snprintf(text + len, sizeof text - len, "checksum %016llx\n", (unsigned long long)XXH3_64bits(text, len));
    write_file("identity", text);
    cr_assert_eq(open_as("orders", 2, &opened), ERR_VERSION);
    cr_assert_not_null(strstr(detail, "version 2"), "%s", detail);
}

Test(data_dir, a_log_without_an_identity_is_not_adopted)
{
    struct data_dir *opened;
    char file[256];
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    data_dir_close(opened);
    snprintf(file, sizeof file, "%s/shard-0", path);
    cr_assert_eq(mkdir(file, 0700), 0);
    snprintf(file, sizeof file, "%s/identity", path);
    cr_assert_eq(unlink(file), 0);
    cr_assert_eq(open_as("orders", 2, &opened), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "identity is missing"), "%s", detail);
}

Test(data_dir, knows_for_ever_that_its_node_takes_part)
{
    struct data_dir *opened;
    char file[256];
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_NONE);
    cr_assert_eq(data_dir_set_part(opened, DATA_DIR_PART_FOUNDED, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_FOUNDED);
    cr_assert_eq(data_dir_set_part(opened, DATA_DIR_PART_TAKEN, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_set_part(opened, DATA_DIR_PART_FOUNDED, detail, sizeof detail), 0);
    data_dir_close(opened);
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_TAKEN);
    write_file("part", "holdfast-part 1\nstate founded\nchecksum 0000000000000000\n");
    cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_TAKEN, "damaged");
    snprintf(file, sizeof file, "%s/part", path);
    cr_assert_eq(unlink(file), 0);
    cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_TAKEN, "the starts know it too");
    data_dir_close(opened);
    cr_assert_eq(open_as("orders", 2, &opened), 0, "%s", detail);
    cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_TAKEN);
    cr_assert_eq(data_dir_set_part(opened, DATA_DIR_PART_TAKEN, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(access(file, F_OK), 0, "written again");
    data_dir_close(opened);
    snprintf(file, sizeof file, "%s/starts", path);
    cr_assert_eq(unlink(file), 0);
    cr_assert_eq(open_as("orders", 2, &opened), 0, "%s", detail);
    cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_TAKEN, "as an earlier program left it");
    data_dir_close(opened);
    snprintf(file, sizeof file, "%s/part", path);
    cr_assert_eq(unlink(file), 0);
    cr_assert_eq(open_as("orders", 2, &opened), 0, "%s", detail);
    cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_TAKEN, "noted at that start");
    data_dir_close(opened);
}

/* Whatever follows the checksum was not written by us. */
Test(data_dir, what_follows_the_checksum_is_damage)
{
    static const char *const more[] = {"x", "\n", "peer 3 0000000000000001\n", "checksum 0000000000000000\n"};
    struct data_dir *opened;
    struct data_dir_member member = {.id = 1, .address = "one:1", .voter = true};
    unsigned members_len;
    char text[4096];
    char longer[4200];
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 77, NULL, 0, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_members_write(opened, &member, 1, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(data_dir_set_part(opened, DATA_DIR_PART_FOUNDED, detail, sizeof detail), 0, "%s", detail);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        struct data_dir_member members[MEMBERS_MAX];
        read_file("part", text, sizeof text);
        snprintf(longer, sizeof longer, "%s%s", text, more[i]);
        write_file("part", longer);
        cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_TAKEN, "%zu", i);
        write_file("part", text);
        cr_assert_eq(data_dir_part(opened), DATA_DIR_PART_FOUNDED);
        read_file("members", text, sizeof text);
        snprintf(longer, sizeof longer, "%s%s", text, more[i]);
        write_file("members", longer);
        cr_assert_eq(data_dir_members_read(opened, members, &members_len, detail, sizeof detail), ERR_CORRUPT);
        write_file("members", text);
    }
    data_dir_close(opened);
    static const char *const names[] = {"identity", "peers"};
    for (size_t n = 0; n < 2; n++) {
        read_file(names[n], text, sizeof text);
        for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
            snprintf(longer, sizeof longer, "%s%s", text, more[i]);
            write_file(names[n], longer);
            cr_assert_eq(open_as("orders", 2, &opened), ERR_CORRUPT, "%s: %zu", names[n], i);
            cr_assert_not_null(strstr(detail, names[n]), "%s", detail);
        }
        text[strlen(text) - 1] = '\0';
        write_file(names[n], text);
        cr_assert_eq(open_as("orders", 2, &opened), ERR_CORRUPT, "cut short by its line's end");
        snprintf(longer, sizeof longer, "%s\n", text);
        write_file(names[n], longer);
    }
    cr_assert_eq(open_as("orders", 2, &opened), 0, "%s", detail);
    data_dir_close(opened);
}

Test(data_dir, a_peer_with_another_directory_is_refused_also_after_a_restart)
{
    struct data_dir *opened;
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 77, NULL, 0, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_peer(opened, 3, 78, NULL, 0, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 77, NULL, 0, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 79, NULL, 0, detail, sizeof detail), ERR_FOREIGN);
    data_dir_close(opened);
    cr_assert_eq(open_as("orders", 2, &opened), 0, "%s", detail);
    cr_assert_eq(data_dir_peer(opened, 3, 77, NULL, 0, detail, sizeof detail), ERR_FOREIGN);
    cr_assert_not_null(strstr(detail, "node 3"), "%s", detail);
    cr_assert_eq(data_dir_peer(opened, 3, 78, NULL, 0, detail, sizeof detail), 0);
    data_dir_close(opened);
}

Test(data_dir, damaged_peers_are_not_forgotten_silently)
{
    struct data_dir *opened;
    char text[512];
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 77, NULL, 0, detail, sizeof detail), 0);
    data_dir_close(opened);
    read_file("peers", text, sizeof text);
    text[strlen(text) / 2] ^= 1;
    write_file("peers", text);
    cr_assert_eq(open_as("orders", 2, &opened), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "/peers"), "%s", detail);
}

Test(data_dir, missing_peers_are_not_forgotten_silently)
{
    struct data_dir *opened;
    char file[256];
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    cr_assert_not(data_dir_has_peers(opened));
    cr_assert_eq(data_dir_peer(opened, 1, 77, NULL, 0, detail, sizeof detail), 0);
    cr_assert(data_dir_has_peers(opened));
    data_dir_close(opened);
    cr_assert_eq(open_as("orders", 2, &opened), 0, "%s", detail);
    cr_assert(data_dir_has_peers(opened));
    data_dir_close(opened);
    snprintf(file, sizeof file, "%s/peers", path);
    cr_assert_eq(unlink(file), 0);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(open_as("orders", 2, &opened), ERR_CORRUPT);
        cr_assert_not_null(strstr(detail, "/peers is missing"), "%s", detail);
        cr_assert_eq(data_dir_visit(path, &opened, detail, sizeof detail), ERR_CORRUPT);
    }
}

Test(data_dir, a_name_that_would_end_its_line_is_refused)
{
    struct data_dir *opened;
    cr_assert_eq(open_as("orders\nnode 3", 2, &opened), ERR_INVALID);
}

static struct data_dir *open_good(uint64_t node)
{
    struct data_dir *opened = NULL;
    cr_assert_eq(open_as("orders", node, &opened), 0, "%s", detail);
    return opened;
}

static void set_path(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir.path, name);
}

/* What a process that uses the directory now would say of its starts. */
static size_t start_once(const char *name, uint64_t node, uint8_t history[DATA_DIR_HISTORY_LEN_MAX])
{
    set_path(name);
    struct data_dir *opened = open_good(node);
    size_t len = data_dir_history(opened, history);
    data_dir_close(opened);
    return len;
}

static void copy_file(const char *from, const char *to, const char *name)
{
    char text[4096];
    char file[256];
    snprintf(file, sizeof file, "%s/%s/%s", dir.path, from, name);
    FILE *in = fopen(file, "r");
    cr_assert_not_null(in);
    size_t len = fread(text, 1, sizeof text, in);
    (void)fclose(in);
    snprintf(file, sizeof file, "%s/%s", dir.path, to);
    (void)mkdir(file, 0700);
    snprintf(file, sizeof file, "%s/%s/%s", dir.path, to, name);
    FILE *out = fopen(file, "w");
    cr_assert_not_null(out);
    cr_assert_eq(fwrite(text, 1, len, out), len);
    cr_assert_eq(fclose(out), 0);
}

static void copy_directory(const char *from, const char *to)
{
    copy_file(from, to, "identity");
    copy_file(from, to, "starts");
}

static int hello(struct data_dir *watcher, uint64_t node, const uint8_t *history, size_t len)
{
    return data_dir_peer(watcher, node, 77, history, len, detail, sizeof detail);
}

static struct data_dir *watch(void)
{
    set_path("watcher");
    return open_good(2);
}

Test(data_dir, each_start_counts_and_is_told_with_those_before)
{
    uint8_t first[DATA_DIR_HISTORY_LEN_MAX];
    uint8_t second[DATA_DIR_HISTORY_LEN_MAX];
    cr_assert_eq(start_once("a", 3, first), 16u);
    cr_assert_eq(start_once("a", 3, second), 24u);
    cr_assert_eq(first[0], 1u);
    cr_assert_eq(second[0], 2u);
    cr_assert_arr_eq(first + 8, second + 16, 8);
    cr_assert_arr_neq(first + 8, second + 8, 8);
    for (unsigned i = 3; i < 40; i++) {
        (void)start_once("a", 3, second);
    }
    cr_assert_eq(start_once("a", 3, second), DATA_DIR_HISTORY_LEN_MAX);
    cr_assert_eq(second[0], 40u);
}

Test(data_dir, an_older_copy_of_a_peers_directory_is_refused)
{
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    struct data_dir *watcher = watch();
    size_t len = start_once("a", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), 0, "%s", detail);
    copy_directory("a", "old");
    for (unsigned i = 0; i < 3; i++) {
        len = start_once("a", 3, history);
        cr_assert_eq(hello(watcher, 3, history, len), 0, "%s", detail);
        cr_assert_eq(hello(watcher, 3, history, len), 0, "a second connection");
    }
    data_dir_close(watcher);
    watcher = watch();
    len = start_once("old", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), ERR_STALE);
    cr_assert_not_null(strstr(detail, "start 2, known is 4"), "%s", detail);
    /* However often it is started: its starts are others. */
    for (unsigned i = 0; i < 10; i++) {
        len = start_once("old", 3, history);
        cr_assert_eq(hello(watcher, 3, history, len), ERR_STALE, "start %u", i + 3);
    }
    /* The right one goes on. */
    len = start_once("a", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), 0, "%s", detail);
    data_dir_close(watcher);
}

Test(data_dir, a_second_copy_that_was_started_as_often_is_refused)
{
    uint8_t one[DATA_DIR_HISTORY_LEN_MAX];
    uint8_t two[DATA_DIR_HISTORY_LEN_MAX];
    struct data_dir *watcher = watch();
    (void)start_once("a", 3, one);
    copy_directory("a", "b");
    size_t one_len = start_once("a", 3, one);
    size_t two_len = start_once("b", 3, two);
    cr_assert_eq(one_len, two_len);
    cr_assert_eq(hello(watcher, 3, one, one_len), 0);
    cr_assert_eq(hello(watcher, 3, two, two_len), ERR_STALE);
    data_dir_close(watcher);
}

Test(data_dir, one_that_was_away_for_long_comes_back)
{
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    struct data_dir *watcher = watch();
    size_t len = start_once("a", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), 0);
    for (unsigned i = 0; i < DATA_DIR_STAMPS_MAX + 5; i++) {
        len = start_once("a", 3, history);
    }
    cr_assert_eq(hello(watcher, 3, history, len), 0, "%s", detail);
    data_dir_close(watcher);
}

Test(data_dir, a_node_that_begins_anew_without_promises_is_let_in_again)
{
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    struct data_dir *watcher = watch();
    size_t len = start_once("a", 3, history);
    copy_directory("a", "old");
    len = start_once("a", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), 0);
    len = start_once("old", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), ERR_STALE);
    cr_assert_eq(hello(watcher, 3, NULL, 0), 0, "while it counts for nothing: %s", detail);
    set_path("old");
    struct data_dir *old = open_good(3);
    cr_assert_eq(data_dir_renew(old, &system_time.base, detail, sizeof detail), 0, "%s", detail);
    len = data_dir_history(old, history);
    cr_assert_eq(len, 16u, "those of before are not the ones right before it");
    data_dir_close(old);
    cr_assert_eq(hello(watcher, 3, history, len), 0, "%s", detail);
    len = start_once("old", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), 0, "%s", detail);
    /* And the other copy is the old one now. */
    len = start_once("a", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), ERR_STALE);
    data_dir_close(watcher);
}

Test(data_dir, a_torn_start_is_counted_again)
{
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    char slots[1024];
    for (unsigned i = 0; i < 3; i++) {
        (void)start_once("a", 3, history);
    }
    char file[256];
    snprintf(file, sizeof file, "%s/a/starts", dir.path);
    FILE *f = fopen(file, "r+");
    cr_assert_not_null(f);
    cr_assert_eq(fread(slots, 1, sizeof slots, f), sizeof slots);
    slots[512 + 20] ^= 1; /* Start 3. */
    rewind(f);
    cr_assert_eq(fwrite(slots, 1, sizeof slots, f), sizeof slots);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(start_once("a", 3, history), 8u + 3 * 8u);
    cr_assert_eq(history[0], 3u);
}

/* The other one may be read where it is, but what cannot be read cannot be written in part either. */
Test(data_dir, starts_that_cannot_be_read_begin_anew)
{
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    char file[256];
    struct stat info;
    (void)start_once("a", 3, history);
    snprintf(file, sizeof file, "%s/a/starts", dir.path);
    for (enum temp_kind kind = TEMP_JUNK; kind <= TEMP_KINDS; kind++) {
        if (kind < TEMP_KINDS) {
            temp_put(file, kind);
        } else {
            cr_assert(unlink(file) == 0 && symlink("/proc/self/mem", file) == 0); /* Nothing is where it begins. */
        }
        cr_assert_eq(start_once("a", 3, history), 16u);
        cr_assert_eq(history[0], 1u, "an older copy, to the others");
        cr_assert(lstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 1024);
    }
    cr_assert_eq(start_once("a", 3, history), 24u);
}

Test(data_dir, what_is_no_file_is_damage_and_makes_way_for_one)
{
    struct data_dir_member member = {.id = 1, .address = "10.0.0.1:7471", .voter = true};
    struct data_dir_member found[MEMBERS_MAX];
    char file[256];
    char aside[256];
    unsigned len;
    struct data_dir *watcher = watch();
    snprintf(file, sizeof file, "%s/members", path);
    snprintf(aside, sizeof aside, "%s/members.new", path);
    for (enum temp_kind kind = TEMP_DIRECTORY; kind < TEMP_KINDS; kind++) {
        temp_put(file, kind);
        temp_put(aside, kind);
        cr_assert_eq(data_dir_members_read(watcher, found, &len, detail, sizeof detail), ERR_CORRUPT);
        cr_assert_not_null(strstr(detail, "/members: it is not a file"), "%s", detail);
        cr_assert_eq(data_dir_members_write(watcher, &member, 1, detail, sizeof detail), 0, "%s", detail);
        cr_assert_eq(data_dir_members_read(watcher, found, &len, detail, sizeof detail), 0, "%s", detail);
        cr_assert_eq(unlink(file), 0);
    }
    cr_assert(mkdir(file, 0700) == 0 && mkdir(strcat(file, "/x"), 0700) == 0);
    cr_assert_eq(data_dir_members_write(watcher, &member, 1, detail, sizeof detail), ERR_IO);
    cr_assert_not_null(strstr(detail, "/members: Directory not empty"), "%s", detail);
    data_dir_close(watcher);
}

Test(data_dir, an_identity_that_is_no_file_is_refused_at_once)
{
    struct data_dir *opened;
    char file[256];
    data_dir_close(watch());
    snprintf(file, sizeof file, "%s/identity", path);
    cr_assert_eq(unlink(file), 0);
    cr_assert_eq(mkfifo(file, 0600), 0);
    cr_assert_eq(open_as("prod", 2, &opened), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "/identity: it is not a file"), "%s", detail);
}

Test(data_dir, malformed_histories_are_refused)
{
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX + 8] = {1};
    struct data_dir *watcher = watch();
    size_t bad[] = {1, 8, 15, 17, sizeof history};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(hello(watcher, 3, history, bad[i]), ERR_BROKEN, "%zu", bad[i]);
    }
    memset(history, 0, 16);
    cr_assert_eq(hello(watcher, 3, history, 16), ERR_BROKEN);
    data_dir_close(watcher);
}

Test(data_dir, the_peers_are_written_only_when_something_is_new)
{
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    char file[256];
    struct stat before;
    struct stat after;
    size_t len = start_once("a", 3, history);
    struct data_dir *watcher = watch();
    snprintf(file, sizeof file, "%s/peers", path);
    cr_assert_eq(hello(watcher, 3, history, len), 0);
    cr_assert_eq(stat(file, &before), 0);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(hello(watcher, 3, history, len), 0);
        cr_assert_eq(hello(watcher, 3, NULL, 0), 0);
    }
    cr_assert_eq(stat(file, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino, "not replaced");
    len = start_once("a", 3, history);
    cr_assert_eq(hello(watcher, 3, history, len), 0);
    cr_assert_eq(stat(file, &after), 0);
    cr_assert_neq(before.st_ino, after.st_ino);
    data_dir_close(watcher);
}

Test(data_dir, more_nodes_than_members_are_remembered_over_the_years)
{
    struct data_dir *watcher = watch();
    for (uint64_t node = 3; node < 103; node++) {
        cr_assert_eq(data_dir_peer(watcher, node, 1000 + node, NULL, 0, detail, sizeof detail), 0, "%s", detail);
    }
    data_dir_close(watcher);
    watcher = watch();
    for (uint64_t node = 3; node < 103; node++) {
        cr_assert_eq(data_dir_peer(watcher, node, 1000 + node, NULL, 0, detail, sizeof detail), 0, "%s", detail);
        cr_assert_eq(data_dir_peer(watcher, node, 7, NULL, 0, detail, sizeof detail), ERR_FOREIGN);
    }
    watcher->peers_len = DATA_DIR_PEERS_MAX;
    cr_assert_eq(data_dir_peer(watcher, 5000, 1, NULL, 0, detail, sizeof detail), ERR_LIMIT);
    data_dir_close(watcher);
}

/* The longest lines that there can be fit into the file, and are read back. */
Test(data_dir, a_full_table_can_be_written)
{
    struct data_dir *watcher = watch();
    for (unsigned i = 0; i + 1 < DATA_DIR_PEERS_MAX; i++) {
        watcher->peers[i] = (struct data_dir_peer){
            .node = UINT64_MAX - i, .incarnation = UINT64_MAX, .starts = UINT64_MAX, .stamp = UINT64_MAX};
        watcher->expelled[i] = (struct data_dir_expelled){.node = UINT64_MAX - i, .incarnation = UINT64_MAX};
    }
    watcher->peers_len = DATA_DIR_PEERS_MAX - 1;
    watcher->expelled_len = DATA_DIR_PEERS_MAX - 1;
    uint64_t more = 9;
    cr_assert_eq(data_dir_expel(watcher, &more, 1, detail, sizeof detail), 0, "%s", detail);
    data_dir_close(watcher);
    watcher = watch();
    cr_assert_eq(watcher->peers_len, DATA_DIR_PEERS_MAX - 1);
    cr_assert_eq(watcher->expelled_len, DATA_DIR_PEERS_MAX);
    cr_assert(data_dir_is_expelled(watcher, 9));
    more = 10;
    cr_assert_eq(data_dir_expel(watcher, &more, 1, detail, sizeof detail), ERR_LIMIT);
    cr_assert_eq(watcher->expelled_len, DATA_DIR_PEERS_MAX);
    data_dir_close(watcher);
}

Test(data_dir, a_node_that_was_given_up_is_refused_whatever_its_directory)
{
    struct data_dir *watcher = watch();
    cr_assert_eq(data_dir_peer(watcher, 1, 77, NULL, 0, detail, sizeof detail), 0);
    uint64_t gone[] = {1, 2, 3, 1};
    cr_assert_eq(data_dir_expel(watcher, gone, 4, detail, sizeof detail), 0, "%s", detail);
    data_dir_close(watcher);
    watcher = watch();
    cr_assert_eq(watcher->expelled_len, 2u, "itself, and one twice, are not");
    cr_assert_eq(watcher->expelled[0].incarnation, 77u);
    cr_assert_eq(data_dir_peer(watcher, 1, 77, NULL, 0, detail, sizeof detail), ERR_REFUSED);
    cr_assert_not_null(strstr(detail, "node 1 was given up when node 2 was recovered alone"), "%s", detail);
    cr_assert_eq(data_dir_peer(watcher, 3, 5, NULL, 0, detail, sizeof detail), ERR_REFUSED);
    cr_assert_eq(data_dir_peer(watcher, 4, 5, NULL, 0, detail, sizeof detail), 0);
    data_dir_close(watcher);
}

Test(data_dir, members_are_read_back_and_damage_is_found)
{
    struct data_dir_member members[] = {{.id = 1, .address = "10.0.0.1:7471", .voter = true},
                                        {.id = 77, .address = "node77.example:7471", .voter = false}};
    struct data_dir_member found[MEMBERS_MAX];
    unsigned found_len = 99;
    char text[512];
    struct data_dir *watcher = watch();
    cr_assert_eq(data_dir_members_read(watcher, found, &found_len, detail, sizeof detail), ERR_NOT_FOUND);
    cr_assert_eq(data_dir_members_write(watcher, members, 2, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(data_dir_members_read(watcher, found, &found_len, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(found_len, 2u);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(found[i].id, members[i].id);
        cr_assert_str_eq(found[i].address, members[i].address);
        cr_assert_eq(found[i].voter, members[i].voter);
    }
    read_file("members", text, sizeof text);
    for (size_t i = 0; i + 1 < strlen(text); i++) {
        text[i] ^= 1;
        write_file("members", text);
        int err = data_dir_members_read(watcher, found, &found_len, detail, sizeof detail);
        cr_assert(err == ERR_CORRUPT || err == ERR_VERSION, "byte %zu: %s", i, err_name(err));
        text[i] ^= 1;
    }
    data_dir_close(watcher);
}

Test(data_dir, members_that_could_not_be_read_back_are_not_written)
{
    struct data_dir_member members[MEMBERS_MAX + 1] = {{.id = 1, .address = "a b", .voter = true}};
    struct data_dir *watcher = watch();
    cr_assert_eq(data_dir_members_write(watcher, members, 1, detail, sizeof detail), ERR_INVALID);
    members[0].address[1] = '\n';
    cr_assert_eq(data_dir_members_write(watcher, members, 1, detail, sizeof detail), ERR_INVALID);
    members[0].address[0] = '\0';
    cr_assert_eq(data_dir_members_write(watcher, members, 1, detail, sizeof detail), ERR_INVALID);
    for (unsigned i = 0; i <= MEMBERS_MAX; i++) {
        members[i] = (struct data_dir_member){.id = i + 1, .address = "a:1"};
    }
    cr_assert_eq(data_dir_members_write(watcher, members, MEMBERS_MAX + 1, detail, sizeof detail), ERR_INVALID);
    cr_assert_eq(data_dir_members_write(watcher, members, MEMBERS_MAX, detail, sizeof detail), 0);
    data_dir_close(watcher);
}

Test(data_dir, a_removed_node_is_told_so_at_every_start)
{
    struct data_dir *opened = watch();
    cr_assert_eq(data_dir_removed_write(opened, "node 2 was removed at entry 7:\nwipe it", detail, sizeof detail), 0);
    cr_assert_eq(data_dir_removed_write(opened, "a later reason", detail, sizeof detail), 0);
    data_dir_close(opened);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(open_as("orders", 2, &opened), ERR_REFUSED);
        cr_assert_not_null(strstr(detail, "node 2 was removed at entry 7: wipe it"), "%s", detail);
        cr_assert_eq(data_dir_visit(path, &opened, detail, sizeof detail), ERR_REFUSED);
    }
    char text[512];
    read_file("removed", text, sizeof text);
    text[20] ^= 1;
    write_file("removed", text);
    cr_assert_eq(open_as("orders", 2, &opened), ERR_REFUSED);
    cr_assert_not_null(strstr(detail, "/removed: the checksum does not match"), "%s", detail);
}

Test(data_dir, a_recovery_that_is_not_finished_keeps_the_directory_closed)
{
    char text[DATA_DIR_LINE_LEN_MAX];
    struct data_dir *opened = watch();
    cr_assert(!data_dir_recovered(opened, text, sizeof text));
    data_dir_close(opened);
    cr_assert_eq(data_dir_visit(path, &opened, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(data_dir_recovery_begin(opened, "one", detail, sizeof detail), 0, "%s", detail);
    data_dir_close(opened);
    cr_assert_eq(open_as("orders", 2, &opened), ERR_REFUSED);
    cr_assert_not_null(strstr(detail, "begun and not finished"), "%s", detail);
    cr_assert_eq(data_dir_visit(path, &opened, detail, sizeof detail), 0, "%s", detail);
    cr_assert(data_dir_recovery_begun(opened, text, sizeof text));
    cr_assert_str_eq(text, "one");
    cr_assert_eq(data_dir_recovery_begin(opened, "one again", detail, sizeof detail), 0);
    cr_assert_eq(data_dir_expel(opened, (uint64_t[]){1}, 1, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(data_dir_recovery_end(opened, "one again", detail, sizeof detail), 0);
    cr_assert_eq(data_dir_recovery_begin(opened, "two", detail, sizeof detail), 0);
    cr_assert_eq(data_dir_recovery_end(opened, "two\nof them", detail, sizeof detail), 0);
    data_dir_close(opened);
    opened = watch();
    cr_assert(!data_dir_recovery_begun(opened, text, sizeof text));
    cr_assert(data_dir_recovered(opened, text, sizeof text));
    cr_assert_str_eq(text, "two of them");
    data_dir_close(opened);
    char file[256];
    snprintf(file, sizeof file, "%s/peers", path);
    cr_assert_eq(unlink(file), 0);
    cr_assert_eq(open_as("orders", 2, &opened), ERR_CORRUPT, "who was given up is forgotten");
    cr_assert_not_null(strstr(detail, "/peers is missing"), "%s", detail);
}

Test(data_dir, a_visit_changes_nothing_and_is_alone)
{
    uint8_t before[DATA_DIR_HISTORY_LEN_MAX];
    uint8_t after[DATA_DIR_HISTORY_LEN_MAX];
    struct data_dir *visit;
    struct data_dir *opened;
    set_path("nowhere");
    cr_assert_eq(data_dir_visit(path, &visit, detail, sizeof detail), ERR_NOT_FOUND);
    cr_assert_neq(access(path, F_OK), 0);
    (void)start_once("a", 3, before);
    cr_assert_eq(data_dir_visit(path, &visit, detail, sizeof detail), 0, "%s", detail);
    cr_assert_str_eq(data_dir_cluster(visit), "orders");
    cr_assert_eq(data_dir_node(visit), 3u);
    cr_assert_eq(open_as("orders", 3, &opened), ERR_LOCKED);
    data_dir_close(visit);
    opened = open_good(3);
    cr_assert_eq(data_dir_history(opened, after), 24u);
    cr_assert_eq(after[0], 2u, "the visit was no start");
    cr_assert_eq(data_dir_visit(path, &visit, detail, sizeof detail), ERR_LOCKED);
    data_dir_close(opened);
}
