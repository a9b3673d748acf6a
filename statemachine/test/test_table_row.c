/* Single rows of the table: what they cost, what is checked of them, and where they count. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/hash.h"
#include "statemachine/state.h"
#include "statemachine/store/scrub.h"
#include "statemachine/table/table_kind.h"

static void put_numbers(struct fixture *f, struct row_key key, uint64_t value)
{
    struct row row = {0};
    row_begin_new(&row, key);
    row_put_u64(&row, value);
    cr_assert_eq(row_seal(&row), 0);
    cr_assert_eq(table_put(f->machine, &row, (struct slice){0}), 0);
    row_done(&row);
}

static void put_pending(struct fixture *f, uint64_t id, size_t len)
{
    struct row row = {0};
    struct blob *blob = blob_new(len);
    memset(blob->data, (int)id, len);
    row_begin_new(&row, row_key_one(ROW_PENDING, id));
    table_put_tail(&row, XXH3_64bits(blob->data, len), (uint32_t)len);
    cr_assert_eq(row_seal(&row), 0);
    cr_assert_eq(table_put(f->machine, &row, slice_of_blob(blob)), 0);
    row_done(&row);
    blob_unref(blob);
}

Test(table_row, what_comes_and_goes_between_checkpoints_leaves_nothing)
{
    struct fixture f;
    struct row row = {0};
    fixture_init(&f);
    fixture_checkpoint(&f);
    cr_assert_eq(machine_overlay_bytes(f.machine), 0u);
    row_begin_new(&row, row_key_one(ROW_BODY_USES, 7));
    cr_assert_eq(row_seal(&row), 0);
    cr_assert_eq(table_put_first(f.machine, &row, (struct slice){0}), 0);
    cr_assert_gt(machine_overlay_bytes(f.machine), 0u);
    cr_assert_eq(table_put(f.machine, &row, (struct slice){0}), 0);
    cr_assert_eq(table_remove(f.machine, &row.key), 0);
    cr_assert_eq(machine_overlay_bytes(f.machine), 0u);
    cr_assert_eq(table_put(f.machine, &row, (struct slice){0}), 0);
    cr_assert_eq(table_remove(f.machine, &row.key), 0);
    uint64_t one = machine_overlay_bytes(f.machine);
    cr_assert_gt(one, 0u);
    row_done(&row);
    struct row_key prefix = row_key_one(ROW_WAITING, 1);
    for (uint64_t position = 1; position <= 100; position++) {
        struct row_key key = row_key_pair(ROW_WAITING, 1, position);
        cr_assert_eq(table_remove(f.machine, &key), 0);
    }
    cr_assert_gt(machine_overlay_bytes(f.machine), 50 * one);
    cr_assert_eq(table_remove_all(f.machine, &prefix), 0);
    cr_assert_leq(machine_overlay_bytes(f.machine), 2 * one);
    fixture_done(&f);
}

Test(table_row, is_part_of_the_digest_of_the_state)
{
    struct fixture f;
    struct row_key key = row_key_one(ROW_BODY_USES, 7);
    fixture_init(&f);
    uint64_t without = fixture_digest(&f);
    put_numbers(&f, key, 1);
    uint64_t with = fixture_digest(&f);
    cr_assert_neq(with, without);
    fixture_reopen(&f);
    cr_assert_eq(fixture_digest(&f), with);
    cr_assert_eq(table_remove(f.machine, &key), 0);
    cr_assert_eq(fixture_digest(&f), without);
    fixture_done(&f);
}

/* Keys of different lengths, read ahead. */
Test(table_row, names_are_in_their_order)
{
    static const char *const names[] = {"a", "aa", "ab", "b", "bbbb"};
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < 5; i++) {
        put_numbers(&f, row_key_name(ROW_USER, names[i], strlen(names[i])), i);
    }
    fixture_checkpoint(&f);
    struct row_key from = row_key_plain(ROW_USER);
    struct row_key end = row_key_after(&from);
    for (size_t i = 0; i < 5; i++) {
        struct table_row row;
        cr_assert_eq(table_seek(f.machine, &from, &end, &row), 0);
        cr_assert_eq(row.key.len, 1 + strlen(names[i]));
        cr_assert_eq(memcmp(row.key.data + 1, names[i], strlen(names[i])), 0);
        from = row_key_next(&row.key);
        table_row_done(&row);
    }
    fixture_done(&f);
}

