/* Copies of a store: what the machine's host expects of them, asked of RocksDB and of the simulator's store. */

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "place.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "sim/store_memory_copy.h"

#define ROWS_MAX 64u

/* As they lie in a store of a node: in a table, in a file of long values, and a long one that takes several pieces. */
static const size_t lens[] = {100, 3000, 200 * 1024};

static int write_rows(struct place *place, unsigned first, unsigned count, size_t len, uint8_t seed)
{
    struct store_change changes[ROWS_MAX];
    char keys[ROWS_MAX][24];
    uint8_t *values = malloc(count * len);
    cr_assert_leq(count, ROWS_MAX);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *value = values + i * len;
        snprintf(keys[i], sizeof keys[i], "row%06u", first + i);
        for (size_t at = 0; at < len; at++) {
            value[at] = (uint8_t)(seed + first + i + at * 7 + at / 251);
        }
        changes[i] = (struct store_change){
            .kind = STORE_PUT, .key = text(keys[i]), .value = text("head"), .value2 = {.data = value, .len = len}};
    }
    int err = place->store->ops->write(place->store, changes, count);
    free(values);
    return err;
}

static int delete_rows(struct place *place, unsigned first, unsigned end, unsigned one)
{
    char keys[3][24];
    snprintf(keys[0], sizeof keys[0], "row%06u", first);
    snprintf(keys[1], sizeof keys[1], "row%06u", end);
    snprintf(keys[2], sizeof keys[2], "row%06u", one);
    struct store_change changes[] = {
        {.kind = STORE_DELETE_RANGE, .key = text(keys[0]), .value = text(keys[1])},
        {.kind = STORE_DELETE, .key = text(keys[2])},
    };
    return place->store->ops->write(place->store, changes, 2);
}

struct rows {
    unsigned count;
    uint64_t digest;
};

static int add_row(void *arg, struct slice key, struct slice value)
{
    struct rows *rows = arg;
    size_t row_lens[2] = {key.len, value.len};
    rows->count++;
    rows->digest = XXH3_64bits_withSeed(row_lens, sizeof row_lens, rows->digest);
    rows->digest = XXH3_64bits_withSeed(key.data, key.len, rows->digest);
    rows->digest = XXH3_64bits_withSeed(value.data, value.len, rows->digest);
    return 0;
}

static struct rows rows_of(struct place *place)
{
    struct rows rows = {0};
    cr_assert_eq(place->store->ops->scan(place->store, text(""), text("\x7f"), add_row, &rows), 0);
    return rows;
}

static int copy_to(struct place *place, const char *name)
{
    return place->store->ops->copy(place->store, name);
}

static void memory_path(const char *name, char ret_path[128])
{
    snprintf(ret_path, 128, PLACE_MEMORY_DIR "/%s", name);
}

/* The copy of that name as a place of its own, which goes with the original. */
static void open_copy(struct place *place, const char *name, struct place *ret_copy)
{
    *ret_copy = *place;
    ret_copy->store = NULL;
    if (place->rows != NULL) {
        char path[128];
        memory_path(name, path);
        ret_copy->rows = store_memory_disk_new();
        cr_assert_eq(store_memory_disk_load(ret_copy->rows, sim_disk_ops(place->files), path), 0, "%s", name);
        store_memory_disk_set_files(ret_copy->rows, sim_disk_ops(place->files), PLACE_MEMORY_DIR);
    } else {
        snprintf(ret_copy->dir, sizeof ret_copy->dir, "%s/%s", place->root, name);
    }
    place_open(ret_copy);
}

static void close_copy(struct place *copy)
{
    copy->store->ops->close(copy->store);
    store_memory_disk_free(copy->rows);
}

static void expect_rows(struct place *place, struct rows expected)
{
    struct rows rows = rows_of(place);
    cr_assert_eq(rows.count, expected.count, "%u rows, not %u", rows.count, expected.count);
    cr_assert_eq(rows.digest, expected.digest);
}

static void expect_copy(struct place *place, const char *name, struct rows expected)
{
    struct place copy;
    open_copy(place, name, &copy);
    expect_rows(&copy, expected);
    close_copy(&copy);
}

/* 3 * 40 rows of all lengths, less 20 of each and 3 single ones, 10 of them written twice. */
static void write_all_kinds(struct place *place)
{
    for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
        cr_assert_eq(write_rows(place, i * 100, 40, lens[i], 1), 0);
        cr_assert_eq(delete_rows(place, i * 100 + 10, i * 100 + 30, i * 100 + 35), 0);
        cr_assert_eq(write_rows(place, i * 100 + 1, 5, lens[i], 9), 0);
    }
}

