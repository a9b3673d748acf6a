/* What a virtual host or a user may have at most (command.proto, Limits). */

#ifndef HOLDFAST_STATEMACHINE_VIRTUAL_HOST_LIMITS_H
#define HOLDFAST_STATEMACHINE_VIRTUAL_HOST_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/command.pb-c.h"
#include "statemachine/store/rows.h"

/* The numbers are those of Limit.What, and are in rows: they never change. */
enum limit {
    LIMIT_SESSIONS = 0,
    LIMIT_QUEUES = 1,
    LIMIT_EXCHANGES = 2,
    LIMIT_BINDINGS = 3,
    LIMIT_CONSUMERS = 4,
    LIMIT_READY_MESSAGES = 5,
    LIMIT_QUEUE_LENGTH = 6,
};
#define LIMITS_LEN 7u
#define LIMIT_NONE UINT64_MAX

struct limits {
    uint64_t values[LIMITS_LEN]; /* LIMIT_NONE: without. */
};

void limits_init(struct limits *limits);
bool limits_are_none(const struct limits *limits);

/* Of a command; NULL: none. Of one that is named twice the last counts. ERR_INVALID: one of an unknown kind, or, for a user, one
 * that only virtual hosts have. */
int limits_read(const Holdfast__Limits *from, bool of_user, struct limits *ret_limits) NODISCARD;

/* As part of a row: u8 how many, then each: u8 kind, u64 value. */
void limits_put(const struct limits *limits, struct row *row);
/* ERR_CORRUPT. */
int limits_get(struct row_reader *reader, struct limits *ret_limits) NODISCARD;

#endif
