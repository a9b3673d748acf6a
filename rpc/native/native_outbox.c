/* Gathering of replies, deliveries and ends of subscriptions. */

#include "rpc/native/native_outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "rpc/native/native_bodies.h"
#include "rpc/native/native_frame.h"

/* The numbers of the fields of Notices. */
enum { NOTICES_LOCK_ENDED = 1, NOTICES_PREPARED_ASK = 2 };

static void bodies_drop(struct native_outbox *outbox)
{
    for (unsigned i = 0; i < outbox->bodies_len; i++) {
        slice_unref(&outbox->bodies[i]);
    }
    outbox->bodies_len = 0;
    outbox->deliveries_len = 0;
    outbox->bodies_bytes = 0;
}

void native_outbox_done(struct native_outbox *outbox)
{
    bodies_drop(outbox);
    free(outbox->bodies);
    free(outbox->ended);
    bytes_done(&outbox->replies);
    bytes_done(&outbox->deliveries);
    bytes_done(&outbox->notices);
    *outbox = (struct native_outbox){0};
}

int native_outbox_reply(struct native_outbox *outbox, const struct gateway_reply *reply)
{
    Holdfast__Reply message = HOLDFAST__REPLY__INIT;
    message.number = reply->number;
    message.error = reply->error;
    /* protobuf-c does not write to what it packs; its type has no const. */
    message.detail = (char *)(uintptr_t)(reply->detail != NULL ? reply->detail : "");
    message.count = reply->count;
    message.repeated_count = reply->repeated_count;
    message.unrouted =
        (ProtobufCBinaryData){.len = reply->unrouted.len, .data = (uint8_t *)(uintptr_t)reply->unrouted.data};
    message.refused =
        (ProtobufCBinaryData){.len = reply->refused.len, .data = (uint8_t *)(uintptr_t)reply->refused.data};
    return native_frame_append(&outbox->replies, 1, &message.base);
}

int native_outbox_delivery(struct native_outbox *outbox, const struct gateway_delivery *delivery)
{
    CHECK(outbox->deliveries_len < NATIVE_DELIVERIES_MAX && delivery->body.len <= BODY_LEN_MAX);
    if (outbox->bodies == NULL) {
        outbox->bodies = calloc(2 * NATIVE_DELIVERIES_MAX, sizeof *outbox->bodies);
        if (outbox->bodies == NULL) {
            return ERR_NOMEM;
        }
    }
    struct native_content content;
    int err = native_content_of(outbox->heads, delivery->trail, delivery->head, delivery->body, delivery->body_hash,
                                &content);
    if (err != 0) {
        return err;
    }
    Holdfast__Delivery message = HOLDFAST__DELIVERY__INIT;
    message.consumer = delivery->consumer;
    message.number = delivery->number;
    message.position = delivery->position;
    message.delivery_count = delivery->delivery_count;
    message.body_len = (uint32_t)delivery->body.len;
    message.body_hash = content.hash;
    message.enqueued_ms = delivery->enqueued_ms;
    message.head_len = content.head_len;
    message.trail_len = (uint32_t)content.trail.len;
    message.lock_until_ms = delivery->lock_until_ms;
    message.expires_ms = delivery->expires_ms;
    err = native_frame_append(&outbox->deliveries, 1, &message.base);
    if (err != 0) {
        slice_unref(&content.content);
        return err;
    }
    if (content.trail.len > 0) {
        outbox->bodies[outbox->bodies_len++] = slice_ref(content.trail);
    }
    outbox->bodies[outbox->bodies_len++] = content.content;
    outbox->bodies_bytes += content.trail.len + content.content.len;
    outbox->deliveries_len++;
    return 0;
}

int native_outbox_lock_ended(struct native_outbox *outbox, uint64_t consumer, uint64_t number)
{
    Holdfast__LockEnded message = HOLDFAST__LOCK_ENDED__INIT;
    message.consumer = consumer;
    message.number = number;
    return outbox->heads ? native_frame_append(&outbox->notices, NOTICES_LOCK_ENDED, &message.base) : 0;
}

