/* Publishing: messages gather until the turn is over, go to the gateway as one command, and are confirmed, returned or refused by its
 * answer. */

#include <string.h>

#include "proto/base/check.h"
#include "proto/wire/fields.h"
#include "rpc/amqp/amqp_publishing.h"
#include "rpc/amqp/amqp_refusal.h"

/* MessageHead.exchange. */
#define FIELD_EXCHANGE 1u

static void gathered_send(struct amqp_gathered *gathered);

/* All of its messages have been answered, or will not be. */
static void gathered_end(struct amqp_gathered *gathered)
{
    for (unsigned i = 0; i < gathered->len; i++) {
        gathered->ones[i].channel->publishing--;
    }
    amqp_gathered_free(gathered);
}

static void kept_again(struct amqp_kept *kept)
{
    gathered_send(container_of(kept, struct amqp_gathered, kept));
}

static void kept_drop(struct amqp_kept *kept)
{
    gathered_end(container_of(kept, struct amqp_gathered, kept));
}

/* ---- Answers ---- */

bool amqp_bit_of(struct slice bits, size_t i)
{
    return i / 8 < bits.len && (bits.data[i / 8] >> i % 8 & 1) != 0;
}

void amqp_exchange_of(struct slice head, char ret_name[NAME_LEN_MAX + 1])
{
    const uint8_t *at = head.data;
    const uint8_t *end = head.data + head.len;
    struct field field;
    ret_name[0] = '\0';
    while (at < end && field_next(&at, end, &field)) {
        if (field.number == FIELD_EXCHANGE && field.wire == FIELD_DELIMITED && field.len <= NAME_LEN_MAX) {
            memcpy(ret_name, field.data, field.len);
            ret_name[field.len] = '\0';
            return;
        }
    }
}

/* It was refused: its queue is full, or its exchange is not there (any more), or is internal. The answer does not say which, but what it
 * says has been applied here, so that it can be looked at. */
static void one_refused(const struct amqp_gathered_one *one, struct slice content)
{
    char exchange[NAME_LEN_MAX + 1];
    amqp_exchange_of(slice_part(content, 0, one->head_len), exchange);
    if (amqp_channel_is_open(one->channel) && !amqp_exchange_was_closed(one->channel, exchange)) {
        amqp_confirm(one->channel, one->tag, false);
    }
}

static void gathered_answered(struct amqp_gathered *gathered, const struct gateway_reply *reply)
{
    struct slice content = amqp_gathered_content(gathered);
    size_t at = 0;
    for (unsigned i = 0; i < gathered->len; i++) {
        const struct amqp_gathered_one *one = &gathered->ones[i];
        size_t len = (size_t)one->head_len + one->body_len;
        if (amqp_bit_of(reply->refused, i)) {
            one_refused(one, slice_part(content, at, len));
        } else {
            if (one->mandatory && amqp_bit_of(reply->unrouted, i)) {
                amqp_return(one->channel, slice_part(content, at, len), one->head_len);
            }
            amqp_confirm(one->channel, one->tag, true);
        }
        at += len;
    }
    gathered_end(gathered);
}

/* The whole was refused for the sake of one of them: each alone. Nothing that is on its way behind them is taken before them. */
static void gathered_split(struct amqp_gathered *gathered)
{
    size_t at = 0;
    struct amqp_kept *before = list_linked(&gathered->kept.node) ? &gathered->kept : NULL;
    for (unsigned i = 0; i < gathered->len; i++) {
        struct amqp_gathered *single = amqp_gathered_single(gathered, i, at);
        if (single == NULL) {
            amqp_session_fail(gathered->session, ERR_NOMEM);
            break;
        }
        gathered->ones[i].channel->publishing++;
        at += single->content_len;
        single->kept.again = kept_again;
        single->kept.drop = kept_drop;
        amqp_publish_keep(gathered->session, &single->kept, before);
    }
    gathered_end(gathered);
}

/* Whoever numbers its messages is to send those again that were not taken; others are told, or have not asked to be. */
static void one_not_taken(const struct amqp_gathered_one *one, struct slice content, const struct gateway_reply *reply)
{
    bool behind = amqp_said(reply, ERR_REFUSED, AMQP_SAID_BEHIND);
    switch (behind ? ERR_GAP : -(int)reply->error) {
    case ERR_NOT_FOUND:
    case ERR_REFUSED: one_refused(one, content); return;
    case ERR_LIMIT:
    case ERR_FULL: amqp_confirm(one->channel, one->tag, false); return;
    case ERR_GAP:
        if (one->tag != 0) {
            amqp_confirm(one->channel, one->tag, false);
            return;
        }
        break;
    default: break;
    }
    if (behind) {
        amqp_channel_error(one->channel, AMQP_PRECONDITION_FAILED, AMQP_basic_publish, "%s", reply->detail);
    } else if (amqp_channel_is_open(one->channel)) {
        amqp_reply_error(one->channel, AMQP_basic_publish, reply);
    }
}

