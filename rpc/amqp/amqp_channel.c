/* The channels of an AMQP session: how they open and close, and who takes which method. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_session_private.h"

#define CHANNELS_CAP_MIN 4u

/* ---- Life ---- */

static struct amqp_channel **bucket_of(const struct amqp_session *session, uint16_t number)
{
    return &session->channels[number & (session->channels_cap - 1)];
}

struct amqp_channel *amqp_channel_find(struct amqp_session *session, uint16_t number)
{
    struct amqp_channel *channel = session->channels_cap > 0 ? *bucket_of(session, number) : NULL;
    while (channel != NULL && channel->number != number) {
        channel = channel->next;
    }
    return channel;
}

struct amqp_channel *amqp_channel_next(const struct amqp_session *session, const struct amqp_channel *channel)
{
    struct amqp_channel *next = channel != NULL ? channel->next : NULL;
    unsigned bucket = channel != NULL ? (channel->number & (session->channels_cap - 1)) + 1 : 0;
    while (next == NULL && bucket < session->channels_cap) {
        next = session->channels[bucket++];
    }
    return next;
}

bool amqp_channel_is_open(const struct amqp_channel *channel)
{
    return !channel->closing && !channel->gone && channel->session->state == AMQP_OPEN;
}

struct amqp_channel *amqp_channel_ref(struct amqp_channel *channel)
{
    channel->refs++;
    return channel;
}

void amqp_channel_unref(struct amqp_channel *channel)
{
    CHECK(channel->refs > 0);
    if (--channel->refs == 0) {
        free(channel->last_queue);
        free(channel->reply_queue);
        free(channel);
    }
}

static void channel_enter(struct amqp_session *session, struct amqp_channel *channel)
{
    struct amqp_channel **bucket = bucket_of(session, channel->number);
    channel->next = *bucket;
    *bucket = channel;
}

/* Room for one more. */
static int channels_reserve(struct amqp_session *session)
{
    if (session->channels_len < session->channels_cap) {
        return 0;
    }
    unsigned old_cap = session->channels_cap;
    struct amqp_channel **old = session->channels;
    unsigned cap = old_cap > 0 ? 2 * old_cap : CHANNELS_CAP_MIN;
    struct amqp_channel **channels = calloc(cap, sizeof(struct amqp_channel *));
    if (channels == NULL) {
        return ERR_NOMEM;
    }
    session->channels = channels;
    session->channels_cap = cap;
    for (unsigned i = 0; i < old_cap; i++) {
        for (struct amqp_channel *channel = old[i], *next; channel != NULL; channel = next) {
            next = channel->next;
            channel_enter(session, channel);
        }
    }
    free(old);
    return 0;
}

void amqp_take_channel_open(struct amqp_session *session, uint16_t number)
{
    if (amqp_channel_find(session, number) != NULL) {
        amqp_connection_error(session, AMQP_CHANNEL_ERROR, AMQP_channel_open, "second 'channel.open' seen");
        return;
    }
    if (session->channels_len >= session->channel_max) {
        amqp_connection_error(session, AMQP_NOT_ALLOWED, AMQP_channel_open,
                              "number of channels opened (%u) has reached the negotiated channel_max (%u)",
                              session->channels_len, session->channel_max);
        return;
    }
    struct amqp_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL || channels_reserve(session) != 0) {
        free(channel);
        amqp_session_fail(session, ERR_NOMEM);
        return;
    }
    channel->session = session;
    channel->number = number;
    channel->refs = 1;
    list_init(&channel->consumers);
    channel_enter(session, channel);
    session->channels_len++;
    union amqp_method ok = {.channel_open_ok = {.id = AMQP_channel_open_ok}};
    amqp_send(session, number, &ok);
}

/* What it has besides itself. */
static void channel_empty(struct amqp_channel *channel)
{
    amqp_incoming_done(channel);
    amqp_tx_done(channel);
    amqp_confirming_done(channel);
    amqp_unsettled_done(channel);
}

