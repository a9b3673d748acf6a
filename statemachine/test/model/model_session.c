/* Nodes and sessions: who is there. */

#include <string.h>

#include "model_private.h"

#define NODES_MAX 64u
#define SESSIONS_ENDED_MAX 256u

struct session *m_session_find(struct model *model, uint64_t id)
{
    EACH (struct session, session, &model->sessions) {
        if (session->id == id) {
            return session;
        }
    }
    return NULL;
}

static struct node *node_find(struct model *model, uint64_t id)
{
    EACH (struct node, node, &model->nodes) {
        if (node->id == id) {
            return node;
        }
    }
    return NULL;
}

static uint64_t lease_ms(const Holdfast__AttachSession *attach)
{
    uint64_t lease = attach->lease_ms == 0 ? 10000 : attach->lease_ms;
    lease = lease < 1000 ? 1000 : lease;
    return lease > 24 * 3600 * 1000 ? 24 * 3600 * 1000 : lease;
}

static void session_look(struct model *model, struct session *session)
{
    EACH (struct consumer, consumer, &session->consumers) {
        m_consumer_look(model, consumer);
    }
}

/* Its lease begins; its consumers wait no more. */
static void session_detach(struct model *model, struct session *session)
{
    if (session->place != NULL) {
        session->place = NULL;
        session->expires_ms = model->time_ms + session->lease_ms;
        session_look(model, session);
        EACH (struct consumer, consumer, &session->consumers) {
            model->seen[SEEN_HELD_BY_DETACHED] += consumer->held.len > 0;
        }
    }
}

static struct session *session_new(struct model *model, const uint8_t *key)
{
    struct session *session = model_alloc(model, sizeof *session);
    session->id = model->next_session++;
    memcpy(session->key, key, sizeof session->key);
    session->virtual_host = "/";
    session->user = "";
    session->expires_ms = NEVER;
    m_list_add(model, &model->sessions, session);
    return session;
}

/* Since version 2: where, and who. */
static int attach_error_new(const struct model *model, const Holdfast__AttachSession *attach,
                            const struct session *session, const struct host *host)
{
    const Holdfast__Limit__What sessions = HOLDFAST__LIMIT__WHAT__SESSIONS;
    if (attach->user[0] != '\0' && !m_is_name(attach->user)) {
        return ERR_NAME;
    }
    if (session != NULL && strcmp(session->virtual_host, host->name) != 0) {
        return ERR_EXISTS;
    }
    if (session == NULL && !m_host_has_room(model, host->name, sessions)) {
        return ERR_LIMIT;
    }
    bool one_more = session == NULL || strcmp(session->user, attach->user) != 0;
    return one_more && !m_user_has_room(model, attach->user, sessions) ? ERR_LIMIT : 0;
}

/* Under version 1 there is one virtual host. */
static int attach_error(const struct model *model, const Holdfast__AttachSession *attach, const struct session *session,
                        const struct host *host)
{
    if (host == NULL || (model->version < 2 && strcmp(host->name, "/") != 0)) {
        return ERR_NOT_FOUND;
    }
    if (attach->client[0] != '\0' && !m_is_name(attach->client)) {
        return ERR_NAME;
    }
    if (session == NULL && attach->resume) {
        return ERR_SESSION_EXPIRED;
    }
    return model->version >= 2 ? attach_error_new(model, attach, session, host) : 0;
}

static void attach_carry_out(struct model *model, const Holdfast__AttachSession *attach, struct node *place,
                             struct session *session)
{
    session->attachment++;
    session->attempt = attach->attempt > session->attempt ? attach->attempt : session->attempt;
    session->origin_node = attach->origin->node;
    session->origin_run = attach->origin->run;
    session->origin_tag = attach->origin->tag;
    session->lease_ms = lease_ms(attach);
    session->place = place;
    session->expires_ms = NEVER;
    session->user = model->version >= 2 ? attach->user : "";
    session_look(model, session);
}

