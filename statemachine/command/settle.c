/* Settling deliveries. */

#include "statemachine/command/settle.h"

#include "proto/base/fault.h"
#include "statemachine/message/kept.h"
#include "statemachine/message/life.h"
#include "statemachine/queue/dead_letter.h"
#include "statemachine/queue/lock.h"
#include "statemachine/state.h"

static int settle_note(struct machine *machine, const struct consumer *consumer, uint64_t position,
                       enum machine_life_kind kind)
{
    return life_note_step(machine, consumer->queue, position, kind, consumer->session_id, consumer->id);
}

/* Reads the message before it goes. */
static int settle_keep(struct machine *machine, struct queue *queue, const struct delivery *delivery)
{
    struct message message;
    int err = state_message(machine, queue, delivery->position, &message);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    err = kept_add(machine, queue, delivery->position, &message, KEPT_ACCEPTED);
    message_unref(&message);
    return err;
}

/* In a queue that keeps something of what was settled. */
static int settle_accept_kept(struct machine *machine, struct consumer *consumer, const struct delivery *delivery)
{
    struct queue *queue = consumer->queue;
    int err = queue_keeps_settled(queue) ? settle_keep(machine, queue, delivery) : 0;
    if (err == 0) {
        err = queue_settle(machine, queue, delivery);
    }
    if (err == 0) {
        err = settle_note(machine, consumer, delivery->position, LIFE_ACCEPTED);
    }
    return err != 0 ? err : life_end(machine, queue, delivery->position);
}

int settle_accept(struct machine *machine, struct consumer *consumer, const struct delivery *delivery)
{
    struct queue *queue = consumer->queue;
    if (queue_keeps_settled(queue) || queue_keeps_lives(queue)) {
        return settle_accept_kept(machine, consumer, delivery);
    }
    return queue_settle(machine, queue, delivery);
}

static int settle_reject(struct machine *machine, struct consumer *consumer, const struct delivery *delivery)
{
    struct queue *queue = consumer->queue;
    if (machine->version < 2) {
        return queue_settle(machine, queue, delivery);
    }
    queue->unsettled--;
    queue->counters.settled++;
    return dead_letter_out(machine, queue, delivery->position, delivery->group, DEATH_REJECTED);
}

static int settle_release(struct machine *machine, struct consumer *consumer, const struct delivery *delivery,
                          const Holdfast__Settle *settle)
{
    bool now = machine->version >= 2;
    enum return_reason reason =
        now && settle->not_counted && !fault_fires(FAULT_SKIP_NOT_COUNTED) ? RETURN_NOT_COUNTED : RETURN_RELEASED;
    uint64_t delay_ms = now && settle->has_delay ? settle->delay_ms : UINT64_MAX;
    bool noted = !fault_fires(FAULT_SKIP_LIFE_STEP);
    int err = noted ? settle_note(machine, consumer, delivery->position, LIFE_RELEASED) : 0;
    return err != 0 ? err : queue_return(machine, consumer->queue, delivery, reason, delay_ms);
}

int settle_delivery(struct machine *machine, struct consumer *consumer, struct delivery *delivery,
                    const Holdfast__Settle *settle)
{
    deliveries_drop(&consumer->deliveries, delivery);
    delivery->released = settle->outcome == HOLDFAST__SETTLE__OUTCOME__RELEASE;
    int err = delivery->lock_until_ms != 0 ? lock_clear(machine, consumer, delivery) : 0;
    if (err != 0) {
        return err;
    }
    switch (settle->outcome) {
    case HOLDFAST__SETTLE__OUTCOME__REJECT: return settle_reject(machine, consumer, delivery);
    case HOLDFAST__SETTLE__OUTCOME__RELEASE: return settle_release(machine, consumer, delivery, settle);
    default: break;
    }
    return fault_fires(FAULT_SETTLE_BACK) ? settle_release(machine, consumer, delivery, settle)
                                          : settle_accept(machine, consumer, delivery);
}
