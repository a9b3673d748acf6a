/* The effects of the entry being applied. */

#include "statemachine/effect_list.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "statemachine/hash.h"

#define CAP_MIN 256u
#define CAP_KEPT_MAX 65536u

void effect_list_init(struct effect_list *list)
{
    *list = (struct effect_list){0};
    arena_init(&list->bits, SIZE_MAX / 2);
}

void effect_list_reset(struct effect_list *list)
{
    list->len = 0;
    if (list->bits.blocks != NULL) {
        arena_reset(&list->bits);
    }
    if (list->cap > CAP_KEPT_MAX) {
        effect_list_done(list);
    }
}

void effect_list_done(struct effect_list *list)
{
    free(list->items);
    arena_done(&list->bits);
    effect_list_init(list);
}

/* Bytes that stay until the next entry. */
static int effect_list_copy(struct effect_list *list, const void *data, size_t len, const uint8_t **ret_copy)
{
    uint8_t *copy = arena_alloc(&list->bits, len);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    memcpy(copy, data, len);
    *ret_copy = copy;
    return 0;
}

static int effect_list_push(struct effect_list *list, struct effect **ret_effect)
{
    if (list->len == list->cap) {
        size_t cap = list->cap > 0 ? 2 * list->cap : CAP_MIN;
        struct effect *items = realloc(list->items, cap * sizeof *items);
        if (items == NULL) {
            return ERR_NOMEM;
        }
        list->items = items;
        list->cap = cap;
    }
    *ret_effect = &list->items[list->len++];
    return 0;
}

int effect_list_reply(struct effect_list *list, const struct entry_command *from, uint32_t at,
                      const struct reply *reply)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err != 0) {
        return err;
    }
    effect->kind = EFFECT_REPLY;
    effect->session = from->session;
    effect->reply = (struct effect_reply){
        .number = from->number,
        .attachment = from->attachment,
        .command = at,
        .error = reply->error,
        .detail = detail_text((unsigned)reply->detail),
        .count = reply->count,
        .repeated_count = reply->repeated_count,
        .origin_node = reply->origin.node,
        .origin_run = reply->origin.run,
        .origin_tag = reply->origin.tag,
        .attach_session = reply->attach_session,
        .attach_attachment = reply->attach_attachment,
        .last_number = reply->last_number,
    };
    if (reply->unrouted.len > 0) {
        effect->reply.unrouted_len = (uint32_t)reply->unrouted.len;
        err = effect_list_copy(list, reply->unrouted.data, reply->unrouted.len, &effect->reply.unrouted);
    }
    if (err == 0 && reply->refused.len > 0) {
        effect->reply.refused_len = (uint32_t)reply->refused.len;
        err = effect_list_copy(list, reply->refused.data, reply->refused.len, &effect->reply.refused);
    }
    return err;
}

int effect_list_delivery(struct effect_list *list, uint64_t session, struct effect_delivery **ret_delivery)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err != 0) {
        return err;
    }
    effect->kind = EFFECT_DELIVER;
    effect->session = session;
    *ret_delivery = &effect->delivery;
    return 0;
}

int effect_list_session_ended(struct effect_list *list, uint64_t session, enum session_end end)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err == 0) {
        *effect = (struct effect){.kind = EFFECT_SESSION_ENDED, .session = session};
        effect->session_ended.expired = end == SESSION_END_EXPIRED;
        effect->session_ended.end = end;
    }
    return err;
}

int effect_list_node_lost(struct effect_list *list, uint64_t node, uint64_t run)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err == 0) {
        *effect = (struct effect){.kind = EFFECT_NODE_LOST};
        effect->node_lost.node = node;
        effect->node_lost.run = run;
    }
    return err;
}

int effect_list_consumer_ended(struct effect_list *list, uint64_t session, uint64_t consumer,
                               enum consumer_ended_reason reason)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err == 0) {
        *effect = (struct effect){.kind = EFFECT_CONSUMER_ENDED, .session = session};
        effect->consumer_ended.consumer = consumer;
        effect->consumer_ended.reason = reason;
    }
    return err;
}

