/* Rows in memory that were removed by range, when they are many: they are freed bit by bit, and nobody sees them meanwhile.
 *
 * An entry under the range's prefix is one of them if it is older than the range. What was put under it since is not. */

#include <stdlib.h>
#include <string.h>

#include "statemachine/state.h"
#include "statemachine/table/table_private.h"

/* Of those, no more: when there are, all of it is freed at once. */
#define GARBAGE_RANGES_MAX 64u

struct table_garbage {
    struct row_key from; /* To go on from. */
    struct row_key end;
    uint64_t number; /* Entries up to that one are dead. */
    bool removed;    /* Those of rows that had been removed one by one: nobody needs to know that any more. */
};

bool table_entry_is_dead(const struct table *table, const struct table_entry *entry)
{
    for (size_t i = 0; i < table->garbage_len; i++) {
        const struct table_garbage *garbage = &table->garbage[i];
        if (!garbage->removed && entry->number <= garbage->number &&
            row_key_compare(table_entry_key(entry), row_key_slice(&garbage->from)) >= 0 &&
            row_key_compare(table_entry_key(entry), row_key_slice(&garbage->end)) < 0) {
            return true;
        }
    }
    return false;
}

/* Ranges within another one. */
static void ranges_free(struct machine *machine, const struct row_key *from, const struct row_key *end)
{
    struct table_tree *tree = &machine->table.ranges;
    struct table_entry *entry = table_entry_from(tree, row_key_slice(from));
    while (entry != NULL && row_key_compare(table_entry_key(entry), row_key_slice(end)) < 0) {
        struct table_entry *next = RB_NEXT(table_tree, tree, entry);
        table_entry_free(machine, entry);
        entry = next;
    }
}

/* Frees some of its entries, as many as `*budget` says; true: there are no more. */
static bool garbage_free(struct machine *machine, struct table_garbage *garbage, size_t *budget)
{
    struct table_tree *tree = garbage->removed ? &machine->table.removed : &machine->table.rows;
    struct table_entry *entry = table_entry_from(tree, row_key_slice(&garbage->from));
    for (; *budget > 0; --*budget) {
        if (entry == NULL || row_key_compare(table_entry_key(entry), row_key_slice(&garbage->end)) >= 0) {
            return true;
        }
        struct table_entry *next = RB_NEXT(table_tree, tree, entry);
        if (entry->number <= garbage->number) {
            table_entry_free(machine, entry);
        }
        entry = next;
    }
    if (entry == NULL) {
        return true;
    }
    garbage->from.len = entry->key_len;
    memcpy(garbage->from.data, entry->key, entry->key_len);
    return false;
}

static void garbage_free_some(struct machine *machine, size_t budget)
{
    struct table *table = &machine->table;
    while (table->garbage_len > 0 && budget > 0) {
        if (garbage_free(machine, &table->garbage[table->garbage_len - 1], &budget)) {
            table->garbage_len--;
        }
    }
}

void table_tidy(struct machine *machine)
{
    garbage_free_some(machine, machine->table.freed_at_once);
}

void table_tidy_all(struct machine *machine)
{
    garbage_free_some(machine, SIZE_MAX);
}

static void garbage_begin(struct machine *machine, struct table_garbage *garbage)
{
    struct table *table = &machine->table;
    size_t budget = table->freed_at_once;
    if (!garbage_free(machine, garbage, &budget)) {
        table->garbage[table->garbage_len++] = *garbage;
    }
}

int table_drop_range(struct machine *machine, const struct row_key *prefix, const struct row_key *end)
{
    struct table *table = &machine->table;
    if (table->garbage == NULL) {
        table->garbage = calloc(GARBAGE_RANGES_MAX, sizeof *table->garbage);
    }
    if (table->garbage == NULL) {
        return ERR_NOMEM;
    }
    if (table->garbage_len + 2 > GARBAGE_RANGES_MAX) {
        table_tidy_all(machine);
    }
    struct table_garbage garbage = {.from = *prefix, .end = *end, .number = table->changes};
    ranges_free(machine, prefix, end);
    garbage_begin(machine, &garbage);
    garbage = (struct table_garbage){.from = *prefix, .end = *end, .number = table->changes, .removed = true};
    garbage_begin(machine, &garbage);
    return 0;
}
