/* The end of a queue: deleted by a command, or by itself when nobody uses it. */

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/effect_list.h"
#include "statemachine/exchange/exchange.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/queue/sweep.h"
#include "statemachine/session/consumer.h"
#include "statemachine/session/session.h"
#include "statemachine/state.h"
#include "statemachine/table/timer.h"

/* One that has ended already, or whose session has, needs no word. */
static int queue_end_consumer(struct machine *machine, struct consumer *consumer, bool *ret_gone)
{
    uint64_t session = consumer->session_id;
    uint64_t id = consumer->id;
    bool is_told = !consumer->ending && !consumer->session->ending;
    int err = consumer_free(machine, consumer, CONSUMER_END_DROP, ret_gone);
    if (err == 0 && *ret_gone && is_told) {
        err = effect_list_consumer_ended(&machine->effects, session, id, CONSUMER_ENDED_QUEUE_DELETED);
    }
    return err;
}

static int queue_end_consumers(struct machine *machine, struct queue *queue)
{
    struct consumer *consumer;
    bool gone = true;
    int err = 0;
    while (err == 0 && gone && !work_is_done(&machine->work) &&
           (consumer = RB_MIN(queue_consumers, &queue->consumers)) != NULL) {
        err = queue_end_consumer(machine, consumer, &gone);
    }
    return err;
}

int queue_drop_things(struct machine *machine, struct queue *queue, bool *ret_done)
{
    int err = queue_end_consumers(machine, queue);
    if (err == 0 && machine->version >= 2) {
        err = exchanges_queue_gone(machine, queue);
    }
    *ret_done = RB_EMPTY(&queue->consumers) && queue->bound == NULL;
    return err;
}

/* The kinds of rows in the table that belong to a queue: those that tell where messages are, and others. */
static const enum row_kind queue_place_kinds[] = {ROW_WAITING, ROW_PARKED, ROW_PARKED_AT, ROW_RETURNED_FAR};
static const enum row_kind queue_other_kinds[] = {ROW_HOLES, ROW_GROUP, ROW_ID_SEEN, ROW_KEPT, ROW_LIFE};

static int queue_forget_rows(struct machine *machine, const struct queue *queue, const enum row_kind *kinds, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct row_key prefix = row_key_one(kinds[i], queue->id);
        int err = table_remove_all(machine, &prefix);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int queue_end(struct machine *machine, struct queue *queue)
{
    int err = queue->had_rows ? queue_forget_rows(machine, queue, queue_place_kinds, ARRAY_LEN(queue_place_kinds)) : 0;
    if (err == 0 && queue->stored) {
        state_forget_row(machine, ROW_QUEUE, queue->id, 0);
    }
    if (err == 0) {
        queue_free(machine, queue);
    }
    return err;
}

/* Its messages may have shared bodies, and are looked at bit by bit. */
static int queue_drop_messages(struct machine *machine, struct queue *queue)
{
    uint64_t before = machine->sweeps;
    int err = queue_purge_ready(machine, queue);
    if (err == 0 && queue->waiting_len > 0) {
        err = sweep_all_of(machine, queue, SWEEP_WAITING);
    }
    if (err == 0 && machine->sweeps == before) {
        err = sweep_all_of(machine, queue, SWEEP_WAITING); /* For those that are to be dropped since a purge. */
    }
    queue->waiting_len = 0;
    return err;
}

/* What it has is more than one entry may drop, or has to be looked at: it goes bit by bit. */
static int queue_drop_later(struct machine *machine, struct queue *queue, bool things)
{
    int err = queue->had_shared ? queue_drop_messages(machine, queue) : 0;
    if (err == 0 && things && !fault_fires(FAULT_SKIP_LATE_THINGS)) {
        err = sweep_all_of(machine, queue, SWEEP_THINGS);
    }
    if (err == 0) {
        queue_doom(machine, queue);
    }
    return err;
}

int queue_delete(struct machine *machine, struct queue *queue)
{
    bool done;
    int err = queue_drop_things(machine, queue, &done);
    if (err == 0 && queue->had_rows) {
        err = queue_forget_rows(machine, queue, queue_other_kinds, ARRAY_LEN(queue_other_kinds));
    }
    if (err != 0) {
        return err;
    }
    work_spend(&machine->work, WORK_OF_QUEUE);
    return queue->had_shared || !done ? queue_drop_later(machine, queue, !done) : queue_end(machine, queue);
}

/* ---- Queues that go when nobody uses them ---- */

static struct timer queue_expiry_timer(const struct queue *queue)
{
    return (struct timer){.at_ms = timer_after(queue->last_used_ms, queue->options.expires_ms),
                          .kind = TIMER_QUEUE_EXPIRES,
                          .a = queue->id};
}

static int queue_expiry_set(struct machine *machine, const struct queue *queue)
{
    struct timer timer = queue_expiry_timer(queue);
    return timer_set(machine, &timer);
}

/* A queue has one timer, however often it is used. */
int queue_used(struct machine *machine, struct queue *queue)
{
    if (queue->options.expires_ms == 0) {
        return 0;
    }
    struct timer before = queue_expiry_timer(queue);
    int err = queue->last_used_ms != 0 ? timer_clear(machine, &before) : 0;
    queue->last_used_ms = machine->time_ms;
    queue_changed(machine, queue);
    return err != 0 ? err : queue_expiry_set(machine, queue);
}

/* One that is set again goes off in the same entry, when its time has come as well, but in its turn: what is due before may be messages
 * of the queue. */
int queue_expiry_fired(struct machine *machine, const struct timer *timer)
{
    struct queue *queue = queue_by_id(machine, timer->a);
    if (queue == NULL || queue->options.expires_ms == 0 || queue->consumers_len > queue->fetches_len) {
        return 0;
    }
    if (timer->at_ms < queue_expiry_timer(queue).at_ms) {
        return queue_expiry_set(machine, queue);
    }
    return fault_fires(FAULT_SKIP_QUEUE_EXPIRY) ? 0 : queue_delete(machine, queue);
}
