/* Queues: what is in them, and in which order. */

#include <string.h>

#include "model_private.h"

struct queue *m_queue_find(struct model *model, const char *virtual_host, const char *name)
{
    EACH (struct queue, queue, &model->queues) {
        if (strcmp(queue->virtual_host, virtual_host) == 0 && strcmp(queue->name, name) == 0) {
            return queue;
        }
    }
    return NULL;
}

/* An exclusive queue is for the session that declared it. */
bool m_queue_usable(const struct queue *queue, const struct session *session)
{
    return queue->owner == NULL || queue->owner == session;
}

uint64_t m_queue_count(const struct queue *queue, enum model_state state)
{
    uint64_t count = 0;
    EACH (struct message, message, &queue->messages) {
        count += message->state == state;
    }
    return count;
}

uint64_t m_queue_bytes(const struct queue *queue)
{
    uint64_t bytes = 0;
    EACH (struct message, message, &queue->messages) {
        if (message->state == MODEL_READY && !message->old) {
            bytes += message->parcel.content->body_len;
        }
    }
    return bytes;
}

/* Of the messages of one group at most one is out, and they are delivered in order of position. */
static bool group_is_in_the_way(const struct queue *queue, const struct message *message)
{
    const char *group = message->parcel.content->fields->group;
    if (!queue->options.groups || group[0] == '\0') {
        return false;
    }
    EACH (struct message, other, &queue->messages) {
        bool out = other->state == MODEL_LOCKED || other->state == MODEL_WAITING;
        bool same = other != message && strcmp(other->parcel.content->fields->group, group) == 0;
        if (same && (out || other->position < message->position)) {
            return true;
        }
    }
    return false;
}

bool m_message_is_free(const struct queue *queue, const struct message *message)
{
    return message->state == MODEL_READY && !group_is_in_the_way(queue, message);
}

uint64_t m_queue_parked(const struct queue *queue)
{
    uint64_t count = 0;
    EACH (struct message, message, &queue->messages) {
        count += message->state == MODEL_READY && message->parked && !m_message_is_free(queue, message);
    }
    return count;
}

struct message *m_queue_next(struct model *model, const struct queue *queue)
{
    EACH (struct message, message, &queue->messages) {
        if (m_message_is_free(queue, message)) {
            return message;
        }
        if (message->state == MODEL_READY) {
            m_saw(model, SEEN_GROUP_WAITS);
            message->parked = true;
        }
    }
    return NULL;
}

void m_message_remove(struct queue *queue, struct message *message)
{
    m_list_remove(&queue->messages, message);
}

bool m_message_is_in(const struct queue *queue, const struct message *message)
{
    EACH (struct message, other, &queue->messages) {
        if (other == message) {
            return true;
        }
    }
    return false;
}

static bool options_are_sound(const Holdfast__QueueOptions *o)
{
    return o->max_priority <= 255 && o->max_deliveries <= UINT64_C(1) << 31 && o->expires_ms <= TIME_MAX &&
           (!o->has_ttl || o->ttl_ms <= TIME_MAX) && o->redelivery_delay_ms <= TIME_MAX &&
           o->redelivery_delay_max_ms <= TIME_MAX && o->lock_ms <= TIME_MAX && o->keep_settled_ms <= TIME_MAX &&
           o->keep_life_ms <= TIME_MAX && o->id_window_ms <= TIME_MAX && strlen(o->note) <= 255 &&
           strlen(o->dead_letter_key) <= 255 && strlen(o->dead_letter_exchange) <= 255 && (int)o->overflow <= 2;
}

