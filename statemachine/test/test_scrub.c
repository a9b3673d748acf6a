/* What the machine checks of its rows when they are read again. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/store/rows.h"
#include "statemachine/store/scrub.h"

/* A state with rows of every kind. */
static void state_init(struct fixture *f)
{
    struct client a = {0};
    struct client b = {0};
    fixture_init(f);
    cr_assert_eq(client_attach(f, &a, 1, false).error, 0);
    cr_assert_eq(client_attach(f, &b, 2, false).error, 0);
    cr_assert_eq(client_declare(f, &a, "q").error, 0);
    cr_assert_eq(client_publish(f, &a, "q", "import", 1, 12).error, 0);
    cr_assert_eq(client_subscribe(f, &a, "q", 1, 4).error, 0);
    cr_assert_eq(client_settle(f, &a, 1, RELEASE, 1, 2).error, 0);
    cr_assert_eq(client_unsubscribe(f, &a, 1).error, 0);
    cr_assert_eq(client_subscribe(f, &b, "q", 1, 1).error, 0);
    fixture_checkpoint(f);
}

static int pass(struct fixture *f, uint64_t bytes_max, uint64_t *ret_bytes, char *detail, size_t detail_len)
{
    struct store *store;
    struct store_scrub step = {.bytes_max = bytes_max};
    int err;
    machine_close(f->machine);
    f->machine = NULL;
    cr_assert_eq(store_memory_open(f->disk, &store), 0);
    *ret_bytes = 0;
    do {
        struct slice from = step.from;
        err = scrub_rows(store, &step);
        slice_unref(&from);
        step.from = step.next;
        *ret_bytes += step.bytes;
    } while (err == 0 && step.next.len > 0);
    snprintf(detail, detail_len, "%s", step.detail);
    store->ops->close(store);
    return err;
}

Test(scrub, rows_of_every_kind_are_read_in_steps_of_any_length)
{
    struct fixture f;
    char detail[512];
    state_init(&f);
    for (uint64_t step = 1; step < 100000; step *= 7) {
        uint64_t bytes;
        int err = pass(&f, step, &bytes, detail, sizeof detail);
        cr_assert_eq(err, 0, "%s", detail);
        cr_assert_eq(bytes, store_memory_disk_bytes(f.disk));
    }
    fixture_open(&f);
    fixture_done(&f);
}

/* Every byte of every row. */
Test(scrub, damage_of_any_row_is_named)
{
    struct fixture f;
    char detail[512];
    uint64_t bytes;
    bool seen[256] = {false};
    static const char *const names[] = {
        "globals ",          "queue 1: ",   "returned message of queue 1, ", "message of queue 1, ", "node 1: ",
        "producer import: ", "session 1: ", "consumer of session "};
    state_init(&f);
    uint64_t rows = store_memory_disk_rows(f.disk);
    for (uint64_t row = 0; row < rows; row++) {
        for (uint64_t at = 0; at < 64; at++) {
            uint64_t nth = row + at * rows;
            cr_assert_eq(store_memory_disk_flip(f.disk, nth), 0);
            int err = pass(&f, 1000, &bytes, detail, sizeof detail);
            cr_assert(err == ERR_CORRUPT, "%d %s", (int)nth, detail);
            cr_assert_eq(strncmp(detail, "the store's row of ", 19), 0, "%s", detail);
            for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
                seen[i] = seen[i] || strncmp(detail + 19, names[i], strlen(names[i])) == 0;
            }
            cr_assert_eq(store_memory_disk_flip(f.disk, nth), 0);
        }
    }
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_assert(seen[i] || i == 0, "%s", names[i]);
    }
    cr_assert_eq(pass(&f, 1000, &bytes, detail, sizeof detail), 0, "%s", detail);
    fixture_open(&f);
    fixture_done(&f);
}

static void expect_refused(const void *key, size_t key_len, const char *what)
{
    char detail[256];
    struct slice slice = {.data = key, .len = key_len};
    cr_assert_eq(scrub_row(slice, (struct slice){.data = (const uint8_t *)"x", .len = 1}, detail, sizeof detail),
                 ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, what), "%s", detail);
}

Test(scrub, keys_that_no_row_has_are_refused)
{
    uint8_t long_key[ROW_KEY_LEN_MAX + 1] = {'P'};
    expect_refused("", 0, "of no kind");
    expect_refused("e", 1, "of no kind");
    expect_refused(long_key, sizeof long_key, "of no kind");
    expect_refused("P", 1, "producer");
    expect_refused("Q1234567", 8, "the key has a wrong length");
    expect_refused("M12345678", 9, "the key has a wrong length");
    expect_refused("G1", 2, "the key has a wrong length");
}

/* A row that is whole, under the key of another. */
Test(scrub, a_row_at_the_wrong_place_is_refused)
{
    struct row row = {0};
    char detail[256];
    struct row_key right = row_key_one(ROW_QUEUE, 7);
    struct row_key wrong = row_key_one(ROW_QUEUE, 8);
    row_begin(&row, right);
    row_put_u64(&row, 1);
    cr_assert_eq(row_seal(&row), 0);
    struct slice value = {.data = row.value.data, .len = row.value.len};
    cr_assert_eq(scrub_row(row_key_slice(&right), value, detail, sizeof detail), 0);
    cr_assert_eq(scrub_row(row_key_slice(&wrong), value, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_str_eq(detail, "the store's row of queue 8: stored data is damaged");
    row_done(&row);
}
