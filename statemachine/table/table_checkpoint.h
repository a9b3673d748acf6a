/* The table's part of a checkpoint: what of it changed, copied out of memory but for content, of which there are references. */

#ifndef HOLDFAST_STATEMACHINE_TABLE_TABLE_CHECKPOINT_H
#define HOLDFAST_STATEMACHINE_TABLE_TABLE_CHECKPOINT_H

#include <stddef.h>

#include "proto/base/bytes.h"
#include "statemachine/store/store.h"

struct table_change;

/* In struct machine_checkpoint. */
struct checkpoint_table {
    struct bytes bytes; /* Keys and rows. */
    struct table_change *changes;
    size_t len;
    size_t cap;
};

/* Lets go of everything. On the loop. */
void checkpoint_table_clear(struct checkpoint_table *part);

/* Lists its changes, in the order in which they are to be written, into room for `len` of them; they borrow. On any
 * thread. */
void checkpoint_table_list(const struct checkpoint_table *part, struct store_change *ret_changes);

#endif
