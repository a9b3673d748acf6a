/* Deliveries that are held for a limited time. */

#include "statemachine/queue/lock.h"

#include "proto/base/fault.h"
#include "statemachine/effect_list.h"
#include "statemachine/message/life.h"
#include "statemachine/session/session.h"
#include "statemachine/state.h"
#include "statemachine/table/timer.h"

static struct timer lock_timer(const struct consumer *consumer, const struct delivery *delivery)
{
    return (struct timer){.at_ms = delivery->lock_until_ms,
                          .kind = TIMER_LOCK_ENDS,
                          .a = consumer->session_id,
                          .b = consumer->id,
                          .c = delivery->number};
}

/* How long a delivery is held that is made now; 0: until it is settled. */
static uint64_t lock_ms_of(const struct consumer *consumer)
{
    return consumer->lock_ms != 0 ? consumer->lock_ms : consumer->queue->options.lock_ms;
}

int lock_set(struct machine *machine, const struct consumer *consumer, struct delivery *delivery)
{
    uint64_t lock_ms = lock_ms_of(consumer);
    if (lock_ms == 0) {
        return 0;
    }
    delivery->lock_until_ms = timer_after(machine->time_ms, fault_fires(FAULT_LOCK_EARLY) ? lock_ms / 2 : lock_ms);
    struct timer timer = lock_timer(consumer, delivery);
    return fault_fires(FAULT_SKIP_LOCK_END) ? 0 : timer_set(machine, &timer);
}

int lock_clear(struct machine *machine, const struct consumer *consumer, const struct delivery *delivery)
{
    if (delivery->lock_until_ms == 0) {
        return 0;
    }
    struct timer timer = lock_timer(consumer, delivery);
    return timer_clear(machine, &timer);
}

int lock_extend(struct machine *machine, const struct consumer *consumer, struct delivery *delivery, uint64_t lock_ms)
{
    if (delivery->lock_until_ms == 0 || fault_fires(FAULT_SKIP_EXTEND)) {
        return 0;
    }
    int err = lock_clear(machine, consumer, delivery);
    if (err != 0) {
        return err;
    }
    lock_ms = lock_ms != 0 ? lock_ms : lock_ms_of(consumer);
    delivery->lock_until_ms = lock_ms != 0 ? timer_after(machine->time_ms, lock_ms) : 0;
    struct timer timer = lock_timer(consumer, delivery);
    return lock_ms != 0 ? timer_set(machine, &timer) : 0;
}

/* The delivery that a timer is about, if it is held still; NULL: not. */
static struct delivery *lock_find(struct machine *machine, const struct timer *timer, struct consumer **ret_consumer)
{
    struct session *session = session_by_id(machine, timer->a);
    struct consumer *consumer = session != NULL ? consumer_find(session, timer->b) : NULL;
    if (consumer == NULL) {
        return NULL;
    }
    struct delivery *delivery = deliveries_find(&consumer->deliveries, timer->c, timer->c);
    *ret_consumer = consumer;
    return delivery != NULL && delivery->lock_until_ms == timer->at_ms ? delivery : NULL;
}

int lock_fired(struct machine *machine, const struct timer *timer)
{
    struct consumer *consumer;
    struct delivery *held = lock_find(machine, timer, &consumer);
    if (held == NULL) {
        return 0;
    }
    struct delivery delivery = *held;
    deliveries_drop(&consumer->deliveries, held);
    deliveries_tidy(&consumer->deliveries);
    int err = effect_list_lock_ended(&machine->effects, consumer->session_id, consumer->id, delivery.number);
    if (err == 0) {
        err = life_note_step(machine, consumer->queue, delivery.position, LIFE_LOCK_ENDED, consumer->session_id,
                             consumer->id);
    }
    if (err == 0) {
        err = queue_return(machine, consumer->queue, &delivery, RETURN_LOCK_ENDED, UINT64_MAX);
    }
    return err != 0 ? err : consumer_settled(machine, consumer);
}
