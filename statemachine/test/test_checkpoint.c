/* Checkpoints: taken while apply goes on, failed ones, damaged rows. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "proto/base/check.h"
#include "statemachine/store/rows.h"

static void setup(struct fixture *f, struct client *a)
{
    fixture_init(f);
    client_attach(f, a, 1, false);
    cr_assert_eq(client_declare(f, a, "q").error, 0);
    cr_assert_eq(client_declare(f, a, "r").error, 0);
}

static struct machine_checkpoint *begin(struct fixture *f)
{
    struct machine_checkpoint *checkpoint;
    cr_assert_eq(machine_checkpoint(f->machine, (struct slice){0}, &checkpoint), 0);
    return checkpoint;
}

Test(checkpoint, carries_the_index_and_the_consensus_bytes)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct machine_checkpoint *checkpoint;
    struct machine_checkpoint *second;
    struct slice consensus = {.data = (const uint8_t *)"members", .len = 7};
    cr_assert_eq(machine_checkpoint(f.machine, consensus, &checkpoint), 0);
    cr_assert_eq(machine_checkpoint(f.machine, consensus, &second), ERR_BUSY);
    uint64_t index = f.index;
    uint64_t running = machine_running_digest(f.machine);
    client_declare(&f, &a, "later");
    cr_assert_eq(machine_checkpoint_write(checkpoint), 0);
    machine_checkpoint_done(checkpoint, 0);
    machine_close(f.machine);

    struct store *store;
    char detail[128];
    uint64_t applied = 0;
    cr_assert_eq(store_memory_open(f.disk, &store), 0);
    cr_assert_eq(machine_open(store, &f.machine, &applied, &consensus, detail, sizeof detail), 0);
    cr_assert_eq(applied, index);
    cr_assert_eq(machine_applied_index(f.machine), index);
    cr_assert_eq(machine_running_digest(f.machine), running);
    cr_assert_eq(consensus.len, 7u);
    cr_assert_eq(memcmp(consensus.data, "members", 7), 0);
    slice_unref(&consensus);
    cr_assert_null(fixture_queue(&f, "later").name);
    fixture_done(&f);
}

/* Applies to messages what can happen to them; the same every time. */
static void work(struct fixture *f, struct client *a, uint64_t round)
{
    client_publish(f, a, "q", "p", round * 10 + 1, 10);
    client_publish(f, a, "r", "", 1, 3);
    client_subscribe(f, a, "q", round + 1, 8);
    client_settle(f, a, round + 1, ACCEPT, 2, 3);
    client_settle(f, a, round + 1, RELEASE, 1, 1);
    if (round % 2 == 1) {
        client_unsubscribe(f, a, round);
        client_delete(f, a, "r", false);
        client_declare(f, a, "r");
    }
}

Test(checkpoint, apply_goes_on_while_one_is_written)
{
    struct fixture f, plain;
    struct client a, b;
    setup(&f, &a);
    setup(&plain, &b);
    for (uint64_t round = 0; round < 12; round++) {
        work(&f, &a, 2 * round);
        work(&plain, &b, 2 * round);
        uint64_t before = fixture_digest(&f);
        cr_assert_eq(before, fixture_digest(&plain));
        struct machine_checkpoint *checkpoint = begin(&f);
        cr_assert_eq(fixture_digest(&f), before);
        work(&f, &a, 2 * round + 1);
        uint64_t middle = fixture_digest(&f);
        cr_assert_eq(machine_checkpoint_write(checkpoint), 0);
        cr_assert_eq(fixture_digest(&f), middle, "written, not given back yet");
        machine_checkpoint_done(checkpoint, 0);
        cr_assert_eq(fixture_digest(&f), middle);

        /* What was applied after the checkpoint is applied again, as from the log. */
        fixture_crash(&f);
        cr_assert_eq(fixture_digest(&f), before);
        a.number = b.number;
        f.time_ms = plain.time_ms;
        work(&f, &a, 2 * round + 1);
        work(&plain, &b, 2 * round + 1);
        cr_assert_eq(fixture_digest(&f), fixture_digest(&plain));
        cr_assert_eq(machine_running_digest(f.machine), machine_running_digest(plain.machine));
    }
    fixture_done(&f);
    fixture_done(&plain);
}

