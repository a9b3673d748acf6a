/* What the files of the table share. */

#ifndef HOLDFAST_STATEMACHINE_TABLE_TABLE_PRIVATE_H
#define HOLDFAST_STATEMACHINE_TABLE_TABLE_PRIVATE_H

#include "statemachine/table/table.h"
#include "statemachine/table/table_kind.h"

enum table_entry_kind { TABLE_ROW, TABLE_REMOVED, TABLE_RANGE };

struct table_entry {
    RB_ENTRY(table_entry) by_key;
    struct list_node state; /* In one of the table's lists. */
    struct slice content;   /* Owns a reference. */
    const uint8_t *key;     /* At the beginning of `data`, but for one that is only looked for. */
    uint64_t number;        /* Of the change: later ones have higher ones. */
    uint32_t value_len;     /* Behind the key; 0: not a row. */
    uint16_t key_len;
    bool first; /* A row of which the store knows nothing: its removal leaves nothing behind. */
    enum table_entry_kind kind;
    uint8_t data[];
};

RB_PROTOTYPE(table_tree, table_entry, by_key, table_entry_compare)

static inline struct slice table_entry_key(const struct table_entry *entry)
{
    return (struct slice){.data = entry->key, .len = entry->key_len};
}

static inline struct slice table_entry_value(const struct table_entry *entry)
{
    return (struct slice){.data = entry->data + entry->key_len, .len = entry->value_len};
}

/* The first entry at or after a key. */
struct table_entry *table_entry_from(struct table_tree *tree, struct slice key);

/* Takes it out of its tree and its list. */
void table_entry_free(struct machine *machine, struct table_entry *entry);

/* The range that a key is in; NULL: in none. */
const struct table_entry *table_range_of(struct table *table, struct slice key);

/* Whether a row of the store does not count: memory knows something newer. */
bool table_hides(struct table *table, struct slice key);

/* A row as the store has it, taken apart and checked; takes over the reference to the value, also on error. ERR_CORRUPT,
 * ERR_VERSION. */
int table_row_read(struct machine *machine, const struct row_key *key, struct slice value,
                   struct table_row *ret_row) NODISCARD;

/* table_window.c: the store's first row that counts, with from <= key < end and before `bound`, which is not behind the end;
 * read ahead up to the end. ERR_NOT_FOUND and as table_seek(). */
int table_window_seek(struct machine *machine, const struct row_key *from, const struct row_key *end,
                      struct slice bound, struct table_row *ret_row) NODISCARD;
#define TABLE_FREED_AT_ONCE 4096u
/* table_garbage.c: whether an entry of a row has been removed by range, and is in memory still. */
bool table_entry_is_dead(const struct table *table, const struct table_entry *entry);
/* Frees the entries under a prefix, of many the most later. ERR_NOMEM. */
int table_drop_range(struct machine *machine, const struct row_key *prefix, const struct row_key *end) NODISCARD;
/* Frees all that is left. */
void table_tidy_all(struct machine *machine);

/* Forgets all that was read ahead. */
void table_windows_drop(struct table *table);

#endif
