/* The table: an ordered map of rows of which there may be more than memory holds. What changed since the last checkpoint
 * is in memory, the rest is in the store; a question sees one map.
 *
 * For all state but what has a faster home of its own (messages, queues, sessions, consumers, producers): timers, what
 * waits for a time or for an outcome, ids that were seen, histories. A noun that keeps its rows here needs no code for
 * checkpoints, restarts, failed checkpoints or digests: its header says what its rows look like, and table_kinds[] in
 * table.c names their kind.
 *
 * A row is sealed (rows.h) and may be followed by content (a message's head and body) that is referred to, not copied, and
 * has a hash of its own in the row. */

#ifndef HOLDFAST_STATEMACHINE_TABLE_H
#define HOLDFAST_STATEMACHINE_TABLE_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/list.h"
#include "statemachine/rows.h"

struct machine;
struct machine_checkpoint;
struct table_entry;

RB_HEAD(table_tree, table_entry);

struct table {
    struct table_tree changes;   /* Rows put and removed since the last checkpoint, and in the one in flight; by key. */
    struct list_node changed;    /* Of these: not in a checkpoint yet. */
    struct list_node collected;  /* In the checkpoint in flight, and not changed since. */
    struct table_window *windows; /* Rows read ahead from the store: valid until a checkpoint is done. No state. */
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

/* Removes the row, if there is one. ERR_NOMEM. */
int table_remove(struct machine *machine, const struct row_key *key) NODISCARD;

/* ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int table_get(struct machine *machine, const struct row_key *key, struct table_row *ret_row) NODISCARD;

/* The first row with from <= key < end. In a loop that goes on from where it was, the store is read ahead, so that a row
 * costs little more than its copying. ERR_NOT_FOUND: there is none. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int table_seek(struct machine *machine, const struct row_key *from, const struct row_key *end,
               struct table_row *ret_row) NODISCARD;

/* The last row with from <= key < end: for a look at the neighbour before. As table_seek(). */
int table_seek_last(struct machine *machine, const struct row_key *from, const struct row_key *end,
                    struct table_row *ret_row) NODISCARD;

/* Removes all rows whose key begins with `prefix` (a kind, and at least its first number): those in memory one by one,
 * those in the store as one range, without a look at them. ERR_NOMEM. */
int table_remove_all(struct machine *machine, const struct row_key *prefix) NODISCARD;

/* The checkpoint's part: gives it all changes (rows to write, keys and ranges to delete). ERR_NOMEM: some may have been
 * given; they are given again. */
int table_collect(struct machine *machine, struct machine_checkpoint *checkpoint) NODISCARD;
/* The checkpoint in flight is in the store, or (`stored` false) has failed: then what it had goes with the next one. */
void table_settle(struct machine *machine, bool stored);

/* Adds the rows of the table, wherever they are, to a digest of the whole state: the sum of row_checksum(). */
int table_digest(struct machine *machine, uint64_t *digest) NODISCARD;

#endif
