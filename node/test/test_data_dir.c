/* A data directory knows whose it is, and lets one process in at a time. */

#include "node/data_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

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

Test(data_dir, a_peer_with_another_directory_is_refused_also_after_a_restart)
{
    struct data_dir *opened;
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 77, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_peer(opened, 3, 78, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 77, detail, sizeof detail), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 79, detail, sizeof detail), ERR_FOREIGN);
    data_dir_close(opened);
    cr_assert_eq(open_as("orders", 2, &opened), 0, "%s", detail);
    cr_assert_eq(data_dir_peer(opened, 3, 77, detail, sizeof detail), ERR_FOREIGN);
    cr_assert_not_null(strstr(detail, "node 3"), "%s", detail);
    cr_assert_eq(data_dir_peer(opened, 3, 78, detail, sizeof detail), 0);
    data_dir_close(opened);
}

Test(data_dir, damaged_peers_are_not_forgotten_silently)
{
    struct data_dir *opened;
    char text[512];
    cr_assert_eq(open_as("orders", 2, &opened), 0);
    cr_assert_eq(data_dir_peer(opened, 1, 77, detail, sizeof detail), 0);
    data_dir_close(opened);
    read_file("peers", text, sizeof text);
    text[strlen(text) / 2] ^= 1;
    write_file("peers", text);
    cr_assert_eq(open_as("orders", 2, &opened), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "/peers"), "%s", detail);
}

Test(data_dir, a_name_that_would_end_its_line_is_refused)
{
    struct data_dir *opened;
    cr_assert_eq(open_as("orders\nnode 3", 2, &opened), ERR_INVALID);
}
