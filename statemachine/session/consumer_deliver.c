/* Messages given to a consumer. */

#include "statemachine/command/settle.h"
#include "statemachine/effect_list.h"
#include "statemachine/message/life.h"
#include "statemachine/queue/lock.h"
#include "statemachine/session/consumer_turn.h"
#include "statemachine/state.h"

/* Settled as it is delivered: whoever sends it may look at it until the next entry. */
static int consumer_accept(struct machine *machine, struct consumer *consumer, const struct delivery *delivery)
{
    struct queue *queue = consumer->queue;
    struct parting parting = {.queue = queue->id, .position = delivery->position};
    const struct message *message =
        messages_at(&queue_lane(queue, lane_of(delivery->position))->messages, delivery->position);
    parting.stored = message == NULL;
    if (message != NULL) {
        parting.message = *message;
        message_ref(message);
    }
    int err = partings_add(&machine->partings, &parting);
    if (err != 0) {
        message_unref(&parting.message);
        return err;
    }
    return settle_accept(machine, consumer, delivery);
}

static void delivery_take(struct delivery *delivery, const struct taken *taken)
{
    delivery->expires_ms = taken->expires_ms;
    delivery->group = taken->group;
    delivery->count = taken->count;
}

/* It holds the message from now on. */
static int consumer_hold(struct machine *machine, struct consumer *consumer, const struct taken *taken)
{
    struct delivery *delivery;
    int err = deliveries_add(&consumer->deliveries, consumer->last_number + 1, taken->position, &delivery);
    if (err != 0) {
        return err;
    }
    delivery_take(delivery, taken);
    return lock_set(machine, consumer, delivery);
}

int consumer_deliver(struct machine *machine, struct consumer *consumer, const struct taken *taken)
{
    int err =
        life_note_step(machine, consumer->queue, taken->position, LIFE_DELIVERED, consumer->session_id, consumer->id);
    if (err != 0) {
        return err;
    }
    if (consumer->auto_accept) {
        struct delivery delivery = {.number = consumer->last_number + 1, .position = taken->position};
        delivery_take(&delivery, taken);
        err = consumer_accept(machine, consumer, &delivery);
    } else {
        err = consumer_hold(machine, consumer, taken);
    }
    if (err != 0) {
        return err;
    }
    consumer->last_number++;
    consumer_pass_turn(machine, consumer);
    struct effect_delivery *effect;
    err = effect_list_delivery(&machine->effects, consumer->session_id, &effect);
    if (err == 0) {
        *effect = (struct effect_delivery){.queue = consumer->queue->id,
                                           .position = taken->position,
                                           .delivery_count = taken->count,
                                           .consumer = consumer->id,
                                           .number = consumer->last_number,
                                           .settled = consumer->auto_accept};
    }
    return err;
}
