/* What the machine expects of a store, asked of RocksDB and of the simulator's. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "place.h"
#include "proto/base/limits.h"
#include "statemachine/store/store_rocksdb.h"

static void expect(struct place *place, const char *key, const char *value)
{
    struct slice found;
    int err = place->store->ops->get(place->store, key, strlen(key), &found);
    if (value == NULL) {
        cr_assert_eq(err, ERR_NOT_FOUND, "%s", key);
        return;
    }
    cr_assert_eq(err, 0, "%s", key);
    cr_assert_eq(found.len, strlen(value));
    cr_assert_eq(memcmp(found.data, value, found.len), 0);
    slice_unref(&found);
}

static int collect(void *arg, struct slice key, struct slice value)
{
    char *out = arg;
    (void)value;
    strncat(out, (const char *)key.data, key.len);
    strcat(out, " ");
    return key.len == 4 ? 44 : 0;
}

static void check_writes(struct place *place)
{
    struct store_change first[] = {
        {.kind = STORE_PUT, .key = text("a"), .value = text("1")},
        {.kind = STORE_PUT, .key = text("b"), .value = text("head"), .value2 = text("body")},
        {.kind = STORE_PUT, .key = text("b1"), .value = text("x")},
        {.kind = STORE_PUT, .key = text("b2"), .value = text("y")},
        {.kind = STORE_PUT, .key = text("c"), .value = text("")},
        {.kind = STORE_DELETE, .key = text("nothing")},
    };
    cr_assert_eq(place->store->ops->write(place->store, first, 6), 0);
    place_reopen(place);
    expect(place, "a", "1");
    expect(place, "b", "headbody");
    expect(place, "c", "");
    expect(place, "nothing", NULL);
    struct store_change second[] = {
        {.kind = STORE_DELETE_RANGE, .key = text("b"), .value = text("b2")},
        {.kind = STORE_PUT, .key = text("b1"), .value = text("again")},
        {.kind = STORE_DELETE, .key = text("a")},
        {.kind = STORE_PUT, .key = text("d"), .value = text("1")},
        {.kind = STORE_DELETE, .key = text("d")},
        {.kind = STORE_PUT, .key = text("c"), .value = text("new")},
    };
    cr_assert_eq(place->store->ops->write(place->store, second, 6), 0);
    place_reopen(place);
    expect(place, "a", NULL);
    expect(place, "b", NULL);
    expect(place, "b1", "again");
    expect(place, "b2", "y");
    expect(place, "c", "new");
    expect(place, "d", NULL);
}

static void check_scan(struct place *place)
{
    struct store_change rows[] = {
        {.kind = STORE_PUT, .key = text("s2"), .value = text("1")},
        {.kind = STORE_PUT, .key = text("s1"), .value = text("1")},
        {.kind = STORE_PUT, .key = text("s"), .value = text("1")},
        {.kind = STORE_PUT, .key = text("s1a"), .value = text("1")},
        {.kind = STORE_PUT, .key = text("r"), .value = text("1")},
        {.kind = STORE_PUT, .key = text("t"), .value = text("1")},
        {.kind = STORE_PUT, .key = text("tail"), .value = text("1")},
    };
    cr_assert_eq(place->store->ops->write(place->store, rows, 7), 0);
    char found[64] = "";
    cr_assert_eq(place->store->ops->scan(place->store, text("s"), text("t"), collect, found), 0);
    cr_assert_str_eq(found, "s s1 s1a s2 ");
    found[0] = 0;
    cr_assert_eq(place->store->ops->scan(place->store, text("s1"), text("z"), collect, found), 44);
    cr_assert_str_eq(found, "s1 s1a s2 t tail ");
}

/* Of the rows of check_scan(). */
static void check_scan_back(struct place *place)
{
    static const struct {
        const char *first;
        const char *end;
        const char *found;
    } cases[] = {
        {"s", "t", "s2 s1a s1 s "}, {"s0", "s2", "s1a s1 "}, {"s1", "s1a1", "s1a s1 "}, {"s", "s", ""},
        {"t", "zz", "tail "},       {"u", "zz", ""},         {"s2", "s2x", "s2 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char found[64] = "";
        int err = place->store->ops->scan_back(place->store, text(cases[i].first), text(cases[i].end), collect, found);
        cr_assert_eq(err, strcmp(cases[i].found, "tail ") == 0 ? 44 : 0);
        cr_assert_str_eq(found, cases[i].found, "%s", found);
    }
}

Test(store, rocksdb)
{
    struct place place;
    place_init(&place, false);
    check_writes(&place);
    check_scan(&place);
    check_scan_back(&place);
    place_done(&place);
}

Test(store, memory)
{
    struct place place;
    place_init(&place, true);
    check_writes(&place);
    check_scan(&place);
    check_scan_back(&place);
    place_done(&place);
}

Test(store, a_second_opening_is_refused)
{
    struct place place;
    struct store *second;
    char detail[256] = "";
    place_init(&place, false);
    struct store_rocksdb_options options = {.path = place.dir};
    cr_assert_eq(store_rocksdb_open(&options, &second, detail, sizeof detail), ERR_LOCKED, "%s", detail);
    cr_assert_neq(detail[0], 0);
    place_done(&place);
}

/* A value that RocksDB keeps in a file of its own. */
#define LONG_LEN ((size_t)3000)

static void write_long(struct place *place, unsigned first, unsigned count, uint8_t seed)
{
    static uint8_t values[64][LONG_LEN];
    static char keys[64][16];
    struct store_change changes[64];
    cr_assert_leq(count, 64);
    for (unsigned i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "long%03u", first + i);
        memset(values[i], seed + (int)(first + i), LONG_LEN);
        changes[i] = (struct store_change){.kind = STORE_PUT,
                                           .key = text(keys[i]),
                                           .value = text("head"),
                                           .value2 = {.data = values[i], .len = LONG_LEN}};
    }
    cr_assert_eq(place->store->ops->write(place->store, changes, count), 0);
}

