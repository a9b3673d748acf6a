/* Redrive: dead letters go back to where they died. Replay: what is kept is enqueued again. */

#include <string.h>

#include "model_private.h"

#define MOVE_MAX 1024u

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

/* ---- Redrive ---- */

/* Where it is to go; NULL: it stays. */
static struct queue *redrive_target(struct model *model, struct session *session, const Holdfast__Redrive *redrive,
                                    const struct message *message)
{
    const Holdfast__Trail *trail = message->parcel.trail;
    if (trail == NULL || trail->n_death == 0) {
        return NULL;
    }
    const char *died_in = trail->death[0]->queue;
    if (redrive->from[0] != '\0' && strcmp(redrive->from, died_in) != 0) {
        return NULL;
    }
    const char *name = redrive->to[0] != '\0' ? redrive->to : died_in;
    struct queue *to = m_queue_find(model, session->virtual_host, name);
    return to != NULL && m_queue_usable(to, session) ? to : NULL;
}

static void redrive_move(struct model *model, struct queue *from, struct message *message, struct queue *to)
{
    struct parcel parcel = {.content = message->parcel.content, .how = REDRIVEN};
    m_message_remove(from, message);
    from->redriven++;
    m_saw(model, SEEN_REDRIVEN);
    m_life(model, from, message, L_REDRIVEN, NULL, to->name);
    m_life_ends(model, from, message);
    m_enter(model, to, &parcel);
}

/* What is ready when it begins; what was passed over because of its group already is not looked at. */
void m_redrive(struct model *model, struct session *session, const Holdfast__Redrive *redrive, struct reply *reply)
{
    struct list messages = {0};
    uint64_t max = redrive->max > 0 ? redrive->max : MOVE_MAX;
    if (redrive->max > MOVE_MAX) {
        reply->error = ERR_INVALID;
        return;
    }
    struct queue *queue = usable(model, session, redrive->queue, reply);
    if (queue == NULL || (redrive->to[0] != '\0' && usable(model, session, redrive->to, reply) == NULL)) {
        return;
    }
    EACH (struct message, message, &queue->messages) {
        if (message->state == MODEL_READY && (!message->parked || m_message_is_free(queue, message))) {
            m_list_add(model, &messages, message);
        }
    }
    EACH (struct message, message, &messages) {
        if (reply->count == max || !m_message_is_in(queue, message)) {
            continue; /* One before it may have pushed it out. */
        }
        struct queue *to = redrive_target(model, session, redrive, message);
        if (to == NULL) {
            m_saw(model, SEEN_REDRIVE_STAYS);
            reply->repeated_count++;
        } else {
            redrive_move(model, queue, message, to);
            reply->count++;
        }
    }
}

/* ---- Replay ---- */

/* A copy of what is kept when it begins. */
void m_replay(struct model *model, struct session *session, const Holdfast__Replay *replay, struct reply *reply)
{
    struct list kept_now = {0};
    uint64_t max = replay->max > 0 ? replay->max : MOVE_MAX;
    if (replay->max > MOVE_MAX || replay->first > replay->last) {
        reply->error = ERR_INVALID;
        return;
    }
    struct queue *queue = usable(model, session, replay->queue, reply);
    struct queue *to = queue;
    if (queue != NULL && replay->to[0] != '\0') {
        to = usable(model, session, replay->to, reply);
    }
    if (reply->error != 0) {
        return;
    }
    EACH (struct kept, kept, &queue->kept) {
        if (kept->position >= replay->first && kept->position <= replay->last) {
            m_list_add(model, &kept_now, kept);
        }
    }
    EACH (struct kept, kept, &kept_now) {
        if (reply->count == max) {
            m_saw(model, SEEN_REPLAY_GOES_ON);
            reply->repeated_count = kept->position;
            return;
        }
        struct parcel parcel = kept->parcel;
        parcel.how = REPLAYED;
        reply->count++;
        m_saw(model, SEEN_REPLAYED);
        m_enter(model, to, &parcel);
    }
}
