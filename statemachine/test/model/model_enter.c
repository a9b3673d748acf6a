/* How messages come into queues, and how they leave them as dead letters. */

#include <string.h>

#include "model_private.h"

#define DEATHS_MAX 32u

/* ---- Dead letters ---- */

static Holdfast__Trail *trail_copy(struct model *model, const Holdfast__Trail *from)
{
    Holdfast__Trail *trail = model_alloc(model, sizeof *trail);
    *trail = (Holdfast__Trail)HOLDFAST__TRAIL__INIT;
    if (from != NULL) {
        *trail = *from;
    }
    Holdfast__Death **deaths = model_alloc(model, (trail->n_death + 1) * sizeof *deaths);
    for (size_t i = 0; i < trail->n_death; i++) {
        deaths[i] = model_alloc(model, sizeof *deaths[i]);
        *deaths[i] = *from->death[i];
    }
    trail->death = deaths;
    return trail;
}

/* The death of this queue and reason comes to the front and is counted; at most so many, the oldest go. */
static void trail_add_death(struct model *model, Holdfast__Trail *trail, const char *queue, uint64_t position,
                            Holdfast__Death__Reason reason)
{
    Holdfast__Death *death = NULL;
    size_t at = trail->n_death;
    for (size_t i = 0; i < trail->n_death; i++) {
        if (strcmp(trail->death[i]->queue, queue) == 0 && trail->death[i]->reason == reason) {
            death = trail->death[i];
            at = i;
        }
    }
    if (death == NULL) {
        death = model_alloc(model, sizeof *death);
        *death = (Holdfast__Death)HOLDFAST__DEATH__INIT;
        death->queue = (char *)(uintptr_t)queue;
        death->reason = reason;
        trail->n_death++;
    }
    for (size_t i = at; i > 0; i--) {
        trail->death[i] = trail->death[i - 1];
    }
    trail->death[0] = death;
    death->count++;
    death->time_ms = model->time_ms;
    death->position = position;
    trail->n_death = trail->n_death > DEATHS_MAX ? DEATHS_MAX : trail->n_death;
}

/* A way to a queue in which it has died already is not taken when no death since then, that one included, was a rejection. */
static bool may_enter(const struct parcel *parcel, const struct queue *queue)
{
    bool rejected = false;
    if (parcel->how != DEAD || parcel->trail == NULL) {
        return true;
    }
    for (size_t i = 0; i < parcel->trail->n_death; i++) {
        const Holdfast__Death *death = parcel->trail->death[i];
        rejected = rejected || death->reason == HOLDFAST__DEATH__REASON__REJECTED;
        if (strcmp(death->queue, queue->name) == 0) {
            return rejected;
        }
    }
    return true;
}

static bool has_no_address(const Holdfast__MessageHead *head)
{
    return head->exchange[0] == '\0' && head->routing_key[0] == '\0' && head->n_also_key + head->n_hidden_key == 0;
}

void m_die(struct model *model, struct queue *queue, const struct message *message, Holdfast__Death__Reason reason)
{
    const Holdfast__QueueOptions *options = &queue->options;
    if (!options->has_dead_letter) {
        return;
    }
    struct letter *letter = model_alloc(model, sizeof *letter);
    Holdfast__Trail *trail = trail_copy(model, message->parcel.trail);
    trail_add_death(model, trail, queue->name, message->position, reason);
    trail->no_ttl = trail->no_ttl || reason == HOLDFAST__DEATH__REASON__EXPIRED;
    letter->virtual_host = queue->virtual_host;
    letter->exchange = options->dead_letter_exchange;
    letter->key = options->has_dead_letter_key ? options->dead_letter_key : NULL;
    if (letter->key == NULL && message->parcel.trail == NULL && has_no_address(message->parcel.content->fields)) {
        letter->key = queue->name; /* It came by Publish.queue alone. */
    }
    if (letter->key != NULL) {
        trail->has_address = true;
        trail->routing_key = (char *)(uintptr_t)letter->key;
    }
    letter->parcel = (struct parcel){.content = message->parcel.content, .trail = trail, .how = DEAD};
    m_list_add(model, &model->letters, letter);
    m_hold(model);
    m_release(model);
}

void m_hold(struct model *model)
{
    model->holding++;
}

void m_release(struct model *model)
{
    while (model->holding == 1 && model->letters.len > 0) {
        struct letter *letter = model->letters.items[0];
        m_list_remove(&model->letters, letter);
        m_send(model, letter->virtual_host, letter->exchange, letter->key, &letter->parcel);
    }
    model->holding--;
}

