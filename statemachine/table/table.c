/* The table: what changed is in memory, the rest in the store. */

#include "statemachine/table/table.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/state.h"
#include "statemachine/table/table_private.h"

static int table_entry_compare(const struct table_entry *a, const struct table_entry *b)
{
    return row_key_compare(table_entry_key(a), table_entry_key(b));
}

RB_GENERATE(table_tree, table_entry, by_key, table_entry_compare)

void table_row_done(struct table_row *row)
{
    slice_unref(&row->value);
    slice_unref(&row->content);
}

void table_init(struct table *table)
{
    *table = (struct table){0};
    RB_INIT(&table->rows);
    RB_INIT(&table->removed);
    RB_INIT(&table->ranges);
    list_init(&table->changed);
    list_init(&table->collected);
    table->freed_at_once = TABLE_FREED_AT_ONCE;
}

static void list_free(struct list_node *list)
{
    struct list_node *node;
    while ((node = list_first(list)) != NULL) {
        struct table_entry *entry = container_of(node, struct table_entry, state);
        list_remove(node);
        slice_unref(&entry->content);
        free(entry);
    }
}

void table_done(struct table *table)
{
    list_free(&table->changed);
    list_free(&table->collected);
    table_windows_drop(table);
    free(table->garbage);
    table_init(table);
}

/* ---- Entries ---- */

static struct table_tree *tree_of(struct table *table, enum table_entry_kind kind)
{
    return kind == TABLE_ROW ? &table->rows : kind == TABLE_REMOVED ? &table->removed : &table->ranges;
}

static uint64_t table_entry_cost(const struct table_entry *entry)
{
    return sizeof *entry + entry->key_len + entry->value_len + entry->content.len;
}

static struct table_entry *table_entry_new(enum table_entry_kind kind, const struct row_key *key, struct slice value)
{
    struct table_entry *entry = fault_fires(FAULT_ALLOCATION) ? NULL : malloc(sizeof *entry + key->len + value.len);
    if (entry == NULL) {
        return NULL;
    }
    *entry = (struct table_entry){
        .key = entry->data, .key_len = (uint16_t)key->len, .value_len = (uint32_t)value.len, .kind = kind};
    list_init(&entry->state);
    memcpy(entry->data, key->data, key->len);
    if (value.len > 0) {
        memcpy(entry->data + key->len, value.data, value.len);
    }
    return entry;
}

static void table_entry_add(struct machine *machine, struct table_entry *entry)
{
    CHECK(RB_INSERT(table_tree, tree_of(&machine->table, entry->kind), entry) == NULL);
    entry->number = ++machine->table.changes;
    list_push_back(&machine->table.changed, &entry->state);
    machine->overlay_bytes += table_entry_cost(entry);
}

void table_entry_free(struct machine *machine, struct table_entry *entry)
{
    RB_REMOVE(table_tree, tree_of(&machine->table, entry->kind), entry);
    list_remove(&entry->state);
    machine->overlay_bytes -= table_entry_cost(entry);
    slice_unref(&entry->content);
    free(entry);
}

struct table_entry *table_entry_from(struct table_tree *tree, struct slice key)
{
    struct table_entry like = {.key = key.data, .key_len = (uint16_t)key.len};
    return RB_NFIND(table_tree, tree, &like);
}

static struct table_entry *table_entry_find(struct table_tree *tree, struct slice key)
{
    struct table_entry like = {.key = key.data, .key_len = (uint16_t)key.len};
    return RB_FIND(table_tree, tree, &like);
}

/* The last entry with from <= key < end. */
static struct table_entry *table_entry_last(struct table_tree *tree, struct slice from, struct slice end)
{
    struct table_entry *found = NULL;
    struct table_entry *entry = RB_ROOT(tree);
    while (entry != NULL) {
        if (row_key_compare(table_entry_key(entry), end) < 0) {
            found = entry;
            entry = RB_RIGHT(entry, by_key);
        } else {
            entry = RB_LEFT(entry, by_key);
        }
    }
    return found != NULL && row_key_compare(table_entry_key(found), from) >= 0 ? found : NULL;
}

/* A range begins with a kind and one or more whole numbers, so its keys have few lengths. */
const struct table_entry *table_range_of(struct table *table, struct slice key)
{
    for (size_t len = ROW_KEY_LEN(1); len <= key.len && !RB_EMPTY(&table->ranges); len += 8) {
        const struct table_entry *range = table_entry_find(&table->ranges, slice_part(key, 0, len));
        if (range != NULL) {
            return range;
        }
    }
    return NULL;
}

