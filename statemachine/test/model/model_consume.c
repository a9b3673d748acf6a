/* Consumers, and who is given what. */

#include <string.h>

#include "model_private.h"

#define DELIVERIES_MAX 16384u
#define TURN_MAX 64u

struct consumer *m_consumer_find(const struct session *session, uint64_t id)
{
    EACH (struct consumer, consumer, &session->consumers) {
        if (consumer->id == id) {
            return consumer;
        }
    }
    return NULL;
}

static void add_in_order(struct model *model, struct list *list, struct consumer *consumer)
{
    size_t at = 0;
    EACH (struct consumer, other, list) {
        at += other->session->id < consumer->session->id ||
              (other->session == consumer->session && other->id < consumer->id);
    }
    m_list_insert(model, list, at, consumer);
}

/* Who is not there to stay does not count: a fetch. */
size_t m_real_consumers(const struct queue *queue, bool exclusive_only)
{
    size_t count = 0;
    EACH (struct consumer, consumer, &queue->consumers) {
        count += !consumer->fetch && (consumer->exclusive || !exclusive_only);
    }
    return count;
}

static int others_error(const struct session *session, const Holdfast__Subscribe *subscribe, const struct queue *queue)
{
    bool alone = subscribe->exclusive && !subscribe->fetch;
    if (m_real_consumers(queue, true) > 0 || (alone && m_real_consumers(queue, false) > 0)) {
        return ERR_EXCLUSIVE;
    }
    bool others = queue->options.single_active && queue->active != NULL && queue->active->session != session;
    return subscribe->fetch && others ? ERR_EXCLUSIVE : 0;
}

static bool asks_for_more(const struct model *model, const Holdfast__Subscribe *subscribe)
{
    return model->version >= 2 && subscribe->fetch && subscribe->more;
}

static int more_error(const struct session *session, const Holdfast__Subscribe *subscribe, const struct queue *queue,
                      const struct consumer *consumer)
{
    if (consumer == NULL) {
        return ERR_NOT_FOUND;
    }
    if (!consumer->fetch || consumer->queue != queue) {
        return ERR_INVALID;
    }
    return consumer->held.len + subscribe->credit > 65535 ? ERR_LIMIT : others_error(session, subscribe, queue);
}

static int subscribe_error(const struct model *model, const struct session *session,
                           const Holdfast__Subscribe *subscribe, const struct queue *queue)
{
    if (queue == NULL) {
        return ERR_NOT_FOUND;
    }
    if (subscribe->consumer == 0 || subscribe->credit == 0 || subscribe->credit > 65535) {
        return ERR_INVALID;
    }
    const struct consumer *consumer = m_consumer_find(session, subscribe->consumer);
    if (asks_for_more(model, subscribe)) {
        return more_error(session, subscribe, queue, consumer);
    }
    if (consumer != NULL) {
        return ERR_EXISTS;
    }
    if (session->consumers.len >= 1024) {
        return ERR_LIMIT;
    }
    if (model->version < 2) {
        return 0;
    }
    if (!m_queue_usable(queue, session)) {
        return ERR_EXCLUSIVE;
    }
    if (subscribe->lock_ms > TIME_MAX || strlen(subscribe->tag) > 255) {
        return ERR_INVALID;
    }
    if (!m_host_has_room(model, session->virtual_host, HOLDFAST__LIMIT__WHAT__CONSUMERS) ||
        !m_user_has_room(model, session->user, HOLDFAST__LIMIT__WHAT__CONSUMERS)) {
        return ERR_LIMIT;
    }
    return others_error(session, subscribe, queue);
}

static bool deliver_one(struct model *model, struct queue *queue, struct consumer *consumer);

static void fetch(struct model *model, struct consumer *consumer, uint64_t len, struct reply *reply)
{
    struct queue *queue = consumer->queue;
    while (!queue->options.paused && reply->count < len && deliver_one(model, queue, consumer)) {
        reply->count++;
    }
    reply->repeated_count = m_queue_count(queue, MODEL_READY);
    queue->used_ms = model->time_ms;
    m_consumer_settled(model, consumer);
}