void m_attach_session(struct model *model, const Holdfast__AttachSession *attach, struct reply *reply)
{
    if (attach->key.len != 16) {
        reply->error = ERR_INVALID;
        return;
    }
    const Holdfast__Origin *origin = attach->origin;
    struct node *place = origin != NULL ? node_find(model, origin->node) : NULL;
    if (place == NULL || place->run != origin->run) {
        reply->error = ERR_UNAVAILABLE;
        return;
    }
    struct session *session = NULL;
    EACH (struct session, other, &model->sessions) {
        if (memcmp(other->key, attach->key.data, 16) == 0) {
            session = other;
        }
    }
    const struct host *host = m_host_find(model, attach->virtual_host);
    reply->error = attach_error(model, attach, session, host);
    if (reply->error != 0) {
        return;
    }
    if (session == NULL) {
        session = session_new(model, attach->key.data);
        session->virtual_host = host->name;
    }
    bool again = session->origin_node == origin->node && session->origin_run == origin->run &&
                 session->origin_tag == origin->tag;
    if (!again && attach->attempt != 0 && attach->attempt < session->attempt) {
        reply->error = ERR_DISPLACED;
        return;
    }
    if (!again) {
        attach_carry_out(model, attach, place, session);
    }
    reply->attach_session = session->id;
    reply->attach_attachment = session->attachment;
    reply->last_number = session->last;
}

void m_detach_session(struct model *model, const Holdfast__DetachSession *detach, struct reply *reply)
{
    struct session *session = m_session_find(model, detach->session);
    if (session == NULL || session->attachment != detach->attachment) {
        reply->error = ERR_STALE;
        return;
    }
    session_detach(model, session);
}

/* The order does not show: consumers of different sessions wait no more, and nothing else happens. */
static void run_ends(struct model *model, const struct node *node)
{
    EACH (struct session, session, &model->sessions) {
        if (session->place == node) {
            session_detach(model, session);
        }
    }
    struct model_effect *effect = model_effect(model, MODEL_NODE_LOST, 0);
    effect->node = node->id;
    effect->run = node->run;
}

void m_node_present(struct model *model, const Holdfast__NodePresent *present, struct reply *reply)
{
    struct node *node = node_find(model, present->node);
    if (present->node == 0 || present->run == 0) {
        reply->error = ERR_INVALID;
    } else if (node == NULL && model->nodes.len >= NODES_MAX) {
        reply->error = ERR_LIMIT;
    } else if (node == NULL) {
        node = model_alloc(model, sizeof *node);
        node->id = present->node;
        node->run = present->run;
        m_list_add(model, &model->nodes, node);
    } else if (node->run != present->run) {
        m_saw(model, SEEN_RUN_OVER);
        run_ends(model, node);
        node->run = present->run;
    }
}

void m_node_lost(struct model *model, const Holdfast__NodeLost *lost, struct reply *reply)
{
    struct node *node = node_find(model, lost->node);
    if (node == NULL || node->run != lost->run) {
        reply->error = ERR_STALE;
        return;
    }
    run_ends(model, node);
    m_list_remove(&model->nodes, node);
}

void m_session_end(struct model *model, struct session *session, enum model_end end)
{
    while (session->consumers.len > 0) {
        m_consumer_end(model, session->consumers.items[0]);
    }
    for (size_t i = 0; i < model->queues.len;) {
        struct queue *queue = model->queues.items[i];
        if (queue->owner == session) {
            m_saw(model, SEEN_QUEUE_OF_SESSION);
            m_queue_delete(model, queue);
        } else {
            i++;
        }
    }
    m_list_remove(&model->sessions, session);
    model_effect(model, MODEL_SESSION_ENDED, session->id)->end = end;
}

/* Those first whose lease ended first, and of these those with the lower id. */
void m_leases_end(struct model *model)
{
    for (unsigned ended = 0;; ended++) {
        struct session *first = NULL;
        EACH (struct session, session, &model->sessions) {
            if (session->expires_ms <= model->time_ms && (first == NULL || session->expires_ms < first->expires_ms)) {
                first = session;
            }
        }
        if (first == NULL) {
            return;
        }
        model_require(ended < SESSIONS_ENDED_MAX, "few sessions end at a time");
        m_saw(model, SEEN_LEASE_OVER);
        m_session_end(model, first, MODEL_EXPIRED);
    }
}
