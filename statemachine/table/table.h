/* The table: an ordered map of rows of which there may be more than memory holds. What changed since the last checkpoint
 * is in memory, the rest is in the store; a question sees one map.
 *
 * For all state but what has a faster home of its own (messages, queues, sessions, consumers, producers): timers, what
 * waits for a time or for an outcome, ids that were seen, histories. A noun that keeps its rows here needs no code for
 * checkpoints, restarts, failed checkpoints or digests: its header says what its rows look like, and table_kind.c names their
 * kind.
 *
 * A row is sealed (rows.h). Those of a kind with content (a message's head and body) end with `u64 hash, u32 length` of it,
 * just before the checksum, also when it is empty: XXH3-64 as for bodies. Content is referred to, not copied. In the store
 * such a row is `u32 length of the row, row, content`; one of any other kind is itself. */

#ifndef HOLDFAST_STATEMACHINE_TABLE_TABLE_H
#define HOLDFAST_STATEMACHINE_TABLE_TABLE_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/list.h"
#include "statemachine/store/rows.h"

struct machine;
struct machine_checkpoint;
struct table_entry;
struct table_windows;

RB_HEAD(table_tree, table_entry);

/* Every entry is in one of the trees, by key, and in one of the lists. Those that are removed hide rows of the store; they
 * have a tree of their own so that a search for rows does not walk over them. */
struct table {
    struct table_tree rows;        /* Put since the last checkpoint, or in the one in flight. */
    struct table_tree removed;     /* Keys whose row the store may have. */
    struct table_tree ranges;      /* Prefixes: of no row with that beginning what the store has counts. */
    struct list_node changed;      /* Not in a checkpoint yet. */
    struct list_node collected;    /* In the checkpoint in flight, and not changed since. */
    struct table_windows *windows; /* Rows read ahead from the store. No state. */
    /* Ranges of which entries from before they were removed are in memory still (table_garbage.c). No state. */
    struct table_garbage *garbage; /* Room for GARBAGE_RANGES_MAX; NULL: never needed. */
    size_t garbage_len;
    size_t freed_at_once; /* Entries that are freed with a range, and with table_tidy(): many, but for tests. */
    uint64_t changes;     /* So far: the number of the last entry. */
};

/* What is found. `value` is the sealed row (for row_open()), `content` what follows it. The caller owns a reference to
 * each blob: table_row_done(). */
struct table_row {
    struct row_key key;
    struct slice value;
    struct slice content;
};
void table_row_done(struct table_row *row);

void table_init(struct table *table);
void table_done(struct table *table);

/* Puts a sealed row, over one with the same key if there is one; takes a reference to the content (empty: none).
 * ERR_NOMEM. */
int table_put(struct machine *machine, const struct row *row, struct slice content) NODISCARD;

/* As table_put(), of a row under a key that has none: an id or a position that has just been given out. When it is removed
 * again before a checkpoint the store never hears of it. ERR_NOMEM. */
int table_put_first(struct machine *machine, const struct row *row, struct slice content) NODISCARD;

/* Removes the row, if there is one. ERR_NOMEM. */
int table_remove(struct machine *machine, const struct row_key *key) NODISCARD;

/* The content's hash is not checked, here as in the others: whoever uses content does. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT,
 * ERR_VERSION, ERR_NOMEM. */
int table_get(struct machine *machine, const struct row_key *key, struct table_row *ret_row) NODISCARD;

/* The first row with from <= key < end, within a kind: the end is a key of the same kind, or row_key_after() one. In a loop that goes on from where it was, or that removes what it has found, the
 * store is read ahead, so that a row costs little more than its copying. ERR_NOT_FOUND: there is none. ERR_IO, ERR_CORRUPT,
 * ERR_VERSION, ERR_NOMEM. */
int table_seek(struct machine *machine, const struct row_key *from, const struct row_key *end,
               struct table_row *ret_row) NODISCARD;

/* The last row with from <= key < end: for a look at the neighbour before. As table_seek(), but nothing is read ahead. */
int table_seek_last(struct machine *machine, const struct row_key *from, const struct row_key *end,
                    struct table_row *ret_row) NODISCARD;

/* Removes all rows whose key begins with `prefix` (a kind, and at least its first number): those in memory one by one, of many the most
 * later, those in the store as one range, without a look at them. Rows may be put under it again at once. ERR_NOMEM. */
int table_remove_all(struct machine *machine, const struct row_key *prefix) NODISCARD;

/* Frees some of what was removed by range. To be called now and then; shows in nothing but memory. */
void table_tidy(struct machine *machine);

/* The checkpoint's part: gives it all changes (rows to write, keys and ranges to delete). ERR_NOMEM: some may have been
 * given; they are given again. */
int table_collect(struct machine *machine, struct machine_checkpoint *checkpoint) NODISCARD;
/* The checkpoint in flight is in the store, or (`stored` false) has failed: then what it had goes with the next one. */
void table_settle(struct machine *machine, bool stored);

/* Adds the rows of the table, wherever they are, to a digest of the whole state: the sum of row_checksum(). */
int table_digest(struct machine *machine, uint64_t *digest) NODISCARD;

#endif
