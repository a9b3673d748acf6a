/* Virtual hosts, and what they and users may have at most. */

#include <string.h>

#include "model_private.h"

static void limits_none(struct limits *limits)
{
    for (size_t i = 0; i < LIMITS; i++) {
        limits->most[i] = NEVER;
    }
}

struct host *m_host_find(struct model *model, const char *name)
{
    name = name[0] == '\0' ? "/" : name;
    EACH (struct host, host, &model->hosts) {
        if (strcmp(host->name, name) == 0) {
            return host;
        }
    }
    return NULL;
}

struct user *m_user_find(struct model *model, const char *name)
{
    EACH (struct user, user, &model->users) {
        if (strcmp(user->name, name) == 0) {
            return user;
        }
    }
    return NULL;
}

struct host *m_host_new(struct model *model, const char *name)
{
    struct host *host = model_alloc(model, sizeof *host);
    host->name = model_text(model, name);
    host->note = "";
    limits_none(&host->limits);
    m_list_add(model, &model->hosts, host);
    return host;
}

/* ---- What there is ---- */

static uint64_t sessions_of(const struct model *model, const char *host, const char *user, bool consumers)
{
    uint64_t count = 0;
    EACH (struct session, session, &model->sessions) {
        bool counts = host != NULL ? strcmp(session->virtual_host, host) == 0 : strcmp(session->user, user) == 0;
        count += !counts ? 0 : consumers ? session->consumers.len : 1;
    }
    return count;
}

static uint64_t queues_of(const struct model *model, const char *host, bool messages)
{
    uint64_t count = 0;
    EACH (struct queue, queue, &model->queues) {
        bool counts = strcmp(queue->virtual_host, host) == 0;
        count += !counts ? 0 : messages ? m_queue_count(queue, MODEL_READY) : 1;
    }
    return count;
}

/* Those that were made: every virtual host has some. */
static uint64_t exchanges_of(const struct model *model, const char *host)
{
    uint64_t count = 0;
    EACH (struct exchange, exchange, &model->exchanges) {
        count += !exchange->built_in && strcmp(exchange->virtual_host, host) == 0;
    }
    return count;
}

static uint64_t bindings_of(const struct model *model, const char *host)
{
    uint64_t count = 0;
    EACH (struct binding, binding, &model->bindings) {
        count += strcmp(binding->source->virtual_host, host) == 0;
    }
    return count;
}

static uint64_t host_has(const struct model *model, const char *host, Holdfast__Limit__What what)
{
    switch (what) {
    case HOLDFAST__LIMIT__WHAT__SESSIONS: return sessions_of(model, host, NULL, false);
    case HOLDFAST__LIMIT__WHAT__CONSUMERS: return sessions_of(model, host, NULL, true);
    case HOLDFAST__LIMIT__WHAT__QUEUES: return queues_of(model, host, false);
    case HOLDFAST__LIMIT__WHAT__READY_MESSAGES: return queues_of(model, host, true);
    case HOLDFAST__LIMIT__WHAT__EXCHANGES: return exchanges_of(model, host);
    case HOLDFAST__LIMIT__WHAT__BINDINGS: return bindings_of(model, host);
    default: return 0;
    }
}

uint64_t m_host_most(struct model *model, const char *host, Holdfast__Limit__What what)
{
    return m_host_find(model, host)->limits.most[what];
}

bool m_host_has_room(const struct model *model, const char *name, Holdfast__Limit__What what)
{
    EACH (struct host, host, &model->hosts) {
        if (strcmp(host->name, name) == 0) {
            return host_has(model, name, what) < host->limits.most[what];
        }
    }
    return true;
}

bool m_user_has_room(const struct model *model, const char *name, Holdfast__Limit__What what)
{
    EACH (struct user, user, &model->users) {
        if (strcmp(user->name, name) == 0) {
            bool consumers = what == HOLDFAST__LIMIT__WHAT__CONSUMERS;
            return sessions_of(model, NULL, name, consumers) < user->limits.most[what];
        }
    }
    return true;
}

/* ---- Commands ---- */

void m_create_host(struct model *model, const Holdfast__CreateVirtualHost *create, struct reply *reply)
{
    if (!m_is_name(create->virtual_host)) {
        reply->error = ERR_NAME;
    } else if (m_host_find(model, create->virtual_host) != NULL) {
        return;
    } else if (strlen(create->note) > 255) {
        reply->error = ERR_INVALID;
    } else {
        m_host_new(model, create->virtual_host)->note = create->note;
    }
}

