/* What the machine expects of a store, asked of RocksDB and of the simulator's. */

#include <criterion/criterion.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "statemachine/store_rocksdb.h"

struct place {
    char dir[64];
    struct store_memory_disk *disk;
    struct store *store;
};

static void place_open(struct place *place)
{
    char detail[256] = "";
    if (place->disk != NULL) {
        cr_assert_eq(store_memory_open(place->disk, &place->store), 0);
        return;
    }
    struct store_rocksdb_options options = {.path = place->dir};
    cr_assert_eq(store_rocksdb_open(&options, &place->store, detail, sizeof detail), 0, "%s", detail);
}

static void place_init(struct place *place, bool memory)
{
    *place = (struct place){.dir = "/tmp/holdfast-store-XXXXXX"};
    if (memory) {
        place->disk = store_memory_disk_new();
    } else {
        cr_assert_not_null(mkdtemp(place->dir));
    }
    place_open(place);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void place_done(struct place *place)
{
    place->store->ops->close(place->store);
    store_memory_disk_free(place->disk);
    if (place->disk == NULL) {
        cr_assert_eq(nftw(place->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    }
}

static void place_reopen(struct place *place)
{
    place->store->ops->close(place->store);
    place_open(place);
}

static struct slice text(const char *string)
{
    return (struct slice){.data = (const uint8_t *)string, .len = strlen(string)};
}

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

Test(store, rocksdb)
{
    struct place place;
    place_init(&place, false);
    check_writes(&place);
    check_scan(&place);
    place_done(&place);
}

Test(store, memory)
{
    struct place place;
    place_init(&place, true);
    check_writes(&place);
    check_scan(&place);
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