static void make_dir(struct place *place, const char *name)
{
    char path[128];
    if (place->rows != NULL) {
        struct disk *files = sim_disk_ops(place->files);
        memory_path(name, path);
        cr_assert_eq(files->ops->make_dir(files, path), 0);
    } else {
        place_path(place, name, path);
        cr_assert_eq(mkdir(path, 0700), 0);
    }
}

static void check_copies(struct place *place)
{
    struct rows empty = {0};
    make_dir(place, "copy-0");
    cr_assert_eq(copy_to(place, "copy-0"), ERR_EXISTS);
    cr_assert_eq(copy_to(place, "copy-empty"), 0);
    expect_copy(place, "copy-empty", empty);
    write_all_kinds(place);
    struct rows first = rows_of(place);
    cr_assert_eq(first.count, 3 * 19u);
    cr_assert_eq(copy_to(place, "copy-1"), 0);
    cr_assert_eq(copy_to(place, "copy-1"), ERR_EXISTS);
    expect_copy(place, "copy-1", first);
    cr_assert_eq(write_rows(place, 0, 10, 3000, 77), 0);
    cr_assert_eq(delete_rows(place, 200, 300, 9), 0);
    struct rows second = rows_of(place);
    cr_assert_eq(second.count, 3 * 19u - 19 - 1);
    cr_assert_eq(copy_to(place, "copy-2"), 0);
    place_reopen(place);
    expect_rows(place, second);
    expect_copy(place, "copy-empty", empty);
    expect_copy(place, "copy-1", first);
    expect_copy(place, "copy-2", second);
}

/* A node whose state was a copy gives copies itself. */
static void check_copy_of_a_copy(struct place *place)
{
    struct place copy;
    write_all_kinds(place);
    cr_assert_eq(copy_to(place, "copy-1"), 0);
    struct rows original = rows_of(place);
    open_copy(place, "copy-1", &copy);
    cr_assert_eq(write_rows(&copy, 500, 20, 3000, 5), 0);
    struct rows changed = rows_of(&copy);
    cr_assert_eq(changed.count, original.count + 20);
    cr_assert_eq(copy_to(&copy, "copy-2"), 0);
    cr_assert_eq(delete_rows(&copy, 0, 600, 0), 0);
    expect_copy(place, "copy-2", changed);
    expect_rows(place, original);
    close_copy(&copy);
}

static void with_place(bool memory, void (*check)(struct place *place))
{
    struct place place;
    place_init(&place, memory);
    check(&place);
    place_done(&place);
}

Test(store_copy, rocksdb)
{
    with_place(false, check_copies);
}

Test(store_copy, memory)
{
    with_place(true, check_copies);
}

Test(store_copy, of_a_copy_rocksdb)
{
    with_place(false, check_copy_of_a_copy);
}

Test(store_copy, of_a_copy_memory)
{
    with_place(true, check_copy_of_a_copy);
}

/* What is in a directory: how many files of each kind, and all of their names and bytes. */
struct files {
    unsigned tables;
    unsigned blobs;
    unsigned others;
    unsigned linked; /* Tables and blobs that have another name elsewhere. */
    bool ballast;
    uint64_t digest;
};

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name);
    return len > strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

static void add_file(struct files *files, const char *dir, const char *name)
{
    char path[512];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert(fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode), "%s", path);
    size_t len = (size_t)status.st_size;
    void *data = len > 0 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    cr_assert_neq(data, MAP_FAILED);
    files->digest += XXH3_64bits_withSeed(name, strlen(name), XXH3_64bits(data, len));
    if (len > 0) {
        cr_assert_eq(munmap(data, len), 0);
    }
    cr_assert_eq(close(fd), 0);
    bool table = ends_with(name, ".sst");
    bool blob = ends_with(name, ".blob");
    files->tables += table;
    files->blobs += blob;
    files->others += !table && !blob;
    files->linked += (table || blob) && status.st_nlink > 1;
    files->ballast = files->ballast || strcmp(name, "ballast") == 0;
}

static struct files files_of(const char *dir)
{
    struct files files = {0};
    struct dirent *entry;
    DIR *stream = opendir(dir);
    cr_assert_not_null(stream, "%s", dir);
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            add_file(&files, dir, entry->d_name);
        }
    }
    closedir(stream);
    return files;
}

static bool is_there(const struct place *place, const char *name)
{
    char path[128];
    place_path(place, name, path);
    return access(path, F_OK) == 0;
}

