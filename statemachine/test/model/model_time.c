/* What happens by itself. */

#include "model_private.h"

#define TIMERS_MAX 4096u

/* In this order when they are due at the same time. */
enum due_kind {
    MESSAGE_EXPIRES = 1,
    QUEUE_EXPIRES = 2,
    LOCK_ENDS = 3,
    WAIT_ENDS = 4,
    PENDING_DUE = 5,
    PREPARED_DUE = 6,
};

struct due {
    uint64_t at_ms;
    enum due_kind kind;
    uint64_t numbers[3];
    struct queue *queue;
    struct message *message;
    struct consumer *consumer;
    struct held *held;
    struct pending *pending;
    struct prepared *prepared;
};

static bool is_before(const struct due *a, const struct due *b)
{
    const uint64_t x[] = {a->at_ms, (uint64_t)a->kind, a->numbers[0], a->numbers[1], a->numbers[2]};
    const uint64_t y[] = {b->at_ms, (uint64_t)b->kind, b->numbers[0], b->numbers[1], b->numbers[2]};
    for (size_t i = 0; i < 5; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i];
        }
    }
    return false;
}

static void consider(struct due *first, struct due due)
{
    if (due.at_ms != NEVER && (first->at_ms == NEVER || is_before(&due, first))) {
        *first = due;
    }
}

/* A locked message does not expire; and what has no time to live at all, but at the end of the entry. */
static void consider_queue(struct due *first, struct queue *queue)
{
    EACH (struct message, message, &queue->messages) {
        if (message->expires_ms > message->enqueued_ms && message->state != MODEL_LOCKED) {
            consider(first, (struct due){.at_ms = message->expires_ms,
                                         .kind = MESSAGE_EXPIRES,
                                         .numbers = {queue->id, message->position},
                                         .queue = queue,
                                         .message = message});
        }
        if (message->state == MODEL_WAITING) {
            consider(first, (struct due){.at_ms = message->wakes_ms,
                                         .kind = WAIT_ENDS,
                                         .numbers = {queue->id, message->position},
                                         .queue = queue,
                                         .message = message});
        }
    }
    if (queue->options.expires_ms > 0 && m_real_consumers(queue, false) == 0) {
        consider(first, (struct due){.at_ms = queue->used_ms + queue->options.expires_ms,
                                     .kind = QUEUE_EXPIRES,
                                     .numbers = {queue->id},
                                     .queue = queue});
    }
    EACH (struct consumer, consumer, &queue->consumers) {
        EACH (struct held, held, &consumer->held) {
            consider(first, (struct due){.at_ms = held->until_ms,
                                         .kind = LOCK_ENDS,
                                         .numbers = {consumer->session->id, consumer->id, held->number},
                                         .consumer = consumer,
                                         .held = held});
        }
    }
}

static struct due first_due(const struct model *model)
{
    struct due first = {.at_ms = NEVER};
    EACH (struct queue, queue, &model->queues) {
        consider_queue(&first, queue);
    }
    EACH (struct pending, pending, &model->pendings) {
        consider(
            &first,
            (struct due){.at_ms = pending->due_ms, .kind = PENDING_DUE, .numbers = {pending->id}, .pending = pending});
    }
    EACH (struct prepared, prepared, &model->prepareds) {
        uint64_t at = prepared->asks_ms < prepared->deadline_ms ? prepared->asks_ms : prepared->deadline_ms;
        consider(&first,
                 (struct due){.at_ms = at, .kind = PREPARED_DUE, .numbers = {prepared->number}, .prepared = prepared});
    }
    return first;
}

static void lock_ends(struct model *model, const struct due *due)
{
    struct consumer *consumer = due->consumer;
    struct model_effect *effect = model_effect(model, MODEL_LOCK_ENDED, consumer->session->id);
    effect->consumer = consumer->id;
    effect->delivery = due->held->number;
    m_saw(model, SEEN_LOCK_OVER);
    m_goes_back(model, consumer, due->held, LOCK_OVER, NEVER);
    m_consumer_settled(model, consumer);
}

static void happens(struct model *model, const struct due *due)
{
    switch (due->kind) {
    case MESSAGE_EXPIRES:
        model->seen[SEEN_EXPIRED_WAITING] += due->message->state == MODEL_WAITING;
        m_message_remove(due->queue, due->message);
        m_die(model, due->queue, due->message, HOLDFAST__DEATH__REASON__EXPIRED);
        break;
    case QUEUE_EXPIRES:
        m_saw(model, SEEN_QUEUE_EXPIRED);
        m_queue_delete(model, due->queue);
        break;
    case LOCK_ENDS: lock_ends(model, due); break;
    case WAIT_ENDS:
        m_saw(model, SEEN_WAITED);
        due->message->state = MODEL_READY;
        break;
    case PENDING_DUE:
        m_saw(model, SEEN_DELAYED_DUE);
        m_pending_due(model, due->pending);
        break;
    case PREPARED_DUE: m_prepared_fired(model, due->prepared); break;
    }
}

void m_time_passes(struct model *model)
{
    for (unsigned count = 0;; count++) {
        struct due due = first_due(model);
        if (due.at_ms == NEVER || due.at_ms > model->time_ms) {
            m_forget(model);
            return;
        }
        model_require(count < TIMERS_MAX, "little is due at a time");
        happens(model, &due);
    }
}

/* A time to live of 0: delivered in the same entry, or not at all. What expires may bring others like it: they are delivered, or
 * expire after that. */
void m_expire_at_once(struct model *model)
{
    for (;;) {
        struct list queues = {0};
        struct list messages = {0};
        EACH (struct queue, queue, &model->queues) {
            EACH (struct message, message, &queue->messages) {
                if (message->expires_ms != 0 && message->expires_ms <= model->time_ms &&
                    message->state != MODEL_LOCKED) {
                    m_list_add(model, &queues, queue);
                    m_list_add(model, &messages, message);
                }
            }
        }
        if (messages.len == 0) {
            return;
        }
        for (size_t i = 0; i < messages.len; i++) {
            struct queue *queue = queues.items[i];
            struct message *message = messages.items[i];
            if (m_message_is_in(queue, message)) { /* Others may have pushed it out. */
                m_saw(model, SEEN_EXPIRED_AT_ONCE);
                m_message_remove(queue, message);
                m_die(model, queue, message, HOLDFAST__DEATH__REASON__EXPIRED);
            }
        }
        (void)m_deliver(model);
    }
}

uint64_t m_next_time(const struct model *model)
{
    return first_due(model).at_ms;
}
