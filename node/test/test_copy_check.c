/* A look at a copy of a real store, before it becomes a state: it reads all of it, and changes nothing. */

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/blob.h"
#include "statemachine/store/store_rocksdb.h"
#include "temp_dir.h"

#define ROWS 2000u

struct listing {
    unsigned files;
    uint64_t hash;
};

static struct temp_dir dir;
static struct store *store;
static char detail[512];

static void open_store(const char *name, bool read_only)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir.path, name);
    const struct store_rocksdb_options options = {.path = path, .read_only = read_only};
    cr_assert_eq(store_rocksdb_open(&options, &store, detail, sizeof detail), 0, "%s", detail);
}

static void write_rows(unsigned from)
{
    static char keys[ROWS][16];
    static uint8_t value[300];
    struct store_change changes[ROWS];
    for (unsigned i = 0; i < ROWS; i++) {
        int len = snprintf(keys[i], sizeof keys[i], "row%08u", from + i);
        changes[i] = (struct store_change){
            .kind = STORE_PUT,
            .key = {.data = (const uint8_t *)keys[i], .len = (size_t)len},
            .value = {.data = value, .len = sizeof value},
        };
    }
    cr_assert_eq(store->ops->write(store, changes, ROWS), 0);
}

static void setup(void)
{
    temp_dir_make(&dir);
    open_store("state", false);
    write_rows(0);
    write_rows(ROWS);
    cr_assert_eq(store->ops->copy(store, "incoming-2-00000000000000aa"), 0);
    store->ops->close(store);
}

static void teardown(void)
{
    temp_dir_remove(&dir);
}

TestSuite(copy_check, .init = setup, .fini = teardown);

static void add_file(struct listing *listing, const char *path, const char *name)
{
    static uint8_t content[1 << 20];
    char file_path[512];
    (void)snprintf(file_path, sizeof file_path, "%s/%s", path, name);
    FILE *file = fopen(file_path, "rb");
    cr_assert_not_null(file);
    size_t len = fread(content, 1, sizeof content, file);
    fclose(file);
    listing->files++;
    listing->hash += XXH3_64bits_withSeed(content, len, XXH3_64bits(name, strlen(name)));
}

/* Of names and contents, in whatever order. */
static struct listing list_copy(void)
{
    struct listing listing = {0};
    char path[128];
    struct dirent *entry;
    (void)snprintf(path, sizeof path, "%s/incoming-2-00000000000000aa", dir.path);
    DIR *open = opendir(path);
    cr_assert_not_null(open);
    while ((entry = readdir(open)) != NULL) {
        if (entry->d_name[0] != '.') {
            add_file(&listing, path, entry->d_name);
        }
    }
    closedir(open);
    return listing;
}

static int count_row(void *arg, struct slice key, struct slice value, char *text, size_t text_len)
{
    (void)text;
    (void)text_len;
    cr_assert(key.len == 11 && value.len == 300);
    ++*(unsigned *)arg;
    return 0;
}

Test(copy_check, reads_everything_and_changes_nothing)
{
    unsigned rows = 0;
    unsigned steps = 0;
    struct store_scrub scrub = {.bytes_max = 100000, .each = count_row, .arg = &rows};
    struct listing before = list_copy();
    cr_assert_gt(before.files, 3u);
    open_store("incoming-2-00000000000000aa", true);
    do {
        cr_assert_eq(store->ops->scrub(store, &scrub), 0, "%s", scrub.detail);
        slice_unref(&scrub.from);
        scrub.from = scrub.next;
        scrub.next = (struct slice){0};
        steps++;
    } while (scrub.from.len > 0);
    store->ops->close(store);
    cr_assert_eq(rows, 2 * ROWS);
    cr_assert_gt(steps, 5u);
    struct listing after = list_copy();
    cr_assert_eq(after.files, before.files);
    cr_assert_eq(after.hash, before.hash);
}
