/* Where the state of the machine is kept between checkpoints: an ordered set of rows, written only by checkpoints.
 *
 * store_rocksdb.c is RocksDB; the simulator has one in memory. A write is one atomic, durable step: after a crash
 * either all of it is there or nothing. Keys are compared as bytes. */

#ifndef HOLDFAST_STATEMACHINE_STORE_STORE_H
#define HOLDFAST_STATEMACHINE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"

struct store;

/* One checkpoint's worth of changes, built by the machine, written by the store. Opaque to both sides' callers. */
enum store_change_kind { STORE_PUT, STORE_DELETE, STORE_DELETE_RANGE };

struct store_change {
    enum store_change_kind kind;
    struct slice key;
    struct slice value;  /* STORE_PUT: the row's head. STORE_DELETE_RANGE: the first key after the range. */
    struct slice value2; /* STORE_PUT: the rest of the row (a body, not copied until now). */
};

/* A step of reading everything again, to find what has been damaged while nobody looked. */
struct store_scrub {
    struct slice from;  /* The key to begin at; empty: at the first one. */
    uint64_t bytes_max; /* Read until it is as much as this; at least a row. */
    /* Called for every row, in order; an error ends the step with it, and should come with a line in `detail`. The bytes are
     * borrowed for the call. */
    int (*each)(void *arg, struct slice key, struct slice value, char *detail, size_t detail_len);
    void *arg;
    /* The outcome. */
    struct slice next;  /* The key to go on from; owned by the caller. Empty: that was all. */
    uint64_t bytes;     /* Of the rows that were read. */
    uint64_t bytes_all; /* Of all there is, about. */
    char detail[512];   /* One line on error: which file, if it can be told, and what is wrong there. */
};

struct store_ops {
    /* Writes the changes in order, atomically and durably. Runs off the loop's thread, one at a time; reads go on
     * meanwhile and see none or all of it. ERR_IO, ERR_NO_SPACE, ERR_NOMEM: nothing was written as far as is known, and
     * reads may see all of it or none until the next write. After ERR_NO_SPACE a later write succeeds when there is
     * room; what was there before can be read all the time. */
    int (*write)(struct store *store, const struct store_change *changes, size_t count);

    /* Reads a row into a new blob. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT (also: the device cannot give it back), ERR_NOMEM. */
    int (*get)(struct store *store, const void *key, size_t key_len, struct slice *ret_value);

    /* Calls `each` for the rows with first <= key < end, in order, until it returns non-zero, which is then returned.
     * The bytes are borrowed for the call. */
    int (*scan)(struct store *store, struct slice first, struct slice end,
                int (*each)(void *arg, struct slice key, struct slice value), void *arg);

    /* Likewise from the last row to the first. */
    int (*scan_back)(struct store *store, struct slice first, struct slice end,
                     int (*each)(void *arg, struct slice key, struct slice value), void *arg);

    /* Makes a copy of all rows as the last write left them, as files of a new directory of that name beside the store's own;
     * the store takes no notice of it later. Where the file system allows it the files are the same ones (hard links).
     * Runs off the loop's thread, not beside a write. The files are not synced: a copy is of no use after a crash of the
     * machine. ERR_EXISTS: the name is taken. ERR_IO, ERR_NO_SPACE, ERR_NOMEM: what was begun is to be removed by the
     * caller, as after a crash: it is under that name, or that name with ".tmp" behind it. */
    int (*copy)(struct store *store, const char *name);

    /* Reads rows from the store's files, past its own cache, and checks everything that it has checksums for; with the first
     * step also what it would need to be opened. Keeps nothing from one step to the next, so that rows may come and go in
     * between. Runs off the loop's thread, not beside a write or a copy. ERR_CORRUPT (also: it cannot be
     * read), and what `each` returned. ERR_IO, ERR_NOMEM. */
    int (*scrub)(struct store *store, struct store_scrub *scrub);

    /* What the store said of the last error that it gave: one line for people, with the file where it can be told; empty when
     * there was none. On any thread. May be NULL. */
    void (*explain)(struct store *store, char *text, size_t text_len);

    void (*close)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

#endif
