/* Producers and their last sequence numbers, kept for ever: in memory those that published since the last checkpoint
 * and a bounded number of others, the rest in the store.
 *
 * A name is one of its virtual host. Whoever opens a producer raises its epoch, and those before are fenced off.
 *
 * Row 'P' name (row_key_host_name()), ROW_VERSION: u64 last sequence. ROW_VERSION_NEW: u64 last sequence, u64 epoch, u64 session that
 * opened it last (0: none). */

#ifndef HOLDFAST_STATEMACHINE_PUBLISH_PRODUCER_H
#define HOLDFAST_STATEMACHINE_PUBLISH_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "statemachine/hash.h"
#include "statemachine/store/rows.h"

struct machine;

/* Producers in memory that are as they are in the store. */
#define PRODUCERS_CACHED_MAX 16384u

enum producer_where { PRODUCER_CACHED, PRODUCER_CHANGED, PRODUCER_COLLECTED };

struct producer {
    uint64_t last;             /* Sequence; 0: none yet. */
    uint64_t epoch;            /* 0: it was never opened. */
    uint64_t session;          /* That opened it last; it may be gone. */
    enum producer_where where; /* Which list of struct producers it is in. */
    struct list_node state;
    UT_hash_handle by_name;
    size_t name_len;
    char name[]; /* As in the key of its row: with the virtual host before it, unless that is "/". */
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
int producer_get(struct machine *machine, uint64_t virtual_host, const char *name, size_t name_len,
                 struct producer **ret_producer) NODISCARD;

/* What is known of it, without a place in memory for it. ERR_NOT_FOUND: nothing. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int producer_look(struct machine *machine, uint64_t virtual_host, const char *name, size_t name_len, uint64_t *ret_last,
                  uint64_t *ret_epoch, uint64_t *ret_session) NODISCARD;

/* Raises the last sequence. */
void producer_advance(struct machine *machine, struct producer *producer, uint64_t last);

/* Raises its epoch, for a session. */
void producer_open(struct machine *machine, struct producer *producer, uint64_t session);

/* A virtual host (not "/") goes, and all of its producers with it. */
void producers_host_gone(struct machine *machine, uint64_t virtual_host);

/* Whether anything is known of it: others have no row. */
static inline bool producer_is_known(const struct producer *producer)
{
    return producer->last > 0 || producer->epoch > 0;
}

/* The checkpoint that is being made has a row of this changed producer. */
void producers_collected(struct producers *producers, struct producer *producer);

/* The checkpoint in flight is in the store, or (`stored` false) has failed. */
void producers_settle(struct producers *producers, bool stored);

/* In the format of the machine's version. ERR_NOMEM. */
int producer_row(const struct machine *machine, const struct producer *producer, struct row *row) NODISCARD;
/* The row of the same content, in the format of the machine's version; ERR_NOT_FOUND: of a virtual host that is gone. ERR_CORRUPT,
 * ERR_VERSION, ERR_NOMEM. */
int producer_row_again(const struct machine *machine, const struct row_key *key, struct slice value,
                       struct row *row) NODISCARD;

#endif