bool table_hides(struct table *table, struct slice key)
{
    return table_entry_find(&table->rows, key) != NULL || table_entry_find(&table->removed, key) != NULL ||
           table_range_of(table, key) != NULL;
}

/* ---- Changes ---- */

static void check_row(const struct row *row, struct slice content)
{
    const struct table_kind *kind = table_kind(row->key.data[0]);
    CHECK(kind != NULL && row->err == 0 && row->value.len > ROW_CHECKSUM_LEN);
    CHECK(kind->key_len == 0 || kind->key_len == row->key.len);
    CHECK(content.len == 0 || (kind->content && content.blob != NULL));
    struct table_tail tail;
    struct slice value = {.data = row->value.data, .len = row->value.len};
    CHECK(!kind->content || (table_tail(value, &tail) == 0 && tail.len == content.len));
}

/* A queue that never had any needs no looking for them when it is deleted. */
static void note_owner(struct machine *machine, const struct row_key *key)
{
    if (!table_kind(key->data[0])->grouped || key->data[0] == ROW_SWEEP) {
        return;
    }
    struct queue *queue = queue_by_id_doomed_too(machine, get_be64(key->data + ROW_KEY_LEN(0)));
    if (queue != NULL && !queue->had_rows) {
        queue->had_rows = true;
        queue_changed(machine, queue);
    }
}

/* Over a row of which the store knows nothing, one of which it knows nothing. */
static int table_put_entry(struct machine *machine, const struct row *row, struct slice content, bool first)
{
    struct table *table = &machine->table;
    struct slice key = row_key_slice(&row->key);
    check_row(row, content);
    struct table_entry *entry =
        table_entry_new(TABLE_ROW, &row->key, (struct slice){.data = row->value.data, .len = row->value.len});
    if (entry == NULL) {
        return ERR_NOMEM;
    }
    struct table_entry *old = table_entry_find(&table->rows, key);
    struct table_entry *removed = old == NULL ? table_entry_find(&table->removed, key) : NULL;
    entry->first = old != NULL ? old->first : first && removed == NULL;
    entry->content = content.len > 0 ? slice_ref(content) : (struct slice){0};
    old = old != NULL ? old : removed;
    if (old != NULL) {
        table_entry_free(machine, old);
    }
    table_entry_add(machine, entry);
    note_owner(machine, &row->key);
    return 0;
}

int table_put(struct machine *machine, const struct row *row, struct slice content)
{
    return table_put_entry(machine, row, content, false);
}

int table_put_first(struct machine *machine, const struct row *row, struct slice content)
{
    return table_put_entry(machine, row, content, true);
}

int table_remove(struct machine *machine, const struct row_key *key)
{
    struct table *table = &machine->table;
    struct table_entry *old = table_entry_find(&table->rows, row_key_slice(key));
    if (old == NULL && table_hides(table, row_key_slice(key))) {
        return 0;
    }
    if (old != NULL && (old->first || fault_fires(FAULT_SKIP_REMOVE_ROW))) {
        table_entry_free(machine, old);
        return 0;
    }
    struct table_entry *removed = table_entry_new(TABLE_REMOVED, key, (struct slice){0});
    if (removed == NULL) {
        return ERR_NOMEM;
    }
    if (old != NULL) {
        table_entry_free(machine, old);
    }
    table_entry_add(machine, removed);
    return 0;
}

/* What the checkpoint in flight puts under the prefix the next one deletes: until then the range hides it. Ranges within
 * this one are of no use any more, unless they are in flight: and then this one does their work, too. */
int table_remove_all(struct machine *machine, const struct row_key *prefix)
{
    struct row_key end = row_key_after(prefix);
    CHECK(prefix->len >= ROW_KEY_LEN(1) && (prefix->len - 1) % 8 == 0);
    struct table_entry *range = table_entry_new(TABLE_RANGE, prefix, (struct slice){0});
    if (range == NULL) {
        return ERR_NOMEM;
    }
    int err = table_drop_range(machine, prefix, &end);
    if (err != 0) {
        free(range);
        return err;
    }
    table_entry_add(machine, range);
    return 0;
}

/* ---- Questions ---- */

int table_row_read(struct machine *machine, const struct row_key *key, struct slice value, struct table_row *ret_row)
{
    struct slice row;
    struct slice content;
    int err = table_row_split(key, value, &row, &content);
    if (err == 0) {
        ret_row->key = *key;
        ret_row->value = slice_ref(row);
        ret_row->content = content.len > 0 ? slice_ref(content) : (struct slice){0};
    }
    slice_unref(&value);
    return state_blame(machine, key, err, err_text(err));
}

