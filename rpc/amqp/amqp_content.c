/* Messages as they come in (§2.3.5.2): Publish, a content header, and bodies until there is as much as the header says.
 *
 * What comes within one frame goes to where messages gather at once. For the rest memory is claimed as a whole, and allocated as it
 * comes. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_publishing.h"
#include "rpc/amqp/amqp_tx.h"

/* The first allocation for what comes in parts. */
#define OWN_LEN_MIN ((size_t)64 * KIB)

/* ---- Life ---- */

static struct amqp_incoming *incoming_new(struct amqp_channel *channel)
{
    struct amqp_session *session = channel->session;
    struct amqp_batch *batch = amqp_batch_of(session);
    if (batch == NULL) {
        return NULL;
    }
    struct amqp_incoming *incoming = batch->spare;
    batch->spare = NULL;
    if (incoming == NULL) {
        incoming = calloc(1, sizeof *incoming);
    }
    if (incoming == NULL) {
        amqp_session_fail(session, ERR_NOMEM);
        return NULL;
    }
    incoming->channel = channel;
    incoming->state = AMQP_INCOMING_METHOD;
    amqp_content_claim_init(incoming);
    channel->incoming = incoming;
    batch->incoming++;
    return incoming;
}

void amqp_incoming_done(struct amqp_channel *channel)
{
    struct amqp_session *session = channel->session;
    struct amqp_incoming *incoming = channel->incoming;
    if (incoming == NULL) {
        return;
    }
    channel->incoming = NULL;
    session->batch->incoming--;
    if (incoming->state == AMQP_INCOMING_WAITS) {
        session->batch->waiting = NULL;
        session->content_waits = false;
    }
    amqp_content_release(incoming);
    blob_unref(incoming->own);
    incoming->own = NULL;
    incoming->own_len = 0;
    incoming->asked = false;
    incoming->begun_ms = 0;
    incoming->moved_ms = 0;
    incoming->header.len = 0;
    incoming->head.len = 0;
    if (session->batch->spare == NULL && incoming->header.cap == 0 && incoming->head.cap <= AMQP_FRAME_MIN) {
        session->batch->spare = incoming;
        return;
    }
    bytes_done(&incoming->header);
    bytes_done(&incoming->head);
    free(incoming);
}

/* ---- Publish ---- */

void amqp_take_basic_publish(struct amqp_channel *channel, const struct amqp_basic_publish *method)
{
    struct amqp_session *session = channel->session;
    session->has_published = true;
    if (method->immediate) {
        amqp_connection_error(session, AMQP_NOT_IMPLEMENTED, method->id, "immediate=true");
        return;
    }
    const char *exchange = amqp_name(channel, method->id, "exchange", method->exchange);
    const char *routing_key = exchange != NULL ? amqp_key(channel, method->id, method->routing_key) : NULL;
    struct amqp_incoming *incoming = routing_key != NULL ? incoming_new(channel) : NULL;
    if (incoming != NULL) {
        (void)strcpy(incoming->exchange, exchange);
        (void)strcpy(incoming->routing_key, routing_key);
        incoming->mandatory = method->mandatory;
    }
}

/* ---- Bodies ---- */

/* It is whole. */
static void incoming_end(struct amqp_incoming *incoming, struct amqp_bytes body)
{
    struct amqp_channel *channel = incoming->channel;
    struct amqp_message message = {
        .channel = channel,
        .head = {incoming->head.data, incoming->head.len},
        .body = body,
        .producer = incoming->producer,
        .sequence = incoming->sequence,
        .mandatory = incoming->mandatory,
    };
    if (incoming->own != NULL) {
        message.body = (struct amqp_bytes){incoming->own->data + incoming->head.len, (size_t)incoming->body_len};
        message.own = incoming->own_len >= AMQP_ALONE_LEN ? incoming->own : NULL;
    }
    if (channel->tx == NULL) {
        amqp_published(&message);
    } else if (amqp_tx_publish(channel, &message) != 0) {
        amqp_session_fail(channel->session, ERR_NOMEM);
    }
    amqp_incoming_done(channel);
}

static int own_append(struct amqp_incoming *incoming, const void *data, size_t len)
{
    size_t total = incoming->head.len + (size_t)incoming->body_len;
    size_t needed = incoming->own_len + len;
    size_t cap = incoming->own != NULL ? incoming->own->len : 0;
    if (incoming->own == NULL || needed > cap) {
        cap = cap * 2 > OWN_LEN_MIN ? cap * 2 : OWN_LEN_MIN;
        cap = cap < needed ? needed : cap;
        cap = cap > total ? total : cap;
        struct blob *own = incoming->own != NULL ? blob_resize(incoming->own, cap) : blob_new(cap);
        if (own == NULL) {
            return ERR_NOMEM;
        }
        incoming->own = own;
    }
    if (len > 0) {
        memcpy(incoming->own->data + incoming->own_len, data, len);
    }
    incoming->own_len = needed;
    return 0;
}