/* Writes, deletes, and what RocksDB does of its own then: enough that tables and files of long values are merged and go. */
static void move_on(struct place *place)
{
    for (unsigned round = 0; round < 24; round++) {
        cr_assert_eq(write_rows(place, round * 3, 40, 3000, (uint8_t)round), 0);
        cr_assert_eq(write_rows(place, 100 + round, 20, 60 * 1024, (uint8_t)round), 0);
        cr_assert_eq(delete_rows(place, round * 2, round * 2 + 30, 120), 0);
    }
}

Test(store_copy, files_never_change)
{
    struct place place;
    char path[128];
    place_init(&place, false);
    write_all_kinds(&place);
    struct rows rows = rows_of(&place);
    cr_assert_eq(copy_to(&place, "copy-1"), 0);
    place_path(&place, "copy-1", path);
    struct files copied = files_of(path);
    move_on(&place);
    place_reopen(&place);
    move_on(&place);
    place.store->ops->close(place.store);
    struct files later = files_of(path);
    cr_assert_eq(later.digest, copied.digest);
    cr_assert_lt(later.linked, later.tables + later.blobs, "the original has let go of some");
    place_open(&place);
    expect_copy(&place, "copy-1", rows);
    place_done(&place);
}

/* Fewer writes than those at which RocksDB begins to merge its tables, so that nothing happens beside what is asked. */
static void write_some(struct place *place)
{
    cr_assert_eq(write_rows(place, 0, 40, 3000, 1), 0);
    cr_assert_eq(write_rows(place, 20, 40, 100, 2), 0);
    cr_assert_eq(delete_rows(place, 10, 15, 1), 0);
}

#define SOME_ROWS (60u - 5 - 1)

/* All that was written is in files already: a copy flushes nothing, and what it shares with the original is all. */
Test(store_copy, shares_files_and_finds_nothing_to_flush)
{
    struct place place;
    char path[128];
    place_init(&place, false);
    write_some(&place);
    struct files before = files_of(place.dir);
    cr_assert_eq(before.tables, 3u);
    cr_assert_eq(before.blobs, 1u);
    cr_assert(before.ballast);
    cr_assert_eq(copy_to(&place, "copy-1"), 0);
    cr_assert_not(is_there(&place, "copy-1.tmp"));
    cr_assert_eq(files_of(place.dir).digest, before.digest);
    place_path(&place, "copy-1", path);
    struct files copied = files_of(path);
    cr_assert_eq(copied.tables, before.tables);
    cr_assert_eq(copied.blobs, before.blobs);
    cr_assert_eq(copied.linked, copied.tables + copied.blobs, "hard links");
    cr_assert_not(copied.ballast);
    cr_assert_eq(rows_of(&place).count, SOME_ROWS);
    expect_copy(&place, "copy-1", rows_of(&place));
    place_done(&place);
}

/* The store that a copy was made of is removed once the copy has taken its place. */
Test(store_copy, needs_nothing_of_the_original)
{
    struct place place;
    place_init(&place, false);
    write_all_kinds(&place);
    struct rows rows = rows_of(&place);
    cr_assert_eq(copy_to(&place, "copy-1"), 0);
    place.store->ops->close(place.store);
    struct dirent *entry;
    DIR *stream = opendir(place.dir);
    cr_assert_not_null(stream);
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            cr_assert_eq(unlinkat(dirfd(stream), entry->d_name, 0), 0);
        }
    }
    closedir(stream);
    cr_assert_eq(rmdir(place.dir), 0);
    snprintf(place.dir, sizeof place.dir, "%s/copy-1", place.root);
    place_open(&place);
    expect_rows(&place, rows);
    cr_assert_eq(write_rows(&place, 900, 1, 3000, 1), 0);
    cr_assert_eq(rows_of(&place).count, rows.count + 1);
    place_done(&place);
}

