/* How messages come into queues, and how they leave them as dead letters. */

#include <string.h>

#include "model_private.h"

/* ---- Dead letters ---- */

static void note_death(struct model *model, struct queue *queue, const struct message *message,
                       Holdfast__Death__Reason reason)
{
    static const struct {
        enum model_seen seen;
        enum outcome outcome;
        enum life_kind kind;
    } of[] = {
        [HOLDFAST__DEATH__REASON__REJECTED] = {SEEN_DIED_REJECTED, REJECTED, L_REJECTED},
        [HOLDFAST__DEATH__REASON__EXPIRED] = {SEEN_DIED_EXPIRED, EXPIRED, L_EXPIRED},
        [HOLDFAST__DEATH__REASON__MAXLEN] = {SEEN_DIED_MAXLEN, DROPPED, L_DROPPED},
        [HOLDFAST__DEATH__REASON__DELIVERY_LIMIT] = {SEEN_DIED_DELIVERY_LIMIT, DELIVERY_LIMIT, L_DELIVERY_LIMIT},
    };
    queue->expired += reason == HOLDFAST__DEATH__REASON__EXPIRED;
    queue->dropped += reason == HOLDFAST__DEATH__REASON__MAXLEN;
    queue->dead_lettered += queue->options.has_dead_letter != 0;
    model->seen[of[reason].seen] += queue->options.has_dead_letter != 0;
    m_keep(model, queue, message, of[reason].outcome);
    m_life(model, queue, message, of[reason].kind, NULL, NULL);
    if (queue->options.has_dead_letter) {
        m_life(model, queue, message, L_DEAD_LETTERED, NULL, queue->options.dead_letter_exchange);
    }
    m_life_ends(model, queue, message);
}

void m_die(struct model *model, struct queue *queue, const struct message *message, Holdfast__Death__Reason reason)
{
    note_death(model, queue, message, reason);
    struct letter *letter = m_letter(model, queue, message, reason);
    if (letter != NULL) {
        m_list_add(model, &model->letters, letter);
        m_hold(model);
        m_release(model);
    }
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

static void send_to(struct model *model, const struct list *queues, const struct parcel *parcel)
{
    EACH (struct queue, queue, queues) {
        if (queue->deleted) {
            continue;
        }
        if (parcel->how == DEAD && !m_may_enter(parcel, queue)) {
            m_saw(model, SEEN_CIRCLE);
            continue;
        }
        m_enter(model, queue, parcel);
    }
}

void m_send(struct model *model, const char *virtual_host, const char *exchange_name, const char *key,
            const struct parcel *parcel)
{
    struct exchange *exchange = m_exchange_find(model, virtual_host, exchange_name);
    const Holdfast__MessageHead *head = parcel->content->fields;
    struct list keys = {0};
    if (exchange == NULL) {
        model->seen[SEEN_LETTER_LOST] += parcel->how == DEAD;
        return;
    }
    if (key != NULL) {
        m_list_add(model, &keys, (void *)(uintptr_t)key);
    } else {
        keys = m_keys(model, head);
    }
    struct list queues = m_route(model, exchange, &keys, head);
    model->seen[SEEN_LETTER_NOWHERE] += parcel->how == DEAD && queues.len == 0;
    send_to(model, &queues, parcel);
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
    static const char *const how[] = {"published", "due", "dead letter", "redriven", "replayed"};
    uint64_t priority = message->parcel.content->fields->priority;
    uint64_t highest = queue->options.max_priority;
    uint64_t lane = highest - (priority < highest ? priority : highest);
    size_t at = 0;
    message->position = lane << 56 | ++queue->lanes[lane];
    message->state = MODEL_READY;
    message->old = model->version < 2;
    EACH (struct message, other, &queue->messages) {
        at += other->position < message->position;
    }
    m_list_insert(model, &queue->messages, at, message);
    queue->enqueued++;
    m_life(model, queue, message, L_ENQUEUED, NULL, how[message->parcel.how]);
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
        m_saw(model, SEEN_ID_SEEN_DUE);
        return; /* Of what was published at once that was looked at already; of dead letters it is not. */
    }
    uint64_t len = parcel->content->body_len;
    message->parcel = *parcel;
    message->enqueued_ms = model->time_ms;
    message->expires_ms = expires_ms(model, queue, parcel);
    m_hold(model);
    /* Of what is published the plan has seen to it; all else may put the queue above its limit. */
    bool planned = queue->options.overflow == HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW;
    bool full = !fits(queue, m_queue_count(queue, MODEL_READY) + 1, m_queue_bytes(queue) + len);
    bool away = parcel->how == PUBLISHED &&
                queue->options.overflow == HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW_DEAD_LETTER;
    if (full && !planned && (away || !fits(queue, 1, len))) {
        m_saw(model, SEEN_DIED_ON_ITS_WAY);
        m_die(model, queue, message, HOLDFAST__DEATH__REASON__MAXLEN);
        m_release(model);
        return;
    }
    struct message *victim;
    while (!planned && !fits(queue, m_queue_count(queue, MODEL_READY) + 1, m_queue_bytes(queue) + len) &&
           (victim = oldest(queue)) != NULL) {
        model->seen[SEEN_PUSHED_OUT_PARKED] += victim->parked && !m_message_is_free(queue, victim);
        m_message_remove(queue, victim);
        m_die(model, queue, victim, HOLDFAST__DEATH__REASON__MAXLEN);
    }
    push(model, queue, message);
    note_id(model, queue, parcel);
    m_release(model);
}
