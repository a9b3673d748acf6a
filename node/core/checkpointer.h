/* The checkpointer: when enough log has gathered, what survives of it goes to the store, off the loop, and the log
 * before it may go. One at a time. */

#ifndef HOLDFAST_NODE_CORE_CHECKPOINTER_H
#define HOLDFAST_NODE_CORE_CHECKPOINTER_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "statemachine/machine.h"

struct checkpointer {
    struct disk_task task;
    /* Borrowed. */
    struct disk *disk;
    struct machine *machine;
    struct driver *driver;
    struct clock *clock;
    struct journal *journal;
    void *arg;                /* For the callbacks. */
    void (*wake)(void *arg);  /* May be NULL. */
    void (*relax)(void *arg); /* The node is idle, and what it had gathered is stored. May be NULL. */
    /* A checkpoint waits for an entry of the machine's, and an empty one would do. May be NULL. */
    void (*nudge)(void *arg);
    /* The disk is short of room: what an idle node stores may free some, however little it is. May be NULL. */
    bool (*needs_room)(void *arg);
    void (*fatal)(void *arg, int err, const char *what);
    uint64_t checkpoint_len; /* Bytes of log after which a checkpoint is made. */
    /* While one is being made. */
    struct machine_checkpoint *checkpoint; /* NULL: none is. */
    uint64_t index;
    struct slice bytes;
    uint64_t retry_ms; /* Not before, by the monotonic clock: there was no space. */
    /* Bytes of log since the last one, as last seen, and when a node that applies nothing more stores them; UINT64_MAX:
     * there is too little. */
    uint64_t bytes_seen;
    uint64_t idle_ms;
    bool needed_room; /* As last seen. */
    bool idle;        /* The one being made is for that reason. */
    uint64_t wanted;  /* One that holds this entry is asked for; 0: none is. */
};

/* Zero-initialised but for `idle_ms`, UINT64_MAX, and what is borrowed.
 *
 * Starts a checkpoint if one is due and none is being made. Not from within a callback of the driver. */
void checkpointer_step(struct checkpointer *checkpointer);

/* A checkpoint that holds the entry is wanted soon, however little has gathered: it begins with one of the next steps. */
void checkpointer_ask(struct checkpointer *checkpointer, uint64_t index);

bool checkpointer_idle(const struct checkpointer *checkpointer);

/* When one that found no space is to be tried again, or an idle node makes one; UINT64_MAX: nothing to wait for. */
uint64_t checkpointer_deadline_ms(const struct checkpointer *checkpointer);

/* Forgets the one being made, which no other thread may be writing any more. */
void checkpointer_done(struct checkpointer *checkpointer);

#endif
