/* Delivery: at the end of an entry, every queue that has ready messages and consumers with free credit hands them out,
 * lowest position first, consumers of the highest priority taking turns.
 *
 * Of a plain queue no message is read for it: what a delivery says of its message is asked for by who sends it. What one entry may
 * deliver is bounded. Queues take turns, a few messages at a time, so that a long one does not keep the others waiting;
 * what does not fit comes with the next entry, which begins with the queue whose turn it was. Only queues that can
 * deliver count: which others are looked at differs after a restart, and must show in nothing. */

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/message/life.h"
#include "statemachine/session/consumer.h"
#include "statemachine/state.h"

#define DELIVERIES_PER_ENTRY_MAX 16384u
#define DELIVERIES_PER_TURN_MAX 64u
#define DELIVERIES_PER_LIFE 4u

/* Delivers one message, if there is one that may be: on the way to it others may be parked, which counts, too. */
static int deliver_one(struct machine *machine, struct queue *queue, unsigned *budget)
{
    struct taken taken;
    bool found;
    int err = queue_take(machine, queue, budget, &taken, &found);
    if (err != 0 || !found) {
        return err;
    }
    unsigned cost = queue_keeps_lives(queue) ? DELIVERIES_PER_LIFE : 1; /* A row more of each. */
    *budget -= *budget < cost ? *budget : cost;
    return consumer_deliver(machine, RB_MIN(queue_waiting, &queue->waiting), &taken);
}

static bool queue_can_deliver(const struct machine *machine, const struct queue *queue)
{
    return !RB_EMPTY(&queue->waiting) && queue_has_next(queue) &&
           (!queue->options.paused || fault_fires(FAULT_SKIP_PAUSE)) &&
           !virtual_host_is_going(machine, queue->virtual_host);
}

/* One turn of a queue. */
static int deliver_queue(struct machine *machine, struct queue *queue, unsigned *budget)
{
    unsigned turn = *budget < DELIVERIES_PER_TURN_MAX ? *budget : DELIVERIES_PER_TURN_MAX;
    unsigned left = turn;
    while (left > 0 && queue_can_deliver(machine, queue)) {
        int err = deliver_one(machine, queue, &left);
        if (err != 0) {
            return err;
        }
    }
    *budget -= turn - left;
    return 0;
}

/* The first due queue that can deliver, from `queue` on and round to the first; those before it are due no more. NULL
 * when there is none. */
static struct queue *deliver_next(struct machine *machine, struct queue *queue)
{
    while (!RB_EMPTY(&machine->due_queues)) {
        if (queue == NULL) {
            queue = RB_MIN(queue_dues, &machine->due_queues);
        }
        if (queue_can_deliver(machine, queue)) {
            return queue;
        }
        struct queue *next = RB_NEXT(queue_dues, &machine->due_queues, queue);
        RB_REMOVE(queue_dues, &machine->due_queues, queue);
        queue->due = false;
        queue = next;
    }
    return NULL;
}

int deliver_due(struct machine *machine)
{
    unsigned budget = DELIVERIES_PER_ENTRY_MAX;
    struct queue from = {.id = machine->due_cursor};
    struct queue *queue = deliver_next(machine, RB_NFIND(queue_dues, &machine->due_queues, &from));
    while (queue != NULL && budget > 0) {
        int err = deliver_queue(machine, queue, &budget);
        if (err != 0) {
            return err;
        }
        queue = deliver_next(machine, RB_NEXT(queue_dues, &machine->due_queues, queue));
    }
    machine->due_cursor = queue != NULL ? queue->id : 0;
    return 0;
}

void deliver_look(struct machine *machine)
{
    if (machine->due_cursor == 0) {
        const struct queue *queue = deliver_next(machine, NULL);
        machine->due_cursor = queue != NULL ? queue->id : 0;
    }
}