/* What does not count is as if it was not there. The message that was read stays as long as the model. */
static Holdfast__QueueOptions options_of(const Holdfast__QueueOptions *from)
{
    Holdfast__QueueOptions o = HOLDFAST__QUEUE_OPTIONS__INIT;
    if (from != NULL) {
        o = *from;
    }
    o.ttl_ms = o.has_ttl ? o.ttl_ms : 0;
    o.max_length = o.has_max_length ? o.max_length : 0;
    o.max_bytes = o.has_max_bytes ? o.max_bytes : 0;
    o.has_dead_letter_key = o.has_dead_letter && (o.has_dead_letter_key || o.dead_letter_key[0] != '\0');
    static char none[] = "";
    o.dead_letter_exchange = o.has_dead_letter ? o.dead_letter_exchange : none;
    o.dead_letter_key = o.has_dead_letter_key ? o.dead_letter_key : none;
    return o;
}

static bool same_kind(const Holdfast__QueueOptions *a, const Holdfast__QueueOptions *b)
{
    return a->exclusive == b->exclusive && a->auto_delete == b->auto_delete && a->max_priority == b->max_priority &&
           a->groups == b->groups && a->single_active == b->single_active;
}

/* All but note, paused and protected. */
static bool same_options(const Holdfast__QueueOptions *a, const Holdfast__QueueOptions *b)
{
    return same_kind(a, b) && a->expires_ms == b->expires_ms && a->has_ttl == b->has_ttl && a->ttl_ms == b->ttl_ms &&
           a->has_max_length == b->has_max_length && a->max_length == b->max_length &&
           a->has_max_bytes == b->has_max_bytes && a->max_bytes == b->max_bytes && a->overflow == b->overflow &&
           a->has_dead_letter == b->has_dead_letter && strcmp(a->dead_letter_exchange, b->dead_letter_exchange) == 0 &&
           a->has_dead_letter_key == b->has_dead_letter_key && strcmp(a->dead_letter_key, b->dead_letter_key) == 0 &&
           a->max_deliveries == b->max_deliveries && a->redelivery_delay_ms == b->redelivery_delay_ms &&
           a->redelivery_delay_max_ms == b->redelivery_delay_max_ms && a->lock_ms == b->lock_ms &&
           a->keep_settled_ms == b->keep_settled_ms && a->keep_life_ms == b->keep_life_ms &&
           a->id_window_ms == b->id_window_ms;
}

/* What names no length means the longest that its virtual host allows. */
static bool same_with_length(struct model *model, const struct queue *queue, const Holdfast__QueueOptions *options)
{
    Holdfast__QueueOptions given = *options;
    given.max_length = m_host_most(model, queue->virtual_host, HOLDFAST__LIMIT__WHAT__QUEUE_LENGTH);
    given.has_max_length = true;
    return !options->has_max_length && given.max_length != NEVER && same_options(&queue->options, &given);
}

/* One queue more, as its virtual host allows it. */
static int admit(struct model *model, const char *host, Holdfast__QueueOptions *options)
{
    uint64_t longest = m_host_most(model, host, HOLDFAST__LIMIT__WHAT__QUEUE_LENGTH);
    if (!m_host_has_room(model, host, HOLDFAST__LIMIT__WHAT__QUEUES)) {
        return ERR_LIMIT;
    }
    if (longest == NEVER) {
        return 0;
    }
    if (!options->has_max_length) {
        m_saw(model, SEEN_LENGTH_GIVEN);
        options->has_max_length = true;
        options->max_length = longest;
    }
    return options->max_length > longest ? ERR_LIMIT : 0;
}

/* It may stay as long as it is, and become shorter. */
static bool admit_change(struct model *model, const struct queue *queue, Holdfast__QueueOptions *options)
{
    uint64_t longest = m_host_most(model, queue->virtual_host, HOLDFAST__LIMIT__WHAT__QUEUE_LENGTH);
    uint64_t before = queue->options.has_max_length ? queue->options.max_length : NEVER;
    uint64_t after = options->has_max_length ? options->max_length : NEVER;
    if (after <= before || longest == NEVER) {
        return true;
    }
    if (!options->has_max_length) {
        options->has_max_length = true;
        options->max_length = longest;
    }
    return options->max_length <= longest;
}

