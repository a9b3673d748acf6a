/* Subscriptions of a client, and the deliveries that arrive for them: each is handed out once, in order, undamaged. */

#include <stdlib.h>
#include <xxhash.h>

#include "proto/base/check.h"
#include "rpc/client/client_state.h"
#include "rpc/native/native_frame.h"

struct client_consumer *client_consumer_find(struct client_core *core, uint64_t id)
{
    struct client_consumer *consumer = NULL;
    if (id != 0) {
        HASH_FIND(hh, core->consumers, &id, sizeof id, consumer);
    }
    return consumer;
}

int client_consumer_add(struct client_core *core, uint64_t id)
{
    if (id == 0) {
        return ERR_INVALID;
    }
    if (client_consumer_find(core, id) != NULL) {
        return ERR_EXISTS;
    }
    if (HASH_COUNT(core->consumers) >= SESSION_CONSUMERS_MAX) {
        return ERR_LIMIT;
    }
    struct client_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL) {
        return ERR_NOMEM;
    }
    consumer->id = id;
    HASH_ADD(hh, core->consumers, id, sizeof consumer->id, consumer);
    if (client_consumer_find(core, id) != consumer) {
        free(consumer); /* The table found no memory. */
        return ERR_NOMEM;
    }
    return 0;
}

void client_consumer_remove(struct client_core *core, struct client_consumer *consumer)
{
    HASH_DELETE(hh, core->consumers, consumer);
    free(consumer);
}

void client_consumer_free_all(struct client_core *core)
{
    struct client_consumer *consumer, *next;
    HASH_ITER (hh, core->consumers, consumer, next) {
        client_consumer_remove(core, consumer);
    }
}

/* `content` is trail, head and body, one after the other. */
static int delivery_take(struct client_core *core, const Holdfast__Delivery *message, struct slice content)
{
    struct client_consumer *consumer = client_consumer_find(core, message->consumer);
    if (consumer == NULL || consumer->ending || message->number <= consumer->seen) {
        return 0;
    }
    /* What is out under a lock may have gone back before it could be sent; of what is taken up some is settled. */
    bool taken_up = consumer->seen < consumer->held_to && message->number <= consumer->held_to + 1;
    bool gaps = consumer->gaps || message->lock_until_ms != 0 || taken_up;
    if (message->number != consumer->seen + 1 && !gaps) {
        return ERR_OUT_OF_ORDER;
    }
    struct slice hashed = slice_part(content, message->trail_len, content.len - message->trail_len);
    if (XXH3_64bits(hashed.data, hashed.len) != message->body_hash) {
        return ERR_CHECKSUM;
    }
    consumer->seen = message->number;
    core->host.delivery(core->host.arg,
                        &(struct client_delivery){.consumer = message->consumer,
                                                  .number = message->number,
                                                  .position = message->position,
                                                  .enqueued_ms = message->enqueued_ms,
                                                  .body_hash = message->body_hash,
                                                  .delivery_count = message->delivery_count,
                                                  .settled = consumer->gaps,
                                                  .lock_until_ms = message->lock_until_ms,
                                                  .expires_ms = message->expires_ms,
                                                  .trail = slice_part(content, 0, message->trail_len),
                                                  .head = slice_part(hashed, 0, message->head_len),
                                                  .body = slice_part(hashed, message->head_len, message->body_len)});
    return 0;
}

int client_consumer_deliveries(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    int err = native_frame_decode(frame, &holdfast__deliveries__descriptor, &core->arena, &base);
    if (err != 0) {
        return err;
    }
    const Holdfast__Deliveries *deliveries = (const Holdfast__Deliveries *)(void *)base;
    err = native_frame_check_deliveries(deliveries, frame->body);
    size_t offset = 0;
    /* The body is borrowed from the frame, whose reference is held through its header. */
    struct slice bodies = frame->body;
    bodies.blob = frame->header.blob;
    for (size_t i = 0; i < deliveries->n_deliveries && err == 0; i++) {
        const Holdfast__Delivery *delivery = deliveries->deliveries[i];
        size_t len = (size_t)delivery->trail_len + delivery->head_len + delivery->body_len;
        err = delivery_take(core, delivery, slice_part(bodies, offset, len));
        offset += len;
    }
    return err;
}

