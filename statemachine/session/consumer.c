/* A consumer: a session's subscription to a queue. */

#include "statemachine/session/consumer_turn.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
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

RB_GENERATE(queue_consumers, consumer, by_queue, consumer_compare)
RB_GENERATE(session_consumers, consumer, by_id, consumer_compare_ids)
RB_GENERATE(ending_consumers, consumer, by_turn, consumer_compare)

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

/* ---- Ending ---- */

void consumer_discard(struct machine *machine, struct consumer *consumer)
{
    consumer_leave_row(consumer);
    if (consumer->ending) {
        RB_REMOVE(ending_consumers, &machine->ending_consumers, consumer);
    }
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

/* A delivery goes back, or vanishes. */
static int consumer_let_go_of(struct machine *machine, struct consumer *consumer, const struct delivery *delivery,
                              enum consumer_end end)
{
    struct queue *queue = consumer->queue;
    int err = lock_clear(machine, consumer, delivery);
    if (err == 0 && end == CONSUMER_END_DROP) {
        return queue_drop_delivery(machine, queue, delivery);
    }
    if (err == 0) {
        err = life_note_step(machine, queue, delivery->position, LIFE_HOLDER_ENDED, consumer->session_id, consumer->id);
    }
    return err != 0 ? err : queue_return(machine, queue, delivery, RETURN_HOLDER_ENDED, UINT64_MAX);
}

/* As many as one entry may. */
static int consumer_let_go(struct machine *machine, struct consumer *consumer, enum consumer_end end)
{
    struct delivery *delivery = deliveries_find(&consumer->deliveries, 0, UINT64_MAX);
    for (uint64_t done = 1; delivery != NULL && !work_is_done(&machine->work); done++) {
        int err = consumer_let_go_of(machine, consumer, delivery, end);
        if (err != 0) {
            return err;
        }
        work_spend(&machine->work, end == CONSUMER_END_RETURN || done % DROPS_PER_WORK == 0);
        struct delivery *next = deliveries_next(&consumer->deliveries, delivery, UINT64_MAX);
        deliveries_drop(&consumer->deliveries, delivery);
        delivery = next;
    }
    while (delivery != NULL && fault_fires(FAULT_SKIP_LATE_RETURN)) {
        struct delivery *next = deliveries_next(&consumer->deliveries, delivery, UINT64_MAX);
        deliveries_drop(&consumer->deliveries, delivery);
        delivery = next;
    }
    deliveries_tidy(&consumer->deliveries);
    return 0;
}

int consumer_free(struct machine *machine, struct consumer *consumer, enum consumer_end end, bool *ret_gone)
{
    struct queue *queue = consumer->queue;
    bool active = queue->options.single_active && consumer_is_active(consumer);
    int err = consumer_let_go(machine, consumer, end);
    *ret_gone = consumer->deliveries.held == 0;
    if (err != 0 || !*ret_gone) {
        consumer_changed(machine, consumer);
        return err;
    }
    work_spend(&machine->work, 1);
    if (consumer->stored) {
        state_forget_row(machine, ROW_CONSUMER, consumer->session_id, consumer->id);
    }
    consumer_count(machine, consumer->session, -1);
    consumer_discard(machine, consumer);
    machine->consumers_len--;
    if (active) {
        queue_activate_next(machine, queue);
    }
    return 0;
}

void consumer_is_ending(struct machine *machine, struct consumer *consumer)
{
    if (!consumer->ending) {
        consumer_leave_row(consumer);
        consumer->ending = true;
        RB_INSERT(ending_consumers, &machine->ending_consumers, consumer);
    }
    consumer_changed(machine, consumer);
}

int consumers_go(struct machine *machine)
{
    struct consumer *consumer;
    int err = 0;
    while (err == 0 && !work_is_done(&machine->work) &&
           (consumer = RB_MIN(ending_consumers, &machine->ending_consumers)) != NULL) {
        err = consumer_end(machine, consumer);
    }
    return err;
}

int consumer_end(struct machine *machine, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    bool fetch = consumer->fetch;
    bool gone;
    int err = consumer_free(machine, consumer, queue->doomed ? CONSUMER_END_DROP : CONSUMER_END_RETURN, &gone);
    if (err == 0 && !gone) {
        consumer_is_ending(machine, consumer);
    }
    if (err != 0 || !gone || queue->doomed) {
        return err;
    }
    if (queue->options.auto_delete && !fetch && queue->consumers_len == queue->fetches_len &&
        !fault_fires(FAULT_SKIP_AUTO_DELETE)) {
        return queue_delete(machine, queue);
    }
    return queue_used(machine, queue);
}

int consumer_settled(struct machine *machine, struct consumer *consumer)
{
    if (!consumer->fetch || consumer->deliveries.held > 0 || fault_fires(FAULT_SKIP_FETCH_END)) {
        consumer_update_turn(machine, consumer);
        return 0;
    }
    int err =
        effect_list_consumer_ended(&machine->effects, consumer->session_id, consumer->id, CONSUMER_ENDED_FETCH_DONE);
    return err != 0 ? err : consumer_end(machine, consumer);
}

int consumer_drain(struct machine *machine, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    if (consumer->fetch || fault_fires(FAULT_SKIP_DRAIN)) {
        return 0;
    }
    queue->fetches_len++;
    queue->exclusive_len -= consumer->exclusive;
    consumer->fetch = true;
    consumer->exclusive = false;
    consumer_changed(machine, consumer);
    if (queue->options.auto_delete && queue->consumers_len == queue->fetches_len) {
        return queue_delete(machine, queue);
    }
    int err = queue_used(machine, queue);
    return err != 0 ? err : consumer_settled(machine, consumer);
}

struct consumer *consumer_find(struct session *session, uint64_t id)
{
    struct consumer *consumer = consumer_find_ending_too(session, id);
    return consumer == NULL || consumer->ending || consumer->queue->doomed ? NULL : consumer;
}

struct consumer *consumer_find_ending_too(struct session *session, uint64_t id)
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
