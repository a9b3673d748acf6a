/* Delivery: at the end of an entry, every queue that has ready messages and consumers with free credit hands them out,
 * lowest position first, consumers taking turns.
 *
 * What one entry may deliver is bounded. The bound counts messages and the bytes of their bodies, which are the same on
 * every node, and not reads of the store, which are not. What does not fit comes with the next entry, starting at the
 * queue where it stopped, so that no queue is left out for long. */

#include "proto/base/check.h"
#include "statemachine/consumer.h"
#include "statemachine/state.h"

#define DELIVERIES_PER_ENTRY_MAX 16384u
#define DELIVERY_BYTES_PER_ENTRY_MAX (32 * MIB)

struct deliver_budget {
    uint64_t deliveries;
    uint64_t bytes;
};

static bool budget_left(const struct deliver_budget *budget)
{
    return budget->deliveries < DELIVERIES_PER_ENTRY_MAX && budget->bytes < DELIVERY_BYTES_PER_ENTRY_MAX;
}

/* A message that must be there: a missing row is damage. */
static int deliver_describe(struct machine *machine, struct queue *queue, uint64_t position,
                            struct effect_delivery *delivery)
{
    const struct message *slot = messages_at(&queue->messages, position);
    struct message message;
    if (slot != NULL) {
        message = *slot;
    } else {
        int err = state_message(machine, queue, position, &message);
        if (err != 0) {
            return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
        }
        blob_unref(message.blob);
    }
    delivery->queue = queue->id;
    delivery->position = position;
    delivery->enqueued_ms = message.enqueued_ms;
    delivery->body_hash = message.hash;
    delivery->body_len = message.len;
    return 0;
}

static int deliver_one(struct machine *machine, struct queue *queue, struct deliver_budget *budget)
{
    uint64_t position;
    uint32_t count;
    struct effect_delivery delivery;
    queue_take(machine, queue, &position, &count);
    int err = deliver_describe(machine, queue, position, &delivery);
    if (err != 0) {
        return err;
    }
    struct consumer *consumer = container_of(list_first(&queue->waiting), struct consumer, waiting);
    err = consumer_deliver(machine, consumer, position, count);
    if (err != 0) {
        return err;
    }
    delivery.consumer = consumer->id;
    delivery.number = consumer->last_number;
    delivery.delivery_count = count;
    budget->deliveries++;
    budget->bytes += delivery.body_len;
    return effect_list_delivery(&machine->effects, consumer->session_id, &delivery);
}

static bool queue_can_deliver(struct queue *queue)
{
    return !list_empty(&queue->waiting) && queue_ready(queue) > 0;
}

static int deliver_queue(struct machine *machine, struct queue *queue, struct deliver_budget *budget)
{
    while (queue_can_deliver(queue) && budget_left(budget)) {
        int err = deliver_one(machine, queue, budget);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int deliver_due(struct machine *machine)
{
    struct deliver_budget budget = {0};
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
