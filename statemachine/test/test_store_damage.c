/* RocksDB's files and damage: whatever is changed in whichever of them, no wrong row is given out, and the error says that it
 * is damage and where. */

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"
#include "proto/base/check.h"
#include "statemachine/machine.h"
#include "statemachine/store/store_rocksdb.h"
#include "statemachine/store/store_rocksdb_private.h"

/* A few writes, of rows in tables and of such whose values have files of their own. The row "generation" says how many. */
#define GENERATIONS 3u /* Before RocksDB merges them. */
#define ROWS 24u

static size_t row_len(unsigned row)
{
    return row % 2 == 0 ? 2000 : 90;
}

/* The write in which a row was last changed, of the first `generation`; 0: it is not there. */
static unsigned row_written(unsigned row, unsigned generation)
{
    unsigned written = 0;
    for (unsigned g = 1; g <= generation; g++) {
        bool changed = (row + g) % 3 == 0 || row % 5 == 0;
        written = changed ? g : row % 7 == g ? 0 : written;
    }
    return written;
}

static void row_value(unsigned row, unsigned written, uint8_t *out)
{
    for (size_t i = 0; i < row_len(row); i++) {
        out[i] = (uint8_t)(row * 31 + written * 7 + i * i + i / 256);
    }
}

static void write_generation(struct store *store, unsigned generation)
{
    static uint8_t values[ROWS][2000];
    struct store_change changes[ROWS + 1];
    char keys[ROWS][16];
    char number[2] = {(char)('0' + generation), 0};
    size_t len = 0;
    for (unsigned row = 0; row < ROWS; row++) {
        snprintf(keys[row], sizeof keys[row], "row%03u", row);
        unsigned written = row_written(row, generation);
        if (written == generation) {
            row_value(row, written, values[row]);
            changes[len++] = (struct store_change){
                .kind = STORE_PUT, .key = text(keys[row]), .value = {.data = values[row], .len = row_len(row)}};
        } else if (written == 0) {
            changes[len++] = (struct store_change){.kind = STORE_DELETE, .key = text(keys[row])};
        }
    }
    changes[len++] = (struct store_change){.kind = STORE_PUT, .key = text("generation"), .value = text(number)};
    cr_assert_eq(store->ops->write(store, changes, len), 0);
}

static void write_generations(struct store *store)
{
    for (unsigned generation = 1; generation <= GENERATIONS; generation++) {
        write_generation(store, generation);
    }
}

/* What was found by reading. */
struct reading {
    unsigned generation; /* As the row of that name says; 0: not known. */
    unsigned next;       /* Row expected next by a scan. */
    unsigned damaged;
    const char *where;
};

static bool value_is_right(unsigned row, unsigned generation, struct slice value)
{
    uint8_t expected[2000];
    unsigned written = row_written(row, generation);
    row_value(row, written, expected);
    return written != 0 && value.len == row_len(row) && memcmp(value.data, expected, value.len) == 0;
}

static int read_row(void *arg, struct slice key, struct slice value)
{
    struct reading *reading = arg;
    unsigned row = ROWS;
    char name[16] = "";
    memcpy(name, key.data, key.len < 15 ? key.len : 15);
    if (strcmp(name, "generation") == 0) {
        reading->generation = (unsigned)(value.data[0] - '0');
        return 0;
    }
    cr_assert_eq(sscanf(name, "row%u", &row), 1, "%s", name);
    cr_assert(row < ROWS && row >= reading->next, "%s: %s after %u", reading->where, name, reading->next);
    while (reading->next < row) {
        cr_assert_eq(row_written(reading->next, reading->generation), 0, "%s: no row %u", reading->where,
                     reading->next);
        reading->next++;
    }
    cr_assert(value_is_right(row, reading->generation, value), "%s: %s", reading->where, name);
    reading->next++;
    return 0;
}

static int scrub_each(void *arg, struct slice key, struct slice value, char *detail, size_t detail_len)
{
    (void)detail;
    (void)detail_len;
    return read_row(arg, key, value);
}

