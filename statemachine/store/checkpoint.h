/* A checkpoint: what changed since the last one, taken out of the machine in one go and turned into rows off the loop.
 *
 * On the loop only what is small is encoded; of messages the slots are copied, with a reference to each body. The next one
 * after one that failed begins with what that has left, less what has been settled or changed since: on a full disk many
 * fail, and the one that makes room must be no larger than what is there. */

#ifndef HOLDFAST_STATEMACHINE_STORE_CHECKPOINT_H
#define HOLDFAST_STATEMACHINE_STORE_CHECKPOINT_H

#include "statemachine/state.h"
#include "statemachine/table/table_checkpoint.h"

struct checkpoint_message {
    uint64_t queue;
    uint64_t position;
    struct message message; /* Owns a reference. */
};

struct checkpoint_position {
    uint64_t queue;
    uint64_t position;
};

struct checkpoint_range {
    uint64_t queue;
    struct gone_range range;
};

/* A row in the bytes of the checkpoint: key, then value. */
struct checkpoint_row {
    size_t offset;
    size_t key_len;
    size_t value_len;
};

struct machine_checkpoint {
    struct machine *machine;
    struct store *store;
    struct forgotten_row *forgotten; /* In order: first of all. */
    size_t forgotten_len;
    struct checkpoint_message *messages;
    size_t messages_len;
    size_t messages_cap;
    struct checkpoint_position *settled; /* Rows of messages to delete. */
    size_t settled_len;
    size_t settled_cap;
    struct checkpoint_range *purged; /* Likewise. */
    size_t purged_len;
    size_t purged_cap;
    struct checkpoint_row *rows;
    size_t rows_len;
    size_t rows_cap;
    struct bytes bytes;
    struct checkpoint_table table;
    struct checkpoint_position *tails; /* Per lane: messages below that position are in here or were before. */
    size_t tails_len;
    size_t tails_cap;
};

/* NULL is allowed. */
void checkpoint_free(struct machine_checkpoint *checkpoint);

/* Makes one that failed ready to be collected again: what it had of rows is marked as changed, and messages that have been
 * settled since are dropped. What it deletes stays: nobody knows whether the store has seen it. */
void checkpoint_renew(struct machine_checkpoint *checkpoint);

#endif
