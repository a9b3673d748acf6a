/* Publishing without a client. */

#include "statemachine/publish/publish_internal.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/message/body.h"
#include "statemachine/message/message_id.h"
#include "statemachine/publish/pending.h"
#include "statemachine/queue/dead_letter.h"
#include "statemachine/state.h"

/* One that waits until what comes in at the moment is in. Its texts are behind it. */
struct held {
    struct list_node in_list;
    struct internal internal;
    const char **keys;
};

/* ---- One message ---- */

/* The queues that its way leads to; the array is the route's. */
static int internal_route(struct machine *machine, const struct internal *internal, const struct head_facts *facts)
{
    struct route *way = &machine->publishing.internal_route;
    struct slice name = facts->exchange;
    struct slice keys[1 + FURTHER_KEYS_MAX];
    struct route_message message = {.keys = keys, .head = facts->head};
    size_t at = 0;
    struct exchange *exchange;
    if (internal->exchange != NULL) {
        name = (struct slice){.data = (const uint8_t *)internal->exchange, .len = strlen(internal->exchange)};
    }
    way->len = 0;
    int err = exchange_find(machine, internal->virtual_host, (const char *)name.data, name.len, &exchange);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    for (size_t i = 0; i < internal->keys_len && i <= FURTHER_KEYS_MAX; i++) {
        const char *key = internal->keys[i];
        keys[message.keys_len++] = (struct slice){.data = (const uint8_t *)key, .len = strlen(key)};
    }
    if (internal->keys_len == 0) {
        keys[message.keys_len++] = facts->routing_key;
        while (message.keys_len <= facts->further_keys_len &&
               head_next_key(facts->head, &at, &keys[message.keys_len])) {
            message.keys_len++;
        }
    }
    return route(machine, exchange, &message, way);
}

static int internal_may_enter(struct machine *machine, const struct internal *internal, const struct head_facts *facts,
                              const struct queue *queue, bool *ret_may)
{
    *ret_may = true;
    if (internal->how == ENQUEUE_DEAD) {
        *ret_may = dead_letter_may_enter(machine, &internal->message, queue);
        return 0;
    }
    bool seen = false;
    int err = internal->how == ENQUEUE_DUE ? message_id_seen(machine, queue, facts->id, &seen) : 0;
    *ret_may = !seen;
    return err;
}

/* Leaves in `queues` those that it may enter. */
static int internal_sift(struct machine *machine, const struct internal *internal, const struct head_facts *facts,
                         struct queue **queues, size_t *len)
{
    size_t kept = 0;
    for (size_t i = 0; i < *len; i++) {
        bool may;
        int err = internal_may_enter(machine, internal, facts, queues[i], &may);
        if (err != 0) {
            return err;
        }
        if (may) {
            queues[kept++] = queues[i];
        }
    }
    *len = kept;
    return 0;
}

static int internal_enqueue(struct machine *machine, const struct internal *internal, const struct head_facts *facts,
                            struct queue *const *queues, size_t len)
{
    struct message message = internal->message;
    message.shared_body = 0;
    work_spend(&machine->work, len / COPIES_PER_WORK);
    int err = len > 1 ? body_share(machine, &message, len) : 0;
    for (size_t i = 0; err == 0 && i < len; i++) {
        struct message copy = message;
        message_ref(&copy);
        err = enqueue(machine, queues[i], &copy, facts, internal->how, NULL);
    }
    return err;
}

static int internal_publish(struct machine *machine, const struct internal *internal, size_t *ret_queues)
{
    struct route *way = &machine->publishing.internal_route;
    struct queue *named;
    struct queue **queues = &named;
    size_t len = 0;
    struct head_facts facts;
    int err = head_read((struct slice){.data = internal->message.data, .len = internal->message.head_len}, &facts);
    if (err != 0) {
        return ERR_CORRUPT;
    }
    if (internal->queue != NULL) {
        named = queue_by_name(machine, internal->virtual_host, internal->queue);
        len = named != NULL;
    } else {
        err = internal_route(machine, internal, &facts);
        queues = way->queues;
        len = way->len;
    }
    if (err == 0) {
        err = internal_sift(machine, internal, &facts, queues, &len);
    }
    if (err == 0) {
        err = internal_enqueue(machine, internal, &facts, queues, len);
    }
    *ret_queues = len;
    return err;
}

