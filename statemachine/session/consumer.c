/* A consumer: a session's subscription to a queue. */

#include "statemachine/session/consumer.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/command/settle.h"
#include "statemachine/effect_list.h"
#include "statemachine/message/life.h"
#include "statemachine/queue/lock.h"
#include "statemachine/session/session.h"
#include "statemachine/state.h"
#include "statemachine/virtual_host/virtual_host.h"

static int consumer_compare(const struct consumer *a, const struct consumer *b)
{
    if (a->session_id != b->session_id) {
        return a->session_id > b->session_id ? 1 : -1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

static int consumer_compare_ids(const struct consumer *a, const struct consumer *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

/* Higher priorities first, and of one priority whoever has the lower turn. */
static int consumer_compare_turns(const struct consumer *a, const struct consumer *b)
{
    if (a->priority != b->priority && !fault_fires(FAULT_SKIP_CONSUMER_PRIORITY)) {
        return a->priority < b->priority ? 1 : -1;
    }
    return (a->turn > b->turn) - (a->turn < b->turn);
}

RB_GENERATE(queue_consumers, consumer, by_queue, consumer_compare)
RB_GENERATE(queue_waiting, consumer, by_turn, consumer_compare_turns)
RB_GENERATE(session_consumers, consumer, by_id, consumer_compare_ids)

/* For the limits of its virtual host and user. */
static void consumer_count(struct machine *machine, const struct session *session, int by)
{
    virtual_host_count(machine, session->virtual_host_id, LIMIT_CONSUMERS, by);
    if (session->user != NULL) {
        session->user->counts[LIMIT_CONSUMERS] += (uint64_t)(int64_t)by;
    }
}

/* NULL for an empty one. */
static int tag_copy(const char *tag, char **ret_tag)
{
    size_t len = tag != NULL ? strlen(tag) : 0;
    *ret_tag = len > 0 ? malloc(len + 1) : NULL;
    if (len > 0 && *ret_tag != NULL) {
        memcpy(*ret_tag, tag, len + 1);
    }
    return len > 0 && *ret_tag == NULL ? ERR_NOMEM : 0;
}

int consumer_new(struct machine *machine, struct session *session, struct queue *queue, uint64_t id,
                 const struct consumer_options *options, struct consumer **ret_consumer)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    char *tag = NULL;
    if (consumer == NULL || tag_copy(options->tag, &tag) != 0) {
        free(consumer);
        return ERR_NOMEM;
    }
    consumer->id = id;
    consumer->session_id = session->id;
    consumer->session = session;
    consumer->queue = queue;
    consumer->credit = options->credit;
    consumer->priority = options->priority;
    consumer->exclusive = options->exclusive;
    consumer->auto_accept = options->auto_accept;
    consumer->fetch = options->fetch;
    consumer->lock_ms = options->lock_ms;
    consumer->tag = tag;
    list_init(&consumer->changed);
    CHECK(RB_INSERT(queue_consumers, &queue->consumers, consumer) == NULL);
    queue->consumers_len++;
    queue->fetches_len += consumer->fetch;
    queue->exclusive_len += consumer->exclusive;
    CHECK(RB_INSERT(session_consumers, &session->consumers, consumer) == NULL);
    session->consumers_len++;
    machine->consumers_len++;
    consumer_count(machine, session, 1);
    *ret_consumer = consumer;
    return 0;
}

/* ---- Turns ---- */

static void consumer_leave_row(struct consumer *consumer)
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
    return !queue->options.single_active ||
           (queue->active_session == consumer->session_id && queue->active_consumer == consumer->id);
}

static bool consumer_has_credit(const struct consumer *consumer)
{
    return consumer->deliveries.held < consumer->credit + fault_fires(FAULT_SKIP_CREDIT);
}

/* Whether it may be given something. */
static bool consumer_takes(const struct consumer *consumer)
{
    return consumer_has_credit(consumer) && consumer->session->place != NULL && !consumer->fetch &&
           consumer_is_active(consumer);
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
    if (consumer->fetch || !queue->options.single_active) {
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
    bool stands_by = !consumer->fetch && !consumer_is_active(consumer);
    if ((turn != 0) != (stands_by || consumer_takes(consumer))) {
        return ERR_CORRUPT;
    }
    consumer->turn = turn;
    if (stands_by) {
        return consumer_enter_standby(consumer) ? 0 : ERR_CORRUPT;
    }
    return turn == 0 || consumer_enter_waiting(consumer) ? 0 : ERR_CORRUPT;
}

/* The active consumer has ended: the first of those who stand by takes its place. */
static void queue_activate_next(struct machine *machine, struct queue *queue)
{
    struct consumer *next = RB_MIN(queue_waiting, &queue->standby);
    queue->active_session = queue->active_consumer = 0;
    queue_changed(machine, queue);
    if (next != NULL) {
        consumer_activate(machine, next);
    }
}

/* ---- Ending ---- */

void consumer_discard(struct consumer *consumer)
{
    consumer_leave_row(consumer);
    RB_REMOVE(session_consumers, &consumer->session->consumers, consumer);
    consumer->session->consumers_len--;
    RB_REMOVE(queue_consumers, &consumer->queue->consumers, consumer);
    consumer->queue->consumers_len--;
    consumer->queue->fetches_len -= consumer->fetch;
    consumer->queue->exclusive_len -= consumer->exclusive;
    list_remove(&consumer->changed);
    deliveries_done(&consumer->deliveries);
    free(consumer->tag);
    free(consumer);
}

/* What it holds goes back, or vanishes. */
static int consumer_let_go(struct machine *machine, struct consumer *consumer, enum consumer_end end)
{
    struct queue *queue = consumer->queue;
    struct delivery *delivery = deliveries_find(&consumer->deliveries, 0, UINT64_MAX);
    while (delivery != NULL) {
        int err = lock_clear(machine, consumer, delivery);
        if (err == 0 && end == CONSUMER_END_RETURN) {
            err = life_note_step(machine, queue, delivery->position, LIFE_HOLDER_ENDED, consumer->session_id,
                                 consumer->id);
        }
        if (err == 0 && end == CONSUMER_END_RETURN) {
            err = queue_return(machine, queue, delivery, RETURN_HOLDER_ENDED, UINT64_MAX);
        }
        if (err == 0 && end == CONSUMER_END_DROP) {
            err = queue_drop_delivery(machine, queue, delivery);
        }
        if (err != 0) {
            return err;
        }
        struct delivery *next = deliveries_next(&consumer->deliveries, delivery, UINT64_MAX);
        deliveries_drop(&consumer->deliveries, delivery);
        delivery = next;
    }
    return 0;
}

int consumer_free(struct machine *machine, struct consumer *consumer, enum consumer_end end)
{
    struct queue *queue = consumer->queue;
    bool active = queue->options.single_active && consumer_is_active(consumer);
    int err = consumer_let_go(machine, consumer, end);
    if (err != 0) {
        return err;
    }
    if (consumer->stored) {
        state_forget_row(machine, ROW_CONSUMER, consumer->session_id, consumer->id);
    }
    consumer_count(machine, consumer->session, -1);
    consumer_discard(consumer);
    machine->consumers_len--;
    if (active) {
        queue_activate_next(machine, queue);
    }
    return 0;
}

int consumer_end(struct machine *machine, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    bool fetch = consumer->fetch;
    int err = consumer_free(machine, consumer, CONSUMER_END_RETURN);
    if (err != 0) {
        return err;
    }
    if (queue->options.auto_delete && !fetch && queue->consumers_len == queue->fetches_len) {
        return queue_delete(machine, queue);
    }
    return queue_used(machine, queue);
}

int consumer_settled(struct machine *machine, struct consumer *consumer)
{
    if (!consumer->fetch || consumer->deliveries.held > 0) {
        consumer_update_turn(machine, consumer);
        return 0;
    }
    int err =
        effect_list_consumer_ended(&machine->effects, consumer->session_id, consumer->id, CONSUMER_ENDED_FETCH_DONE);
    return err != 0 ? err : consumer_end(machine, consumer);
}

struct consumer *consumer_find(struct session *session, uint64_t id)
{
    struct consumer *consumer = RB_ROOT(&session->consumers);
    while (consumer != NULL && consumer->id != id) {
        consumer = id < consumer->id ? RB_LEFT(consumer, by_id) : RB_RIGHT(consumer, by_id);
    }
    return consumer;
}

void consumer_changed(struct machine *machine, struct consumer *consumer)
{
    if (!list_linked(&consumer->changed)) {
        list_push_back(&machine->changed_consumers, &consumer->changed);
    }
}

/* ---- Delivering ---- */

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

static bool consumer_waits_alone(const struct consumer *consumer)
{
    return RB_ROOT(&consumer->queue->waiting) == consumer && RB_LEFT(consumer, by_turn) == NULL &&
           RB_RIGHT(consumer, by_turn) == NULL;
}

/* Its turn is over: with credit left it goes to the end of the row. */
static void consumer_pass_turn(struct machine *machine, struct consumer *consumer)
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
