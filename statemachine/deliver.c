/* Delivery: at the end of an entry, every queue that has ready messages and consumers with free credit hands them out,
 * lowest position first, consumers taking turns.
 *
 * No message is read for it: what a delivery says of its message is asked for by who sends it. What one entry may
 * deliver is bounded. Queues take turns, a few messages at a time, so that a long one does not keep the others waiting;
 * what does not fit comes with the next entry, which begins with the queue whose turn it was. Only queues that can
 * deliver count: which others are looked at differs after a restart, and must show in nothing. */

#include "proto/base/check.h"
#include "statemachine/consumer.h"
#include "statemachine/state.h"

#define DELIVERIES_PER_ENTRY_MAX 16384u
#define DELIVERIES_PER_TURN_MAX 64u

static int deliver_one(struct machine *machine, struct queue *queue)
{
    struct effect_delivery delivery = {.queue = queue->id};
    queue_take(machine, queue, &delivery.position, &delivery.delivery_count);
    struct consumer *consumer = container_of(list_first(&queue->waiting), struct consumer, waiting);
    int err = consumer_deliver(machine, consumer, delivery.position, delivery.delivery_count);
    if (err != 0) {
        return err;
    }
    delivery.consumer = consumer->id;
    delivery.number = consumer->last_number;
    return effect_list_delivery(&machine->effects, consumer->session_id, &delivery);
}

static bool queue_can_deliver(struct queue *queue)
{
    return !list_empty(&queue->waiting) && queue_ready(queue) > 0;
}

/* One turn of a queue. */
static int deliver_queue(struct machine *machine, struct queue *queue, unsigned *budget)
{
    unsigned turn = *budget < DELIVERIES_PER_TURN_MAX ? *budget : DELIVERIES_PER_TURN_MAX;
    for (; turn > 0 && queue_can_deliver(queue); turn--) {
        int err = deliver_one(machine, queue);
        if (err != 0) {
            return err;
        }
        --*budget;
    }
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
        if (queue_can_deliver(queue)) {
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
