/* Delivery: at the end of an entry, every queue that has ready messages and consumers with free credit hands them out,
 * lowest position first, consumers taking turns.
 *
 * No message is read for it: what a delivery says of its message is asked for by the leader alone. What one entry may
 * deliver is bounded; what does not fit comes with the next entry, starting at the queue where it stopped, so that no
 * queue is left out for long. */

#include "proto/base/check.h"
#include "statemachine/consumer.h"
#include "statemachine/state.h"

#define DELIVERIES_PER_ENTRY_MAX 16384u

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

static int deliver_queue(struct machine *machine, struct queue *queue, uint64_t *budget)
{
    while (queue_can_deliver(queue) && *budget > 0) {
        int err = deliver_one(machine, queue);
        if (err != 0) {
            return err;
        }
        --*budget;
    }
    return 0;
}

int deliver_due(struct machine *machine)
{
    uint64_t budget = DELIVERIES_PER_ENTRY_MAX;
    struct queue from = {.id = machine->due_cursor};
    struct queue *queue = RB_NFIND(queue_dues, &machine->due_queues, &from);
    machine->due_cursor = 0;
    while (!RB_EMPTY(&machine->due_queues)) {
        if (queue == NULL) {
            queue = RB_MIN(queue_dues, &machine->due_queues);
        }
        int err = deliver_queue(machine, queue, &budget);
        if (err != 0) {
            return err;
        }
        if (queue_can_deliver(queue)) {
            machine->due_cursor = queue->id;
            return 0;
        }
        struct queue *next = RB_NEXT(queue_dues, &machine->due_queues, queue);
        RB_REMOVE(queue_dues, &machine->due_queues, queue);
        queue->due = false;
        queue = next;
    }
    return 0;
}