static void declare_found(struct model *model, struct session *session, struct queue *queue,
                          const Holdfast__DeclareQueue *declare, const Holdfast__QueueOptions *options,
                          struct reply *reply)
{
    if (!m_queue_usable(queue, session)) {
        reply->error = ERR_EXCLUSIVE;
    } else if (!declare->passive && !same_options(&queue->options, options) &&
               !same_with_length(model, queue, options)) {
        reply->error = ERR_EXISTS;
    } else {
        reply->count = m_queue_count(queue, MODEL_READY);
        reply->repeated_count = m_real_consumers(queue, false);
        queue->used_ms = model->time_ms;
    }
}

void m_declare_queue(struct model *model, struct session *session, const Holdfast__DeclareQueue *declare,
                     struct reply *reply)
{
    bool new_rules = model->version >= 2;
    Holdfast__QueueOptions options = options_of(new_rules ? declare->options : NULL);
    if (!m_is_name(declare->queue)) {
        reply->error = ERR_NAME;
        return;
    }
    if (!options_are_sound(&options)) {
        reply->error = ERR_INVALID;
        return;
    }
    struct queue *queue = m_queue_find(model, session->virtual_host, declare->queue);
    if (queue != NULL) {
        if (new_rules) {
            declare_found(model, session, queue, declare, &options, reply);
        }
        return;
    }
    if (new_rules && declare->passive) {
        reply->error = ERR_NOT_FOUND;
        return;
    }
    reply->error = new_rules ? admit(model, session->virtual_host, &options) : 0;
    if (reply->error != 0) {
        return;
    }
    queue = model_alloc(model, sizeof *queue);
    queue->id = model->next_queue++;
    queue->sweep_ms = NEVER;
    queue->virtual_host = session->virtual_host;
    queue->name = model_text(model, declare->queue);
    queue->options = options;
    queue->owner = options.exclusive ? session : NULL;
    queue->used_ms = model->time_ms;
    m_list_add(model, &model->queues, queue);
}

/* NULL, with an error: it is not there, or the session must not touch it. */
static struct queue *usable(struct model *model, struct session *session, const char *name, struct reply *reply)
{
    struct queue *queue = m_queue_find(model, session->virtual_host, name);
    if (queue == NULL) {
        reply->error = ERR_NOT_FOUND;
    } else if (!m_queue_usable(queue, session)) {
        reply->error = ERR_EXCLUSIVE;
    }
    return reply->error == 0 ? queue : NULL;
}

/* Field by field, as command.proto numbers them: a value and its has_. */
static bool change_field(Holdfast__QueueOptions *to, const Holdfast__QueueOptions *from, uint32_t field)
{
    switch (field) {
    case 1: to->exclusive = from->exclusive; break;
    case 2: to->auto_delete = from->auto_delete; break;
    case 3: to->max_priority = from->max_priority; break;
    case 4: to->groups = from->groups; break;
    case 5: to->single_active = from->single_active; break;
    case 10: to->expires_ms = from->expires_ms; break;
    case 11: to->ttl_ms = from->ttl_ms; /* fallthrough */
    case 12: to->has_ttl = from->has_ttl; break;
    case 13: to->max_length = from->max_length; /* fallthrough */
    case 14: to->has_max_length = from->has_max_length; break;
    case 15: to->max_bytes = from->max_bytes; /* fallthrough */
    case 16: to->has_max_bytes = from->has_max_bytes; break;
    case 17: to->overflow = from->overflow; break;
    case 19: to->dead_letter_exchange = from->dead_letter_exchange; /* fallthrough */
    case 18: to->has_dead_letter = from->has_dead_letter; break;
    case 20: to->dead_letter_key = from->dead_letter_key; /* fallthrough */
    case 21: to->has_dead_letter_key = from->has_dead_letter_key; break;
    case 22: to->max_deliveries = from->max_deliveries; break;
    case 23: to->redelivery_delay_ms = from->redelivery_delay_ms; break;
    case 24: to->redelivery_delay_max_ms = from->redelivery_delay_max_ms; break;
    case 25: to->lock_ms = from->lock_ms; break;
    case 26: to->keep_settled_ms = from->keep_settled_ms; break;
    case 27: to->keep_life_ms = from->keep_life_ms; break;
    case 28: to->id_window_ms = from->id_window_ms; break;
    case 29: to->paused = from->paused; break;
    case 30: to->protected_ = from->protected_; break;
    case 31: to->note = from->note; break;
    default: return false;
    }
    return true;
}