static void expect_damage(struct store *store, struct reading *reading, int err, const char *dir)
{
    char said[512];
    cr_assert_eq(err, ERR_CORRUPT, "%s: %d", reading->where, err);
    store->ops->explain(store, said, sizeof said);
    cr_assert(strstr(said, dir) != NULL, "%s: %s", reading->where, said);
    reading->damaged++;
}

static void read_by_scan(struct store *store, struct reading *reading, const char *dir)
{
    int err = store->ops->scan(store, text("a"), text("z"), read_row, reading);
    if (err != 0) {
        expect_damage(store, reading, err, dir);
        return;
    }
    for (; reading->next < ROWS; reading->next++) {
        cr_assert_eq(row_written(reading->next, reading->generation), 0, "%s: row %u", reading->where, reading->next);
    }
}

static void read_by_key(struct store *store, struct reading *reading, const char *dir)
{
    for (unsigned row = 0; row < ROWS && reading->generation != 0; row++) {
        char key[16];
        struct slice value;
        snprintf(key, sizeof key, "row%03u", row);
        int err = store->ops->get(store, key, strlen(key), &value);
        if (err == 0) {
            cr_assert(value_is_right(row, reading->generation, value), "%s: %s", reading->where, key);
            slice_unref(&value);
        } else if (err == ERR_NOT_FOUND) {
            cr_assert_eq(row_written(row, reading->generation), 0, "%s: %s", reading->where, key);
        } else {
            expect_damage(store, reading, err, dir);
        }
    }
}

/* A pass over everything, in small steps. */
static int scrub(struct store *store, const char *where, char *detail, size_t detail_len)
{
    struct reading reading = {.where = where};
    struct store_scrub step = {.bytes_max = 700, .each = scrub_each, .arg = &reading};
    int err;
    do {
        struct slice from = step.from;
        err = store->ops->scrub(store, &step);
        slice_unref(&from);
        step.from = step.next;
    } while (err == 0 && step.next.len > 0);
    snprintf(detail, detail_len, "%s", step.detail);
    return err;
}

/* Ways to damage a file. */
enum harm { HARM_REMOVE, HARM_EMPTY, HARM_CUT, HARM_ZERO, HARM_FLIP };

static void harm_file(const char *path, enum harm harm, off_t at)
{
    uint8_t data[512] = {0};
    int fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0, "%s", path);
    if (harm == HARM_REMOVE) {
        cr_assert_eq(unlink(path), 0);
    } else if (harm == HARM_EMPTY || harm == HARM_CUT) {
        cr_assert_eq(ftruncate(fd, harm == HARM_EMPTY ? 0 : at), 0);
    } else {
        ssize_t len = pread(fd, data, harm == HARM_ZERO ? sizeof data : 1, at);
        cr_assert_gt(len, 0);
        memset(data, harm == HARM_ZERO ? 0 : data[0] ^ (1 << at % 8), (size_t)len);
        cr_assert_eq(pwrite(fd, data, (size_t)len, at), len);
    }
    cr_assert_eq(close(fd), 0);
}

static bool is_kept(const char *name)
{
    return name[0] != '.' && strcmp(name, "ballast") != 0;
}

/* The files of a store that is closed. */
struct files {
    char names[32][64];
    off_t lens[32];
    unsigned len;
};

static void list_files(const char *dir, struct files *files)
{
    DIR *handle = opendir(dir);
    const struct dirent *entry;
    files->len = 0;
    cr_assert_not_null(handle);
    while ((entry = readdir(handle)) != NULL) {
        struct stat status;
        if (is_kept(entry->d_name) && fstatat(dirfd(handle), entry->d_name, &status, 0) == 0) {
            cr_assert_lt(files->len, 32);
            snprintf(files->names[files->len], 64, "%.63s", entry->d_name);
            files->lens[files->len++] = status.st_size;
        }
    }
    closedir(handle);
}