/* Its number is free again. */
static void channel_forget(struct amqp_channel *channel)
{
    struct amqp_session *session = channel->session;
    struct amqp_channel **at = bucket_of(session, channel->number);
    while (*at != channel) {
        at = &(*at)->next;
    }
    *at = channel->next;
    session->channels_len--;
    channel->gone = true;
    amqp_channel_unref(channel);
}

/* What it had asked for is done: the client may hear it, and open another one of that number. */
static void on_closed(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    if (reply == NULL || channel->gone) {
        return;
    }
    union amqp_method ok = {.channel_close_ok = {.id = AMQP_channel_close_ok}};
    amqp_send(channel->session, channel->number, &ok);
    channel_forget(channel);
}

/* A command that changes nothing, behind all others of the channel. */
static void channel_fence(struct amqp_channel *channel)
{
    Holdfast__SetCredit credit = HOLDFAST__SET_CREDIT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
    command.set_credit = &credit;
    amqp_submit(channel->session,
                &(struct amqp_order){.channel = channel, .id = AMQP_channel_close, .blocks = true, .done = on_closed},
                &command, (struct slice){0});
}

void amqp_channel_close(struct amqp_channel *channel, bool answer)
{
    channel->closing = true;
    amqp_publishes_submit(channel->session);
    amqp_settles_submit(channel->session);
    amqp_consumers_leave(channel);
    if (answer && amqp_orders_of(channel)) {
        channel_fence(channel);
        channel_empty(channel);
        return;
    }
    channel_empty(channel);
    if (answer) {
        union amqp_method ok = {.channel_close_ok = {.id = AMQP_channel_close_ok}};
        amqp_send(channel->session, channel->number, &ok);
        channel_forget(channel);
    }
}

void amqp_channels_free(struct amqp_session *session)
{
    for (unsigned i = 0; i < session->channels_cap; i++) {
        while (session->channels[i] != NULL) {
            channel_empty(session->channels[i]);
            channel_forget(session->channels[i]);
        }
    }
}

/* ---- Methods ---- */

static void take_flow(struct amqp_channel *channel, const struct amqp_channel_flow *method)
{
    if (!method->active) {
        /* As RabbitMQ has it: who wants less, has basic.qos. */
        amqp_connection_error(channel->session, AMQP_NOT_IMPLEMENTED, method->id, "active=false");
        return;
    }
    union amqp_method ok = {.channel_flow_ok = {.id = AMQP_channel_flow_ok, .active = true}};
    amqp_send(channel->session, channel->number, &ok);
}

/* Those that are answered without a command, always or sometimes. */
static bool is_answered_here(uint32_t id)
{
    switch (id) {
    case AMQP_channel_flow:
    case AMQP_access_request:
    case AMQP_basic_qos:
    case AMQP_basic_cancel:
    case AMQP_basic_recover:
    case AMQP_confirm_select:
    case AMQP_tx_select: return true;
    default: return false;
    }
}

/* What was published before may come back, and is confirmed: before the answer, as everything that belongs to an earlier method. Commands
 * are answered in order anyway. */
bool amqp_channel_waits(struct amqp_channel *channel, uint32_t id)
{
    struct amqp_session *session = channel->session;
    if (!is_answered_here(id)) {
        return false;
    }
    if (channel->publishing > 0 && !amqp_publishes_finish(session)) {
        return true;
    }
    amqp_confirms_send(session);
    return session->state != AMQP_OPEN; /* There was no memory for that. */
}

static bool take_of_channel(struct amqp_channel *channel, const union amqp_method *method)
{
    switch (method->id) {
    case AMQP_channel_flow: take_flow(channel, &method->channel_flow); return true;
    case AMQP_channel_flow_ok: return true;
    case AMQP_channel_close:
        if (channel->closing) { /* Both closed it at the same time. */
            union amqp_method ok = {.channel_close_ok = {.id = AMQP_channel_close_ok}};
            amqp_send(channel->session, channel->number, &ok);
        } else {
            amqp_channel_close(channel, true);
        }
        return true;
    case AMQP_channel_close_ok:
        if (channel->closing) {
            channel_forget(channel);
        }
        return true;
    default: return false;
    }
}

