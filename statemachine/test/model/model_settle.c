/* Settling: what becomes of what was delivered. */

#include "model_private.h"

static bool ranges_are_sound(const struct consumer *consumer, size_t n_first, const uint64_t *first, size_t n_last,
                             const uint64_t *last)
{
    if (n_first == 0 || n_first > 4096 || n_last != n_first) {
        return false;
    }
    for (size_t i = 0; i < n_first; i++) {
        if (first[i] == 0 || first[i] > last[i] || last[i] > consumer->last_number) {
            return false;
        }
    }
    return true;
}

static struct held *held_find(const struct consumer *consumer, uint64_t number)
{
    EACH (struct held, held, &consumer->held) {
        if (held->number == number) {
            return held;
        }
    }
    return NULL;
}

static int settle_form_error(const Holdfast__Settle *settle, const struct consumer *consumer)
{
    if (consumer == NULL) {
        return ERR_NOT_FOUND;
    }
    if (settle->outcome != HOLDFAST__SETTLE__OUTCOME__ACCEPT && settle->outcome != HOLDFAST__SETTLE__OUTCOME__REJECT &&
        settle->outcome != HOLDFAST__SETTLE__OUTCOME__RELEASE) {
        return ERR_INVALID;
    }
    if (!ranges_are_sound(consumer, settle->n_first, settle->first, settle->n_last, settle->last)) {
        return ERR_INVALID;
    }
    return settle->has_delay && settle->delay_ms > TIME_MAX ? ERR_INVALID : 0;
}

/* How often the settlements name a delivery. */
static unsigned names(size_t len, Holdfast__Settle *const *settles, uint64_t consumer, uint64_t number)
{
    unsigned count = 0;
    for (size_t i = 0; i < len; i++) {
        for (size_t j = 0; j < settles[i]->n_first && settles[i]->consumer == consumer; j++) {
            count += number >= settles[i]->first[j] && number <= settles[i]->last[j];
        }
    }
    return count;
}

/* All that it names is held; and, if others are given, none of it is named twice. */
static bool all_held(const struct consumer *consumer, const Holdfast__Settle *settle, size_t len,
                     Holdfast__Settle *const *settles)
{
    for (size_t i = 0; i < settle->n_first; i++) {
        for (uint64_t number = settle->first[i]; number <= settle->last[i]; number++) {
            if (held_find(consumer, number) == NULL || names(len, settles, consumer->id, number) > 1) {
                return false;
            }
        }
    }
    return true;
}

int m_settle_all_error(const struct session *session, size_t len, Holdfast__Settle *const *settles)
{
    for (size_t i = 0; i < len; i++) {
        const struct consumer *consumer = m_consumer_find(session, settles[i]->consumer);
        int err = settle_form_error(settles[i], consumer);
        if (err != 0) {
            return err;
        }
        if (!all_held(consumer, settles[i], 0, NULL)) {
            return ERR_STALE;
        }
    }
    for (size_t i = 0; i < len; i++) {
        if (!all_held(m_consumer_find(session, settles[i]->consumer), settles[i], len, settles)) {
            return ERR_STALE;
        }
    }
    return 0;
}

/* d, then 2d, 4d... up to the longest; with none given it is not doubled. */
static uint64_t redelivery_delay(const Holdfast__QueueOptions *options, uint64_t deliveries)
{
    uint64_t delay = options->redelivery_delay_ms;
    if (options->redelivery_delay_max_ms == 0) {
        return delay;
    }
    for (uint64_t i = 1; i < deliveries && delay < options->redelivery_delay_max_ms; i++) {
        delay *= 2;
    }
    return delay < options->redelivery_delay_max_ms ? delay : options->redelivery_delay_max_ms;
}

void m_goes_back(struct model *model, struct consumer *consumer, struct held *held, enum why_back why,
                 uint64_t delay_ms)
{
    struct queue *queue = consumer->queue;
    struct message *message = held->message;
    const Holdfast__QueueOptions *options = &queue->options;
    m_list_remove(&consumer->held, held);
    message->state = MODEL_READY;
    message->holder = NULL;
    message->deliveries += why != NOT_COUNTED;
    static const enum life_kind kinds[] = {L_RELEASED, L_RELEASED, L_LOCK_ENDED, L_HOLDER_ENDED};
    m_life(model, queue, message, kinds[why], consumer, NULL);
    queue->released++;
    queue->lock_ended += why == LOCK_OVER;
    if (why != NOT_COUNTED && options->max_deliveries > 0 && message->deliveries >= options->max_deliveries) {
        m_message_remove(queue, message);
        m_die(model, queue, message, HOLDFAST__DEATH__REASON__DELIVERY_LIMIT);
        return;
    }
    if (message->expires_ms != 0 && message->expires_ms <= model->time_ms) {
        m_saw(model, SEEN_EXPIRED_RETURNED);
        m_message_remove(queue, message);
        m_die(model, queue, message, HOLDFAST__DEATH__REASON__EXPIRED);
        return;
    }
    uint64_t delay = delay_ms != NEVER ? delay_ms : redelivery_delay(options, message->deliveries);
    if (why != HOLDER_ENDED && delay > 0) {
        message->state = MODEL_WAITING;
        message->wakes_ms = model->time_ms + delay;
        model->seen[SEEN_BACKOFF] += delay_ms == NEVER && delay > options->redelivery_delay_ms;
        m_life(model, queue, message, L_WAITING, NULL, NULL);
    }
}