static void copy_file(const char *from, const char *to)
{
    static char data[1 << 20];
    FILE *in = fopen(from, "r");
    FILE *out = fopen(to, "w");
    cr_assert(in != NULL && out != NULL);
    size_t len = fread(data, 1, sizeof data, in);
    cr_assert_lt(len, sizeof data);
    cr_assert_eq(fwrite(data, 1, len, out), len);
    fclose(in);
    cr_assert_eq(fclose(out), 0);
}

static void copy_files(const struct place *place, const struct files *files, const char *to)
{
    char from_path[256];
    char to_path[256];
    cr_assert_eq(mkdir(to, 0700), 0);
    for (unsigned i = 0; i < files->len; i++) {
        snprintf(from_path, sizeof from_path, "%s/%s", place->dir, files->names[i]);
        snprintf(to_path, sizeof to_path, "%s/%s", to, files->names[i]);
        copy_file(from_path, to_path);
    }
}

static bool ends(const char *name, const char *end)
{
    return strlen(name) > strlen(end) && strcmp(name + strlen(name) - strlen(end), end) == 0;
}

static bool is_manifest(const char *name)
{
    return strncmp(name, "MANIFEST-", 9) == 0;
}

/* Files that hold rows, or say which files do. */
static bool is_needed(const char *name)
{
    return ends(name, ".sst") || ends(name, ".blob") || is_manifest(name) || strcmp(name, "CURRENT") == 0;
}

struct tally {
    unsigned refused; /* Not opened. */
    unsigned damaged; /* Opened, and damage was met by reading. */
    unsigned found;   /* Of those in use: found by a scrub. */
    unsigned unseen;  /* Everything could be read all the same. */
    unsigned older;   /* The manifest ended early, and the state was that of an earlier write. */
};

/* Damages a file of a copy, opens it, and reads everything in every way. */
static void try_opening(const struct place *place, const struct files *files, unsigned file, enum harm harm, off_t at,
                        struct tally *tally)
{
    char dir[128];
    char path[256];
    char where[320];
    char detail[1024] = "";
    struct store *store;
    place_path(place, "copy", dir);
    copy_files(place, files, dir);
    snprintf(path, sizeof path, "%s/%s", dir, files->names[file]);
    snprintf(where, sizeof where, "%s: %d at %ld", files->names[file], (int)harm, (long)at);
    harm_file(path, harm, at);
    struct store_rocksdb_options options = {.path = dir};
    int err = store_rocksdb_open(&options, &store, detail, sizeof detail);
    if (err != 0) {
        cr_assert(err == ERR_CORRUPT && is_needed(files->names[file]), "%s: %d %s", where, err, detail);
        cr_assert_not_null(strstr(detail, dir), "%s: %s", where, detail);
        tally->refused++;
    } else {
        struct reading reading = {.where = where};
        read_by_scan(store, &reading, dir);
        read_by_key(store, &reading, dir);
        int scrub_err = scrub(store, where, detail, sizeof detail);
        cr_assert(scrub_err == ERR_CORRUPT || (scrub_err == 0 && reading.damaged == 0), "%s: %d %s", where, scrub_err,
                  detail);
        cr_assert(scrub_err == 0 || strstr(detail, dir) != NULL, "%s: %s", where, detail);
        bool older = reading.generation != 0 && reading.generation < GENERATIONS;
        cr_assert(!older || is_manifest(files->names[file]), "%s: generation %u", where, reading.generation);
        tally->older += older;
        tally->damaged += reading.damaged > 0;
        tally->unseen += reading.damaged == 0 && !older;
        store->ops->close(store);
    }
    place_remove(place, "copy");
}

static unsigned harms_of(const struct files *files, unsigned file)
{
    off_t len = files->lens[file];
    unsigned count = (unsigned)(len < 16 ? len : 16);
    return 2 + (len > 0 ? 2 + count : 0);
}

/* The nth way to damage that file. */
static void harm_nth(const struct files *files, unsigned file, unsigned nth, enum harm *ret_harm, off_t *ret_at)
{
    off_t len = files->lens[file];
    *ret_at = 0;
    *ret_harm = nth == 0 ? HARM_REMOVE : nth == 1 ? HARM_EMPTY : nth == 2 ? HARM_CUT : nth == 3 ? HARM_ZERO : HARM_FLIP;
    if (nth == 2 || nth == 3) {
        *ret_at = nth == 2 ? len * 2 / 3 : len / 2;
    } else if (nth > 3) {
        *ret_at = (off_t)(nth - 4) * len / (off_t)(harms_of(files, file) - 4);
        *ret_harm = is_manifest(files->names[file]) && nth % 2 == 0 ? HARM_CUT : HARM_FLIP;
    }
}

