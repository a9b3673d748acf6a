/* The channels of an AMQP session: how they open and close, and who takes which method. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_session_private.h"

/* ---- Life ---- */

struct amqp_channel *amqp_channel_find(struct amqp_session *session, uint16_t number)
{
    return number < session->channels_cap ? session->channels[number] : NULL;
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

/* Room for that number. */
static int channels_reserve(struct amqp_session *session, uint16_t number)
{
    if (number < session->channels_cap) {
        return 0;
    }
    unsigned cap = session->channels_cap > 0 ? session->channels_cap : 4;
    while (cap <= number) {
        cap *= 2;
    }
    struct amqp_channel **channels = realloc(session->channels, cap * sizeof(struct amqp_channel *));
    if (channels == NULL) {
        return ERR_NOMEM;
    }
    memset(channels + session->channels_cap, 0, (cap - session->channels_cap) * sizeof(struct amqp_channel *));
    session->channels = channels;
    session->channels_cap = cap;
    return 0;
}

void amqp_take_channel_open(struct amqp_session *session, uint16_t number)
{
    if (number > session->channel_max) {
        amqp_connection_error(session, AMQP_NOT_ALLOWED, AMQP_channel_open,
                              "number of channels opened (%u) has reached the negotiated channel_max (%u)", number,
                              session->channel_max);
        return;
    }
    if (amqp_channel_find(session, number) != NULL) {
        amqp_connection_error(session, AMQP_CHANNEL_ERROR, AMQP_channel_open, "second 'channel.open' seen");
        return;
    }
    struct amqp_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL || channels_reserve(session, number) != 0) {
        free(channel);
        amqp_session_fail(session, ERR_NOMEM);
        return;
    }
    channel->session = session;
    channel->number = number;
    channel->refs = 1;
    list_init(&channel->consumers);
    session->channels[number] = channel;
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
    channel->gone = true;
    channel->session->channels[channel->number] = NULL;
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
        struct amqp_channel *channel = session->channels[i];
        if (channel != NULL) {
            channel_empty(channel);
            channel_forget(channel);
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

static bool take_of_modes(struct amqp_channel *channel, const union amqp_method *method)
{
    switch (method->id) {
    case AMQP_confirm_select: amqp_take_confirm_select(channel, &method->confirm_select); return true;
    case AMQP_tx_select: amqp_take_tx_select(channel); return true;
    case AMQP_tx_commit: amqp_take_tx_commit(channel); return true;
    case AMQP_tx_rollback: amqp_take_tx_rollback(channel); return true;
    default: return false;
    }
}

bool amqp_channel_take(struct amqp_channel *channel, const union amqp_method *method)
{
    return take_of_basic(channel, method) || take_of_channel(channel, method) || take_of_queue(channel, method) ||
           take_of_exchange(channel, method) || take_of_modes(channel, method);
}
