/* Producers and their last sequence numbers, kept for ever: in memory those that published since the last checkpoint
 * and a bounded number of others, the rest in the store.
 *
 * Row 'P' name: u64 last sequence. Names are those of the one virtual host there is, "/". */

#ifndef HOLDFAST_STATEMACHINE_PRODUCER_H
#define HOLDFAST_STATEMACHINE_PRODUCER_H

#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "statemachine/hash.h"
#include "statemachine/rows.h"

struct machine;

/* Producers in memory that are as they are in the store. */
#define PRODUCERS_CACHED_MAX 16384u

enum producer_where { PRODUCER_CACHED, PRODUCER_CHANGED, PRODUCER_COLLECTED };

struct producer {
    uint64_t last;             /* Sequence; 0: none yet. */
    enum producer_where where; /* Which list of struct producers it is in. */
    struct list_node state;
    UT_hash_handle by_name;
    size_t name_len;
    char name[];
};

struct producers {
    struct producer *by_name;
    struct list_node changed;   /* Since the last checkpoint. */
    struct list_node collected; /* In the checkpoint in flight, not changed since. */
    struct list_node cached;    /* As in the store; longest unused first. */
    size_t cached_len;
    size_t cached_len_max;
};

void producers_init(struct producers *producers);
void producers_done(struct producers *producers);

/* The producer of that name, read from the store or new. Valid until the next call here. ERR_NOMEM, ERR_IO,
 * ERR_CORRUPT. */
int producer_get(struct machine *machine, const char *name, size_t name_len, struct producer **ret_producer) NODISCARD;

/* Raises the last sequence. */
void producer_advance(struct machine *machine, struct producer *producer, uint64_t last);

/* The checkpoint that is being made has a row of this changed producer. */
void producers_collected(struct producers *producers, struct producer *producer);

/* The checkpoint in flight is in the store, or (`stored` false) has failed. */
void producers_settle(struct producers *producers, bool stored);

int producer_row(const struct producer *producer, struct row *row) NODISCARD;

#endif