void m_send(struct model *model, const char *virtual_host, const char *exchange_name, const char *key,
            const struct parcel *parcel)
{
    struct exchange *exchange = m_exchange_find(model, virtual_host, exchange_name);
    const Holdfast__MessageHead *head = parcel->content->fields;
    struct list keys = {0};
    if (exchange == NULL) {
        return;
    }
    if (key != NULL) {
        m_list_add(model, &keys, (void *)(uintptr_t)key);
    } else if (parcel->trail != NULL && parcel->trail->has_address) {
        m_list_add(model, &keys, parcel->trail->routing_key);
    } else {
        keys = m_keys(model, head);
    }
    struct list queues = m_route(model, exchange, &keys, head);
    EACH (struct queue, queue, &queues) {
        if (!queue->deleted && may_enter(parcel, queue)) {
            m_enter(model, queue, parcel);
        }
    }
}

/* ---- Coming in ---- */

static bool fits(const struct queue *queue, uint64_t messages, uint64_t bytes)
{
    return (!queue->options.has_max_length || messages <= queue->options.max_length) &&
           (!queue->options.has_max_bytes || bytes <= queue->options.max_bytes);
}

/* The oldest ready message of the lowest priority. */
static struct message *oldest(const struct queue *queue)
{
    struct message *found = NULL;
    EACH (struct message, message, &queue->messages) {
        if (message->state == MODEL_READY && (found == NULL || message->position >> 56 > found->position >> 56)) {
            found = message;
        }
    }
    return found;
}

/* The smaller of the message's and the queue's time to live. */
static uint64_t expires_ms(const struct model *model, const struct queue *queue, const struct parcel *parcel)
{
    const Holdfast__MessageHead *head = parcel->content->fields;
    bool own = head->has_ttl && (parcel->trail == NULL || !parcel->trail->no_ttl);
    uint64_t ttl = NEVER;
    ttl = own ? head->ttl_ms : ttl;
    ttl = queue->options.has_ttl && queue->options.ttl_ms < ttl ? queue->options.ttl_ms : ttl;
    return ttl < NEVER - model->time_ms ? model->time_ms + ttl : 0;
}

static void push(struct model *model, struct queue *queue, struct message *message)
{
    uint64_t priority = message->parcel.content->fields->priority;
    uint64_t highest = queue->options.max_priority;
    uint64_t lane = highest - (priority < highest ? priority : highest);
    size_t at = 0;
    message->position = lane << 56 | ++queue->lanes[lane];
    message->enqueued_ms = model->time_ms;
    message->state = MODEL_READY;
    message->expires_ms = expires_ms(model, queue, &message->parcel);
    EACH (struct message, other, &queue->messages) {
        at += other->position < message->position;
    }
    m_list_insert(model, &queue->messages, at, message);
    queue->enqueued++;
}

static void note_id(struct model *model, struct queue *queue, const struct parcel *parcel)
{
    const char *id = parcel->content->fields->message_id;
    if (queue->options.id_window_ms > 0 && id[0] != '\0' && (parcel->how == PUBLISHED || parcel->how == DUE)) {
        struct seen_id *seen = model_alloc(model, sizeof *seen);
        seen->id = id;
        seen->until_ms = model->time_ms + queue->options.id_window_ms;
        m_list_add(model, &queue->ids, seen);
    }
}

void m_enter(struct model *model, struct queue *queue, const struct parcel *parcel)
{
    struct message *message = model_alloc(model, sizeof *message);
    const char *id = parcel->content->fields->message_id;
    if (parcel->how == DUE && id[0] != '\0' && m_id_seen(model, queue, id)) {
        return; /* Of what was published at once that was looked at already; of dead letters it is not. */
    }
    uint64_t len = parcel->content->head_len + parcel->content->body_len;
    message->parcel = *parcel;
    m_hold(model);
    /* Of what is published the plan has seen to it; what has come back since may put the queue above its limit. */
    bool planned = parcel->how == PUBLISHED && queue->options.overflow == HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW;
    bool full = !fits(queue, m_queue_count(queue, MODEL_READY) + 1, m_queue_bytes(queue) + len);
    bool away = parcel->how == PUBLISHED &&
                queue->options.overflow == HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW_DEAD_LETTER;
    if (full && !planned && (away || !fits(queue, 1, len))) {
        m_die(model, queue, message, HOLDFAST__DEATH__REASON__MAXLEN);
        m_release(model);
        return;
    }
    struct message *victim;
    while (!planned && !fits(queue, m_queue_count(queue, MODEL_READY) + 1, m_queue_bytes(queue) + len) &&
           (victim = oldest(queue)) != NULL) {
        m_message_remove(queue, victim);
        m_die(model, queue, victim, HOLDFAST__DEATH__REASON__MAXLEN);
    }
    push(model, queue, message);
    note_id(model, queue, parcel);
    m_release(model);
}