static void take_body(struct amqp_incoming *incoming, struct amqp_bytes payload)
{
    size_t have = incoming->own_len > 0 ? incoming->own_len - incoming->head.len : 0;
    struct amqp_session *session = incoming->channel->session;
    if (payload.len > incoming->body_len - have) {
        amqp_connection_error(session, AMQP_FRAME_ERROR, AMQP_basic_publish,
                              "the content on channel %u is longer than the %" PRIu64 " bytes that its header says",
                              incoming->channel->number, incoming->body_len);
        return;
    }
    if (payload.len == incoming->body_len && incoming->head.len + payload.len < AMQP_ALONE_LEN) {
        incoming_end(incoming, payload);
        return;
    }
    if (payload.len < incoming->body_len && !amqp_content_count_part(incoming)) {
        return;
    }
    int err = incoming->own == NULL ? own_append(incoming, incoming->head.data, incoming->head.len) : 0;
    if (err == 0) {
        err = own_append(incoming, payload.data, payload.len);
    }
    if (err != 0) {
        amqp_session_fail(session, err);
    } else if (incoming->own_len == incoming->head.len + incoming->body_len) {
        incoming_end(incoming, (struct amqp_bytes){0});
    }
}

void amqp_take_content_body(struct amqp_channel *channel, struct amqp_bytes payload, const struct frame *frame)
{
    (void)frame;
    struct amqp_incoming *incoming = channel->incoming;
    if (incoming == NULL) {
        amqp_connection_error(channel->session, AMQP_UNEXPECTED_FRAME, 0,
                              "expected method frame, got non method frame instead");
    } else if (incoming->state != AMQP_INCOMING_BODY) {
        amqp_connection_error(channel->session, AMQP_UNEXPECTED_FRAME, AMQP_basic_publish,
                              "expected content header for class %u, got non content header frame instead",
                              AMQP_CLASS_BASIC);
    } else if (payload.len > 0) {
        take_body(incoming, payload);
    }
}

/* ---- The header ---- */

/* The longest body that is taken behind a head of that length. */
static uint64_t body_len_max(const struct amqp_session *session, size_t head_len)
{
    uint64_t limit = session->gateway->body_len_max;
    limit = limit == 0 || limit > BODY_LEN_MAX ? BODY_LEN_MAX : limit;
    return limit > COMMAND_BODIES_LEN_MAX - head_len ? COMMAND_BODIES_LEN_MAX - head_len : limit;
}

static bool check_len(const struct amqp_incoming *incoming)
{
    uint64_t limit = body_len_max(incoming->channel->session, incoming->head.len);
    if (incoming->body_len > limit) {
        amqp_publish_refuse(incoming->channel, AMQP_PRECONDITION_FAILED,
                            "message size %" PRIu64 " is larger than configured max size %" PRIu64, incoming->body_len,
                            limit);
        return false;
    }
    return true;
}

static void take_header(struct amqp_incoming *incoming, struct amqp_bytes payload, const struct amqp_content *content)
{
    struct amqp_channel *channel = incoming->channel;
    bool delayed = false;
    if (!amqp_exchange_is_open(incoming, &delayed)) {
        if (channel->incoming != NULL && bytes_append(&incoming->header, payload.data, payload.len) != 0) {
            amqp_session_fail(channel->session, ERR_NOMEM);
        }
        return;
    }
    if (!amqp_head_make(incoming, content->properties, delayed) || !check_len(incoming)) {
        return;
    }
    incoming->state = AMQP_INCOMING_BODY;
    if (incoming->body_len == 0) {
        incoming_end(incoming, (struct amqp_bytes){0});
    } else {
        amqp_content_claim(incoming);
    }
}

void amqp_take_content_header(struct amqp_channel *channel, struct amqp_bytes payload)
{
    struct amqp_session *session = channel->session;
    struct amqp_incoming *incoming = channel->incoming;
    struct amqp_content content;
    if (incoming == NULL) {
        amqp_connection_error(session, AMQP_UNEXPECTED_FRAME, 0, "expected method frame, got non method frame instead");
    } else if (incoming->state != AMQP_INCOMING_METHOD) {
        amqp_connection_error(session, AMQP_UNEXPECTED_FRAME, AMQP_basic_publish,
                              "expected content body, got non content body frame instead");
    } else if (amqp_content_decode(payload, &content) != 0) {
        amqp_connection_error(session, AMQP_FRAME_ERROR, AMQP_basic_publish,
                              "a content header of %zu bytes on channel %u", payload.len, channel->number);
    } else if (content.class_id != AMQP_CLASS_BASIC) {
        amqp_connection_error(session, AMQP_UNEXPECTED_FRAME, AMQP_basic_publish,
                              "expected content header for class %u, got one for class %u instead", AMQP_CLASS_BASIC,
                              content.class_id);
    } else {
        incoming->body_len = content.body_len;
        if (check_len(incoming)) {
            take_header(incoming, payload, &content);
        }
    }
}

void amqp_content_answered(struct amqp_channel *channel)
{
    struct amqp_incoming *incoming = channel->incoming;
    struct amqp_content content;
    struct bytes header = incoming->header;
    const struct amqp_bytes payload = {header.data, header.len};
    incoming->header = (struct bytes){0};
    incoming->state = AMQP_INCOMING_METHOD;
    CHECK(amqp_content_decode(payload, &content) == 0);
    take_header(incoming, payload, &content);
    bytes_done(&header);
}