Test(checkpoint, memory_does_not_grow_with_the_backlog)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    for (uint64_t i = 0; i < 20; i++) {
        client_publish(&f, &a, "q", "", 1, 1000);
        cr_assert_gt(machine_overlay_bytes(f.machine), 2000u);
        fixture_checkpoint(&f);
        cr_assert_eq(machine_overlay_bytes(f.machine), 0u);
    }
    cr_assert_eq(fixture_queue(&f, "q").ready, 20000u);
    fixture_done(&f);
}

Test(checkpoint, a_message_settled_in_between_never_reaches_the_store)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    client_subscribe(&f, &a, "q", 1, 100);
    fixture_checkpoint(&f);
    size_t rows = store_memory_disk_rows(f.disk);
    for (uint64_t i = 0; i < 10; i++) {
        client_publish(&f, &a, "q", "", 1, 10);
        client_settle(&f, &a, 1, ACCEPT, 10 * i + 1, 10 * i + 10);
    }
    cr_assert_eq(machine_overlay_bytes(f.machine), 0u);
    fixture_checkpoint(&f);
    cr_assert_eq(store_memory_disk_rows(f.disk), rows);
    fixture_done(&f);
}

Test(checkpoint, settled_and_returned_rows_are_deleted)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    fixture_checkpoint(&f);
    size_t rows = store_memory_disk_rows(f.disk);
    client_publish(&f, &a, "q", "", 1, 100);
    client_subscribe(&f, &a, "q", 1, 100);
    client_unsubscribe(&f, &a, 1);
    fixture_reopen(&f);
    cr_assert_eq(store_memory_disk_rows(f.disk), rows + 200);
    client_subscribe(&f, &a, "q", 1, 100);
    client_settle(&f, &a, 1, ACCEPT, 1, 100);
    client_unsubscribe(&f, &a, 1);
    fixture_reopen(&f);
    cr_assert_eq(store_memory_disk_rows(f.disk), rows);
    fixture_done(&f);
}

Test(checkpoint, a_failed_one_goes_with_the_next)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    fixture_checkpoint(&f);
    for (uint64_t round = 0; round < 6; round++) {
        work(&f, &a, round);
        struct machine_checkpoint *checkpoint = begin(&f);
        store_memory_disk_fail_write(f.disk, ERR_IO);
        int err = machine_checkpoint_write(checkpoint);
        cr_assert_eq(err, ERR_IO);
        uint64_t digest = fixture_digest(&f);
        machine_checkpoint_done(checkpoint, err);
        cr_assert_eq(fixture_digest(&f), digest);
    }
    fixture_reopen(&f);
    work(&f, &a, 6);
    fixture_reopen(&f);
    fixture_done(&f);
}

/* A store that counts what it is asked to write, as a disk would need it, and may have no room for it. */
struct counting {
    struct store base;
    struct store *inner;
    size_t changes;
    uint64_t len;
    bool full;
};

static struct counting *counting_of(struct store *store)
{
    return container_of(store, struct counting, base);
}

static int counting_write(struct store *store, const struct store_change *changes, size_t count)
{
    struct counting *counting = counting_of(store);
    counting->changes = count;
    counting->len = 0;
    for (size_t i = 0; i < count; i++) {
        counting->len += changes[i].key.len + changes[i].value.len + changes[i].value2.len;
    }
    return counting->full ? ERR_NO_SPACE : counting->inner->ops->write(counting->inner, changes, count);
}

static int counting_get(struct store *store, const void *key, size_t key_len, struct slice *ret_value)
{
    struct store *inner = counting_of(store)->inner;
    return inner->ops->get(inner, key, key_len, ret_value);
}