/* ---- Those that wait ---- */

static const char *text_copy(char **at, const char *text)
{
    size_t len = text != NULL ? strlen(text) + 1 : 0;
    if (text == NULL) {
        return NULL;
    }
    memcpy(*at, text, len);
    *at += len;
    return *at - len;
}

static size_t text_len(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static int internal_hold(struct machine *machine, const struct internal *internal)
{
    size_t texts = text_len(internal->queue) + text_len(internal->exchange);
    for (size_t i = 0; i < internal->keys_len; i++) {
        texts += text_len(internal->keys[i]);
    }
    struct held *held = malloc(sizeof *held + internal->keys_len * sizeof *held->keys + texts);
    if (held == NULL) {
        return ERR_NOMEM;
    }
    held->internal = *internal;
    held->keys = (const char **)(held + 1);
    char *at = (char *)(held->keys + internal->keys_len);
    held->internal.queue = text_copy(&at, internal->queue);
    held->internal.exchange = text_copy(&at, internal->exchange);
    for (size_t i = 0; i < internal->keys_len; i++) {
        held->keys[i] = text_copy(&at, internal->keys[i]);
    }
    held->internal.keys = held->keys;
    list_init(&held->in_list);
    list_push_back(&machine->publishing.held, &held->in_list);
    return 0;
}

void publish_internal_hold(struct machine *machine)
{
    machine->publishing.holding++;
}

/* When they are many, the rest comes with the next entries. */
static int internal_release_one(struct machine *machine, const struct internal *internal)
{
    size_t queues;
    if (machine->publishing.chain++ < INTERNAL_CHAIN_MAX && !work_is_done(&machine->work)) {
        return internal_publish(machine, internal, &queues);
    }
    return pending_add(machine, internal, machine->time_ms);
}

int publish_internal_release(struct machine *machine)
{
    struct publishing *publishing = &machine->publishing;
    struct list_node *node;
    int err = 0;
    if (publishing->holding > 1 || list_empty(&publishing->held)) {
        publishing->holding--;
        return 0;
    }
    publishing->chain = 0;
    while ((node = list_first(&publishing->held)) != NULL) {
        struct held *held = container_of(node, struct held, in_list);
        list_remove(node);
        err = err != 0 ? err : internal_release_one(machine, &held->internal);
        message_unref(&held->internal.message);
        free(held);
    }
    publishing->holding--;
    return err;
}

/* When this entry has done enough it comes with the next ones, once. */
static int internal_publish_or_wait(struct machine *machine, const struct internal *internal, size_t *ret_queues)
{
    if (internal->how == ENQUEUE_DEAD && !internal->waited && work_is_done(&machine->work)) {
        return fault_fires(FAULT_SKIP_LATE_DEAD) ? 0 : pending_add(machine, internal, machine->time_ms);
    }
    return internal_publish(machine, internal, ret_queues);
}

int publish_internal(struct machine *machine, const struct internal *internal, size_t *ret_queues)
{
    struct message message = internal->message;
    size_t queues = 1;
    int err;
    if (machine->publishing.holding > 0) {
        err = internal_hold(machine, internal);
        if (err != 0) {
            message_unref(&message);
        }
    } else {
        publish_internal_hold(machine);
        err = internal_publish_or_wait(machine, internal, &queues);
        message_unref(&message);
        int err_released = publish_internal_release(machine);
        err = err != 0 ? err : err_released;
    }
    if (err == 0 && ret_queues != NULL) {
        *ret_queues = queues;
    }
    return err;
}
