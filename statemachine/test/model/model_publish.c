/* Publishing: what is carried out once it is planned; producers, and transactions. */

#include <string.h>

#include "model_plan.h"

static void carry_out_message(struct model *model, struct plan *plan, struct plan_message *message,
                              struct prepared *prepared)
{
    struct parcel parcel = {.content = message->content, .how = PUBLISHED};
    const char *name = plan->queue != NULL ? plan->queue->name : NULL;
    if (message->fate == TAKEN) {
        EACH (struct queue, queue, &message->queues) {
            m_enter(model, queue, &parcel);
        }
    } else if (message->fate == DELAYED) {
        parcel.how = DUE;
        m_pending_add(model, plan->session->virtual_host, name, &parcel, model->time_ms + message->delay_ms);
    } else if (message->fate == PREPARED) {
        struct pending *pending = model_alloc(model, sizeof *pending);
        pending->virtual_host = plan->session->virtual_host;
        pending->queue = name;
        pending->parcel = (struct parcel){.content = message->content, .how = DUE};
        m_list_add(model, &prepared->messages, pending);
    }
}

/* `bit`: of its first message. */
static void carry_out(struct model *model, struct plan *plan, size_t bit, struct reply *reply)
{
    const Holdfast__Publish *publish = plan->publish;
    struct prepared *prepared = NULL;
    if (publish->prepare != NULL && !m_plan_all_repeated(plan)) {
        m_prepared_new(model, plan->session, publish->prepare, &prepared);
    }
    for (size_t i = 0; i < publish->n_body_len; i++) {
        struct plan_message *message = &plan->messages[i];
        carry_out_message(model, plan, message, prepared);
        reply->repeated_count += message->fate == REPEATED;
        reply->count += message->fate != REPEATED && message->fate != REFUSED;
        reply->unrouted |= (uint64_t)(message->unrouted && message->fate != REFUSED) << (bit + i);
        reply->refused |= (uint64_t)(message->fate == REFUSED) << (bit + i);
    }
    if (plan->producer != NULL && publish->first_sequence + publish->n_body_len - 1 > plan->producer->last) {
        plan->producer->last = publish->first_sequence + publish->n_body_len - 1;
    }
}

void m_publish(struct model *model, struct session *session, const Holdfast__Publish *publish, struct slice bodies,
               struct reply *reply)
{
    struct plan *plan = model_alloc(model, sizeof *plan);
    Holdfast__Publish known = *publish;
    if (model->version < 2) {
        known.n_head_len = 0;
        known.producer_epoch = 0;
        known.no_gaps = known.each = false;
        known.prepare = NULL;
    }
    plan->session = session;
    plan->publish = &known;
    reply->error = m_plan_error(model, plan, bodies);
    if (reply->error == 0) {
        carry_out(model, plan, 0, reply);
    }
}

void m_open_producer(struct model *model, struct session *session, const Holdfast__OpenProducer *open,
                     struct reply *reply)
{
    if (!m_is_name(open->producer)) {
        reply->error = ERR_NAME;
        return;
    }
    struct producer *producer = m_producer_find(model, session->virtual_host, open->producer);
    if (!open->keep_epoch) {
        producer->epoch++;
        producer->opened_by = session->id;
    }
    reply->count = producer->epoch;
    reply->repeated_count = producer->last;
}

/* ---- Transactions ---- */

static bool transact_is_sound(const Holdfast__Transact *transact)
{
    size_t messages = 0;
    size_t ranges = 0;
    bool plain = true;
    for (size_t i = 0; i < transact->n_publish; i++) {
        messages += transact->publish[i]->n_body_len;
        plain = plain && !transact->publish[i]->each && transact->publish[i]->prepare == NULL;
    }
    for (size_t i = 0; i < transact->n_settle; i++) {
        ranges += transact->settle[i]->n_first;
    }
    size_t parts = transact->n_publish + transact->n_settle;
    return plain && parts >= 1 && parts <= 256 && messages <= 4096 && ranges <= 4096;
}

static size_t content_len(const Holdfast__Publish *publish)
{
    size_t len = 0;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        len += publish->body_len[i];
    }
    for (size_t i = 0; i < publish->n_head_len; i++) {
        len += publish->head_len[i];
    }
    return len;
}

/* The bodies of all publishes follow one another. */
static int transact_plan(struct model *model, struct session *session, const Holdfast__Transact *transact,
                         struct slice bodies, struct list *plans)
{
    size_t at = 0;
    for (size_t i = 0; i < transact->n_publish; i++) {
        struct plan *plan = model_alloc(model, sizeof *plan);
        size_t len = content_len(transact->publish[i]);
        if (len > bodies.len - at) {
            return ERR_INVALID;
        }
        plan->session = session;
        plan->publish = transact->publish[i];
        plan->earlier = plans;
        int err = m_plan_error(model, plan,
                               (struct slice){.data = (bodies.data != NULL ? bodies.data + at : NULL), .len = len});
        if (err != 0) {
            return err;
        }
        m_list_add(model, plans, plan);
        at += len;
    }
    return at != bodies.len ? ERR_INVALID : 0;
}

void m_transact(struct model *model, struct session *session, const Holdfast__Transact *transact, struct slice bodies,
                struct reply *reply)
{
    struct list plans = {0};
    size_t bit = 0;
    reply->error = transact_is_sound(transact) ? 0 : ERR_INVALID;
    if (reply->error == 0) {
        reply->error = transact_plan(model, session, transact, bodies, &plans);
    }
    if (reply->error == 0) {
        reply->error = m_settle_all_error(session, transact->n_settle, transact->settle);
    }
    if (reply->error != 0) {
        return;
    }
    model->seen[SEEN_TRANSACT_PARTS] += transact->n_publish > 1 && transact->n_settle > 1;
    for (size_t i = 0; i < transact->n_settle; i++) {
        m_settle_carry_out(model, m_consumer_find(session, transact->settle[i]->consumer), transact->settle[i], reply);
    }
    EACH (struct plan, plan, &plans) {
        carry_out(model, plan, bit, reply);
        bit += plan->publish->n_body_len;
    }
}
