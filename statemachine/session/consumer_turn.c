/* Whose turn it is among the consumers of a queue. */

#include "statemachine/session/consumer_turn.h"

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/session/session.h"
#include "statemachine/state.h"

/* Higher priorities first, and of one priority whoever has the lower turn. */
static int consumer_compare_turns(const struct consumer *a, const struct consumer *b)
{
    if (a->priority != b->priority && !fault_fires(FAULT_SKIP_CONSUMER_PRIORITY)) {
        return a->priority < b->priority ? 1 : -1;
    }
    return (a->turn > b->turn) - (a->turn < b->turn);
}

RB_GENERATE(queue_waiting, consumer, by_turn, consumer_compare_turns)

void consumer_leave_row(struct consumer *consumer)
{
    if (consumer->in_waiting) {
        RB_REMOVE(queue_waiting, &consumer->queue->waiting, consumer);
    }
    if (consumer->in_standby) {
        RB_REMOVE(queue_waiting, &consumer->queue->standby, consumer);
    }
    consumer->in_waiting = consumer->in_standby = false;
    consumer->turn = 0;
}

/* Each enters it where its turn says; false: another is there. */
static bool consumer_enter_waiting(struct consumer *consumer)
{
    consumer->in_waiting = RB_INSERT(queue_waiting, &consumer->queue->waiting, consumer) == NULL;
    return consumer->in_waiting;
}

static bool consumer_enter_standby(struct consumer *consumer)
{
    consumer->in_standby = RB_INSERT(queue_waiting, &consumer->queue->standby, consumer) == NULL;
    return consumer->in_standby;
}

bool consumer_is_active(const struct consumer *consumer)
{
    const struct queue *queue = consumer->queue;
    return !queue->options.single_active || fault_fires(FAULT_SKIP_ACTIVE) ||
           (queue->active_session == consumer->session_id && queue->active_consumer == consumer->id);
}

static bool consumer_has_credit(const struct consumer *consumer)
{
    return consumer->deliveries.held < consumer->credit + fault_fires(FAULT_SKIP_CREDIT);
}

/* Whether it may be given something. */
static bool consumer_takes(const struct consumer *consumer)
{
    return consumer_has_credit(consumer) && consumer->session->place != NULL && !consumer->fetch && !consumer->ending &&
           !consumer->queue->doomed && consumer_is_active(consumer);
}

/* To the end of the row of those of its priority who wait. */
static void consumer_queue_up(struct machine *machine, struct consumer *consumer)
{
    consumer->turn = ++consumer->queue->turns;
    CHECK(consumer_enter_waiting(consumer));
    queue_changed(machine, consumer->queue);
}

void consumer_update_turn(struct machine *machine, struct consumer *consumer)
{
    consumer_changed(machine, consumer);
    if (consumer->in_standby) {
        return;
    }
    if (!consumer_takes(consumer)) {
        consumer_leave_row(consumer);
    } else if (!consumer->in_waiting) {
        consumer_queue_up(machine, consumer);
        queue_due(machine, consumer->queue);
    }
}

static void consumer_activate(struct machine *machine, struct consumer *consumer)
{
    consumer_leave_row(consumer);
    consumer->queue->active_session = consumer->session_id;
    consumer->queue->active_consumer = consumer->id;
    queue_changed(machine, consumer->queue);
    consumer_update_turn(machine, consumer);
}

void consumer_begin(struct machine *machine, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    consumer_changed(machine, consumer);
    if (!consumer->fetch && machine->version >= 2) { /* Rows of version 1 do not keep it. */
        queue->had_consumer = true;
        queue_changed(machine, queue);
    }
    if (consumer->fetch || !queue->options.single_active || fault_fires(FAULT_SKIP_ACTIVE)) {
        consumer_update_turn(machine, consumer);
    } else if (queue->active_session == 0) {
        consumer_activate(machine, consumer);
    } else {
        consumer->turn = ++queue->turns;
        CHECK(consumer_enter_standby(consumer));
    }
}

int consumer_load_turn(struct consumer *consumer, uint64_t turn)
{
    bool goes = consumer->queue->doomed || consumer->session->ending; /* With a turn or without. */
    bool stands_by = !consumer->fetch && !consumer->ending && !consumer_is_active(consumer);
    if (!goes && (turn != 0) != (stands_by || consumer_takes(consumer))) {
        return ERR_CORRUPT;
    }
    consumer->turn = turn;
    if (stands_by && turn != 0) {
        return consumer_enter_standby(consumer) ? 0 : ERR_CORRUPT;
    }
    return turn == 0 || consumer_enter_waiting(consumer) ? 0 : ERR_CORRUPT;
}

void queue_activate_next(struct machine *machine, struct queue *queue)
{
    struct consumer *next = RB_MIN(queue_waiting, &queue->standby);
    queue->active_session = queue->active_consumer = 0;
    queue_changed(machine, queue);
    if (next != NULL && !fault_fires(FAULT_SKIP_ACTIVE_NEXT)) {
        consumer_activate(machine, next);
    }
}

static bool consumer_waits_alone(const struct consumer *consumer)
{
    return RB_ROOT(&consumer->queue->waiting) == consumer && RB_LEFT(consumer, by_turn) == NULL &&
           RB_RIGHT(consumer, by_turn) == NULL;
}

void consumer_pass_turn(struct machine *machine, struct consumer *consumer)
{
    bool again = !consumer->fetch && consumer_has_credit(consumer);
    consumer_changed(machine, consumer);
    if (again && consumer->in_waiting && consumer_waits_alone(consumer)) {
        consumer->turn = ++consumer->queue->turns;
        queue_changed(machine, consumer->queue);
        return;
    }
    if (consumer->in_waiting) {
        consumer_leave_row(consumer);
    }
    if (again) {
        consumer_queue_up(machine, consumer);
    }
}
