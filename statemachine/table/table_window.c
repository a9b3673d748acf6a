/* Reading ahead: rows of the store that a loop over the table is going to ask for.
 *
 * A window is what is known of the store's rows between two keys: those that it has, but for rows that did not count when
 * they were read. Such a row cannot count again before a checkpoint is done, since until then memory goes on hiding it; then
 * the windows are dropped. A window moves on with a loop that goes on from where it was, and grows at its end when what it
 * began with has been removed. Both read more each time. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "statemachine/state.h"
#include "statemachine/table/table_private.h"

#define WINDOWS 64u
#define WINDOW_ROWS_MAX 128u
#define WINDOW_AHEAD_FACTOR 4u
/* Reading stops behind the row with which it is as much; a row that is longer by itself is not kept. */
#define WINDOW_LEN_MAX (64u * KIB)
#define WINDOW_ROW_LEN_MAX (16u * KIB)

struct window_row {
    struct blob *blob; /* The key, then the value. */
    uint32_t key_len;
};

struct table_window {
    struct row_key from; /* Empty: the window is not in use. */
    struct row_key upto;
    struct window_row *rows; /* Room for WINDOW_ROWS_MAX. */
    size_t first;            /* Those before are hidden by now, and let go of. */
    size_t len;
    size_t ahead; /* So many rows were read last. */
};

struct table_windows {
    struct table_window slots[WINDOWS];
};

static struct slice window_row_key(const struct window_row *row)
{
    return (struct slice){.data = row->blob->data, .len = row->key_len};
}

static void window_clear(struct table_window *window)
{
    for (; window->first < window->len; window->first++) {
        blob_unref(window->rows[window->first].blob);
    }
    window->first = window->len = 0;
}

void table_windows_drop(struct table *table)
{
    if (table->windows == NULL) {
        return;
    }
    for (size_t i = 0; i < WINDOWS; i++) {
        window_clear(&table->windows->slots[i]);
        free(table->windows->slots[i].rows);
    }
    free(table->windows);
    table->windows = NULL;
}

/* One loop, one window, but for chance: a loop goes over a kind, or over what somebody has of a kind. */
static struct table_window *window_of(struct table *table, const struct row_key *from)
{
    const struct table_kind *kind = table_kind(from->data[0]);
    if (table->windows == NULL) {
        table->windows = calloc(1, sizeof *table->windows);
    }
    if (table->windows == NULL || kind == NULL) {
        return NULL;
    }
    bool grouped = kind->grouped && from->len >= ROW_KEY_LEN(1);
    size_t slot = from->data[0] * 7u + (grouped ? (size_t)(get_be64(from->data + 1) % WINDOWS) : 0);
    struct table_window *window = &table->windows->slots[slot % WINDOWS];
    if (window->rows == NULL) {
        window->rows = malloc(WINDOW_ROWS_MAX * sizeof *window->rows);
    }
    return window->rows != NULL ? window : NULL;
}

static bool window_covers(const struct table_window *window, const struct row_key *key)
{
    return window->from.len > 0 && row_key_compare(row_key_slice(&window->from), row_key_slice(key)) <= 0 &&
           row_key_compare(row_key_slice(key), row_key_slice(&window->upto)) <= 0;
}

static void window_begin(struct table_window *window, const struct row_key *from)
{
    window_clear(window);
    window->from = *from;
    window->upto = *from;
    window->ahead = 0;
}

