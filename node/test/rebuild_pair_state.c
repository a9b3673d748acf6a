/* The state of the source, version by version, and whether a copy holds it. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "rebuild_pair_private.h"

static void file_name(uint64_t version, unsigned file, char out[32])
{
    (void)snprintf(out, 32, "%06" PRIu64 "-%u.sst", version, file);
}

static uint8_t *file_content(uint64_t version, unsigned file, uint64_t size)
{
    uint8_t *data = malloc(size + 8);
    cr_assert_not_null(data);
    uint64_t dice = version * 1000 + file;
    for (uint64_t i = 0; i < size; i += 8) {
        put_u64(data + i, pair_dice_next(&dice));
    }
    return data;
}

static uint64_t file_size(uint64_t version, unsigned file)
{
    static const uint64_t sizes[] = {
        0, 1, 511, 4096, 5000, REBUILD_PART_LEN_MAX, REBUILD_PART_LEN_MAX + 1, 3 * REBUILD_PART_LEN_MAX + 17};
    uint64_t dice = version * 77 + file;
    uint64_t kind = pair_dice_next(&dice) % 16;
    return sizes[kind < ARRAY_LEN(sizes) ? kind : kind % 5];
}

static unsigned file_count(uint64_t version)
{
    return 1 + (unsigned)(pair_mix(version) % PAIR_FILES_MAX);
}

void pair_change(struct pair *pair)
{
    pair->version++;
    pair->stored_index += 100;
}

static int copy_file(struct disk *disk, const char *dir, uint64_t version, unsigned file)
{
    char name[32];
    char path[REBUILD_PATH_LEN_MAX];
    struct disk_file *out;
    uint64_t size = file_size(version, file);
    file_name(version, file, name);
    cr_assert_eq(rebuild_path(path, dir, name, ""), 0);
    int err = disk->ops->open(disk, path, DISK_CREATE | DISK_EXCLUSIVE, &out);
    if (err != 0) {
        return err;
    }
    uint8_t *data = file_content(version, file, size);
    err = size == 0 ? 0 : disk->ops->write(out, 0, data, size);
    free(data);
    disk->ops->close(out);
    return err;
}

static int pair_copy(struct store *store, const char *name)
{
    struct pair *pair = container_of(store, struct pair, store);
    struct disk *disk = sim_disk_ops(pair->source_disk);
    char path[REBUILD_PATH_LEN_MAX];
    int err = pair->copy_err;
    pair->copy_err = 0;
    cr_assert_eq(rebuild_path(path, PAIR_DIR, name, ""), 0);
    if (err == 0) {
        err = disk->ops->make_dir(disk, path);
    }
    for (unsigned i = 0; err == 0 && i < file_count(pair->version); i++) {
        err = copy_file(disk, path, pair->version, i);
    }
    cr_assert_lt(pair->copies_len, PAIR_COPIES_MAX);
    cr_assert_eq(sscanf(name, "copy-%16" SCNx64, &pair->copy_ids[pair->copies_len]), 1);
    pair->copies[pair->copies_len++] = pair->version;
    return err;
}

const struct store_ops pair_store_ops = {.copy = pair_copy};

/* ---- A look at a copy ---- */

struct pair_check {
    struct store base;
    struct pair *pair;
    uint64_t version;
    char path[REBUILD_PATH_LEN_MAX];
};

static int check_file(struct pair_check *check, unsigned file)
{
    char name[32];
    char path[REBUILD_PATH_LEN_MAX];
    struct disk *disk = check->pair->sink_options.disk;
    struct disk_file *open;
    uint64_t size = file_size(check->version, file);
    size_t len = 0;
    file_name(check->version, file, name);
    cr_assert_eq(rebuild_path(path, check->path, name, ""), 0);
    int err = disk->ops->open(disk, path, DISK_READ_ONLY, &open);
    if (err != 0) {
        return err;
    }
    uint8_t *expected = file_content(check->version, file, size);
    uint8_t *found = malloc(size + 1);
    cr_assert_not_null(found);
    err = disk->ops->read(open, 0, found, size + 1, &len);
    if (err == 0 && (len != size || memcmp(found, expected, size) != 0)) {
        err = ERR_CORRUPT;
    }
    disk->ops->close(open);
    free(found);
    free(expected);
    return err;
}

/* A file a piece; the key is its number. */
static int check_scrub(struct store *store, struct store_scrub *scrub)
{
    struct pair_check *check = container_of(store, struct pair_check, base);
    unsigned file = scrub->from.len > 0 ? scrub->from.data[0] : 0;
    check->pair->checks_begun++;
    int err = check_file(check, file);
    if (err != 0) {
        (void)snprintf(scrub->detail, sizeof scrub->detail, "%s, file %u", check->path, file);
        return err;
    }
    if (file + 1 < file_count(check->version)) {
        struct blob *blob = blob_new(1);
        cr_assert_not_null(blob);
        blob->data[0] = (uint8_t)(file + 1);
        scrub->next = slice_of_blob(blob);
    }
    return 0;
}

static void check_close(struct store *store)
{
    struct pair_check *check = container_of(store, struct pair_check, base);
    check->pair->checks--;
    free(check);
}

static const struct store_ops check_ops = {.scrub = check_scrub, .close = check_close};

static uint64_t copy_version_of(const struct pair *pair, const char *name)
{
    uint64_t copy = 0;
    uint64_t source = 0;
    cr_assert_eq(sscanf(name, "incoming-%" SCNu64 "-%" SCNx64, &source, &copy), 2);
    cr_assert_eq(source, PAIR_SOURCE);
    for (unsigned i = 0; i < pair->copies_len; i++) {
        if (pair->copy_ids[i] == copy) {
            return pair->copies[i];
        }
    }
    cr_assert_fail("no such copy was made");
    return 0;
}

int pair_open_check(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len)
{
    struct pair *pair = arg;
    struct pair_check *check = calloc(1, sizeof *check);
    (void)detail;
    (void)detail_len;
    cr_assert_not_null(check);
    check->base.ops = &check_ops;
    check->pair = pair;
    check->version = copy_version_of(pair, name);
    cr_assert_eq(rebuild_path(check->path, PAIR_DIR, name, ""), 0);
    pair->checks++;
    *ret_store = &check->base;
    return 0;
}

/* ---- What has come ---- */

void pair_expect_copy(const struct pair *pair)
{
    uint64_t version = copy_version_of(pair, pair->name);
    for (unsigned i = 0; i < file_count(version); i++) {
        char name[32];
        char dir[REBUILD_PATH_LEN_MAX];
        char path[REBUILD_PATH_LEN_MAX];
        const uint8_t *data;
        uint64_t len;
        file_name(version, i, name);
        cr_assert_eq(rebuild_path(dir, PAIR_DIR, pair->name, ""), 0);
        cr_assert_eq(rebuild_path(path, dir, name, ""), 0);
        cr_assert_eq(sim_disk_content(pair->sink_disk, path, &data, &len), 0, "%s", path);
        cr_assert_eq(len, file_size(version, i));
        uint8_t *expected = file_content(version, i, len);
        cr_assert(len == 0 || memcmp(data, expected, len) == 0, "%s", path);
        free(expected);
    }
    char below[REBUILD_PATH_LEN_MAX];
    cr_assert_eq(rebuild_path(below, PAIR_DIR, pair->name, "/"), 0);
    cr_assert_eq(pair_files_below(pair->sink_disk, below), file_count(version));
}
