/* How much one entry does of what is not in proportion to what its commands name: bindings, consumers, deliveries and queues that go with
 * something else, and copies of messages that nobody publishes just then. What does not fit is done by the entries that follow, the first
 * of which is due at once; whatever it is about is gone as far as anybody can see. */

#ifndef HOLDFAST_STATEMACHINE_WORK_H
#define HOLDFAST_STATEMACHINE_WORK_H

#include <stdbool.h>
#include <stdint.h>

/* A unit is about a microsecond or two. Part of the rules of version 2: where an entry stops shows in the state. */
#define WORK_PER_ENTRY_MAX 16384u

/* What things cost, in units; a binding, or a delivery that goes back, is one. */
#define WORK_OF_QUEUE 12u
#define WORK_OF_SESSION 4u
#define WORK_OF_TIMER 4u
#define WORK_OF_DEAD_LETTER 3u
#define WORK_OF_DROP 2u
#define COPIES_PER_WORK 4u
#define DROPS_PER_WORK 8u /* Deliveries whose messages vanish with their queue. */

/* In struct machine. */
struct work {
    uint64_t left;
    uint64_t max; /* WORK_PER_ENTRY_MAX, but for tests. */
};

/* At the beginning of an entry. Under version 1 there is no bound. */
static inline void work_begin(struct work *work, uint32_t version)
{
    work->left = version >= 2 ? work->max : UINT64_MAX;
}

static inline bool work_is_done(const struct work *work)
{
    return work->left == 0;
}

static inline void work_spend(struct work *work, uint64_t units)
{
    work->left = work->left > units ? work->left - units : 0;
}

#endif
