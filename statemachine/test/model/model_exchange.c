/* Exchanges, and the ways of messages. */

#include <string.h>

#include "model_private.h"

enum { DIRECT = 0, FANOUT = 1, TOPIC = 2, HEADERS = 3 };

static struct exchange *exchange_add(struct model *model, const char *virtual_host, const char *name, int type)
{
    struct exchange *exchange = model_alloc(model, sizeof *exchange);
    exchange->virtual_host = virtual_host;
    exchange->name = model_text(model, name);
    exchange->type = type;
    exchange->note = "";
    m_list_add(model, &model->exchanges, exchange);
    return exchange;
}

/* Those that every virtual host has are made when they are first looked for. */
static struct exchange *built_in(struct model *model, const char *virtual_host, const char *name)
{
    static const struct {
        const char *name;
        int type;
    } kinds[] = {{"", DIRECT},         {"amq.direct", DIRECT},   {"amq.fanout", FANOUT},
                 {"amq.topic", TOPIC}, {"amq.headers", HEADERS}, {"amq.match", HEADERS}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            struct exchange *exchange = exchange_add(model, virtual_host, name, kinds[i].type);
            exchange->built_in = true;
            return exchange;
        }
    }
    return NULL;
}

struct exchange *m_exchange_find(struct model *model, const char *virtual_host, const char *name)
{
    EACH (struct exchange, exchange, &model->exchanges) {
        if (strcmp(exchange->virtual_host, virtual_host) == 0 && strcmp(exchange->name, name) == 0) {
            return exchange;
        }
    }
    return built_in(model, virtual_host, name);
}

struct list m_keys(struct model *model, const Holdfast__MessageHead *head)
{
    struct list keys = {0};
    m_list_add(model, &keys, head->routing_key);
    for (size_t i = 0; i < head->n_also_key; i++) {
        m_list_add(model, &keys, head->also_key[i]);
    }
    for (size_t i = 0; i < head->n_hidden_key; i++) {
        m_list_add(model, &keys, head->hidden_key[i]);
    }
    return keys;
}

static bool has(const struct list *list, const void *item)
{
    EACH (void, other, list) {
        if (other == item) {
            return true;
        }
    }
    return false;
}

static bool binding_fits(const struct binding *binding, const struct list *keys, const Holdfast__MessageHead *head)
{
    int type = binding->source->type;
    if (type == FANOUT) {
        return true;
    }
    if (type == HEADERS) {
        return m_headers_fit(binding->arguments, binding->arguments_len, head);
    }
    EACH (const char, key, keys) {
        if (type == TOPIC ? m_topic_fits(binding->key, key) : strcmp(binding->key, key) == 0) {
            return true;
        }
    }
    return false;
}

struct way {
    const struct list *keys;
    const Holdfast__MessageHead *head;
    struct list exchanges; /* Visited. */
    struct list queues;
};

static void visit_queue(struct model *model, struct way *way, struct queue *queue)
{
    size_t at = 0;
    if (has(&way->queues, queue)) {
        m_saw(model, SEEN_TWO_WAYS);
        return;
    }
    EACH (struct queue, other, &way->queues) {
        at += other->id < queue->id;
    }
    m_list_insert(model, &way->queues, at, queue);
}

/* Each exchange once. Its alternate when nothing at all fits. */
static void visit(struct model *model, struct way *way, struct exchange *exchange)
{
    bool any = false;
    if (exchange == NULL || has(&way->exchanges, exchange)) {
        return;
    }
    m_list_add(model, &way->exchanges, exchange);
    if (exchange->name[0] == '\0') {
        EACH (const char, key, way->keys) {
            struct queue *queue = m_queue_find(model, exchange->virtual_host, key);
            if (queue != NULL) {
                visit_queue(model, way, queue);
            }
        }
        return;
    }
    EACH (struct binding, binding, &model->bindings) {
        if (binding->source == exchange && binding_fits(binding, way->keys, way->head)) {
            any = true;
            if (binding->queue != NULL) {
                visit_queue(model, way, binding->queue);
            } else {
                m_saw(model, SEEN_EXCHANGE_TO_EXCHANGE);
                visit(model, way, binding->exchange);
            }
            model->seen[SEEN_HEADERS_FIT] += exchange->type == HEADERS;
        }
    }
    if (!any && exchange->alternate != NULL) {
        m_saw(model, SEEN_ALTERNATE);
        visit(model, way, m_exchange_find(model, exchange->virtual_host, exchange->alternate));
    }
}

