/* Messages that were settled as they were delivered (auto_accept), in the last entry: not in their queue any more, and looked at
 * once more by whoever sends them. No state: until the next entry is applied. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_PARTING_H
#define HOLDFAST_STATEMACHINE_QUEUE_PARTING_H

#include <stddef.h>
#include <stdint.h>

#include "statemachine/message/message.h"

struct parting {
    uint64_t queue;
    uint64_t position;
    struct message message; /* Owns references; without content when `stored`. */
    bool stored;            /* Its row is in the store still: it goes with the next checkpoint. */
};

struct partings {
    struct parting *items;
    size_t len;
    size_t cap;
    size_t looked; /* Found last. */
};

/* ERR_NOMEM. Takes over the references. */
int partings_add(struct partings *partings, const struct parting *parting) NODISCARD;
/* NULL when it is not there. */
const struct parting *partings_find(struct partings *partings, uint64_t queue, uint64_t position);
/* Lets go of all; keeps the memory. */
void partings_clear(struct partings *partings);
void partings_done(struct partings *partings);

#endif