int effect_list_lock_ended(struct effect_list *list, uint64_t session, uint64_t consumer, uint64_t number)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err == 0) {
        *effect = (struct effect){.kind = EFFECT_LOCK_ENDED, .session = session};
        effect->lock_ended.consumer = consumer;
        effect->lock_ended.number = number;
    }
    return err;
}

int effect_list_prepared_ask(struct effect_list *list, uint64_t session, const char *id, size_t id_len)
{
    struct effect *effect;
    const uint8_t *copy;
    int err = effect_list_copy(list, id, id_len, &copy);
    if (err == 0) {
        err = effect_list_push(list, &effect);
    }
    if (err == 0) {
        *effect = (struct effect){.kind = EFFECT_PREPARED_ASK, .session = session};
        effect->prepared_ask.id = (const char *)copy;
        effect->prepared_ask.id_len = id_len;
    }
    return err;
}

#define FIELDS_MAX 14u

/* The fields of an effect, in a fixed order. Returns how many. */
static size_t effect_fields(const struct effect *effect, uint64_t fields[FIELDS_MAX])
{
    size_t len = 0;
    fields[len++] = (uint64_t)effect->kind;
    fields[len++] = effect->session;
    switch (effect->kind) {
    case EFFECT_DELIVER:
        fields[len++] = effect->delivery.consumer;
        fields[len++] = effect->delivery.number;
        fields[len++] = effect->delivery.queue;
        fields[len++] = effect->delivery.position;
        fields[len++] = effect->delivery.delivery_count;
        break;
    case EFFECT_REPLY:
        fields[len++] = effect->reply.number;
        fields[len++] = effect->reply.attachment;
        fields[len++] = effect->reply.command;
        fields[len++] = effect->reply.error;
        fields[len++] = effect->reply.count;
        fields[len++] = effect->reply.repeated_count;
        fields[len++] = effect->reply.origin_node;
        fields[len++] = effect->reply.origin_run;
        fields[len++] = effect->reply.origin_tag;
        fields[len++] = effect->reply.attach_session;
        fields[len++] = effect->reply.attach_attachment;
        fields[len++] = effect->reply.last_number;
        break;
    case EFFECT_CONSUMER_ENDED: /* The first reason is as old as the digest, which does not have it. */
        fields[len++] = effect->consumer_ended.consumer;
        if (effect->consumer_ended.reason != CONSUMER_ENDED_QUEUE_DELETED) {
            fields[len++] = (uint64_t)effect->consumer_ended.reason;
        }
        break;
    case EFFECT_SESSION_ENDED: fields[len++] = (uint64_t)effect->session_ended.end; break;
    case EFFECT_NODE_LOST:
        fields[len++] = effect->node_lost.node;
        fields[len++] = effect->node_lost.run;
        break;
    case EFFECT_PREPARED_ASK: break;
    case EFFECT_LOCK_ENDED:
        fields[len++] = effect->lock_ended.consumer;
        fields[len++] = effect->lock_ended.number;
        break;
    }
    return len;
}

/* What an effect has beside its fields: nothing, for most. */
static uint64_t effect_digest_rest(const struct effect *effect, uint64_t digest)
{
    if (effect->kind == EFFECT_PREPARED_ASK) {
        return XXH3_64bits_withSeed(effect->prepared_ask.id, effect->prepared_ask.id_len, digest);
    }
    if (effect->kind == EFFECT_REPLY && effect->reply.unrouted_len > 0) {
        digest = XXH3_64bits_withSeed(effect->reply.unrouted, effect->reply.unrouted_len, digest + 1);
    }
    if (effect->kind == EFFECT_REPLY && effect->reply.refused_len > 0) {
        digest = XXH3_64bits_withSeed(effect->reply.refused, effect->reply.refused_len, digest + 2);
    }
    return digest;
}

uint64_t effect_list_digest(const struct effect_list *list, uint64_t digest)
{
    for (size_t i = 0; i < list->len; i++) {
        uint64_t fields[FIELDS_MAX];
        uint8_t bytes[8 * FIELDS_MAX];
        size_t len = effect_fields(&list->items[i], fields);
        for (size_t at = 0; at < len; at++) {
            put_u64(bytes + 8 * at, fields[at]);
        }
        digest = effect_digest_rest(&list->items[i], XXH3_64bits_withSeed(bytes, 8 * len, digest));
    }
    return digest;
}
