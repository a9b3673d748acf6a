/* The table against a plain array, over checkpoints that are written, fail and are cut short by a restart. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "place.h"
#include "statemachine/hash.h"
#include "statemachine/state.h"
#include "statemachine/table/table_kind.h"

#define QUEUES 3u
#define GROUPS 3u
#define POSITIONS 6u
#define ROWS_MAX 256u
#define LONG_LEN 20000u

/* SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct model_row {
    struct row_key key;
    uint64_t value; /* 0: there is no row. */
    uint32_t content_len;
};

/* Every row that there may be, in order of its key. */
struct model {
    struct model_row rows[ROWS_MAX];
    size_t len;
};

struct world {
    uint64_t random;
    struct place place;
    struct machine *machine;
    struct machine_checkpoint *checkpoint;
    bool written;
    bool slow; /* What is removed by range is freed one by one. */
    struct model now;
    struct model taken;  /* By the checkpoint in flight. */
    struct model stored; /* What a restart finds. */
    uint64_t values;
    uint64_t found;   /* Rows, by seeks. */
    uint64_t garbage; /* Ranges that were in memory still, after each step. */
};

static uint64_t below(struct world *world, uint64_t limit)
{
    return next_random(&world->random) % limit;
}

/* ---- Rows ---- */

static void model_add(struct model *model, struct row_key key)
{
    cr_assert_lt(model->len, ROWS_MAX);
    model->rows[model->len++] = (struct model_row){.key = key};
}

static int model_compare(const void *a, const void *b)
{
    return row_key_compare(row_key_slice(&((const struct model_row *)a)->key),
                           row_key_slice(&((const struct model_row *)b)->key));
}

static void model_init(struct model *model)
{
    for (uint64_t queue = 1; queue <= QUEUES; queue++) {
        for (uint64_t position = 0; position < POSITIONS; position++) {
            model_add(model, row_key_pair(ROW_WAITING, queue, position * 100));
            for (uint64_t group = 0; group < GROUPS; group++) {
                model_add(model, row_key_triple(ROW_LIFE, queue, group == 2 ? UINT64_MAX : group, position));
            }
        }
    }
    for (uint64_t id = 1; id <= 12; id++) {
        model_add(model, row_key_one(ROW_PENDING, id));
        model_add(model, row_key_pair(ROW_KEPT, 1 + id % QUEUES, id));
    }
    qsort(model->rows, model->len, sizeof model->rows[0], model_compare);
}

static bool has_content(const struct row_key *key)
{
    return table_kind(key->data[0])->content;
}

/* Content that follows from the row's value. */
static struct slice content_of(const struct model_row *row)
{
    struct blob *blob = blob_new(row->content_len);
    for (size_t i = 0; i < blob->len; i++) {
        blob->data[i] = (uint8_t)(row->value + i);
    }
    return slice_of_blob(blob);
}

static void encode(struct row *row, const struct model_row *from, struct slice content)
{
    row_begin_new(row, from->key);
    row_put_u64(row, from->value);
    if (has_content(&from->key)) {
        table_put_tail(row, XXH3_64bits(content.data, content.len), (uint32_t)content.len);
    }
    cr_assert_eq(row_seal(row), 0);
}

static void expect_row(const struct model_row *expected, struct table_row *found)
{
    struct row row = {0};
    struct slice content = content_of(expected);
    encode(&row, expected, content);
    cr_assert_eq(row_key_compare(row_key_slice(&expected->key), row_key_slice(&found->key)), 0);
    cr_assert_eq(found->value.len, row.value.len);
    cr_assert_eq(memcmp(found->value.data, row.value.data, row.value.len), 0);
    cr_assert_eq(found->content.len, content.len);
    cr_assert(content.len == 0 || memcmp(found->content.data, content.data, content.len) == 0);
    row_done(&row);
    slice_unref(&content);
    table_row_done(found);
}

/* ---- Changes ---- */

static void put(struct world *world, struct model_row *at)
{
    struct row row = {0};
    bool first = at->value == 0 && below(world, 2) == 0;
    at->value = ++world->values;
    at->content_len = !has_content(&at->key) ? 0 : below(world, 20) == 0 ? LONG_LEN : (uint32_t)below(world, 30);
    struct slice content = content_of(at);
    encode(&row, at, content);
    cr_assert_eq(first ? table_put_first(world->machine, &row, content) : table_put(world->machine, &row, content), 0);
    row_done(&row);
    slice_unref(&content);
}

