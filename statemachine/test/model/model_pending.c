/* Messages that are kept aside: delayed ones, and prepared ones. */

#include <string.h>

#include "model_private.h"

#define REMEMBERED_MS (UINT64_C(24) * 3600 * 1000)

void m_pending_add(struct model *model, const char *virtual_host, const char *queue, const struct parcel *parcel,
                   uint64_t due_ms)
{
    struct pending *pending = model_alloc(model, sizeof *pending);
    pending->id = ++model->next_pending;
    pending->due_ms = due_ms;
    pending->virtual_host = virtual_host;
    pending->queue = queue;
    pending->parcel = *parcel;
    m_list_add(model, &model->pendings, pending);
}

static void pending_goes(struct model *model, const struct pending *pending)
{
    if (pending->queue != NULL) {
        struct queue *queue = m_queue_find(model, pending->virtual_host, pending->queue);
        if (queue != NULL) {
            m_enter(model, queue, &pending->parcel);
        }
        return;
    }
    m_send(model, pending->virtual_host, pending->parcel.content->fields->exchange, NULL, &pending->parcel);
}

void m_pending_due(struct model *model, struct pending *pending)
{
    m_list_remove(&model->pendings, pending);
    pending_goes(model, pending);
}

/* One that was resolved is remembered for a day. */
struct prepared *m_prepared_find(struct model *model, const char *virtual_host, const char *id)
{
    EACH (struct prepared, prepared, &model->prepareds) {
        bool remembered = !prepared->resolved || model->time_ms - prepared->resolved_ms < REMEMBERED_MS;
        if (remembered && strcmp(prepared->virtual_host, virtual_host) == 0 && strcmp(prepared->id, id) == 0) {
            return prepared;
        }
    }
    return NULL;
}

void m_prepared_new(struct model *model, struct session *session, const Holdfast__Prepare *prepare,
                    struct prepared **ret_prepared)
{
    struct prepared *prepared = model_alloc(model, sizeof *prepared);
    prepared->virtual_host = session->virtual_host;
    prepared->id = model_text(model, prepare->id);
    prepared->number = ++model->next_prepared;
    prepared->group = model_text(model, prepare->group);
    prepared->ask_after_ms = prepare->ask_after_ms;
    prepared->asks_ms = prepare->ask_after_ms > 0 ? model->time_ms + prepare->ask_after_ms : NEVER;
    prepared->deadline_ms = prepare->deadline_ms > 0 ? model->time_ms + prepare->deadline_ms : NEVER;
    prepared->commit_at_deadline = prepare->commit_at_deadline;
    m_list_add(model, &model->prepareds, prepared);
    *ret_prepared = prepared;
}

static void resolve(struct model *model, struct prepared *prepared, bool commit)
{
    prepared->resolved = true;
    prepared->committed = commit;
    prepared->resolved_ms = model->time_ms;
    prepared->asks_ms = prepared->deadline_ms = NEVER;
    EACH (struct pending, pending, &prepared->messages) {
        uint64_t delay_ms = m_delay_of(model, pending->parcel.content->fields);
        if (commit && delay_ms > 0) {
            m_saw(model, SEEN_DELAYED_COMMIT);
            m_pending_add(model, pending->virtual_host, pending->queue, &pending->parcel, model->time_ms + delay_ms);
        } else if (commit) {
            pending_goes(model, pending);
        }
    }
}

/* The session that opened a producer of the group's name last is asked, if it is attached. */
void m_prepared_fired(struct model *model, struct prepared *prepared)
{
    if (prepared->deadline_ms <= model->time_ms) {
        m_saw(model, prepared->commit_at_deadline ? SEEN_DEADLINE_COMMIT : SEEN_DEADLINE_DROP);
        resolve(model, prepared, prepared->commit_at_deadline);
        return;
    }
    prepared->asks_ms = model->time_ms + prepared->ask_after_ms;
    if (prepared->group[0] == '\0') {
        return;
    }
    struct producer *producer = m_producer_find(model, prepared->virtual_host, prepared->group);
    struct session *session = m_session_find(model, producer->opened_by);
    if (session != NULL && session->place != NULL) {
        m_saw(model, SEEN_PREPARED_ASKED);
        model_effect(model, MODEL_PREPARED_ASK, session->id)->prepared = prepared->id;
    }
}

void m_resolve_prepared(struct model *model, struct session *session, const Holdfast__ResolvePrepared *resolve_prepared,
                        struct reply *reply)
{
    struct prepared *prepared = m_prepared_find(model, session->virtual_host, resolve_prepared->id);
    if (prepared == NULL) {
        reply->error = ERR_NOT_FOUND;
    } else if (!prepared->resolved) {
        reply->count = prepared->messages.len;
        resolve(model, prepared, resolve_prepared->commit);
    } else if (prepared->committed != resolve_prepared->commit) {
        reply->error = ERR_REFUSED;
    }
}