int client_consumer_notices(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    int err = native_frame_decode(frame, &holdfast__notices__descriptor, &core->arena, &base);
    if (err != 0) {
        return err;
    }
    const Holdfast__Notices *notices = (const Holdfast__Notices *)(void *)base;
    for (size_t i = 0; i < notices->n_lock_ended && core->host.lock_ended != NULL; i++) {
        core->host.lock_ended(core->host.arg, notices->lock_ended[i]->consumer, notices->lock_ended[i]->number);
    }
    for (size_t i = 0; i < notices->n_prepared_ask && core->host.prepared_ask != NULL; i++) {
        core->host.prepared_ask(core->host.arg, notices->prepared_ask[i]);
    }
    return 0;
}

static void consumer_end(struct client_core *core, uint64_t id, int err, const char *detail)
{
    struct client_consumer *consumer = client_consumer_find(core, id);
    if (consumer == NULL || consumer->ending) {
        return; /* Its end has been told, or was asked for. */
    }
    if (consumer->subscribed) {
        err = consumer->ends_alone ? 0 : err; /* Whether it had ended was found out late. */
        client_consumer_remove(core, consumer);
        core->host.consumer_ended(core->host.arg, id, err, detail);
    } else if (client_command_subscribed_before(core, id)) {
        consumer->ended_err =
            err != 0 ? err
                     : ERR_NOT_FOUND; /* Told when the answer to its Subscribe has come, which has been sent again. */
    }
    /* Else it has still to be made: it was named in the attachment, and the machine has never seen it. */
}

int client_consumer_ended(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    int err = native_frame_decode(frame, &holdfast__consumers_ended__descriptor, &core->arena, &base);
    if (err != 0) {
        return err;
    }
    const Holdfast__ConsumersEnded *ended = (const Holdfast__ConsumersEnded *)(void *)base;
    if (ended->error > INT32_MAX || frame->body.len > 0) {
        return ERR_INVALID;
    }
    for (size_t i = 0; ended->error == 0 && i < ended->n_consumer; i++) {
        const struct client_consumer *consumer = client_consumer_find(core, ended->consumer[i]);
        if (consumer != NULL && !consumer->ends_alone) {
            return ERR_INVALID; /* Nothing but a fetch, or what is drained, ends for no reason. */
        }
    }
    err = -(int)ended->error;
    for (size_t i = 0; i < ended->n_consumer; i++) {
        consumer_end(core, ended->consumer[i], err, ended->detail[0] != '\0' ? ended->detail : err_text(err));
    }
    return 0;
}

/* Whether the subscription's Subscribe waits to be sent (again). */
static bool consumer_waits(struct client_core *core, uint64_t id)
{
    LIST_FOR_EACH (node, &core->waiting) {
        const struct client_command *command = container_of(node, struct client_command, node);
        if (command->kind == CLIENT_SUBSCRIBE && command->consumer == id) {
            return true;
        }
    }
    return false;
}

void client_consumer_session_lost(struct client_core *core)
{
    struct client_consumer *ended = NULL;
    struct client_consumer *consumer, *next;
    HASH_ITER (hh, core->consumers, consumer, next) {
        if (consumer->sent && consumer_waits(core, consumer->id)) {
            consumer->sent = false;
            consumer->ended_err = 0;
        } else if (consumer->sent) {
            HASH_DELETE(hh, core->consumers, consumer);
            if (consumer->ending) {
                free(consumer);
                continue;
            }
            consumer->hh.next = ended; /* Out of the table: a list of those to be told about. */
            ended = consumer;
        }
    }
    while (ended != NULL) {
        consumer = ended;
        ended = consumer->hh.next;
        uint64_t id = consumer->id;
        free(consumer);
        core->host.consumer_ended(core->host.arg, id, ERR_SESSION_EXPIRED, err_text(ERR_SESSION_EXPIRED));
    }
}
