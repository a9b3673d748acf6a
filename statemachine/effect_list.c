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

int effect_list_reply(struct effect_list *list, uint64_t session, uint64_t number, uint32_t command,
                      const struct reply *reply)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err != 0) {
        return err;
    }
    *effect = (struct effect){.kind = EFFECT_REPLY, .session = session};
    effect->reply.number = number;
    effect->reply.command = command;
    effect->reply.error = reply->error;
    effect->reply.detail = detail_text((unsigned)reply->detail);
    effect->reply.count = reply->count;
    effect->reply.repeated_count = reply->repeated_count;
    effect->reply.attach_session = reply->attach_session;
    effect->reply.attachment = reply->attachment;
    effect->reply.last_number = reply->last_number;
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

int effect_list_session_ended(struct effect_list *list, uint64_t session)
{
    struct effect *effect;
    int err = effect_list_push(list, &effect);
    if (err == 0) {
        *effect = (struct effect){.kind = EFFECT_SESSION_ENDED, .session = session};
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

/* The fields of an effect as bytes, in a fixed order; 0 where a kind has fewer. */
static void effect_encode(const struct effect *effect, uint8_t out[80])
{
    uint64_t fields[10] = {(uint64_t)effect->kind, effect->session};
    switch (effect->kind) {
    case EFFECT_DELIVER:
        fields[2] = effect->delivery.consumer;
        fields[3] = effect->delivery.number;
        fields[4] = effect->delivery.queue;
        fields[5] = effect->delivery.position;
        fields[6] = effect->delivery.delivery_count;
        break;
    case EFFECT_REPLY:
        fields[2] = effect->reply.number;
        fields[3] = effect->reply.command;
        fields[4] = effect->reply.error;
        fields[5] = effect->reply.count;
        fields[6] = effect->reply.repeated_count;
        fields[7] = effect->reply.attach_session;
        fields[8] = effect->reply.attachment;
        fields[9] = effect->reply.last_number;
        break;
    case EFFECT_CONSUMER_ENDED: fields[2] = effect->consumer_ended.consumer; break;
    case EFFECT_SESSION_ENDED: break;
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        put_u64(out + 8 * i, fields[i]);
    }
}

uint64_t effect_list_digest(const struct effect_list *list, uint64_t digest)
{
    for (size_t i = 0; i < list->len; i++) {
        uint8_t bytes[80];
        effect_encode(&list->items[i], bytes);
        digest = XXH3_64bits_withSeed(bytes, sizeof bytes, digest);
    }
    return digest;
}