void m_accept(struct model *model, const struct consumer *consumer, struct message *message)
{
    struct queue *queue = consumer->queue;
    m_message_remove(queue, message);
    queue->settled++;
    m_keep(model, queue, message, ACCEPTED);
    m_life(model, queue, message, L_ACCEPTED, consumer, NULL);
    m_life_ends(model, queue, message);
}

/* Under version 1 what is rejected is done with, too. */
static void message_is_done(struct model *model, struct consumer *consumer, struct held *held, bool rejected)
{
    m_list_remove(&consumer->held, held);
    if (!rejected || model->version < 2) {
        m_accept(model, consumer, held->message);
    } else {
        m_message_remove(consumer->queue, held->message);
        consumer->queue->settled++;
        m_die(model, consumer->queue, held->message, HOLDFAST__DEATH__REASON__REJECTED);
    }
}

static void settle_one(struct model *model, struct consumer *consumer, const Holdfast__Settle *settle,
                       struct held *held)
{
    bool new_rules = model->version >= 2;
    if (settle->outcome == HOLDFAST__SETTLE__OUTCOME__RELEASE) {
        m_goes_back(model, consumer, held, new_rules && settle->not_counted ? NOT_COUNTED : RELEASED,
                    new_rules && settle->has_delay ? settle->delay_ms : NEVER);
    } else {
        message_is_done(model, consumer, held, settle->outcome == HOLDFAST__SETTLE__OUTCOME__REJECT);
    }
}

void m_settle_carry_out(struct model *model, struct consumer *consumer, const Holdfast__Settle *settle,
                        struct reply *reply)
{
    for (size_t i = 0; i < settle->n_first; i++) {
        for (uint64_t number = settle->first[i]; number <= settle->last[i]; number++) {
            struct held *held = held_find(consumer, number);
            if (held == NULL) {
                reply->repeated_count++;
            } else {
                reply->count++;
                settle_one(model, consumer, settle, held);
            }
        }
    }
    m_consumer_settled(model, consumer);
}

void m_settle(struct model *model, struct session *session, const Holdfast__Settle *settle, struct reply *reply)
{
    struct consumer *consumer = m_consumer_find(session, settle->consumer);
    Holdfast__Settle known = *settle;
    Holdfast__Settle *one = &known;
    known.has_delay = settle->has_delay && model->version >= 2;
    reply->error = settle_form_error(&known, consumer);
    if (reply->error == 0 && settle->all && model->version >= 2) {
        reply->error = m_settle_all_error(session, 1, &one);
    }
    if (reply->error == 0) {
        m_settle_carry_out(model, consumer, settle, reply);
    }
}

/* The locks of what is held end so long from now on. */
void m_extend(struct model *model, struct session *session, const Holdfast__Extend *extend, struct reply *reply)
{
    struct consumer *consumer = m_consumer_find(session, extend->consumer);
    if (consumer == NULL) {
        reply->error = ERR_NOT_FOUND;
        return;
    }
    if (!ranges_are_sound(consumer, extend->n_first, extend->first, extend->n_last, extend->last) ||
        extend->lock_ms > TIME_MAX) {
        reply->error = ERR_INVALID;
        return;
    }
    for (size_t i = 0; i < extend->n_first; i++) {
        for (uint64_t number = extend->first[i]; number <= extend->last[i]; number++) {
            struct held *held = held_find(consumer, number);
            if (held == NULL) {
                reply->repeated_count++;
                continue;
            }
            reply->count++;
            if (held->until_ms != NEVER) { /* What is held without a time stays so. */
                uint64_t lock_ms = extend->lock_ms > 0 ? extend->lock_ms : m_lock_of(consumer);
                held->until_ms = lock_ms > 0 ? model->time_ms + lock_ms : NEVER;
                m_saw(model, SEEN_LOCK_EXTENDED);
            }
        }
    }
}