static void gathered_refused(struct amqp_gathered *gathered, const struct gateway_reply *reply)
{
    if (gathered->len > 1 && !amqp_said(reply, ERR_LIMIT, AMQP_SAID_READY_MESSAGES)) {
        gathered_split(gathered);
        return;
    }
    struct slice content = amqp_gathered_content(gathered);
    size_t at = 0;
    for (unsigned i = 0; i < gathered->len; i++) {
        const struct amqp_gathered_one *one = &gathered->ones[i];
        size_t len = (size_t)one->head_len + one->body_len;
        one_not_taken(one, slice_part(content, at, len), reply);
        at += len;
    }
    gathered_end(gathered);
}

static void on_published(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_gathered *gathered = order->arg;
    struct amqp_session *session = gathered->session;
    session->batch->unanswered--;
    if (reply == NULL) {
        gathered_end(gathered);
        return;
    }
    bool kept = amqp_publish_keep_refused(session, &gathered->kept, gathered->producer != NULL, reply);
    if (!kept && reply->error == 0) {
        gathered_answered(gathered, reply);
    } else if (!kept) {
        gathered_refused(gathered, reply);
    }
    amqp_publish_answered(session);
}

/* ---- Gathering ---- */

static void gathered_send(struct amqp_gathered *gathered)
{
    struct amqp_session *session = gathered->session;
    uint32_t lens[2 * AMQP_GATHER_MAX];
    uint64_t hashes[AMQP_GATHER_MAX];
    Holdfast__Publish publish;
    struct slice content = amqp_gathered_content(gathered);
    amqp_gathered_describe(gathered, lens, hashes, &publish);
    /* A number that was used up by a message that was refused could not be used again: what has numbers is taken as a whole, and in
     * order. */
    publish.each = gathered->producer == NULL;
    publish.no_gaps = gathered->producer != NULL;
    publish.in_order = true;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    session->batch->unanswered++;
    amqp_submit_gathered(
        session,
        &(struct amqp_order){.id = AMQP_basic_publish, .enqueues = true, .done = on_published, .arg = gathered},
        &command, content);
}

void amqp_publishes_submit(struct amqp_session *session)
{
    struct amqp_batch *batch = session->batch;
    if (batch == NULL) {
        return;
    }
    struct amqp_gathered *gathered = batch->open;
    batch->has_seen = false;
    batch->open = NULL;
    if (gathered == NULL) {
        return;
    }
    gathered->kept.again = kept_again;
    gathered->kept.drop = kept_drop;
    if (session->refusing) {
        amqp_publish_keep(session, &gathered->kept, NULL);
    } else {
        gathered_send(gathered);
    }
}

static bool gathered_takes(const struct amqp_gathered *gathered, const struct amqp_message *message)
{
    size_t len = message->head.len + message->body.len;
    return message->own == NULL && gathered->len < AMQP_GATHER_MAX && len <= AMQP_GATHER_LEN - gathered->content_len &&
           amqp_gathered_continues(gathered, message);
}

void amqp_published(const struct amqp_message *message)
{
    struct amqp_channel *channel = message->channel;
    struct amqp_session *session = channel->session;
    struct amqp_batch *batch = amqp_batch_of(session);
    if (batch != NULL && batch->open != NULL && !gathered_takes(batch->open, message)) {
        amqp_publishes_submit(session);
    }
    if (batch == NULL || session->state != AMQP_OPEN) {
        return;
    }
    if (batch->open == NULL) {
        batch->open = amqp_gathered_new(session);
        if (batch->open == NULL) {
            amqp_session_fail(session, ERR_NOMEM);
            return;
        }
    }
    int err = amqp_gathered_add(batch->open, message, channel->confirms ? channel->published + 1 : 0);
    if (err != 0) {
        if (batch->open->len == 0) {
            amqp_gathered_free(batch->open);
            batch->open = NULL;
        }
        amqp_session_fail(session, err);
        return;
    }
    channel->published += channel->confirms;
    channel->publishing++;
    if (message->own != NULL) {
        amqp_publishes_submit(session);
    }
}