Test(table_row, content_counts_as_memory_until_it_is_in_the_store)
{
    struct fixture f;
    fixture_init(&f);
    put_pending(&f, 1, 100000);
    cr_assert_gt(machine_overlay_bytes(f.machine), 100000u);
    fixture_checkpoint(&f);
    cr_assert_eq(machine_overlay_bytes(f.machine), 0u);
    fixture_done(&f);
}

/* Every bit of two rows that the store has, of which one has content. */
Test(table_row, damage_is_found_on_reading)
{
    struct fixture f;
    struct table_row found;
    char detail[256];
    fixture_init_empty(&f);
    put_pending(&f, 1, 10);
    put_numbers(&f, row_key_one(ROW_BODY_USES, 2), 5);
    fixture_checkpoint(&f);
    cr_assert_eq(store_memory_disk_rows(f.disk), 3u);
    struct row_key keys[] = {row_key_one(ROW_PENDING, 1), row_key_one(ROW_BODY_USES, 2)};
    /* Rows in order: D, G, b; the content at the end of D is for whoever uses it, and for the scrub. */
    const size_t lens[] = {TABLE_PREFIX_LEN + 1 + TABLE_TAIL_LEN + ROW_CHECKSUM_LEN, 1 + 8 + ROW_CHECKSUM_LEN};
    for (uint64_t row = 0; row < 2; row++) {
        for (uint64_t at = 0; at < lens[row]; at++) {
            cr_assert_eq(store_memory_disk_flip(f.disk, 2 * row + 3 * at), 0);
            cr_assert_eq(table_get(f.machine, &keys[row], &found), ERR_CORRUPT);
            machine_explain(f.machine, detail, sizeof detail);
            cr_assert_not_null(strstr(detail, row == 0 ? "pending message 1: " : "uses of shared body 2: "), "%s",
                               detail);
            cr_assert_eq(store_memory_disk_flip(f.disk, 2 * row + 3 * at), 0);
        }
        cr_assert_eq(table_get(f.machine, &keys[row], &found), 0);
        table_row_done(&found);
    }
    fixture_done(&f);
}

/* The row itself is whole. */
Test(table_row, content_that_is_cut_short_is_found_on_reading)
{
    struct fixture f;
    struct store *store;
    struct slice value;
    struct table_row found;
    char detail[256];
    fixture_init_empty(&f);
    put_pending(&f, 1, 10);
    fixture_checkpoint(&f);
    store = f.machine->store;
    struct row_key key = row_key_one(ROW_PENDING, 1);
    cr_assert_eq(store->ops->get(store, key.data, key.len, &value), 0);
    for (size_t cut = 0; cut <= 10; cut++) {
        struct store_change change = {.kind = STORE_PUT, .key = row_key_slice(&key)};
        change.value = slice_part(value, 0, value.len - cut);
        cr_assert_eq(store->ops->write(store, &change, 1), 0);
        cr_assert_eq(table_get(f.machine, &key, &found), cut == 0 ? 0 : ERR_CORRUPT);
        cr_assert_eq(scrub_row(change.key, change.value, detail, sizeof detail), cut == 0 ? 0 : ERR_CORRUPT);
        if (cut == 0) {
            table_row_done(&found);
        }
    }
    slice_unref(&value);
    fixture_done(&f);
}

Test(table_row, the_scrub_reads_content)
{
    struct fixture f;
    struct store *store;
    fixture_init_empty(&f);
    put_pending(&f, 1, 10);
    fixture_checkpoint(&f);
    machine_close(f.machine);
    cr_assert_eq(store_memory_open(f.disk, &store), 0);
    struct store_scrub pass = {.bytes_max = 1000000};
    cr_assert_eq(scrub_rows(store, &pass), 0, "%s", pass.detail);
    /* Rows in order: D, G. */
    size_t head = TABLE_PREFIX_LEN + 1 + TABLE_TAIL_LEN + ROW_CHECKSUM_LEN;
    for (uint64_t at = 0; at < head + 10; at++) {
        cr_assert_eq(store_memory_disk_flip(f.disk, 2 * at), 0);
        cr_assert_eq(scrub_rows(store, &pass), ERR_CORRUPT);
        cr_assert_str_eq(pass.detail, at < head ? "the store's row of pending message 1: stored data is damaged"
                                                : "the store's row of pending message 1: the content is damaged");
        cr_assert_eq(store_memory_disk_flip(f.disk, 2 * at), 0);
    }
    store->ops->close(store);
    store_memory_disk_free(f.disk);
}
