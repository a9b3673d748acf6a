/* Questions about messages that have left their queue, and about what became of them. */

#ifndef HOLDFAST_STATEMACHINE_MACHINE_LOOKING_H
#define HOLDFAST_STATEMACHINE_MACHINE_LOOKING_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct machine;
struct machine_content;

/* How a kept message left its queue. The numbers are in rows: they never change. */
enum machine_kept_outcome {
    KEPT_ACCEPTED = 0,
    KEPT_REJECTED = 1,
    KEPT_EXPIRED = 2,
    KEPT_DROPPED = 3,        /* Because of a limit on length or bytes. */
    KEPT_DELIVERY_LIMIT = 4, /* It went back too often. */
};

struct machine_kept {
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t left_ms; /* When it was settled, expired, or dropped. */
    uint64_t hash;    /* Of the head and the body. */
    uint32_t body_len;
    uint32_t head_len;
    uint32_t trail_len;
    enum machine_kept_outcome outcome;
};

/* Calls `each` for the messages of a queue that are kept after they have left it, from `position` on, in order, until it returns
 * non-zero. Returns 0, or what `each` returned; `each` must not call the machine. ERR_NOT_FOUND: no such queue. ERR_IO,
 * ERR_CORRUPT, ERR_NOMEM. */
int machine_kept(struct machine *machine, uint64_t queue, uint64_t position,
                 int (*each)(void *arg, const struct machine_kept *kept), void *arg) NODISCARD;

/* The content of a kept message, as machine_content() gives that of one in a queue. ERR_NOT_FOUND: it is not kept (any more).
 * ERR_CHECKSUM: damaged. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int machine_kept_content(struct machine *machine, uint64_t queue, uint64_t position,
                         struct machine_content *ret_content) NODISCARD;

/* The steps of a message's life. The numbers are in rows: they never change. */
enum machine_life_kind {
    LIFE_ENQUEUED = 1,     /* text: how: "published", "due", "dead letter", "redriven", "replayed". */
    LIFE_DELIVERED = 2,    /* session, consumer. */
    LIFE_RELEASED = 3,     /* session, consumer. */
    LIFE_LOCK_ENDED = 4,   /* session, consumer. */
    LIFE_HOLDER_ENDED = 5, /* session, consumer. */
    LIFE_WAITING = 6,      /* After the step before it, it waits. */
    LIFE_ACCEPTED = 7,     /* session, consumer. */
    LIFE_REJECTED = 8,
    LIFE_EXPIRED = 9,
    LIFE_DROPPED = 10, /* Because of a limit on length or bytes. */
    LIFE_DELIVERY_LIMIT = 11,
    LIFE_DEAD_LETTERED = 12, /* text: the exchange. */
    LIFE_REDRIVEN = 13,      /* text: the queue. */
    LIFE_PURGED = 14,        /* At position 0: of all that were ready then. */
};

struct machine_life {
    uint64_t position;
    uint64_t index;   /* Of the log. */
    uint64_t time_ms; /* In log time. */
    enum machine_life_kind kind;
    uint64_t session;
    uint64_t consumer;
    const char *text; /* Valid during the call, "" when there is none; ends with a zero byte. */
};

/* Calls `each` for the steps of the life of a message, in order, until it returns non-zero. For the queue's purges: position 0.
 * Returns 0, or what `each` returned; `each` must not call the machine. ERR_NOT_FOUND: no such queue. ERR_IO, ERR_CORRUPT,
 * ERR_NOMEM. */
int machine_life(struct machine *machine, uint64_t queue, uint64_t position,
                 int (*each)(void *arg, const struct machine_life *life), void *arg) NODISCARD;

#endif