struct list m_route(struct model *model, struct exchange *exchange, const struct list *keys,
                    const Holdfast__MessageHead *head)
{
    struct way way = {.keys = keys, .head = head};
    visit(model, &way, exchange);
    return way.queues;
}

/* ---- Commands ---- */

static bool same_alternate(const struct exchange *exchange, const Holdfast__DeclareExchange *declare)
{
    if (exchange->alternate == NULL || !declare->has_alternate) {
        return (exchange->alternate == NULL) == !declare->has_alternate;
    }
    return strcmp(exchange->alternate, declare->alternate) == 0;
}

void m_declare_exchange(struct model *model, struct session *session, const Holdfast__DeclareExchange *declare,
                        struct reply *reply)
{
    struct exchange *exchange = NULL;
    if (declare->passive) {
        exchange = m_exchange_find(model, session->virtual_host, declare->exchange);
        reply->error = exchange == NULL ? ERR_NOT_FOUND : 0;
        return;
    }
    if (declare->exchange[0] == '\0') {
        reply->error = ERR_REFUSED;
        return;
    }
    if (!m_is_name(declare->exchange)) {
        reply->error = ERR_NAME;
        return;
    }
    if ((int)declare->type < DIRECT || (int)declare->type > HEADERS) {
        reply->error = ERR_INVALID;
        return;
    }
    exchange = m_exchange_find(model, session->virtual_host, declare->exchange);
    if (exchange != NULL) {
        bool same = exchange->type == (int)declare->type && exchange->auto_delete == declare->auto_delete &&
                    exchange->internal == declare->internal && exchange->delayed == declare->delayed &&
                    same_alternate(exchange, declare);
        reply->error = same ? 0 : ERR_EXISTS;
        return;
    }
    if (strncmp(declare->exchange, "amq.", 4) == 0) {
        reply->error = ERR_REFUSED;
        return;
    }
    if (!m_host_has_room(model, session->virtual_host, HOLDFAST__LIMIT__WHAT__EXCHANGES)) {
        reply->error = ERR_LIMIT;
        return;
    }
    exchange = exchange_add(model, session->virtual_host, declare->exchange, (int)declare->type);
    exchange->auto_delete = declare->auto_delete;
    exchange->internal = declare->internal;
    exchange->delayed = declare->delayed;
    exchange->protected = declare->protected_;
    exchange->note = declare->note;
    exchange->alternate = declare->has_alternate ? declare->alternate : NULL;
}

static uint64_t bindings_from(const struct model *model, const struct exchange *exchange)
{
    uint64_t count = 0;
    EACH (struct binding, binding, &model->bindings) {
        count += binding->source == exchange;
    }
    return count;
}

static void exchange_delete(struct model *model, struct exchange *exchange);

static void binding_remove(struct model *model, struct binding *binding)
{
    struct exchange *source = binding->source;
    m_list_remove(&model->bindings, binding);
    if (source->auto_delete && bindings_from(model, source) == 0 && has(&model->exchanges, source)) {
        m_saw(model, SEEN_EXCHANGE_AUTO_DELETED);
        exchange_delete(model, source);
    }
}

/* What is bound from it, to it, or to the queue. */
static void bindings_remove(struct model *model, const struct exchange *exchange, const struct queue *queue)
{
    for (size_t i = 0; i < model->bindings.len;) {
        struct binding *binding = model->bindings.items[i];
        if ((exchange != NULL && (binding->source == exchange || binding->exchange == exchange)) ||
            (queue != NULL && binding->queue == queue)) {
            binding_remove(model, binding);
            i = 0; /* More than one may have gone. */
        } else {
            i++;
        }
    }
}

static void exchange_delete(struct model *model, struct exchange *exchange)
{
    m_list_remove(&model->exchanges, exchange);
    bindings_remove(model, exchange, NULL);
}

void m_exchanges_queue_gone(struct model *model, struct queue *queue)
{
    bindings_remove(model, NULL, queue);
}

