/* The effects of the entry being applied. */

#include "statemachine/effect_list.h"

#include <stdlib.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "statemachine/hash.h"

#define CAP_MIN 256u
#define CAP_KEPT_MAX 65536u

void effect_list_reset(struct effect_list *list)
{
    list->len = 0;
    if (list->cap > CAP_KEPT_MAX) {
        effect_list_done(list);
    }
}

void effect_list_done(struct effect_list *list)
{
    free(list->items);
    *list = (struct effect_list){0};
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
    return 0;
}

int effect_list_delivery(struct effect_list *list, uint64_t session, const struct effect_delivery *delivery)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err != 0) {
        return err;
    }
    effect->kind = EFFECT_DELIVER;
    effect->session = session;
    effect->delivery = *delivery;
    return 0;
}

int effect_list_session_ended(struct effect_list *list, uint64_t session, bool expired)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err == 0) {
        *effect = (struct effect){.kind = EFFECT_SESSION_ENDED, .session = session};
        effect->session_ended.expired = expired;
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

int effect_list_consumer_ended(struct effect_list *list, uint64_t session, uint64_t consumer)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err == 0) {
        *effect = (struct effect){.kind = EFFECT_CONSUMER_ENDED, .session = session};
        effect->consumer_ended.consumer = consumer;
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
    case EFFECT_CONSUMER_ENDED: fields[len++] = effect->consumer_ended.consumer; break;
    case EFFECT_SESSION_ENDED: fields[len++] = effect->session_ended.expired; break;
    case EFFECT_NODE_LOST:
        fields[len++] = effect->node_lost.node;
        fields[len++] = effect->node_lost.run;
        break;
    }
    return len;
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
        digest = XXH3_64bits_withSeed(bytes, 8 * len, digest);
    }
    return digest;
}
