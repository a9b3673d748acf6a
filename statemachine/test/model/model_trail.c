/* What a dead letter carries with it, and where that lets it go. */

#include <string.h>

#include "model_private.h"

#define DEATHS_MAX 32u

/* Where it had been published to when it came into the queue. */
struct address {
    const char *exchange;
    struct list keys; /* That may be seen. */
    bool own_keys;    /* All of the head's, hidden ones included. */
};

/* A message without an address was published to its queue. */
static struct address address_of(struct model *model, const struct queue *queue, const struct parcel *parcel)
{
    const Holdfast__MessageHead *head = parcel->content->fields;
    const Holdfast__Trail *trail = parcel->trail;
    bool sent = trail != NULL && trail->has_address;
    struct address address = {.exchange = sent ? trail->exchange : head->exchange};
    if (sent && !trail->own_keys) {
        m_list_add(model, &address.keys, trail->routing_key);
        return address;
    }
    if (head->exchange[0] == '\0' && head->routing_key[0] == '\0' && head->n_also_key + head->n_hidden_key == 0) {
        m_list_add(model, &address.keys, (void *)(uintptr_t)queue->name);
        return address;
    }
    address.own_keys = true;
    m_list_add(model, &address.keys, head->routing_key);
    for (size_t i = 0; i < head->n_also_key; i++) {
        m_list_add(model, &address.keys, head->also_key[i]);
    }
    return address;
}

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
static Holdfast__Death *trail_death(struct model *model, Holdfast__Trail *trail, const char *queue,
                                    Holdfast__Death__Reason reason)
{
    uint64_t count = 0;
    size_t at = trail->n_death;
    for (size_t i = 0; i < trail->n_death; i++) {
        if (strcmp(trail->death[i]->queue, queue) == 0 && trail->death[i]->reason == reason) {
            count = trail->death[i]->count;
            at = i;
        }
    }
    model->seen[SEEN_DIED_TWICE] += trail->n_death > 0;
    model->seen[SEEN_DIED_AGAIN] += count > 0;
    trail->n_death += at == trail->n_death;
    for (size_t i = at; i > 0; i--) {
        trail->death[i] = trail->death[i - 1];
    }
    Holdfast__Death *death = model_alloc(model, sizeof *death);
    *death = (Holdfast__Death)HOLDFAST__DEATH__INIT;
    death->queue = (char *)(uintptr_t)queue;
    death->reason = reason;
    death->count = count + 1;
    trail->death[0] = death;
    trail->n_death = trail->n_death > DEATHS_MAX ? DEATHS_MAX : trail->n_death;
    return death;
}

static void trail_is_first(Holdfast__Trail *trail, const struct queue *queue, const struct message *message,
                           Holdfast__Death__Reason reason, const struct address *address)
{
    static char texts[][16] = {"rejected", "expired", "maxlen", "delivery_limit"};
    trail->first_queue = (char *)(uintptr_t)queue->name;
    trail->first_reason = texts[reason];
    trail->first_exchange = (char *)(uintptr_t)address->exchange;
    trail->first_enqueued_ms = message->enqueued_ms;
}

/* By its own time to live, and not by the queue's. */
static bool expired_by_itself(const struct message *message)
{
    const Holdfast__MessageHead *head = message->parcel.content->fields;
    const Holdfast__Trail *trail = message->parcel.trail;
    return head->has_ttl && (trail == NULL || !trail->no_ttl) &&
           message->expires_ms - message->enqueued_ms == head->ttl_ms;
}

static void death_describe(struct model *model, Holdfast__Death *death, const struct message *message,
                           const struct address *address)
{
    death->exchange = (char *)(uintptr_t)address->exchange;
    death->n_routing_key = address->keys.len;
    death->routing_key = (char **)address->keys.items;
    death->time_ms = model->time_ms;
    death->position = message->position;
    if (death->reason == HOLDFAST__DEATH__REASON__EXPIRED && expired_by_itself(message)) {
        death->has_expiration = true;
        death->expiration_ms = message->parcel.content->fields->ttl_ms;
    }
}

struct letter *m_letter(struct model *model, const struct queue *queue, const struct message *message,
                        Holdfast__Death__Reason reason)
{
    const Holdfast__QueueOptions *options = &queue->options;
    if (!options->has_dead_letter) {
        return NULL;
    }
    struct address address = address_of(model, queue, &message->parcel);
    Holdfast__Trail *trail = trail_copy(model, message->parcel.trail);
    if (trail->n_death == 0) {
        trail_is_first(trail, queue, message, reason, &address);
    }
    death_describe(model, trail_death(model, trail, queue->name, reason), message, &address);
    trail->no_ttl = true;
    trail->has_address = true;
    trail->exchange = options->dead_letter_exchange;
    trail->own_keys = address.own_keys && !options->has_dead_letter_key;
    trail->routing_key = options->has_dead_letter_key ? options->dead_letter_key : address.keys.items[0];
    struct letter *letter = model_alloc(model, sizeof *letter);
    letter->virtual_host = queue->virtual_host;
    letter->exchange = options->dead_letter_exchange;
    letter->key = trail->own_keys ? NULL : trail->routing_key;
    letter->parcel = (struct parcel){.content = message->parcel.content, .trail = trail, .how = DEAD};
    return letter;
}

/* A way to a queue in which it has died already is not taken when no death since then, that one included, was a rejection. */
bool m_may_enter(const struct parcel *parcel, const struct queue *queue)
{
    bool rejected = false;
    for (size_t i = 0; i < parcel->trail->n_death; i++) {
        const Holdfast__Death *death = parcel->trail->death[i];
        rejected = rejected || death->reason == HOLDFAST__DEATH__REASON__REJECTED;
        if (strcmp(death->queue, queue->name) == 0) {
            return rejected;
        }
    }
    return true;
}