/* What an earlier process has left half-way does not stand in the way, and does not get into the copy. */
Test(store_copy, replaces_what_a_crash_has_left)
{
    struct place place;
    char path[128];
    place_init(&place, false);
    write_all_kinds(&place);
    place_path(&place, "copy-1.tmp", path);
    cr_assert_eq(mkdir(path, 0700), 0);
    place_path(&place, "copy-1.tmp/999999.sst", path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fclose(file);
    struct rows rows = rows_of(&place);
    cr_assert_eq(copy_to(&place, "copy-1"), 0);
    cr_assert_not(is_there(&place, "copy-1.tmp"));
    cr_assert_not(is_there(&place, "copy-1/999999.sst"));
    expect_copy(&place, "copy-1", rows);
    place_done(&place);
}

struct copying {
    struct place *place;
    unsigned count;
    int err;
    _Atomic bool done;
};

static void *copy_again_and_again(void *arg)
{
    struct copying *copying = arg;
    for (unsigned i = 0; i < 8 && copying->err == 0; i++, copying->count++) {
        char name[24];
        snprintf(name, sizeof name, "copy-%u", i);
        copying->err = copy_to(copying->place, name);
    }
    copying->done = true;
    return NULL;
}

Test(store_copy, is_made_on_another_thread_while_the_loop_reads)
{
    struct place place;
    pthread_t thread;
    place_init(&place, false);
    write_all_kinds(&place);
    struct rows rows = rows_of(&place);
    struct copying copying = {.place = &place};
    cr_assert_eq(pthread_create(&thread, NULL, copy_again_and_again, &copying), 0);
    unsigned reads = 0;
    do {
        expect_rows(&place, rows);
        reads++;
    } while (!copying.done);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(copying.err, 0);
    cr_assert_eq(copying.count, 8u);
    cr_assert_gt(reads, 0u);
    expect_copy(&place, "copy-7", rows);
    place_done(&place);
}

static void expect_full(struct place *place)
{
    struct rows rows = rows_of(place);
    cr_assert_eq(copy_to(place, "copy-full"), ERR_NO_SPACE);
    cr_assert_not(is_there(place, "copy-full"));
    cr_assert_not(is_there(place, "copy-full.tmp"));
    expect_rows(place, rows);
}

Test(store_copy, on_a_full_disk_leaves_the_store_working)
{
    struct place place;
    place_init_small(&place);
    place_open(&place);
    write_some(&place);
    place_fill(&place, 0);
    expect_full(&place);
    cr_assert_eq(write_rows(&place, 900, 1, 200 * 1024, 1), 0, "a small write gives up the ballast");
    place_empty(&place);
    struct rows rows = rows_of(&place);
    cr_assert_eq(rows.count, SOME_ROWS + 1);
    cr_assert_eq(copy_to(&place, "copy-full"), 0);
    cr_assert_eq(write_rows(&place, 901, 1, 3000, 1), 0);
    place_reopen(&place);
    cr_assert_eq(rows_of(&place).count, rows.count + 1);
    expect_copy(&place, "copy-full", rows);
    place_done(&place);
}

/* A store that was opened on a full disk only reads until a write, or a copy, finds room. */
Test(store_copy, of_a_store_that_only_reads_waits_for_room)
{
    struct place place;
    place_init_small(&place);
    place_open(&place);
    write_some(&place);
    struct rows rows = rows_of(&place);
    place.store->ops->close(place.store);
    place_fill(&place, 0);
    place_open(&place);
    expect_full(&place);
    expect_full(&place);
    place_empty(&place);
    cr_assert_eq(copy_to(&place, "copy-1"), 0);
    expect_rows(&place, rows);
    expect_copy(&place, "copy-1", rows);
    cr_assert_eq(write_rows(&place, 900, 1, 3000, 1), 0);
    place_done(&place);
}

Test(store_copy, in_memory_on_a_full_disk_leaves_the_store_working)
{
    struct place place;
    place_init(&place, true);
    write_all_kinds(&place);
    struct rows rows = rows_of(&place);
    for (uint64_t room = 1; room < 8 * MIB; room *= 4) {
        sim_disk_set_capacity(place.files, sim_disk_used(place.files) + room);
        char name[32];
        snprintf(name, sizeof name, "copy-%u", (unsigned)room);
        int err = copy_to(&place, name);
        cr_assert(err == ERR_NO_SPACE || (err == 0 && room > store_memory_disk_bytes(place.rows)), "%u",
                  (unsigned)room);
        expect_rows(&place, rows);
        cr_assert_eq(write_rows(&place, 0, 1, 100, 1), 0);
    }
    sim_disk_set_capacity(place.files, 0);
    cr_assert_eq(copy_to(&place, "copy-last"), 0);
    expect_copy(&place, "copy-last", rows);
    place_done(&place);
}

Test(store_copy, in_memory_says_so_when_a_sync_fails)
{
    struct place place;
    place_init(&place, true);
    write_all_kinds(&place);
    for (unsigned nth = 0; nth < 2; nth++) {
        char name[16];
        snprintf(name, sizeof name, "copy-%u", nth);
        sim_disk_fail_nth_sync(place.files, nth, ERR_IO);
        cr_assert_eq(copy_to(&place, name), ERR_IO);
    }
    cr_assert_eq(copy_to(&place, "copy-2"), 0);
    place_done(&place);
}

/* Whatever is damaged of it, a copy is refused, and nothing is replaced by a part of it. */
Test(store_copy, in_memory_is_loaded_whole_or_not_at_all)
{
    struct place place;
    uint64_t len = 0;
    const uint8_t *data;
    place_init(&place, true);
    struct disk *files = sim_disk_ops(place.files);
    cr_assert_eq(write_rows(&place, 0, 3, 40, 1), 0);
    cr_assert_eq(copy_to(&place, "copy-1"), 0);
    cr_assert_eq(write_rows(&place, 3, 2, 40, 1), 0);
    struct rows rows = rows_of(&place);
    place.store->ops->close(place.store);
    cr_assert_eq(store_memory_disk_load(place.rows, files, PLACE_MEMORY_DIR "/copy-2"), ERR_NOT_FOUND);
    cr_assert_eq(sim_disk_content(place.files, PLACE_MEMORY_DIR "/copy-1/rows", &data, &len), 0);
    for (uint64_t at = 0; at < len; at++) {
        cr_assert_eq(sim_disk_corrupt(place.files, PLACE_MEMORY_DIR "/copy-1/rows", at, 1), 0);
        cr_assert_eq(store_memory_disk_load(place.rows, files, PLACE_MEMORY_DIR "/copy-1"), ERR_CORRUPT);
        cr_assert_eq(sim_disk_corrupt(place.files, PLACE_MEMORY_DIR "/copy-1/rows", at, 1), 0);
    }
    place_open(&place);
    expect_rows(&place, rows);
    place.store->ops->close(place.store);
    cr_assert_eq(store_memory_disk_load(place.rows, files, PLACE_MEMORY_DIR "/copy-1"), 0);
    cr_assert_eq(store_memory_disk_rows(place.rows), 3u);
    place_open(&place);
    place_done(&place);
}

/* What is behind the rows' number in the test below, less the length of a row. */
static int expect_within(void *arg, struct slice key, struct slice value)
{
    (void)arg;
    cr_assert_leq(key.len, 7u);
    cr_assert_leq(value.len, 7u - key.len);
    return 0;
}

/* Lengths and counts that do not fit, under a checksum that does. */
Test(store_copy, in_memory_believes_no_length)
{
    struct place place;
    place_init(&place, true);
    struct disk *files = sim_disk_ops(place.files);
    place.store->ops->close(place.store);
    struct disk_file *file;
    cr_assert_eq(files->ops->make_dir(files, PLACE_MEMORY_DIR "/bad"), 0);
    cr_assert_eq(files->ops->open(files, PLACE_MEMORY_DIR "/bad/rows", DISK_CREATE, &file), 0);
    static const struct {
        uint64_t count;
        uint32_t key_len;
        uint32_t value_len;
        size_t len;
        int err;
    } cases[] = {
        {1, 3, 4, 31, 0},
        {1, 3, 5, 31, ERR_CORRUPT},
        {1, 8, 0, 31, ERR_CORRUPT},
        {1, UINT32_MAX, UINT32_MAX, 31, ERR_CORRUPT},
        {1, 3, UINT32_MAX - 2, 31, ERR_CORRUPT},
        {1, 3, 3, 31, ERR_CORRUPT},
        {2, 3, 4, 31, ERR_CORRUPT},
        {0, 3, 4, 31, ERR_CORRUPT},
        {UINT64_MAX, 3, 4, 31, ERR_CORRUPT},
        {1, 0, 0, 16, ERR_CORRUPT},
        {0, 0, 0, 16, 0},
        {0, 0, 0, 15, ERR_CORRUPT},
        {0, 0, 0, 8, ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t data[31] = {0};
        put_u64(data, cases[i].count);
        put_u32(data + 8, cases[i].key_len);
        put_u32(data + 12, cases[i].value_len);
        put_u64(data + cases[i].len - 8, XXH3_64bits(data, cases[i].len - 8));
        cr_assert_eq(files->ops->truncate(file, 0), 0);
        cr_assert_eq(files->ops->write(file, 0, data, cases[i].len), 0);
        int err = store_memory_copy_read(files, PLACE_MEMORY_DIR "/bad", expect_within, NULL);
        cr_assert_eq(err, cases[i].err, "case %zu: %s", i, err_text(err));
        err = store_memory_disk_load(place.rows, files, PLACE_MEMORY_DIR "/bad");
        cr_assert_eq(err, cases[i].err, "case %zu: %s", i, err_text(err));
    }
    for (size_t len = 0; len < 16; len++) {
        cr_assert_eq(files->ops->truncate(file, len), 0);
        cr_assert_eq(store_memory_disk_load(place.rows, files, PLACE_MEMORY_DIR "/bad"), ERR_CORRUPT);
    }
    files->ops->close(file);
    place_open(&place);
    place_done(&place);
}