static int count_long(void *arg, struct slice key, struct slice value)
{
    unsigned *count = arg;
    cr_assert_eq(value.len, 4 + LONG_LEN, "%.*s", (int)key.len, (const char *)key.data);
    cr_assert_eq(value.data[4], value.data[3 + LONG_LEN]);
    (*count)++;
    return 0;
}

static int read_long(struct place *place, unsigned number, uint8_t *ret_byte)
{
    char key[16];
    struct slice found;
    snprintf(key, sizeof key, "long%03u", number);
    int err = place->store->ops->get(place->store, key, strlen(key), &found);
    if (err == 0) {
        cr_assert_eq(found.len, 4 + LONG_LEN);
        *ret_byte = found.data[3 + LONG_LEN];
        slice_unref(&found);
    }
    return err;
}

/* The pattern's only match, or the first of several. */
static void find_file(const struct place *place, const char *pattern, char path[128])
{
    glob_t found;
    snprintf(path, 128, "%s/%s", place->dir, pattern);
    cr_assert_eq(glob(path, 0, NULL, &found), 0, "%s", path);
    snprintf(path, 128, "%s", found.gl_pathv[0]);
    globfree(&found);
}

Test(store, long_values_are_kept_apart_and_go_with_their_rows)
{
    struct place place;
    char path[128];
    uint8_t byte;
    place_init(&place, false);
    for (unsigned round = 0; round < 12; round++) {
        write_long(&place, round * 10, 40, (uint8_t)round);
    }
    find_file(&place, "*.blob", path);
    struct store_change gone = {.kind = STORE_DELETE_RANGE, .key = text("long020"), .value = text("long100")};
    cr_assert_eq(place.store->ops->write(place.store, &gone, 1), 0);
    for (unsigned round = 0; round < 2; round++) {
        unsigned count = 0;
        cr_assert_eq(place.store->ops->scan(place.store, text("long"), text("m"), count_long, &count), 0);
        cr_assert_eq(count, 150u - 80u);
        cr_assert_eq(read_long(&place, 5, &byte), 0);
        cr_assert_eq(byte, 5);
        cr_assert_eq(read_long(&place, 149, &byte), 0);
        cr_assert_eq(byte, 11 + 149);
        cr_assert_eq(read_long(&place, 50, &byte), ERR_NOT_FOUND);
        place_reopen(&place);
    }
    place_done(&place);
}

