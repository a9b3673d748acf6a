/* The scrubber: now and then everything that this node has on disk is read again, term and vote, the log, and the store, to find
 * what has been damaged while nobody looked: before it is needed, and while the other replicas still have it.
 *
 * It reads one piece at a time, on the disk's other thread, no faster than it may, and waits while the disk is slow or has more
 * urgent things to do. What it finds ends it: the host must see to it that the node does not go on with what it has. */

#ifndef HOLDFAST_NODE_CORE_SCRUB_H
#define HOLDFAST_NODE_CORE_SCRUB_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "consensus/driver_scrub.h"
#include "proto/base/clock.h"
#include "proto/base/disk.h"
#include "proto/base/journal.h"
#include "statemachine/store/store.h"

#define SCRUB_BYTES_PER_S_DEFAULT (16 * MIB)

/* All borrowed for as long as the scrubber is open. */
struct scrub_options {
    struct disk *disk;
    struct clock *clock;
    struct journal *journal; /* May be NULL. */
    struct driver *driver;
    struct store *store;
    uint64_t bytes_per_s;    /* At most; 0: SCRUB_BYTES_PER_S_DEFAULT. */
    uint64_t interval_ms;    /* From the beginning of a pass to that of the next, at least; 0: only when asked. */
    void *arg;               /* For the callbacks, which are made from within scrub_step() alone, but for `wake`. */
    void (*wake)(void *arg); /* scrub_step() has something to do. May be NULL. */
    bool (*busy)(void *arg); /* The disk's other thread is wanted for something else. May be NULL. */
    /* Something is damaged, or cannot be read: one line with file and place. Said once. */
    void (*damaged)(void *arg, const char *what);
};

/* Since it was opened. */
struct scrub_totals {
    uint64_t passes; /* That came to their end. */
    uint64_t bytes;
    uint64_t mended; /* Found damaged, and written anew from memory. */
    uint64_t found;  /* Found damaged for good. */
};

enum scrub_state {
    SCRUB_WAITING, /* Between two passes. */
    SCRUB_PAUSING, /* Between two pieces. */
    SCRUB_READING, /* On the other thread. */
    SCRUB_READ,    /* To be settled. */
    SCRUB_ENDED,   /* Damage was found, or it was stopped. */
};

struct scrub {
    struct scrub_options options;
    struct disk_task task;
    enum scrub_state state;
    bool stopping;
    uint64_t due_ms;   /* When the next pass or piece is to begin; UINT64_MAX: not by itself. */
    uint64_t begun_ms; /* When the pass began, and its piece. */
    uint64_t piece_ms;
    uint64_t pass_bytes;
    struct driver_scrub *log; /* NULL: that part of the pass is done. */
    struct store_scrub rows;
    int rows_err;
    uint64_t rows_bytes; /* Read of the store in this pass. */
    struct scrub_totals totals;
    char text[80];
};

/* The first pass comes within an eighth of the interval, at random, so that nodes do not begin together. */
void scrub_open(struct scrub *scrub, const struct scrub_options *options);
/* Nothing is under way on the other thread any more. Also of one that is all zeroes. */
void scrub_close(struct scrub *scrub);

/* In every turn of the loop, and at the deadline. */
void scrub_step(struct scrub *scrub);
/* UINT64_MAX: nothing to wait for. */
uint64_t scrub_deadline_ms(const struct scrub *scrub);
/* Begins a pass with the next step, unless one is under way or it has ended. */
void scrub_start_now(struct scrub *scrub);
/* Begins nothing any more. */
void scrub_stop(struct scrub *scrub);
/* Nothing is under way on the other thread. */
bool scrub_idle(const struct scrub *scrub);

/* What it is at, for people: "log, 12 of 64 MiB". NULL: there is no pass. Valid until the next call. */
const char *scrub_text(struct scrub *scrub);
const struct scrub_totals *scrub_totals(const struct scrub *scrub);

#endif