/* What the options are to be; false: there is no such field. */
static bool change_read(const struct queue *queue, const Holdfast__ChangeQueue *change, Holdfast__QueueOptions *options)
{
    Holdfast__QueueOptions changed = queue->options;
    bool known = true;
    for (size_t i = 0; i < change->n_field && known; i++) {
        known = change_field(&changed, change->options, change->field[i]);
    }
    *options = change->n_field == 0 ? *change->options : changed;
    return known;
}

void m_change_queue(struct model *model, struct session *session, const Holdfast__ChangeQueue *change,
                    struct reply *reply)
{
    struct queue *queue = usable(model, session, change->queue, reply);
    if (queue == NULL) {
        return;
    }
    Holdfast__QueueOptions options;
    if (change->options == NULL || !change_read(queue, change, &options) || !options_are_sound(&options)) {
        reply->error = ERR_INVALID;
        return;
    }
    options = options_of(&options);
    if (!same_kind(&queue->options, &options)) {
        reply->error = ERR_EXISTS;
    } else if (!admit_change(model, queue, &options)) {
        reply->error = ERR_LIMIT;
    } else {
        if (queue->options.keep_life_ms > 0 && options.keep_life_ms == 0) {
            m_lives_drop(queue);
        }
        queue->options = options;
        queue->used_ms = model->time_ms;
    }
}

/* Consumers end with an effect; messages are dropped. */
void m_queue_delete(struct model *model, struct queue *queue)
{
    while (queue->consumers.len > 0) {
        struct consumer *consumer = queue->consumers.items[0];
        model_effect(model, MODEL_CONSUMER_ENDED, consumer->session->id)->consumer = consumer->id;
        m_consumer_remove(model, consumer, false);
    }
    queue->deleted = true;
    m_exchanges_queue_gone(model, queue);
    m_list_remove(&model->queues, queue);
}

void m_delete_queue(struct model *model, struct session *session, const Holdfast__DeleteQueue *delete,
                    struct reply *reply)
{
    struct queue *queue = usable(model, session, delete->queue, reply);
    if (queue == NULL) {
        return;
    }
    uint64_t messages = queue->messages.len;
    uint64_t ready = model->version >= 2 ? m_queue_count(queue, MODEL_READY) : 0;
    bool used = model->version >= 2 && delete->if_unused && m_real_consumers(queue, false) > 0;
    bool filled = (delete->if_empty && messages > 0) || (delete->if_none_ready && ready > 0);
    if (queue->options.protected_ || filled || used) {
        reply->error = ERR_REFUSED;
        return;
    }
    m_queue_delete(model, queue);
    reply->count = messages;
    reply->repeated_count = ready;
}

void m_purge_queue(struct model *model, struct session *session, const Holdfast__PurgeQueue *purge, struct reply *reply)
{
    struct queue *queue = usable(model, session, purge->queue, reply);
    if (queue == NULL) {
        return;
    }
    if (queue->options.protected_) {
        reply->error = ERR_REFUSED;
        return;
    }
    if (m_queue_count(queue, MODEL_READY) > 0) {
        m_life_purge(model, queue);
    }
    for (size_t i = 0; i < queue->messages.len;) {
        struct message *message = queue->messages.items[i];
        if (message->state == MODEL_READY) {
            m_message_remove(queue, message);
            queue->settled++;
            reply->count++;
        } else {
            i++;
        }
    }
}