Test(store, damage_in_a_long_value_is_noticed)
{
    struct place place;
    char path[128];
    uint8_t byte;
    place_init(&place, false);
    write_long(&place, 0, 1, 7);
    place.store->ops->close(place.store);
    find_file(&place, "*.blob", path);
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 2000, SEEK_SET), 0);
    cr_assert_eq(fputc(99, file), 99);
    cr_assert_eq(fclose(file), 0);
    place_open(&place);
    cr_assert_eq(read_long(&place, 0, &byte), ERR_CORRUPT);
    place_done(&place);
}

/* Whether writes pass the system's cache is no matter of what is in the files. */
Test(store, opens_what_was_written_another_way)
{
    struct place place;
    char detail[256] = "";
    uint8_t byte;
    place_init(&place, false);
    for (unsigned round = 0; round < 4; round++) {
        write_long(&place, round * 10, 40, (uint8_t)round);
        place.store->ops->close(place.store);
        struct store_rocksdb_options options = {.path = place.dir,
                                                .direct = round % 2 == 1 && place_takes_direct_writes(&place)};
        cr_assert_eq(store_rocksdb_open(&options, &place.store, detail, sizeof detail), 0, "%s", detail);
        cr_assert_eq(read_long(&place, round * 10 + 39, &byte), 0);
        cr_assert_eq(byte, (uint8_t)(round + round * 10 + 39));
    }
    place_done(&place);
}

#define ROW_LEN ((size_t)256 * 1024)

/* Rows that differ from each other, so that nothing can be kept once for many. */
static int write_row(struct place *place, unsigned number, size_t len)
{
    char key[16];
    snprintf(key, sizeof key, "row%06u", number);
    uint8_t *value = malloc(len);
    for (size_t i = 0; i < len; i++) {
        value[i] = (uint8_t)(number + i * 7);
    }
    struct store_change change = {
        .kind = STORE_PUT, .key = text(key), .value = text("head"), .value2 = {.data = value, .len = len}};
    int err = place->store->ops->write(place->store, &change, 1);
    free(value);
    return err;
}

static void expect_rows(struct place *place, unsigned count)
{
    for (unsigned number = 0; number < count; number++) {
        char key[16];
        struct slice found;
        snprintf(key, sizeof key, "row%06u", number);
        cr_assert_eq(place->store->ops->get(place->store, key, strlen(key), &found), 0, "%s of %u", key, count);
        cr_assert_eq(found.len, ROW_LEN + 4);
        cr_assert_eq(found.data[4 + 1000], (uint8_t)(number + 7000));
        slice_unref(&found);
    }
}

struct reading {
    struct store *store;
    _Atomic bool stop;
    int err;
    unsigned count;
};

static void *read_all_the_time(void *arg)
{
    struct reading *reading = arg;
    while (!reading->stop && reading->err == 0) {
        struct slice found;
        reading->err = reading->store->ops->get(reading->store, "row000000", 9, &found);
        if (reading->err == 0) {
            slice_unref(&found);
            reading->count++;
        }
    }
    return NULL;
}

Test(store, a_full_disk_is_no_space_until_there_is_room)
{
    struct place place;
    pthread_t thread;
    place_init_small(&place);
    place_open(&place);
    cr_assert_eq(write_row(&place, 0, ROW_LEN), 0);
    struct reading reading = {.store = place.store};
    cr_assert_eq(pthread_create(&thread, NULL, read_all_the_time, &reading), 0);
    unsigned rows = 1;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 8; i++, rows++) {
            cr_assert_eq(write_row(&place, rows, ROW_LEN), 0, "row %u", rows);
        }
        place_fill(&place, 0);
        cr_assert_eq(write_row(&place, rows, ROW_LEN), 0, "a checkpoint that makes room is always possible");
        rows++;
        int err = 0;
        for (unsigned i = 0; i < 40 && err == 0; i++) {
            err = write_row(&place, rows, ROW_LEN);
            rows += err == 0 ? 1 : 0;
        }
        cr_assert_eq(err, ERR_NO_SPACE);
        cr_assert_eq(write_row(&place, rows, ROW_LEN), ERR_NO_SPACE);
        expect_rows(&place, rows);
        place_empty(&place);
    }
    cr_assert_eq(write_row(&place, rows, ROW_LEN), 0);
    rows++;
    expect_rows(&place, rows);
    reading.stop = true;
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(reading.err, 0, "reads work all the time: %s", err_text(reading.err));
    cr_assert_gt(reading.count, 0u);
    place_reopen(&place);
    expect_rows(&place, rows);
    place_done(&place);
}

