/* The timers of messages that expire. */

#include "statemachine/queue/expiry.h"

#include <stdlib.h>

#include "proto/base/fault.h"
#include "statemachine/queue/dead_letter.h"
#include "statemachine/queue/waiting.h"
#include "statemachine/state.h"

#define UNDELIVERED_CAP_MIN 64u

static struct timer expiry_timer(uint64_t queue, uint64_t position, uint64_t expires_ms)
{
    return (struct timer){.at_ms = expires_ms, .kind = TIMER_MESSAGE_EXPIRES, .a = queue, .b = position};
}

/* What can only be delivered in this entry. ERR_NOMEM. */
static int undelivered_add(struct expiries *expiries, uint64_t queue, uint64_t position)
{
    if (expiries->len == expiries->cap) {
        size_t cap = expiries->cap > 0 ? 2 * expiries->cap : UNDELIVERED_CAP_MIN;
        struct expiring *items = realloc(expiries->items, cap * sizeof *items);
        if (items == NULL) {
            return ERR_NOMEM;
        }
        expiries->items = items;
        expiries->cap = cap;
    }
    expiries->items[expiries->len++] = (struct expiring){.queue = queue, .position = position};
    return 0;
}

void expiries_done(struct expiries *expiries)
{
    free(expiries->items);
    *expiries = (struct expiries){0};
}

int expiry_watch(struct machine *machine, const struct queue *queue, uint64_t position, uint64_t expires_ms)
{
    if (expires_ms <= machine->time_ms) {
        return undelivered_add(&machine->undelivered, queue->id, position);
    }
    uint64_t early_ms = fault_fires(FAULT_EXPIRE_EARLY) ? (expires_ms - machine->time_ms) / 2 : 0;
    struct timer timer = expiry_timer(queue->id, position, expires_ms - early_ms);
    return fault_fires(FAULT_SKIP_EXPIRY) ? 0 : timer_set(machine, &timer);
}

int expiry_unwatch(struct machine *machine, const struct queue *queue, uint64_t position, uint64_t expires_ms)
{
    struct timer timer = expiry_timer(queue->id, position, expires_ms);
    return timer_clear(machine, &timer);
}

/* Waiting for its turn. ERR_NOT_FOUND: it does not. */
static int expire_waiting(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct waiting waiting;
    int err = waiting_take(machine, queue, position, &waiting);
    return err != 0 ? err : dead_letter_out(machine, queue, position, waiting.group, DEATH_EXPIRED);
}

static int expire(struct machine *machine, uint64_t queue_id, uint64_t position)
{
    struct queue *queue = queue_by_id(machine, queue_id);
    if (queue == NULL) {
        return 0;
    }
    int err = expire_waiting(machine, queue, position);
    if (err == ERR_NOT_FOUND) {
        err = dead_letter_ready(machine, queue, position, DEATH_EXPIRED);
    }
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    queue->counters.expired++;
    queue_changed(machine, queue);
    return 0;
}

int expiry_fired(struct machine *machine, const struct timer *timer)
{
    return expire(machine, timer->a, timer->b);
}

/* ---- At the end of an entry ---- */

/* What expires and what is delivered for it, alternately: messages may pass through several queues of that kind. */
#define ROUNDS_MAX 32u

static int expiring_compare(const void *a, const void *b)
{
    const struct expiring *x = a;
    const struct expiring *y = b;
    if (x->queue != y->queue) {
        return x->queue < y->queue ? -1 : 1;
    }
    return (x->position > y->position) - (x->position < y->position);
}

/* In the order that timers have. Those that come in meanwhile are added behind. */
static int expire_round(struct machine *machine, size_t *at, size_t most)
{
    struct expiries *expiries = &machine->undelivered;
    size_t end = expiries->len;
    if (end - *at > 1) {
        qsort(expiries->items + *at, end - *at, sizeof *expiries->items, expiring_compare);
    }
    for (; *at < end && *at < most; ++*at) {
        int err = expire(machine, expiries->items[*at].queue, expiries->items[*at].position);
        if (err != 0) {
            return err;
        }
    }
    return deliver_due(machine);
}

/* What there was no time for: it is due at once. Some of it may have been delivered, which is found out then. */
static int undelivered_put_off(struct machine *machine, size_t from)
{
    struct expiries *expiries = &machine->undelivered;
    for (size_t i = from; i < expiries->len; i++) {
        struct timer timer = expiry_timer(expiries->items[i].queue, expiries->items[i].position, machine->time_ms);
        int err = timer_set(machine, &timer);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int expire_undelivered(struct machine *machine)
{
    struct expiries *expiries = &machine->undelivered;
    size_t at = 0;
    int err = 0;
    for (unsigned round = 0; err == 0 && round < ROUNDS_MAX && at < expiries->len && at < TIMERS_PER_ENTRY_MAX;
         round++) {
        err = expire_round(machine, &at, TIMERS_PER_ENTRY_MAX);
    }
    if (err == 0) {
        err = undelivered_put_off(machine, at);
    }
    expiries->len = 0;
    return err;
}
