/* What the table asks of its store in loops. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/state.h"
#include "statemachine/table/table_kind.h"

#define ROWS 2000u

/* The store's own operations, with counting ones in their place; in each test's process for itself. */
static const struct store_ops *inner;
static struct store_ops counting;
static unsigned scans;
static unsigned rows_read;

struct passing {
    int (*each)(void *arg, struct slice key, struct slice value);
    void *arg;
};

static int counting_each(void *arg, struct slice key, struct slice value)
{
    struct passing *passing = arg;
    rows_read++;
    return passing->each(passing->arg, key, value);
}

static int counting_scan(struct store *store, struct slice first, struct slice end,
                         int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct passing passing = {.each = each, .arg = arg};
    scans++;
    return inner->scan(store, first, end, counting_each, &passing);
}

static int counting_scan_back(struct store *store, struct slice first, struct slice end,
                              int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct passing passing = {.each = each, .arg = arg};
    scans++;
    return inner->scan_back(store, first, end, counting_each, &passing);
}

static void start(struct fixture *f)
{
    fixture_init(f);
    inner = f->machine->store->ops;
    counting = *inner;
    counting.scan = counting_scan;
    counting.scan_back = counting_scan_back;
    f->machine->store->ops = &counting;
}

static void put_waiting(struct fixture *f, uint64_t queue, uint64_t position)
{
    struct row row = {0};
    row_begin_new(&row, row_key_pair(ROW_WAITING, queue, position));
    cr_assert_eq(row_seal(&row), 0);
    cr_assert_eq(table_put(f->machine, &row, (struct slice){0}), 0);
    row_done(&row);
}

static void fill(struct fixture *f)
{
    for (uint64_t position = 1; position <= ROWS; position++) {
        put_waiting(f, 1, position);
        put_waiting(f, 2, position);
    }
    fixture_checkpoint(f);
}

/* The position of the first one from there on. */
static uint64_t seek(struct fixture *f, uint64_t queue, uint64_t position)
{
    struct row_key from = row_key_pair(ROW_WAITING, queue, position);
    struct row_key end = row_key_one(ROW_WAITING, queue + 1);
    struct table_row row;
    int err = table_seek(f->machine, &from, &end, &row);
    if (err != 0) {
        cr_assert_eq(err, ERR_NOT_FOUND);
        return 0;
    }
    uint64_t found = get_be64(row.key.data + 9);
    table_row_done(&row);
    return found;
}

Test(table_window, loops_beside_each_other_read_ahead)
{
    struct fixture f;
    start(&f);
    fill(&f);
    scans = 0;
    for (uint64_t position = 1; position <= ROWS; position++) {
        cr_assert_eq(seek(&f, 1, position), position);
        cr_assert_eq(seek(&f, 2, position), position);
    }
    cr_assert_eq(seek(&f, 1, ROWS + 1), 0u);
    cr_assert_lt(scans, 2 * (ROWS / 128 + 8));
    fixture_done(&f);
}

Test(table_window, a_loop_that_removes_what_it_finds_reads_ahead)
{
    struct fixture f;
    start(&f);
    fill(&f);
    scans = 0;
    for (uint64_t position = 1; position <= ROWS; position++) {
        cr_assert_eq(seek(&f, 1, 0), position);
        struct row_key key = row_key_pair(ROW_WAITING, 1, position);
        cr_assert_eq(table_remove(f.machine, &key), 0);
    }
    cr_assert_eq(seek(&f, 1, 0), 0u);
    cr_assert_lt(scans, ROWS / 128 + 8);
    fixture_checkpoint(&f);
    cr_assert_eq(seek(&f, 1, 0), 0u);
    cr_assert_eq(seek(&f, 2, 0), 1u);
    fixture_done(&f);
}

/* In memory there is something before what the store would have. */
Test(table_window, the_store_is_not_asked_for_what_memory_has)
{
    struct fixture f;
    start(&f);
    fill(&f);
    put_waiting(&f, 3, 1);
    put_waiting(&f, 3, 5);
    cr_assert_eq(seek(&f, 3, 0), 1u);
    scans = 0;
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(seek(&f, 3, 0), 1u);
        cr_assert_eq(seek(&f, 3, 2), 5u);
    }
    cr_assert_leq(scans, 1u);
    fixture_done(&f);
}

/* A range is passed over in one step, whatever the store has there. */
Test(table_window, what_was_removed_as_a_whole_is_not_read)
{
    struct fixture f;
    start(&f);
    fill(&f);
    struct row_key prefix = row_key_one(ROW_WAITING, 1);
    cr_assert_eq(table_remove_all(f.machine, &prefix), 0);
    struct row_key from = row_key_plain(ROW_WAITING);
    struct row_key end = row_key_after(&from);
    struct table_row row;
    scans = rows_read = 0;
    cr_assert_eq(table_seek(f.machine, &from, &end, &row), 0);
    cr_assert_eq(get_be64(row.key.data + 1), 2u);
    cr_assert_eq(get_be64(row.key.data + 9), 1u);
    cr_assert_eq(scans, 2u);
    cr_assert_eq(rows_read, 2u);
    table_row_done(&row);
    struct row_key middle = row_key_pair(ROW_WAITING, 2, 1);
    cr_assert_eq(table_seek_last(f.machine, &from, &middle, &row), ERR_NOT_FOUND);
    cr_assert_eq(rows_read, 3u);
    put_waiting(&f, 1, 9);
    cr_assert_eq(seek(&f, 1, 0), 9u);
    fixture_checkpoint(&f);
    cr_assert_eq(seek(&f, 1, 0), 9u);
    cr_assert_eq(seek(&f, 1, 10), 0u);
    fixture_done(&f);
}

/* A row may be held for longer than the window that it came from. */
Test(table_window, a_row_outlives_its_window)
{
    struct fixture f;
    start(&f);
    fill(&f);
    struct row_key from = row_key_plain(ROW_WAITING);
    struct row_key end = row_key_after(&from);
    struct table_row row;
    struct row_reader reader;
    cr_assert_eq(table_seek(f.machine, &from, &end, &row), 0);
    cr_assert_eq(table_remove(f.machine, &row.key), 0);
    fixture_checkpoint(&f);
    cr_assert_eq(row_open(&reader, &row.key, row.value), 0);
    table_row_done(&row);
    fixture_done(&f);
}