Test(store_damage, no_damaged_file_gives_a_wrong_row)
{
    struct place place;
    static struct files files;
    struct tally tally = {0};
    place_init(&place, false);
    write_generations(place.store);
    place.store->ops->close(place.store);
    list_files(place.dir, &files);
    for (unsigned file = 0; file < files.len; file++) {
        for (unsigned nth = 0; nth < harms_of(&files, file); nth++) {
            enum harm harm;
            off_t at;
            harm_nth(&files, file, nth, &harm, &at);
            try_opening(&place, &files, file, harm, at, &tally);
        }
    }
    cr_assert_gt(tally.refused, 20);
    cr_assert_gt(tally.damaged, 20);
    cr_assert_gt(tally.older, 0);
    place_open(&place);
    place_done(&place);
}

Test(store_damage, a_directory_without_current_is_not_taken_for_an_empty_one)
{
    struct place place;
    char path[160];
    char detail[256];
    struct store *store;
    static struct files files;
    place_init(&place, false);
    write_generations(place.store);
    place.store->ops->close(place.store);
    list_files(place.dir, &files);
    for (unsigned i = 0; i < files.len; i++) {
        snprintf(path, sizeof path, "%s/%s", place.dir, files.names[i]);
        if (!ends(path, ".sst") && !ends(path, ".blob")) {
            cr_assert_eq(unlink(path), 0);
        }
    }
    struct store_rocksdb_options options = {.path = place.dir};
    cr_assert_eq(store_rocksdb_open(&options, &store, detail, sizeof detail), ERR_CORRUPT);
    snprintf(path, sizeof path, "%s/CURRENT: the file is missing", place.dir);
    cr_assert_str_eq(detail, path);
    place_remove(&place, "state");
    cr_assert_eq(mkdir(place.dir, 0700), 0);
    place_open(&place); /* One that was never used is made. */
    place_done(&place);
}