static int counting_scan(struct store *store, struct slice first, struct slice end,
                         int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct store *inner = counting_of(store)->inner;
    return inner->ops->scan(inner, first, end, each, arg);
}

static int counting_scan_back(struct store *store, struct slice first, struct slice end,
                              int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct store *inner = counting_of(store)->inner;
    return inner->ops->scan_back(inner, first, end, each, arg);
}

static void counting_close(struct store *store)
{
    struct store *inner = counting_of(store)->inner;
    inner->ops->close(inner);
}

static const struct store_ops counting_ops = {
    .write = counting_write,
    .get = counting_get,
    .scan = counting_scan,
    .scan_back = counting_scan_back,
    .close = counting_close,
};

/* As setup(), with a store that counts. */
static void setup_counting(struct fixture *f, struct client *a, struct counting *counting)
{
    struct slice consensus;
    uint64_t applied;
    char detail[128];
    setup(f, a);
    fixture_checkpoint(f);
    machine_close(f->machine);
    *counting = (struct counting){.base = {.ops = &counting_ops}};
    cr_assert_eq(store_memory_open(f->disk, &counting->inner), 0);
    cr_assert_eq(machine_open(&counting->base, &f->machine, &applied, &consensus, detail, sizeof detail), 0);
    slice_unref(&consensus);
}

static void checkpoint_without_room(struct fixture *f, struct counting *counting)
{
    counting->full = true;
    struct machine_checkpoint *checkpoint = begin(f);
    cr_assert_eq(machine_checkpoint_write(checkpoint), ERR_NO_SPACE);
    machine_checkpoint_done(checkpoint, ERR_NO_SPACE);
    counting->full = false;
}

/* What was consumed after a checkpoint had found no room needs none in the next: a full disk gets room by that. */
Test(checkpoint, what_was_settled_since_one_failed_needs_no_room)
{
    struct fixture f;
    struct client a;
    struct counting counting;
    setup_counting(&f, &a, &counting);
    size_t rows = store_memory_disk_rows(f.disk);
    client_publish(&f, &a, "q", "", 1, 1000);
    client_publish(&f, &a, "r", "", 1, 1000);
    checkpoint_without_room(&f, &counting);
    cr_assert_gt(counting.len, 50000u);
    client_subscribe(&f, &a, "q", 1, 999);
    client_settle(&f, &a, 1, ACCEPT, 1, 999);
    client_unsubscribe(&f, &a, 1);
    client_delete(&f, &a, "r", false);
    client_declare(&f, &a, "r");
    uint64_t digest = fixture_digest(&f);
    fixture_checkpoint(&f);
    cr_assert_lt(counting.len, 25000u, "%llu bytes", (unsigned long long)counting.len);
    cr_assert_eq(store_memory_disk_rows(f.disk), rows + 2, "a message, and that it came back");
    cr_assert_eq(fixture_digest(&f), digest);
    fixture_crash(&f);
    cr_assert_eq(fixture_digest(&f), digest);
    cr_assert_eq(fixture_queue(&f, "q").ready, 1u);
    fixture_done(&f);
}

Test(checkpoint, many_failed_ones_are_no_more_than_one)
{
    struct fixture f;
    struct client a;
    struct counting counting;
    setup_counting(&f, &a, &counting);
    client_publish(&f, &a, "q", "p", 1, 100);
    client_subscribe(&f, &a, "q", 1, 100);
    node_present(&f, 2, 20);
    checkpoint_without_room(&f, &counting);
    uint64_t len = counting.len;
    for (uint64_t i = 0; i < 50; i++) {
        client_settle(&f, &a, 1, i % 2 == 0 ? ACCEPT : RELEASE, 2 * i + 1, 2 * i + 1);
        a.answered = a.number;
        checkpoint_without_room(&f, &counting);
    }
    cr_assert_lt(counting.len, len + 5000, "%llu bytes", (unsigned long long)counting.len);
    cr_assert_lt(counting.changes, 1000u);
    uint64_t digest = fixture_digest(&f);
    fixture_checkpoint(&f);
    cr_assert_eq(fixture_digest(&f), digest);
    fixture_crash(&f);
    cr_assert_eq(fixture_digest(&f), digest);
    fixture_done(&f);
}