static bool take_of_exchange(struct amqp_channel *channel, const union amqp_method *method)
{
    switch (method->id) {
    case AMQP_exchange_declare: amqp_take_exchange_declare(channel, &method->exchange_declare); return true;
    case AMQP_exchange_delete: amqp_take_exchange_delete(channel, &method->exchange_delete); return true;
    case AMQP_exchange_bind: amqp_take_exchange_bind(channel, &method->exchange_bind); return true;
    case AMQP_exchange_unbind: amqp_take_exchange_unbind(channel, &method->exchange_unbind); return true;
    default: return false;
    }
}

static bool take_of_queue(struct amqp_channel *channel, const union amqp_method *method)
{
    switch (method->id) {
    case AMQP_queue_declare: amqp_take_queue_declare(channel, &method->queue_declare); return true;
    case AMQP_queue_bind: amqp_take_queue_bind(channel, &method->queue_bind); return true;
    case AMQP_queue_unbind: amqp_take_queue_unbind(channel, &method->queue_unbind); return true;
    case AMQP_queue_purge: amqp_take_queue_purge(channel, &method->queue_purge); return true;
    case AMQP_queue_delete: amqp_take_queue_delete(channel, &method->queue_delete); return true;
    default: return false;
    }
}

static bool take_of_basic(struct amqp_channel *channel, const union amqp_method *method)
{
    switch (method->id) {
    case AMQP_basic_qos: amqp_take_basic_qos(channel, &method->basic_qos); return true;
    case AMQP_basic_consume: amqp_take_basic_consume(channel, &method->basic_consume); return true;
    case AMQP_basic_cancel: amqp_take_basic_cancel(channel, &method->basic_cancel); return true;
    case AMQP_basic_cancel_ok: return true; /* RabbitMQ's clients may answer our Cancel. */
    case AMQP_basic_publish: amqp_take_basic_publish(channel, &method->basic_publish); return true;
    case AMQP_basic_get: amqp_take_basic_get(channel, &method->basic_get); return true;
    case AMQP_basic_ack: amqp_take_basic_ack(channel, &method->basic_ack); return true;
    case AMQP_basic_nack: amqp_take_basic_nack(channel, &method->basic_nack); return true;
    case AMQP_basic_reject: amqp_take_basic_reject(channel, &method->basic_reject); return true;
    case AMQP_basic_recover: amqp_take_basic_recover(channel, method->id, method->basic_recover.requeue); return true;
    case AMQP_basic_recover_async:
        amqp_take_basic_recover(channel, method->id, method->basic_recover_async.requeue);
        return true;
    default: return false;
    }
}

/* Of AMQP 0-9 and before: clients of then ask for a ticket first, and show it with what they do. */
static void take_access_request(struct amqp_channel *channel)
{
    union amqp_method ok = {.access_request_ok = {.id = AMQP_access_request_ok, .ticket = 1}};
    amqp_send(channel->session, channel->number, &ok);
}

static bool take_of_modes(struct amqp_channel *channel, const union amqp_method *method)
{
    switch (method->id) {
    case AMQP_confirm_select: amqp_take_confirm_select(channel, &method->confirm_select); return true;
    case AMQP_tx_select: amqp_take_tx_select(channel); return true;
    case AMQP_tx_commit: amqp_take_tx_commit(channel); return true;
    case AMQP_tx_rollback: amqp_take_tx_rollback(channel); return true;
    case AMQP_access_request: take_access_request(channel); return true;
    default: return false;
    }
}

bool amqp_channel_take(struct amqp_channel *channel, const union amqp_method *method)
{
    return take_of_basic(channel, method) || take_of_channel(channel, method) || take_of_queue(channel, method) ||
           take_of_exchange(channel, method) || take_of_modes(channel, method);
}