/* The space goes while the write runs: RocksDB itself meets the full disk, and has to be opened anew. */
struct filling {
    const struct place *place;
    _Atomic bool stop;
};

static void *fill_all_the_time(void *arg)
{
    struct filling *filling = arg;
    char path[128];
    place_path(filling->place, "filler", path);
    FILE *file = fopen(path, "w");
    while (!filling->stop) {
        off_t end = ftello(file);
        if (posix_fallocate(fileno(file), end, 65536) == 0) {
            (void)fseeko(file, 65536, SEEK_CUR);
        }
    }
    fclose(file);
    return NULL;
}

/* A copy needs no write before it that shows that there is room again, and has what the store has, not what was left. */
static void check_copy_after_failure(struct place *place, unsigned rows)
{
    struct place copy = *place;
    struct slice big;
    cr_assert_eq(place->store->ops->copy(place->store, "copy"), 0);
    snprintf(copy.dir, sizeof copy.dir, "%s/copy", place->root);
    place_open(&copy);
    expect_rows(&copy, rows);
    int err = place->store->ops->get(place->store, "big", 3, &big);
    if (err == 0) {
        slice_unref(&big);
    }
    cr_assert_eq(copy.store->ops->get(copy.store, "big", 3, &big), err);
    if (err == 0) {
        slice_unref(&big);
    }
    copy.store->ops->close(copy.store);
    place_remove(place, "copy");
}

Test(store, a_write_that_meets_the_full_disk_can_be_made_again)
{
    struct place place;
    pthread_t thread;
    place_init_small(&place);
    place_open(&place);
    unsigned rows = 0;
    for (; rows < 4; rows++) {
        cr_assert_eq(write_row(&place, rows, ROW_LEN), 0);
    }
    unsigned met = 0;
    for (unsigned round = 0; round < 30 && met < 3; round++) {
        struct filling filling = {.place = &place};
        place_fill(&place, 16 * MIB);
        char path[128];
        place_path(&place, "filler", path);
        struct store_change change = {.kind = STORE_PUT, .key = text("big"), .value = text("head")};
        struct slice body = {.data = calloc(1, 11 * MIB), .len = 11 * MIB};
        change.value2 = body;
        /* The file that takes the rest grows beside the one that is there. */
        char aside[128];
        place_path(&place, "filler-0", aside);
        cr_assert_eq(rename(path, aside), 0);
        cr_assert_eq(pthread_create(&thread, NULL, fill_all_the_time, &filling), 0);
        int err = place.store->ops->write(place.store, &change, 1);
        filling.stop = true;
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_assert(err == 0 || err == ERR_NO_SPACE, "%s", err_text(err));
        met += err == ERR_NO_SPACE ? 1 : 0;
        expect_rows(&place, rows);
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(unlink(aside), 0);
        if (err != 0) {
            check_copy_after_failure(&place, rows);
        }
        free((void *)(uintptr_t)body.data);
        struct store_change gone = {.kind = STORE_DELETE, .key = text("big")};
        cr_assert_eq(place.store->ops->write(place.store, &gone, 1), 0);
        expect(&place, "big", NULL);
        expect_rows(&place, rows);
    }
    cr_assert_gt(met, 0u, "the disk was never full");
    place_reopen(&place);
    expect(&place, "big", NULL);
    expect_rows(&place, rows);
    place_done(&place);
}

Test(store, opens_on_a_full_disk)
{
    struct place place;
    char detail[256] = "";
    place_init_small(&place);
    struct store_rocksdb_options options = {.path = place.dir};
    place_fill(&place, 0);
    cr_assert_eq(store_rocksdb_open(&options, &place.store, detail, sizeof detail), ERR_NO_SPACE, "%s", detail);
    cr_assert_neq(detail[0], 0);
    place_empty(&place);
    place_open(&place);
    cr_assert_eq(write_row(&place, 0, ROW_LEN), 0);
    place.store->ops->close(place.store);
    place_fill(&place, 0);
    place_open(&place);
    expect_rows(&place, 1);
    /* Too large for what is kept for a small one. */
    cr_assert_eq(write_row(&place, 1, 8 * MIB), ERR_NO_SPACE);
    expect_rows(&place, 1);
    place_empty(&place);
    cr_assert_eq(write_row(&place, 1, ROW_LEN), 0);
    place_reopen(&place);
    expect_rows(&place, 2);
    place_done(&place);
}