void m_change_exchange(struct model *model, struct session *session, const Holdfast__ChangeExchange *change,
                       struct reply *reply)
{
    struct exchange *exchange = m_exchange_find(model, session->virtual_host, change->exchange);
    if (exchange == NULL || exchange->built_in) {
        reply->error = exchange == NULL ? ERR_NOT_FOUND : ERR_REFUSED;
    } else if (change->has_note && strlen(change->note) > 255) {
        reply->error = ERR_INVALID;
    } else {
        exchange->protected = change->has_protected ? change->protected_ : exchange->protected;
        exchange->note = change->has_note ? change->note : exchange->note;
    }
}

void m_delete_exchange(struct model *model, struct session *session, const Holdfast__DeleteExchange *delete,
                       struct reply *reply)
{
    struct exchange *exchange = m_exchange_find(model, session->virtual_host, delete->exchange);
    if (exchange == NULL) {
        reply->error = delete->if_exists ? 0 : ERR_NOT_FOUND;
    } else if (exchange->built_in || exchange->protected || (delete->if_unused && bindings_from(model, exchange) > 0)) {
        reply->error = ERR_REFUSED;
    } else {
        exchange_delete(model, exchange);
    }
}

/* In any order. */
static bool same_arguments(const struct binding *a, const struct binding *b)
{
    for (size_t i = 0; i < a->arguments_len; i++) {
        bool found = false;
        for (size_t j = 0; j < b->arguments_len; j++) {
            found = found || (strcmp(a->arguments[i]->name, b->arguments[j]->name) == 0 &&
                              a->arguments[i]->value->kind_case == b->arguments[j]->value->kind_case &&
                              m_values_same(a->arguments[i]->value, b->arguments[j]->value));
        }
        if (!found) {
            return false;
        }
    }
    return a->arguments_len == b->arguments_len;
}

static struct binding *binding_find(const struct model *model, const struct binding *like)
{
    EACH (struct binding, binding, &model->bindings) {
        if (binding->source == like->source && binding->queue == like->queue && binding->exchange == like->exchange &&
            strcmp(binding->key, like->key) == 0 && same_arguments(binding, like)) {
            return binding;
        }
    }
    return NULL;
}

/* Source and destination. */
static void binding_resolve(struct model *model, struct session *session, const char *source, const char *queue,
                            const char *exchange, bool to_exchange, struct binding *binding, struct reply *reply)
{
    binding->source = m_exchange_find(model, session->virtual_host, source);
    if (binding->source == NULL || binding->source->name[0] == '\0') {
        reply->error = binding->source == NULL ? ERR_NOT_FOUND : ERR_REFUSED;
        return;
    }
    if (to_exchange) {
        binding->exchange = m_exchange_find(model, session->virtual_host, exchange);
        if (binding->exchange == NULL || binding->exchange->name[0] == '\0') {
            reply->error = binding->exchange == NULL ? ERR_NOT_FOUND : ERR_REFUSED;
        }
        return;
    }
    binding->queue = m_queue_find(model, session->virtual_host, queue);
    if (binding->queue == NULL || !m_queue_usable(binding->queue, session)) {
        reply->error = binding->queue == NULL ? ERR_NOT_FOUND : ERR_EXCLUSIVE;
    }
}

void m_bind(struct model *model, struct session *session, const Holdfast__Bind *bind, struct reply *reply)
{
    struct binding *binding = model_alloc(model, sizeof *binding);
    binding->key = bind->key;
    binding->arguments = bind->argument;
    binding->arguments_len = bind->n_argument;
    binding_resolve(model, session, bind->source, bind->queue, bind->exchange, bind->to_exchange, binding, reply);
    if (reply->error != 0 || binding_find(model, binding) != NULL) {
        return;
    }
    if (!m_host_has_room(model, session->virtual_host, HOLDFAST__LIMIT__WHAT__BINDINGS)) {
        reply->error = ERR_LIMIT;
        return;
    }
    m_list_add(model, &model->bindings, binding);
    reply->count = 1;
}

void m_unbind(struct model *model, struct session *session, const Holdfast__Unbind *unbind, struct reply *reply)
{
    struct binding like = {.key = unbind->key, .arguments = unbind->argument, .arguments_len = unbind->n_argument};
    binding_resolve(model, session, unbind->source, unbind->queue, unbind->exchange, unbind->to_exchange, &like, reply);
    struct binding *binding = reply->error == 0 ? binding_find(model, &like) : NULL;
    if (binding != NULL) {
        binding_remove(model, binding);
        reply->count = 1;
    }
}
