/* Questions about producers and prepared messages. As in machine.h: they change nothing. */

#ifndef HOLDFAST_STATEMACHINE_MACHINE_PUBLISHING_H
#define HOLDFAST_STATEMACHINE_MACHINE_PUBLISHING_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

struct machine;

struct machine_producer {
    uint64_t epoch;   /* 0: it was never opened. */
    uint64_t last;    /* Sequence; 0: none was taken. */
    uint64_t session; /* That opened it last; it may be gone. 0: none. */
};

/* What is known of a producer. ERR_NOT_FOUND: nothing. ERR_IO, ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int machine_producer(struct machine *machine, uint64_t virtual_host, const char *name,
                     struct machine_producer *ret_producer) NODISCARD;

/* The numbers are those of rows: they never change. */
enum machine_prepared_state { MACHINE_PREPARED = 0, MACHINE_COMMITTED = 1, MACHINE_DROPPED = 2 };

/* Strings are borrowed for the call. */
struct machine_prepared {
    const char *id;
    const char *group;
    enum machine_prepared_state state;
    uint64_t messages;
    uint64_t ask_ms;      /* Log time of the next question; 0: none. */
    uint64_t deadline_ms; /* Log time; 0: none. */
    bool commit_at_deadline;
    uint64_t remembered_until_ms; /* Log time at which the outcome is forgotten; 0: there is none yet. */
};

/* Calls `each` for what is prepared in a virtual host, or was resolved and is remembered, with ids that sort after `after` (as
 * bytes; "" for all), in order, until it returns non-zero, which is then returned. `each` must not call the machine. ERR_IO,
 * ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int machine_prepared(struct machine *machine, uint64_t virtual_host, const char *after,
                     int (*each)(void *arg, const struct machine_prepared *prepared), void *arg) NODISCARD;

#endif