int native_outbox_prepared_ask(struct native_outbox *outbox, const char *id)
{
    size_t len = strlen(id);
    uint8_t head[11] = {NOTICES_PREPARED_ASK << 3 | 2}; /* A string: wire type 2. */
    size_t head_len = 1 + native_varint_encode(len, head + 1);
    if (!outbox->heads) {
        return 0;
    }
    int err = bytes_reserve(&outbox->notices, head_len + len);
    if (err == 0) {
        memcpy(outbox->notices.data + outbox->notices.len, head, head_len);
        memcpy(outbox->notices.data + outbox->notices.len + head_len, id, len);
        outbox->notices.len += head_len + len;
    }
    return err;
}

int native_outbox_ended(struct native_outbox *outbox, uint64_t consumer, int err, const char *detail)
{
    CHECK(!native_outbox_ended_full(outbox, err, detail));
    if (outbox->ended == NULL) {
        outbox->ended = fault_fires(FAULT_ALLOCATION) ? NULL : calloc(NATIVE_ENDED_MAX, sizeof *outbox->ended);
        if (outbox->ended == NULL) {
            return ERR_NOMEM;
        }
    }
    outbox->ended_err = err;
    (void)snprintf(outbox->ended_detail, sizeof outbox->ended_detail, "%s", detail);
    outbox->ended[outbox->ended_len++] = consumer;
    return 0;
}

bool native_outbox_ended_full(const struct native_outbox *outbox, int err, const char *detail)
{
    size_t kept = sizeof outbox->ended_detail - 1;
    return outbox->ended_len == NATIVE_ENDED_MAX ||
           (outbox->ended_len > 0 && (outbox->ended_err != err || strncmp(outbox->ended_detail, detail, kept) != 0));
}

static int ended_encode(const struct native_outbox *outbox, struct frame_out *ret_frame)
{
    Holdfast__ConsumersEnded message = HOLDFAST__CONSUMERS_ENDED__INIT;
    message.consumer = outbox->ended;
    message.n_consumer = outbox->ended_len;
    message.error = (uint32_t)-outbox->ended_err;
    message.detail = (char *)(uintptr_t)outbox->ended_detail;
    return native_frame_encode(FRAME_CONSUMERS_ENDED, &message.base, NULL, 0, ret_frame);
}

bool native_outbox_full(const struct native_outbox *outbox, size_t body_len)
{
    return outbox->ended_len > 0 || outbox->replies.len >= NATIVE_REPLIES_LEN_MAX ||
           outbox->notices.len >= NATIVE_REPLIES_LEN_MAX || outbox->deliveries_len == NATIVE_DELIVERIES_MAX ||
           (outbox->bodies_len > 0 && outbox->bodies_bytes + body_len > NATIVE_DELIVERIES_LEN_MAX);
}

/* Nothing is in it: of ten thousand connections most are idle, and should cost little. */
static void outbox_shrink(struct native_outbox *outbox)
{
    bytes_done(&outbox->replies);
    bytes_done(&outbox->deliveries);
    bytes_done(&outbox->notices);
    free(outbox->bodies);
    free(outbox->ended);
    outbox->bodies = NULL;
    outbox->ended = NULL;
}

int native_outbox_next(struct native_outbox *outbox, bool *ret_got, struct frame_out *ret_frame)
{
    struct frame_out frame;
    int err = 0;
    if (outbox->replies.len > 0) {
        err = native_frame_encode_raw(FRAME_REPLIES, outbox->replies.data, outbox->replies.len, NULL, 0, &frame);
        outbox->replies.len = 0;
    } else if (outbox->bodies_len > 0) {
        err = native_bodies_encode(FRAME_DELIVERIES, outbox->deliveries.data, outbox->deliveries.len, outbox->bodies,
                                   outbox->bodies_len, &frame);
        outbox->deliveries.len = 0;
        bodies_drop(outbox);
    } else if (outbox->notices.len > 0) {
        err = native_frame_encode_raw(FRAME_NOTICES, outbox->notices.data, outbox->notices.len, NULL, 0, &frame);
        outbox->notices.len = 0;
    } else if (outbox->ended_len > 0) {
        err = ended_encode(outbox, &frame);
        outbox->ended_len = 0;
    } else {
        outbox_shrink(outbox);
        *ret_got = false;
        return 0;
    }
    if (err != 0) {
        return err;
    }
    *ret_frame = frame;
    *ret_got = true;
    return 0;
}