static void take_away(struct world *world, struct model_row *at)
{
    cr_assert_eq(table_remove(world->machine, &at->key), 0);
    at->value = 0;
    at->content_len = 0;
}

static void take_all_away(struct world *world)
{
    struct model_row *at = &world->now.rows[below(world, world->now.len)];
    struct row_key prefix = at->key;
    prefix.len = ROW_KEY_LEN(1 + below(world, (at->key.len - 1) / 8));
    cr_assert_eq(table_remove_all(world->machine, &prefix), 0);
    for (size_t i = 0; i < world->now.len; i++) {
        struct model_row *row = &world->now.rows[i];
        if (row->key.len >= prefix.len && memcmp(row->key.data, prefix.data, prefix.len) == 0) {
            row->value = 0;
            row->content_len = 0;
        }
    }
}

/* ---- Questions ---- */

static const struct model_row *model_first(const struct model *model, const struct row_key *from,
                                           const struct row_key *end)
{
    for (size_t i = 0; i < model->len; i++) {
        const struct model_row *row = &model->rows[i];
        if (row->value != 0 && row_key_compare(row_key_slice(&row->key), row_key_slice(from)) >= 0) {
            return row_key_compare(row_key_slice(&row->key), row_key_slice(end)) < 0 ? row : NULL;
        }
    }
    return NULL;
}

static const struct model_row *model_last(const struct model *model, const struct row_key *from,
                                          const struct row_key *end)
{
    for (size_t i = model->len; i-- > 0;) {
        const struct model_row *row = &model->rows[i];
        if (row->value != 0 && row_key_compare(row_key_slice(&row->key), row_key_slice(end)) < 0) {
            return row_key_compare(row_key_slice(&row->key), row_key_slice(from)) >= 0 ? row : NULL;
        }
    }
    return NULL;
}

static void get(struct world *world, const struct model_row *at)
{
    struct table_row found;
    int err = table_get(world->machine, &at->key, &found);
    cr_assert_eq(err, at->value != 0 ? 0 : ERR_NOT_FOUND);
    if (err == 0) {
        expect_row(at, &found);
    }
}

/* A kind, somebody's rows of a kind, or from one row to any other. */
static void some_range(struct world *world, struct row_key *ret_from, struct row_key *ret_end)
{
    const struct model *model = &world->now;
    *ret_from = model->rows[below(world, model->len)].key;
    uint64_t what = below(world, 4);
    if (what < 3) {
        ret_from->len = what == 2 ? 1 : ROW_KEY_LEN(1);
        *ret_end = row_key_after(ret_from);
    } else {
        *ret_end = model->rows[below(world, model->len)].key;
        ret_from->data[0] = ret_end->data[0];
    }
}

/* Goes over a range for a while, and takes some of it away, or none. */
static void walk(struct world *world)
{
    struct row_key from;
    struct row_key end;
    some_range(world, &from, &end);
    bool removes = below(world, 3) == 0;
    for (uint64_t i = below(world, 30) + 1; i > 0; i--) {
        struct table_row found;
        const struct model_row *expected = model_first(&world->now, &from, &end);
        int err = table_seek(world->machine, &from, &end, &found);
        cr_assert_eq(err, expected != NULL ? 0 : ERR_NOT_FOUND);
        if (expected == NULL) {
            return;
        }
        expect_row(expected, &found);
        world->found++;
        if (!removes) {
            from = row_key_next(&expected->key);
        } else {
            take_away(world, &world->now.rows[expected - world->now.rows]);
        }
    }
}

static void look_back(struct world *world)
{
    struct row_key from;
    struct row_key end;
    struct table_row found;
    some_range(world, &from, &end);
    const struct model_row *expected = model_last(&world->now, &from, &end);
    int err = table_seek_last(world->machine, &from, &end, &found);
    cr_assert_eq(err, expected != NULL ? 0 : ERR_NOT_FOUND);
    if (expected != NULL) {
        expect_row(expected, &found);
    }
}