/* What the machine cannot be opened with is named, and what is not damage is not called so. */
Test(store_damage, an_opening_says_which_file_and_whether_it_is_damage)
{
    struct place place;
    struct machine *machine;
    struct slice consensus;
    uint64_t applied;
    char path[256];
    char detail[512];
    static struct files files;
    place_init(&place, false);
    struct store_change row = {.kind = STORE_PUT, .key = text("G"), .value = text("globals")};
    cr_assert_eq(place.store->ops->write(place.store, &row, 1), 0);
    cr_assert_eq(machine_open(place.store, &machine, &applied, &consensus, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_str_eq(detail, "the store's row of globals: stored data is damaged");
    place.store->ops->close(place.store);
    list_files(place.dir, &files);
    for (unsigned i = 0; i < files.len; i++) {
        snprintf(path, sizeof path, "%s/%s", place.dir, files.names[i]);
        if (ends(path, ".sst")) {
            harm_file(path, HARM_FLIP, 12);
            break;
        }
    }
    place_open(&place);
    cr_assert_eq(machine_open(place.store, &machine, &applied, &consensus, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, path), "%s", detail);
    place.store->ops->close(place.store);
    snprintf(path, sizeof path, "%s/CURRENT", place.dir);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    struct store_rocksdb_options options = {.path = place.dir};
    cr_assert_eq(store_rocksdb_open(&options, &place.store, detail, sizeof detail), ERR_CORRUPT, "%s", detail);
    cr_assert_not_null(strstr(detail, path), "%s", detail);
    place_remove(&place, "state");
    cr_assert_eq(symlink("nowhere", place.dir), 0);
    cr_assert_eq(store_rocksdb_open(&options, &place.store, detail, sizeof detail), ERR_IO, "%s", detail);
    cr_assert_not_null(strstr(detail, place.dir), "%s", detail);
    cr_assert_eq(unlink(place.dir), 0);
    cr_assert_eq(mkdir(place.dir, 0700), 0);
    place_open(&place);
    place_done(&place);
}

/* Files of a store that is in use and has read everything: what it has in memory does not keep it from looking. */
static void try_scrubbing(const struct place *place, const struct files *files, unsigned file, enum harm harm, off_t at,
                          struct tally *tally)
{
    char dir[128];
    char path[256];
    char where[320];
    char detail[512] = "";
    struct store *store;
    place_path(place, "copy", dir);
    copy_files(place, files, dir);
    struct store_rocksdb_options options = {.path = dir};
    cr_assert_eq(store_rocksdb_open(&options, &store, detail, sizeof detail), 0, "%s", detail);
    struct files present;
    list_files(dir, &present); /* Opening has made a new manifest. */
    for (unsigned i = 0; i < present.len; i++) {
        if (is_manifest(files->names[file]) && is_manifest(present.names[i])) {
            snprintf(path, sizeof path, "%s/%s", dir, present.names[i]);
            at = at < present.lens[i] ? at : present.lens[i] - 1;
            break;
        }
        snprintf(path, sizeof path, "%s/%s", dir, files->names[file]);
    }
    snprintf(where, sizeof where, "%s: %d at %ld", path, (int)harm, (long)at);
    struct reading reading = {.where = where};
    read_by_scan(store, &reading, dir);
    read_by_key(store, &reading, dir);
    cr_assert_eq(scrub(store, where, detail, sizeof detail), 0, "%s: %s", where, detail);
    harm_file(path, harm, at);
    int err = scrub(store, where, detail, sizeof detail);
    cr_assert(err == 0 || err == ERR_CORRUPT, "%s: %d", where, err);
    cr_assert(err == 0 || strstr(detail, dir) != NULL, "%s: %s", where, detail);
    tally->found += err != 0;
    tally->unseen += err == 0;
    store->ops->close(store);
    if (err == 0) {
        /* Then it does no harm: a row that has been overwritten, a filter, the end of a manifest that says nothing new; but for
         * the two ends of a file of long values, which are read when it is opened. */
        bool flipped = harm == HARM_FLIP || harm == HARM_ZERO;
        bool end_of_blob = flipped && ends(path, ".blob") && (at < 30 || at >= files->lens[file] - 32);
        struct reading again = {.where = where};
        int open_err = store_rocksdb_open(&options, &store, detail, sizeof detail);
        if (open_err == 0) {
            read_by_scan(store, &again, dir);
            cr_assert(again.damaged == 0 || end_of_blob, "%s", where);
            cr_assert(end_of_blob || again.generation == GENERATIONS, "%s", where);
            store->ops->close(store);
        } else {
            /* What was appended to a manifest that had been cut has left a hole before it. */
            bool cut = harm == HARM_CUT && is_manifest(files->names[file]);
            cr_assert(open_err == ERR_CORRUPT && cut, "%s: %s", where, detail);
        }
    }
    place_remove(place, "copy");
}

Test(store_damage, a_store_in_use_finds_it_by_reading_everything_again)
{
    struct place place;
    static struct files files;
    struct tally tally = {0};
    place_init(&place, false);
    write_generations(place.store);
    place.store->ops->close(place.store);
    list_files(place.dir, &files);
    for (unsigned file = 0; file < files.len; file++) {
        for (unsigned nth = 0; is_needed(files.names[file]) && nth < harms_of(&files, file); nth++) {
            enum harm harm;
            off_t at;
            harm_nth(&files, file, nth, &harm, &at);
            try_scrubbing(&place, &files, file, harm, at, &tally);
        }
    }
    cr_assert_gt(tally.found, 60);
    cr_assert_lt(tally.unseen * 4, tally.found, "%u of %u", tally.unseen, tally.unseen + tally.found);
    place_open(&place);
    place_done(&place);
}

/* A manifest that ends early is a sound one of an earlier state: the next start would go on from there. */
Test(store_damage, a_manifest_that_ends_early_is_found)
{
    struct place place;
    char path[256] = "";
    char detail[512];
    static struct files files;
    unsigned early = 0;
    place_init(&place, false);
    write_generations(place.store);
    list_files(place.dir, &files);
    for (unsigned i = 0; i < files.len; i++) {
        off_t len = is_manifest(files.names[i]) ? files.lens[i] : 0;
        snprintf(path, sizeof path, "%s/%s", place.dir, files.names[i]);
        for (off_t at = len - 40; at > 80; at -= 20) {
            harm_file(path, HARM_CUT, at);
            int err = scrub(place.store, path, detail, sizeof detail);
            cr_assert_eq(err, ERR_CORRUPT, "%ld of %ld: %d", (long)at, (long)len, err);
            early += strstr(detail, ": the manifest ends early: it knows of ") != NULL;
        }
    }
    cr_assert_gt(early, 5);
    place_remove(&place, "state");
    place.store->ops->close(place.store);
    cr_assert_eq(mkdir(place.dir, 0700), 0);
    place_open(&place);
    place_done(&place);
}

static const char *manifest_of(const struct files *files)
{
    const char *name = "";
    for (unsigned i = 0; i < files->len; i++) {
        name = is_manifest(files->names[i]) ? files->names[i] : name;
    }
    return name;
}

/* A compaction stops all writes when it meets damage: a write must say so, and not begin anew as after a full disk. */
Test(store_damage, what_a_compaction_meets_ends_writing)
{
    struct place place;
    static struct files files;
    static struct files after;
    char path[160];
    char said[512];
    char detail[512];
    place_init(&place, false);
    write_generation(place.store, 1);
    list_files(place.dir, &files);
    for (unsigned i = 0; i < files.len; i++) {
        snprintf(path, sizeof path, "%s/%s", place.dir, files.names[i]);
        if (ends(path, ".sst")) {
            harm_file(path, HARM_ZERO, 20);
        }
    }
    int err = 0;
    for (unsigned i = 0; i < 5000 && err == 0; i++) {
        struct store_change change = {.kind = STORE_PUT, .key = text("row001"), .value = text("again")};
        err = place.store->ops->write(place.store, &change, 1);
    }
    cr_assert_eq(err, ERR_CORRUPT, "%d", err);
    struct store_change again = {.kind = STORE_PUT, .key = text("row001"), .value = text("again")};
    cr_assert_eq(place.store->ops->write(place.store, &again, 1), ERR_CORRUPT);
    cr_assert_eq(place.store->ops->copy(place.store, "a-copy"), ERR_CORRUPT);
    list_files(place.dir, &after);
    cr_assert_str_eq(manifest_of(&after), manifest_of(&files), "it was opened anew");
    place.store->ops->explain(place.store, said, sizeof said);
    cr_assert_not_null(strstr(said, ".sst"), "%s", said);
    cr_assert_eq(scrub(place.store, "compaction", detail, sizeof detail), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, ".sst"), "%s", detail);
    place_done(&place);
}

static int count_row(void *arg, struct slice key, struct slice value, char *detail, size_t detail_len)
{
    unsigned *rows = arg;
    (void)value;
    (void)detail;
    (void)detail_len;
    cr_assert_gt(key.len, 0);
    (*rows)++;
    return 0;
}

/* Whatever is written, compacted and deleted between the steps, there is no false alarm. */
static void check_changes(bool memory)
{
    struct place place;
    unsigned writes = 0;
    place_init(&place, memory);
    struct store *store = place.store;
    for (unsigned pass = 0; pass < 6; pass++) {
        unsigned rows = 0;
        struct store_scrub step = {.bytes_max = 1000, .each = count_row, .arg = &rows};
        do {
            struct slice from = step.from;
            write_generation(store, 1 + writes++ % GENERATIONS);
            if (writes % 5 == 0) {
                struct store_change gone = {.kind = STORE_DELETE_RANGE, .key = text("row010"), .value = text("row020")};
                cr_assert_eq(store->ops->write(store, &gone, 1), 0);
            }
            cr_assert_eq(store->ops->scrub(store, &step), 0, "%s", step.detail);
            cr_assert(step.bytes >= step.bytes_max || step.next.len == 0);
            slice_unref(&from);
            step.from = step.next;
        } while (step.next.len > 0);
        cr_assert(rows > 0 && rows <= ROWS + 1);
    }
    place_done(&place);
}

Test(store_damage, rows_may_come_and_go_while_they_are_read)
{
    check_changes(false);
    check_changes(true);
}

/* RocksDB would wait for somebody at the other end of a pipe. */
Test(store_damage, what_is_no_file_is_damage_and_is_not_waited_for)
{
    struct place place;
    char path[256];
    char detail[512];
    static struct files files;
    place_init(&place, false);
    write_generations(place.store);
    place.store->ops->close(place.store);
    list_files(place.dir, &files);
    for (unsigned i = 0; i < 4 * files.len; i++) {
        char dir[128];
        struct store *store;
        place_path(&place, "copy", dir);
        copy_files(&place, &files, dir);
        snprintf(path, sizeof path, "%s/%s", dir, files.names[i / 4]);
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(i % 4 == 0   ? mkfifo(path, 0600)
                     : i % 4 == 1 ? mkdir(path, 0700)
                                  : symlink(i % 4 == 2 ? "/nowhere/at/all" : path, path),
                     0);
        struct store_rocksdb_options options = {.path = dir};
        cr_assert_eq(store_rocksdb_open(&options, &store, detail, sizeof detail), ERR_CORRUPT, "%s", path);
        cr_assert_not_null(strstr(detail, path), "%s", detail);
        place_remove(&place, "copy");
    }
    place_open(&place);
    snprintf(path, sizeof path, "%s/CURRENT", place.dir);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(scrub(place.store, path, detail, sizeof detail), ERR_CORRUPT, "while it is in use");
    cr_assert_not_null(strstr(detail, path), "%s", detail);
    place_done(&place);
}

/* The memory of this process, where there is none: the device cannot give it back. */
Test(store_damage, what_cannot_be_read_is_damage)
{
    struct place place;
    char path[256];
    char detail[512];
    struct store *store;
    place_init(&place, false);
    write_generations(place.store);
    place.store->ops->close(place.store);
    snprintf(path, sizeof path, "%s/CURRENT", place.dir);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("/proc/self/mem", path), 0);
    struct store_rocksdb_options options = {.path = place.dir};
    cr_assert_eq(store_rocksdb_open(&options, &store, detail, sizeof detail), ERR_CORRUPT, "%s", detail);
    cr_assert_not_null(strstr(detail, path), "%s", detail);
    place_remove(&place, "state");
    cr_assert_eq(mkdir(place.dir, 0700), 0);
    place_open(&place);
    place_done(&place);
}

Test(store_damage, only_reading_finds_damage)
{
    static const char *const damage[] = {
        "IO error: While pread offset 0 len 53: /data/state/000012.sst: Input/output error",
        "IO error: While reading file sequentially: /data/state/MANIFEST-000005: Input/output error",
        "IO error: While open a file for random read: /data/state/000012.blob: Input/output error",
        "IO error: While pread offset 7 len 9: /data/state/000012.blob: Is a directory",
        "IO error: while stat a file for size: /data/state/000012.sst: Input/output error"};
    static const char *const other[] = {
        "IO error: While appending to file: /data/state/000012.sst: Input/output error",
        "IO error: While fdatasync: /data/state/000012.sst: Input/output error",
        "IO error: While fsync: /data/state/already-read.sst: Input/output error",
        "IO error: While open a file for random read: /data/state/000012.sst: Permission denied",
        "IO error: While pread offset 0 len 53: /elsewhere/000012.sst: Input/output error"};
    for (unsigned i = 0; i < 5; i++) {
        cr_assert(store_rocksdb_unreadable(damage[i], "/data/state"), "%s", damage[i]);
        cr_assert_not(store_rocksdb_unreadable(other[i], "/data/state"), "%s", other[i]);
    }
}
