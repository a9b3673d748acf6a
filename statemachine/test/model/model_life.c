/* What is known of messages after they have gone: those that are kept, and the lives of all. */

#include <string.h>

#include "model_private.h"

/* ---- Kept ---- */

void m_keep(struct model *model, struct queue *queue, const struct message *message, enum outcome outcome)
{
    if (queue->options.keep_settled_ms == 0 || message->position == 0) {
        return;
    }
    struct kept *kept = model_alloc(model, sizeof *kept);
    size_t at = 0;
    kept->position = message->position;
    kept->enqueued_ms = message->enqueued_ms;
    kept->left_ms = model->time_ms;
    kept->until_ms = model->time_ms + queue->options.keep_settled_ms;
    kept->outcome = outcome;
    kept->parcel = message->parcel;
    EACH (struct kept, other, &queue->kept) {
        at += other->position < kept->position;
    }
    m_list_insert(model, &queue->kept, at, kept);
}

/* ---- Lives ---- */

static struct life *life_of(struct model *model, struct queue *queue, uint64_t position)
{
    EACH (struct life, life, &queue->lives) {
        if (life->position == position && !life->forgotten) {
            return life;
        }
    }
    struct life *life = model_alloc(model, sizeof *life);
    life->position = position;
    life->until_ms = NEVER;
    m_list_add(model, &queue->lives, life);
    return life;
}

static struct life_step *life_add(struct model *model, struct queue *queue, uint64_t position, enum life_kind kind)
{
    struct life_step *step = model_alloc(model, sizeof *step);
    step->index = model->index;
    step->time_ms = model->time_ms;
    step->kind = kind;
    step->text = "";
    step->until_ms = NEVER;
    m_list_add(model, &life_of(model, queue, position)->steps, step);
    return step;
}

void m_life(struct model *model, struct queue *queue, const struct message *message, enum life_kind kind,
            const struct consumer *consumer, const char *text)
{
    if (queue->options.keep_life_ms == 0 || message->position == 0) {
        return;
    }
    struct life_step *step = life_add(model, queue, message->position, kind);
    step->session = consumer != NULL ? consumer->session->id : 0;
    step->consumer = consumer != NULL ? consumer->id : 0;
    step->text = text != NULL ? text : "";
}

void m_life_ends(struct model *model, struct queue *queue, const struct message *message)
{
    if (queue->options.keep_life_ms > 0 && message->position != 0) {
        life_of(model, queue, message->position)->until_ms = model->time_ms + queue->options.keep_life_ms;
    }
}

/* Nobody looks at the messages: their lives are forgotten some time after that. */
void m_life_purge(struct model *model, struct queue *queue)
{
    EACH (struct message, message, &queue->messages) {
        EACH (struct life, life, &queue->lives) {
            life->purged = life->purged || (life->position == message->position && message->state == MODEL_READY);
        }
    }
    if (queue->options.keep_life_ms > 0) {
        uint64_t until_ms = model->time_ms + queue->options.keep_life_ms;
        life_add(model, queue, 0, L_PURGED)->until_ms = until_ms;
        queue->sweep_ms = until_ms < queue->sweep_ms ? until_ms : queue->sweep_ms;
    }
}

void m_lives_drop(struct queue *queue)
{
    EACH (struct life, life, &queue->lives) {
        life->forgotten = true;
    }
}

/* ---- The end of it ---- */

static void life_forget(struct model *model, struct life *life)
{
    for (size_t i = 0; i < life->steps.len;) {
        struct life_step *step = life->steps.items[i];
        if (step->until_ms <= model->time_ms) {
            m_list_remove(&life->steps, step);
        } else {
            i++;
        }
    }
    if (life->until_ms <= model->time_ms && !life->forgotten) {
        life->forgotten = true;
        m_saw(model, SEEN_LIFE_ENDS);
    }
}

void m_forget(struct model *model)
{
    EACH (struct queue, queue, &model->queues) {
        for (size_t i = 0; i < queue->kept.len;) {
            struct kept *kept = queue->kept.items[i];
            if (kept->until_ms <= model->time_ms) {
                m_list_remove(&queue->kept, kept);
                m_saw(model, SEEN_KEPT_ENDS);
            } else {
                i++;
            }
        }
        EACH (struct life, life, &queue->lives) {
            life_forget(model, life);
        }
    }
}