void m_subscribe(struct model *model, struct session *session, const Holdfast__Subscribe *subscribe,
                 struct reply *reply)
{
    struct queue *queue = m_queue_find(model, session->virtual_host, subscribe->queue);
    reply->error = subscribe_error(model, session, subscribe, queue);
    if (reply->error != 0) {
        return;
    }
    if (asks_for_more(model, subscribe)) {
        m_saw(model, SEEN_FETCHED_MORE);
        fetch(model, m_consumer_find(session, subscribe->consumer), subscribe->credit, reply);
        return;
    }
    struct consumer *consumer = model_alloc(model, sizeof *consumer);
    consumer->id = subscribe->consumer;
    consumer->session = session;
    consumer->queue = queue;
    consumer->credit = subscribe->credit;
    consumer->subscribed = ++model->subscriptions;
    if (model->version >= 2) {
        consumer->priority = subscribe->priority;
        consumer->fetch = subscribe->fetch;
        consumer->exclusive = subscribe->exclusive && !subscribe->fetch;
        consumer->auto_accept = subscribe->auto_accept;
        consumer->lock_ms = subscribe->lock_ms;
    }
    add_in_order(model, &session->consumers, consumer);
    add_in_order(model, &queue->consumers, consumer);
    if (consumer->fetch) {
        fetch(model, consumer, consumer->credit, reply);
        return;
    }
    queue->active = queue->active == NULL ? consumer : queue->active;
    m_consumer_look(model, consumer);
}

/* From now on it is as a fetch that has been given what it holds. */
static void drain(struct model *model, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    if (consumer->fetch) {
        return;
    }
    consumer->fetch = true;
    consumer->exclusive = false;
    queue->used_ms = model->time_ms;
    if (queue->options.auto_delete && m_real_consumers(queue, false) == 0) {
        m_queue_delete(model, queue);
    } else {
        m_consumer_settled(model, consumer);
    }
}

void m_unsubscribe(struct model *model, struct session *session, const Holdfast__Unsubscribe *unsubscribe,
                   struct reply *reply)
{
    struct consumer *consumer = m_consumer_find(session, unsubscribe->consumer);
    if (consumer == NULL) {
        reply->error = ERR_NOT_FOUND;
    } else if (model->version >= 2 && unsubscribe->drain) {
        drain(model, consumer);
        consumer = m_consumer_find(session, unsubscribe->consumer);
        reply->count = consumer != NULL ? consumer->held.len : 0;
    } else {
        m_consumer_end(model, consumer);
    }
}

void m_set_credit(struct model *model, struct session *session, const Holdfast__SetCredit *set_credit,
                  struct reply *reply)
{
    struct consumer *consumer = m_consumer_find(session, set_credit->consumer);
    if (consumer == NULL) {
        reply->error = ERR_NOT_FOUND;
    } else if (set_credit->credit > 65535) {
        reply->error = ERR_INVALID;
    } else {
        consumer->credit = set_credit->credit;
        m_consumer_look(model, consumer);
    }
}

/* It waits while it has free credit and its session is attached; in a single-active queue only the active one. */
void m_consumer_look(struct model *model, struct consumer *consumer)
{
    const struct queue *queue = consumer->queue;
    bool takes = consumer->held.len < consumer->credit && consumer->session->place != NULL && !consumer->fetch;
    takes = takes && (!queue->options.single_active || queue->active == consumer);
    if (!takes) {
        consumer->waits_since = 0;
    } else if (consumer->waits_since == 0) {
        consumer->waits_since = ++model->places;
    }
}

/* The one with the highest priority, and among these the one that subscribed first. */
static void activate_next(struct model *model, struct queue *queue)
{
    struct consumer *next = NULL;
    EACH (struct consumer, consumer, &queue->consumers) {
        bool better = next == NULL || consumer->priority > next->priority ||
                      (consumer->priority == next->priority && consumer->subscribed < next->subscribed);
        if (!consumer->fetch && better) {
            next = consumer;
        }
    }
    queue->active = next;
    if (next != NULL) {
        m_consumer_look(model, next);
    }
}

void m_consumer_remove(struct model *model, struct consumer *consumer, bool go_back)
{
    struct queue *queue = consumer->queue;
    while (consumer->held.len > 0) {
        struct held *held = consumer->held.items[0];
        if (go_back) {
            m_goes_back(model, consumer, held, HOLDER_ENDED, NEVER);
        } else {
            m_list_remove(&consumer->held, held);
        }
    }
    m_list_remove(&consumer->session->consumers, consumer);
    m_list_remove(&queue->consumers, consumer);
    if (queue->active == consumer) {
        activate_next(model, queue);
        model->seen[SEEN_ACTIVE_NEXT] += queue->options.single_active && queue->active != NULL;
    }
}