struct writing {
    struct machine_checkpoint *checkpoint;
    int err;
};

static void *write_checkpoint(void *arg)
{
    struct writing *writing = arg;
    writing->err = machine_checkpoint_write(writing->checkpoint);
    return NULL;
}

Test(store, a_machine_lives_on_rocksdb_while_it_writes_on_another_thread)
{
    struct place place;
    struct fixture f = {.time_ms = 1};
    struct client a;
    struct slice consensus;
    char detail[128];
    place_init(&place, false);
    cr_assert_eq(machine_open(place.store, &f.machine, &f.index, &consensus, detail, sizeof detail), 0);
    slice_unref(&consensus);
    node_present(&f, NODE, RUN);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    client_subscribe(&f, &a, "q", 1, 100);
    uint64_t digest = 0;
    for (uint64_t round = 0; round < 10; round++) {
        client_publish(&f, &a, "q", "p", round * 1000 + 1, 1000);
        cr_assert_eq(machine_digest(f.machine, &digest), 0);
        struct machine_checkpoint *checkpoint;
        cr_assert_eq(machine_checkpoint(f.machine, (struct slice){0}, &checkpoint), 0);
        pthread_t thread;
        struct writing writing = {.checkpoint = checkpoint, .err = ERR_IO};
        cr_assert_eq(pthread_create(&thread, NULL, write_checkpoint, &writing), 0);
        client_settle(&f, &a, 1, ACCEPT, round * 100 + 1, round * 100 + 100);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_assert_eq(writing.err, 0);
        machine_checkpoint_done(checkpoint, writing.err);
    }
    uint64_t before_settling = digest;
    machine_close(f.machine);
    place_open(&place);
    cr_assert_eq(machine_open(place.store, &f.machine, &f.index, &consensus, detail, sizeof detail), 0, "%s", detail);
    slice_unref(&consensus);
    cr_assert_eq(machine_digest(f.machine, &digest), 0);
    cr_assert_eq(digest, before_settling);
    cr_assert_eq(fixture_queue(&f, "q").ready, 9000u);
    machine_close(f.machine);
    place_open(&place);
    place_done(&place);
}

static int count_browsed(void *arg, const struct machine_message *message)
{
    (void)message;
    ++*(uint64_t *)arg;
    return 0;
}

Test(store, purged_messages_leave_rocksdb)
{
    struct place place;
    struct fixture f = {.time_ms = 1};
    struct client a;
    struct slice consensus;
    struct slice body;
    char detail[128];
    uint64_t browsed = 0;
    uint64_t oldest = 0;
    place_init(&place, false);
    cr_assert_eq(machine_open(place.store, &f.machine, &f.index, &consensus, detail, sizeof detail), 0);
    slice_unref(&consensus);
    node_present(&f, NODE, RUN);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    client_publish(&f, &a, "q", "", 1, 1000);
    client_subscribe(&f, &a, "q", 1, 10);
    fixture_checkpoint(&f);
    cr_assert_eq(machine_browse(f.machine, 1, 1, count_browsed, &browsed), 0);
    cr_assert_eq(browsed, 1000u);
    cr_assert_eq(machine_queue_oldest(f.machine, 1, &oldest), 0);
    cr_assert_gt(oldest, 0u);
    cr_assert_eq(client_purge(&f, &a, "q").count, 990u);
    fixture_checkpoint(&f);
    machine_close(f.machine);
    place_open(&place);
    cr_assert_eq(machine_open(place.store, &f.machine, &f.index, &consensus, detail, sizeof detail), 0, "%s", detail);
    slice_unref(&consensus);
    browsed = 0;
    cr_assert_eq(machine_browse(f.machine, 1, 1, count_browsed, &browsed), 0);
    cr_assert_eq(browsed, 10u);
    cr_assert_eq(machine_body(f.machine, 1, 10, &body), 0);
    slice_unref(&body);
    cr_assert_eq(machine_body(f.machine, 1, 11, &body), ERR_NOT_FOUND);
    cr_assert_eq(machine_body(f.machine, 1, 1000, &body), ERR_NOT_FOUND);
    machine_close(f.machine);
    place_open(&place);
    place_done(&place);
}
