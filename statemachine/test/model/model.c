/* The model's memory, its lists, and what can be seen of it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_private.h"

void model_require(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "model: %s\n", what);
        abort();
    }
}

static void *memory_new(size_t len)
{
    void *memory = calloc(1, len > 0 ? len : 1);
    model_require(memory != NULL, "out of memory");
    return memory;
}

void *model_alloc(struct model *model, size_t len)
{
    void *memory = memory_new(len);
    struct list *chunks = &model->chunks;
    if (chunks->len == chunks->cap) {
        chunks->cap = chunks->cap > 0 ? 2 * chunks->cap : 64;
        chunks->items = realloc(chunks->items, chunks->cap * sizeof *chunks->items);
        model_require(chunks->items != NULL, "out of memory");
    }
    chunks->items[chunks->len++] = memory;
    return memory;
}

const char *model_text(struct model *model, const char *text)
{
    char *copy = model_alloc(model, strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return copy;
}

void m_list_insert(struct model *model, struct list *list, size_t at, void *item)
{
    if (list->len == list->cap) {
        size_t cap = list->cap > 0 ? 2 * list->cap : 8;
        void **items = model_alloc(model, cap * sizeof *items);
        for (size_t i = 0; i < list->len; i++) {
            items[i] = list->items[i];
        }
        list->items = items;
        list->cap = cap;
    }
    for (size_t i = list->len; i > at; i--) {
        list->items[i] = list->items[i - 1];
    }
    list->items[at] = item;
    list->len++;
}

void m_list_add(struct model *model, struct list *list, void *item)
{
    m_list_insert(model, list, list->len, item);
}

void m_list_remove(struct list *list, const void *item)
{
    size_t to = 0;
    for (size_t i = 0; i < list->len; i++) {
        if (list->items[i] != item) {
            list->items[to++] = list->items[i];
        }
    }
    model_require(to + 1 == list->len, "the item is in the list, once");
    list->len = to;
}

struct model_effect *model_effect(struct model *model, enum model_effect_kind kind, uint64_t session)
{
    if (model->effects_len == model->effects_cap) {
        model->effects_cap = model->effects_cap > 0 ? 2 * model->effects_cap : 64;
        model->effects = realloc(model->effects, model->effects_cap * sizeof *model->effects);
        model_require(model->effects != NULL, "out of memory");
    }
    struct model_effect *effect = &model->effects[model->effects_len++];
    *effect = (struct model_effect){.kind = kind, .session = session, .prepared = ""};
    return effect;
}

const struct model_effect *model_effects(const struct model *model, size_t *ret_len)
{
    *ret_len = model->effects_len;
    return model->effects;
}

struct model *model_new(void)
{
    struct model *model = memory_new(sizeof *model);
    model->version = 1;
    model->next_session = model->next_queue = 1;
    (void)m_host_new(model, "/");
    return model;
}

void model_free(struct model *model)
{
    for (size_t i = 0; i < model->chunks.len; i++) {
        free(model->chunks.items[i]);
    }
    free(model->chunks.items);
    free(model->effects);
    free(model);
}

size_t model_queues(const struct model *model)
{
    return model->queues.len;
}

struct model_queue model_queue(const struct model *model, size_t nth)
{
    const struct queue *queue = model->queues.items[nth];
    const struct consumer *active = queue->options.single_active ? queue->active : NULL;
    return (struct model_queue){
        .virtual_host = queue->virtual_host,
        .name = queue->name,
        .id = queue->id,
        .ready = m_queue_count(queue, MODEL_READY),
        .parked = m_queue_parked(queue),
        .unsettled = m_queue_count(queue, MODEL_LOCKED),
        .waiting = m_queue_count(queue, MODEL_WAITING),
        .consumers = queue->consumers.len,
        .enqueued = queue->enqueued,
        .delivered = queue->delivered,
        .settled = queue->settled,
        .released = queue->released,
        .expired = queue->expired,
        .dropped = queue->dropped,
        .dead_lettered = queue->dead_lettered,
        .redriven = queue->redriven,
        .lock_ended = queue->lock_ended,
        .bytes = m_queue_bytes(queue),
        .owner = queue->owner != NULL ? queue->owner->id : 0,
        .active_session = active != NULL ? active->session->id : 0,
        .active_consumer = active != NULL ? active->id : 0,
        .options = queue->options,
    };
}

const uint64_t *model_seen(const struct model *model)
{
    return model->seen;
}

size_t model_messages(const struct model *model, size_t queue)
{
    return ((const struct queue *)model->queues.items[queue])->messages.len;
}

struct model_message model_message(const struct model *model, size_t nth_queue, size_t nth)
{
    const struct queue *queue = model->queues.items[nth_queue];
    const struct message *message = queue->messages.items[nth];
    return (struct model_message){
        .position = message->position,
        .enqueued_ms = message->enqueued_ms,
        .hash = message->parcel.content->hash,
        .len = message->parcel.content->head_len + message->parcel.content->body_len,
        .delivery_count = message->deliveries + (message->state == MODEL_LOCKED),
        .state = message->state,
        .expires_ms = message->expires_ms,
        .trail = message->parcel.trail,
        .head = message->parcel.content->head,
        .head_len = message->parcel.content->head_len,
        .body = message->parcel.content->body,
        .body_len = message->parcel.content->body_len,
    };
}

size_t model_sessions(const struct model *model)
{
    return model->sessions.len;
}

struct model_session model_session(const struct model *model, size_t nth)
{
    const struct session *session = model->sessions.items[nth];
    return (struct model_session){
        .id = session->id,
        .attachment = session->attachment,
        .last_number = session->last,
        .lease_ms = session->lease_ms,
        .node = session->place != NULL ? session->place->id : 0,
        .expires_ms = session->expires_ms,
    };
}

uint64_t model_due_ms(const struct model *model)
{
    uint64_t due = NEVER;
    EACH (struct session, session, &model->sessions) {
        due = session->expires_ms < due ? session->expires_ms : due;
    }
    if (model->version >= 2) {
        uint64_t next = m_next_time(model);
        due = next < due ? next : due;
    }
    return due <= model->time_ms ? 0 : due;
}