void m_consumer_end(struct model *model, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    m_consumer_remove(model, consumer, true);
    queue->used_ms = model->time_ms;
    if (queue->options.auto_delete && !consumer->fetch && m_real_consumers(queue, false) == 0) {
        m_saw(model, SEEN_QUEUE_AUTO_DELETED);
        m_queue_delete(model, queue);
    }
}

void m_consumer_settled(struct model *model, struct consumer *consumer)
{
    if (!consumer->fetch || consumer->held.len > 0) {
        m_consumer_look(model, consumer);
        return;
    }
    model_effect(model, MODEL_CONSUMER_ENDED, consumer->session->id)->consumer = consumer->id;
    model->effects[model->effects_len - 1].fetch_done = true;
    m_consumer_end(model, consumer);
}

/* The highest priority, and of these who has waited longest; NULL: nobody waits. */
static struct consumer *queue_waits(struct model *model, const struct queue *queue)
{
    struct consumer *first = NULL;
    EACH (struct consumer, consumer, &queue->consumers) {
        model->seen[SEEN_OUT_OF_LINE] += first != NULL && first->waits_since != 0 && consumer->waits_since != 0 &&
                                         consumer->priority != first->priority;
        if (consumer->waits_since != 0 &&
            (first == NULL || consumer->priority > first->priority ||
             (consumer->priority == first->priority && consumer->waits_since < first->waits_since))) {
            first = consumer;
        }
    }
    return first;
}

/* For how long a delivery is held: the consumer's time, or the queue's. 0: for ever. */
uint64_t m_lock_of(const struct consumer *consumer)
{
    return consumer->lock_ms > 0 ? consumer->lock_ms : consumer->queue->options.lock_ms;
}

static void hold_message(struct model *model, struct consumer *consumer, struct message *message)
{
    struct held *held = model_alloc(model, sizeof *held);
    uint64_t lock_ms = m_lock_of(consumer);
    held->number = consumer->last_number;
    held->message = message;
    held->until_ms = lock_ms > 0 ? model->time_ms + lock_ms : NEVER;
    m_list_add(model, &consumer->held, held);
    message->state = MODEL_LOCKED;
    message->holder = consumer;
}

static void see_order(struct model *model, const struct queue *queue, const struct message *message)
{
    EACH (struct message, other, &queue->messages) {
        model->seen[SEEN_PRIORITY_FIRST] += other->position >> 56 > message->position >> 56 &&
                                            other->enqueued_ms < message->enqueued_ms && other->state == MODEL_READY;
    }
}

/* False: nothing can be delivered. */
static bool deliver_one(struct model *model, struct queue *queue, struct consumer *consumer)
{
    struct message *message = m_queue_next(model, queue);
    if (message == NULL) {
        return false;
    }
    see_order(model, queue, message);
    struct model_effect *effect = model_effect(model, MODEL_DELIVER, consumer->session->id);
    consumer->last_number++;
    effect->consumer = consumer->id;
    effect->delivery = consumer->last_number;
    effect->queue = queue->id;
    effect->position = message->position;
    effect->delivery_count = message->deliveries;
    queue->delivered++;
    m_life(model, queue, message, L_DELIVERED, consumer, NULL);
    if (consumer->auto_accept) {
        m_saw(model, SEEN_AUTO_ACCEPTED);
        m_accept(model, consumer, message);
    } else {
        hold_message(model, consumer, message);
    }
    consumer->waits_since = 0; /* To the end of the line, if it still has credit. */
    m_consumer_look(model, consumer);
    model_require(++model->deliveries < DELIVERIES_MAX, "few deliveries at a time");
    return true;
}

/* At the end of the entry: queues in order of id, 64 messages at a time, again and again. */
bool m_deliver(struct model *model)
{
    bool any = false;
    bool more = true;
    while (more) {
        more = false;
        EACH (struct queue, queue, &model->queues) {
            for (unsigned turn = 0; turn < TURN_MAX && !queue->options.paused; turn++) {
                struct consumer *consumer = queue_waits(model, queue);
                bool delivered = consumer != NULL && deliver_one(model, queue, consumer);
                more = more || delivered;
                any = any || delivered;
            }
        }
    }
    return any;
}