/* The first row at or after a key, counts or not. */
static size_t window_search(const struct table_window *window, struct slice key)
{
    size_t low = window->first;
    size_t high = window->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (row_key_compare(window_row_key(&window->rows[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The first row at or after `from` that counts; NULL: the window has none. Lets go of those at the front that do not. */
static struct window_row *window_find(struct table *table, struct table_window *window, const struct row_key *from)
{
    while (window->first < window->len && table_hides(table, window_row_key(&window->rows[window->first]))) {
        blob_unref(window->rows[window->first++].blob);
    }
    size_t at = window_search(window, row_key_slice(from));
    while (at < window->len && table_hides(table, window_row_key(&window->rows[at]))) {
        at++;
    }
    return at < window->len ? &window->rows[at] : NULL;
}

/* ---- Reading ---- */

struct reading {
    struct table *table;
    struct table_window *window;
    size_t bytes;
};

#define READ_ENOUGH 1
#define READ_AGAIN 2

static void window_read_upto(struct table_window *window, struct slice key)
{
    memcpy(window->upto.data, key.data, key.len);
    window->upto.len = key.len;
}

static int window_add(struct table_window *window, struct slice key, struct slice value)
{
    struct blob *blob = blob_new(key.len + value.len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    memcpy(blob->data, key.data, key.len);
    if (value.len > 0) {
        memcpy(blob->data + key.len, value.data, value.len);
    }
    window->rows[window->len++] = (struct window_row){.blob = blob, .key_len = (uint32_t)key.len};
    return 0;
}

/* Up to the next key that there may be: a loop goes on there, or just behind the row. */
static int window_skip(struct table_window *window, struct slice key)
{
    struct row_key *upto = &window->upto;
    window_read_upto(window, key);
    if (table_kind(key.data[0])->key_len != key.len) {
        upto->data[upto->len++] = 0;
        return 0;
    }
    size_t at = key.len;
    do {
        upto->data[--at]++;
    } while (upto->data[at] == 0 && at > 0);
    return 0;
}

/* A long row is the only one that is read. */
static int window_read_row(struct reading *reading, struct slice key, struct slice value)
{
    struct table_window *window = reading->window;
    bool is_long = value.len > WINDOW_ROW_LEN_MAX;
    if (is_long && window->len > 0) {
        window_read_upto(window, key);
        return READ_ENOUGH;
    }
    int err = window_add(window, key, value);
    if (err != 0) {
        return err;
    }
    (void)window_skip(window, key);
    reading->bytes += key.len + value.len;
    return is_long || window->len >= window->ahead || reading->bytes >= WINDOW_LEN_MAX ? READ_ENOUGH : 0;
}

static int window_read_each(void *arg, struct slice key, struct slice value)
{
    struct reading *reading = arg;
    struct table_window *window = reading->window;
    if (key.len > ROW_KEY_LEN_MAX) {
        return ERR_CORRUPT;
    }
    const struct table_entry *range = table_range_of(reading->table, key);
    if (range != NULL) {
        window_read_upto(window, table_entry_key(range));
        window->upto = row_key_after(&window->upto);
        return READ_AGAIN;
    }
    return table_hides(reading->table, key) ? window_skip(window, key) : window_read_row(reading, key, value);
}

/* Goes on at the window's end, which has no row from `from` on that counts. What was read before an error is used: whoever
 * needs what is behind it will meet it again. */
static int window_read(struct machine *machine, struct table_window *window, const struct row_key *from,
                       const struct row_key *end)
{
    struct store *store = machine->store;
    struct reading reading = {.table = &machine->table, .window = window};
    if (window->first < window->len) {
        window->from = *from;
    }
    window_clear(window);
    window->ahead = window->ahead == 0 ? 1 : window->ahead * WINDOW_AHEAD_FACTOR;
    window->ahead = window->ahead < WINDOW_ROWS_MAX ? window->ahead : WINDOW_ROWS_MAX;
    int err = READ_AGAIN;
    while (err == READ_AGAIN) {
        bool any = row_key_compare(row_key_slice(&window->upto), row_key_slice(end)) < 0;
        struct row_key first = window->upto;
        err = any ? store->ops->scan(store, row_key_slice(&first), row_key_slice(end), window_read_each, &reading) : 0;
    }
    if (err == 0 && row_key_compare(row_key_slice(&window->upto), row_key_slice(end)) < 0) {
        window->upto = *end;
    }
    return err < 0 && window->len == 0 ? err : 0;
}

static int window_take(struct machine *machine, const struct window_row *row, struct table_row *ret_row)
{
    struct slice value = slice_part(slice_of_blob(row->blob), row->key_len, row->blob->len - row->key_len);
    struct row_key key = {.len = row->key_len};
    memcpy(key.data, row->blob->data, row->key_len);
    return table_row_read(machine, &key, slice_ref(value), ret_row);
}

/* A long row, which is the last one in there, leaves the window as soon as it is found. */
static void window_let_go(struct table_window *window, const struct window_row *row)
{
    if (row->blob->len - row->key_len > WINDOW_ROW_LEN_MAX) {
        CHECK(row == &window->rows[window->len - 1]);
        window_read_upto(window, window_row_key(row));
        window->len--;
        blob_unref(row->blob);
    }
}

int table_window_seek(struct machine *machine, const struct row_key *from, const struct row_key *end,
                      struct slice bound, struct table_row *ret_row)
{
    struct table_window *window = window_of(&machine->table, from);
    if (window == NULL) {
        return ERR_NOMEM;
    }
    if (!window_covers(window, from)) {
        window_begin(window, from);
    }
    struct window_row *row = window_find(&machine->table, window, from);
    while (row == NULL && row_key_compare(row_key_slice(&window->upto), bound) < 0) {
        int err = window_read(machine, window, from, end);
        if (err != 0) {
            return err;
        }
        row = window_find(&machine->table, window, from);
    }
    if (row == NULL) {
        return ERR_NOT_FOUND;
    }
    int err = ERR_NOT_FOUND;
    if (row_key_compare(window_row_key(row), bound) < 0) {
        err = window_take(machine, row, ret_row);
    }
    window_let_go(window, row);
    return err;
}