Test(checkpoint, a_damaged_row_is_not_believed)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    client_publish(&f, &a, "q", "p", 1, 3);
    client_subscribe(&f, &a, "q", 1, 2);
    client_subscribe(&f, &a, "q", 2, 2);
    client_unsubscribe(&f, &a, 1);
    fixture_checkpoint(&f);
    machine_close(f.machine);
    struct store_memory_disk *sound = f.disk;
    size_t rows = store_memory_disk_rows(sound);
    size_t refused = 0;
    for (uint64_t nth = 0; nth < 60 * rows; nth++) {
        struct store *store;
        struct machine *machine;
        struct slice consensus;
        uint64_t applied;
        char detail[128] = "";
        f.disk = store_memory_disk_new();
        cr_assert_eq(store_memory_disk_copy(f.disk, sound), 0);
        cr_assert_eq(store_memory_disk_flip(f.disk, nth), 0);
        cr_assert_eq(store_memory_open(f.disk, &store), 0);
        int err = machine_open(store, &machine, &applied, &consensus, detail, sizeof detail);
        if (err != 0) {
            cr_assert(err == ERR_CORRUPT);
            cr_assert_neq(detail[0], 0);
            store->ops->close(store);
            refused++;
        } else {
            slice_unref(&consensus);
            machine_close(machine);
        }
        store_memory_disk_free(f.disk);
    }
    /* All but the rows of three messages and a producer are read when opening. */
    cr_assert_eq(refused, 60 * (rows - 4));
    store_memory_disk_free(sound);
}

Test(checkpoint, a_damaged_body_is_never_handed_out)
{
    struct fixture f;
    struct client a;
    struct slice body;
    setup(&f, &a);
    fixture_checkpoint(&f);
    client_publish(&f, &a, "q", "", 1, 1);
    fixture_checkpoint(&f);
    machine_close(f.machine);
    /* Rows in order: G, M, Q, ... The last byte of the message row is one of its body's. */
    size_t rows = store_memory_disk_rows(f.disk);
    uint64_t last = 1 + 8 + 8 + 4 + 8 + 1;
    cr_assert_eq(store_memory_disk_flip(f.disk, 1 + last * rows), 0);
    fixture_open(&f);
    cr_assert_eq(machine_body(f.machine, 1, 1, &body), ERR_CHECKSUM);
    fixture_done(&f);
}

Test(checkpoint, rows_of_another_version_are_refused)
{
    static const uint8_t versions[] = {ROW_VERSION - 1, ROW_VERSION_NEW + 1};
    for (size_t i = 0; i < sizeof versions; i++) {
        struct store_memory_disk *disk = store_memory_disk_new();
        struct row row = {0};
        struct store *store;
        struct machine *machine;
        struct slice consensus;
        uint64_t applied;
        char detail[128] = "";
        row_begin(&row, row_key_plain(ROW_GLOBALS));
        row.value.data[0] = versions[i];
        cr_assert_eq(row_seal(&row), 0);
        struct store_change change = {.kind = STORE_PUT, .key = row_key_slice(&row.key)};
        change.value = (struct slice){.data = row.value.data, .len = row.value.len};
        cr_assert_eq(store_memory_open(disk, &store), 0);
        cr_assert_eq(store->ops->write(store, &change, 1), 0);
        cr_assert_eq(machine_open(store, &machine, &applied, &consensus, detail, sizeof detail), ERR_VERSION);
        cr_assert_str_eq(detail, "the store's row of globals: unsupported version");
        store->ops->close(store);
        store_memory_disk_free(disk);
        row_done(&row);
    }
}