/* All but the one that asks, which has its reply first. */
static void end_sessions(struct model *model, const char *host, const struct session *but)
{
    for (size_t i = 0; i < model->sessions.len;) {
        struct session *session = model->sessions.items[i];
        if (session != but && strcmp(session->virtual_host, host) == 0) {
            m_session_end(model, session, MODEL_HOST_DELETED);
        } else {
            i++;
        }
    }
}

static bool has_protected_queue(const struct model *model, const char *host)
{
    for (size_t i = 0; i < model->queues.len; i++) {
        const struct queue *queue = model->queues.items[i];
        if (strcmp(queue->virtual_host, host) == 0 && queue->options.protected_) {
            return true;
        }
    }
    return false;
}

static void delete_queues(struct model *model, const char *host)
{
    for (size_t i = 0; i < model->queues.len;) {
        struct queue *queue = model->queues.items[i];
        if (strcmp(queue->virtual_host, host) == 0) {
            m_queue_delete(model, queue);
        } else {
            i++;
        }
    }
}

#define REMOVE_OF_HOST(type, list, host, of)                                                                           \
    for (size_t i = 0; i < (list)->len;) {                                                                             \
        type *item = (list)->items[i];                                                                                 \
        if (strcmp(item->of, host) == 0) {                                                                             \
            m_list_remove(list, item);                                                                                 \
        } else {                                                                                                       \
            i++;                                                                                                       \
        }                                                                                                              \
    }

void m_delete_host(struct model *model, struct session *session, const Holdfast__DeleteVirtualHost *delete,
                   struct reply *reply)
{
    struct host *host = delete->virtual_host[0] != '\0' ? m_host_find(model, delete->virtual_host) : NULL;
    if (host == NULL) {
        reply->error = ERR_NOT_FOUND;
        return;
    }
    bool used = sessions_of(model, host->name, NULL, false) > 0;
    bool kept = used || has_protected_queue(model, host->name);
    if (strcmp(host->name, "/") == 0 || (kept && !delete->force)) {
        reply->error = ERR_REFUSED;
        return;
    }
    model->seen[SEEN_HOST_WITH_SESSIONS] += used;
    end_sessions(model, host->name, session);
    delete_queues(model, host->name);
    REMOVE_OF_HOST(struct binding, &model->bindings, host->name, source->virtual_host)
    REMOVE_OF_HOST(struct exchange, &model->exchanges, host->name, virtual_host)
    REMOVE_OF_HOST(struct producer, &model->producers, host->name, virtual_host)
    REMOVE_OF_HOST(struct pending, &model->pendings, host->name, virtual_host)
    REMOVE_OF_HOST(struct prepared, &model->prepareds, host->name, virtual_host)
    m_list_remove(&model->hosts, host);
}

/* Replaces all. Users have no limits but on sessions and consumers. */
static bool limits_read(const Holdfast__Limits *from, bool of_user, struct limits *limits)
{
    limits_none(limits);
    for (size_t i = 0; from != NULL && i < from->n_limit; i++) {
        Holdfast__Limit__What what = from->limit[i]->what;
        bool of_users = what == HOLDFAST__LIMIT__WHAT__SESSIONS || what == HOLDFAST__LIMIT__WHAT__CONSUMERS;
        if ((int)what < 0 || (int)what >= (int)LIMITS || (of_user && !of_users)) {
            return false;
        }
        limits->most[what] = from->limit[i]->value;
    }
    return true;
}

void m_set_limits(struct model *model, const Holdfast__SetLimits *set, struct reply *reply)
{
    bool of_user = set->user[0] != '\0';
    struct limits limits;
    if (of_user == (set->virtual_host[0] != '\0') || !limits_read(set->limits, of_user, &limits)) {
        reply->error = ERR_INVALID;
        return;
    }
    if (!of_user) {
        struct host *host = m_host_find(model, set->virtual_host);
        if (host == NULL) {
            reply->error = ERR_NOT_FOUND;
        } else {
            host->limits = limits;
        }
        return;
    }
    if (!m_is_name(set->user)) {
        reply->error = ERR_NAME;
        return;
    }
    struct user *user = m_user_find(model, set->user);
    if (user == NULL) {
        user = model_alloc(model, sizeof *user);
        user->name = model_text(model, set->user);
        m_list_add(model, &model->users, user);
    }
    user->limits = limits;
}