static void expect_digest(struct world *world)
{
    struct row row = {0};
    uint64_t expected = 0;
    uint64_t digest = 0;
    for (size_t i = 0; i < world->now.len; i++) {
        const struct model_row *at = &world->now.rows[i];
        if (at->value != 0) {
            struct slice content = content_of(at);
            encode(&row, at, content);
            expected += row_checksum(&row.key, row.value.data, row.value.len);
            slice_unref(&content);
        }
    }
    row_done(&row);
    cr_assert_eq(table_digest(world->machine, &digest), 0);
    cr_assert_eq(digest, expected);
}

/* ---- Checkpoints ---- */

static void open_machine(struct world *world)
{
    uint64_t applied;
    struct slice consensus;
    char detail[256] = "";
    cr_assert_eq(machine_open(world->place.store, &world->machine, &applied, &consensus, detail, sizeof detail), 0,
                 "%s", detail);
    slice_unref(&consensus);
    if (world->slow) {
        world->machine->table.freed_at_once = 1;
    }
}

static void finish(struct world *world, int err)
{
    if (world->checkpoint != NULL) {
        machine_checkpoint_done(world->checkpoint, err);
        world->checkpoint = NULL;
    }
}

static void begin(struct world *world)
{
    cr_assert_eq(machine_checkpoint(world->machine, (struct slice){0}, &world->checkpoint), 0);
    world->taken = world->now;
    world->written = false;
}

static void write_checkpoint(struct world *world)
{
    cr_assert_eq(machine_checkpoint_write(world->checkpoint), 0);
    world->stored = world->taken;
    world->written = true;
}

static void restart(struct world *world)
{
    finish(world, world->written ? 0 : ERR_IO);
    machine_close(world->machine);
    place_open(&world->place);
    open_machine(world);
    world->now = world->stored;
}

/* One that was written may be said to have failed: nobody knows. */
static void disturb(struct world *world)
{
    uint64_t what = below(world, 60);
    if (what < 3 && world->checkpoint == NULL) {
        begin(world);
    } else if (what < 6 && world->checkpoint != NULL && !world->written) {
        write_checkpoint(world);
    } else if (what < 8 && world->checkpoint != NULL) {
        finish(world, world->written && below(world, 4) != 0 ? 0 : ERR_IO);
    } else if (what == 8 && below(world, 8) == 0) {
        restart(world);
    }
}

static void step(struct world *world)
{
    struct model_row *at = &world->now.rows[below(world, world->now.len)];
    uint64_t what = below(world, 100);
    if (what < 40) {
        put(world, at);
    } else if (what < 55) {
        take_away(world, at);
    } else if (what < 58) {
        take_all_away(world);
    } else if (what < 70) {
        get(world, at);
    } else if (what < 90) {
        walk(world);
    } else {
        look_back(world);
        table_tidy(world->machine);
    }
    world->garbage += world->machine->table.garbage_len;
    disturb(world);
}

static void run(uint64_t seed, unsigned steps, bool memory, bool slow)
{
    struct world *world = calloc(1, sizeof *world);
    world->random = seed;
    world->slow = slow;
    model_init(&world->now);
    world->stored = world->now;
    place_init(&world->place, memory);
    open_machine(world);
    for (unsigned i = 0; i < steps; i++) {
        step(world);
        if (i % 20 == 0) {
            expect_digest(world);
        }
    }
    cr_assert_gt(world->found, steps / 4);
    cr_assert_eq(world->garbage > steps / 50, slow, "%lu", world->garbage);
    finish(world, ERR_IO);
    begin(world);
    write_checkpoint(world);
    finish(world, 0);
    cr_assert_eq(machine_overlay_bytes(world->machine), 0u);
    restart(world);
    expect_digest(world);
    for (size_t i = 0; i < world->now.len; i++) {
        get(world, &world->now.rows[i]);
    }
    machine_close(world->machine);
    place_open(&world->place);
    place_done(&world->place);
    free(world);
}

Test(table, is_an_ordered_map_whatever_becomes_of_checkpoints)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        run(seed, 2000, true, false);
    }
}

Test(table, is_one_when_what_was_removed_by_range_is_in_memory_still)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        run(seed, 2000, true, true);
    }
}

Test(table, is_one_on_rocksdb_too)
{
    run(1000, 2500, false, false);
}