static int table_row_of_entry(const struct table_entry *entry, struct table_row *ret_row)
{
    struct slice value = table_entry_value(entry);
    int err = slice_copy(value.data, value.len, &value);
    if (err == 0) {
        ret_row->key.len = entry->key_len;
        memcpy(ret_row->key.data, entry->key, entry->key_len);
        ret_row->value = value;
        ret_row->content = slice_ref(entry->content);
    }
    return err;
}

int table_get(struct machine *machine, const struct row_key *key, struct table_row *ret_row)
{
    struct table *table = &machine->table;
    const struct table_entry *entry = table_entry_find(&table->rows, row_key_slice(key));
    state_look_at(machine, key);
    if (entry != NULL && !table_entry_is_dead(table, entry)) {
        return table_row_of_entry(entry, ret_row);
    }
    if (table_hides(table, row_key_slice(key))) {
        return ERR_NOT_FOUND;
    }
    struct slice value;
    int err = machine->store->ops->get(machine->store, key->data, key->len, &value);
    return err != 0 ? err : table_row_read(machine, key, value, ret_row);
}

static void check_within_kind(const struct row_key *from, const struct row_key *end)
{
    CHECK(table_kind(from->data[0]) != NULL);
    CHECK(from->data[0] == end->data[0] || (from->data[0] + 1 == end->data[0] && end->len == 1));
}

int table_seek(struct machine *machine, const struct row_key *from, const struct row_key *end,
               struct table_row *ret_row)
{
    struct slice bound = row_key_slice(end);
    check_within_kind(from, end);
    if (row_key_compare(row_key_slice(from), bound) >= 0) {
        return ERR_NOT_FOUND;
    }
    struct table_entry *entry = table_entry_from(&machine->table.rows, row_key_slice(from));
    while (entry != NULL && table_entry_is_dead(&machine->table, entry) &&
           row_key_compare(table_entry_key(entry), bound) < 0) {
        entry = RB_NEXT(table_tree, &machine->table.rows, entry);
    }
    if (entry != NULL && row_key_compare(table_entry_key(entry), bound) < 0) {
        bound = table_entry_key(entry);
    } else {
        entry = NULL;
    }
    int err = table_window_seek(machine, from, end, bound, ret_row);
    err = err == ERR_NOT_FOUND && entry != NULL ? table_row_of_entry(entry, ret_row) : err;
    if (err == 0) {
        state_look_at(machine, &ret_row->key);
    }
    return err;
}

struct seek_back {
    struct table *table;
    struct row_key end;
    struct row_key key;
    struct slice value;
};

#define BACK_FOUND 1
#define BACK_AGAIN 2

static int seek_back_each(void *arg, struct slice key, struct slice value)
{
    struct seek_back *seek = arg;
    if (key.len > ROW_KEY_LEN_MAX) {
        return ERR_CORRUPT;
    }
    const struct table_entry *range = table_range_of(seek->table, key);
    if (range != NULL) {
        seek->end.len = range->key_len;
        memcpy(seek->end.data, range->key, range->key_len);
        return BACK_AGAIN;
    }
    if (table_hides(seek->table, key)) {
        return 0;
    }
    int err = slice_copy(value.data, value.len, &seek->value);
    seek->key.len = key.len;
    memcpy(seek->key.data, key.data, key.len);
    return err != 0 ? err : BACK_FOUND;
}

/* Of a range that is removed the store may have many rows: the search goes on before it. */
int table_seek_last(struct machine *machine, const struct row_key *from, const struct row_key *end,
                    struct table_row *ret_row)
{
    struct store *store = machine->store;
    struct slice first = row_key_slice(from);
    struct seek_back seek = {.table = &machine->table, .end = *end};
    check_within_kind(from, end);
    struct table_entry *entry = table_entry_last(&machine->table.rows, first, row_key_slice(end));
    while (entry != NULL && table_entry_is_dead(&machine->table, entry)) {
        entry = RB_PREV(table_tree, &machine->table.rows, entry);
        entry = entry != NULL && row_key_compare(table_entry_key(entry), first) >= 0 ? entry : NULL;
    }
    if (entry != NULL) {
        first = table_entry_key(entry);
    }
    int err = BACK_AGAIN;
    while (err == BACK_AGAIN) {
        bool any = row_key_compare(first, row_key_slice(&seek.end)) < 0;
        err = any ? store->ops->scan_back(store, first, row_key_slice(&seek.end), seek_back_each, &seek) : 0;
    }
    if (err == BACK_FOUND) {
        return table_row_read(machine, &seek.key, seek.value, ret_row);
    }
    if (err != 0) {
        return err;
    }
    return entry != NULL ? table_row_of_entry(entry, ret_row) : ERR_NOT_FOUND;
}
