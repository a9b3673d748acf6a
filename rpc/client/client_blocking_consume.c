/* Deliveries and settlements of the blocking library. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "proto/wire/command.pb-c.h"
#include "rpc/client/client_blocking.h"

#define SETTLE_MESSAGES_BATCH 1024u
#define SETTLE_TIMEOUT_MS 30000u

/* What the head and the trail of one message may unpack to. */
#define ITEM_ARENA_LEN_MAX (16 * MIB)

/* How long hf_poll() turns: what is late is done in the second turn, a millisecond after the first. */
#define POLL_MS 3u

void hf_on_delivery(void *arg, const struct client_delivery *delivery)
{
    struct hf *hf = arg;
    struct hf_item *item = malloc(sizeof *item);
    if (item == NULL) {
        /* It has been counted as seen; only a new session brings it back. Say so rather than lose it quietly. */
        hf_late_set(&hf->ended, ERR_NOMEM, "");
        hf_happened(hf);
        return;
    }
    item->delivery = *delivery;
    item->delivery.body = slice_ref(delivery->body);
    item->delivery.head = slice_ref(delivery->head);
    item->delivery.trail = slice_ref(delivery->trail);
    arena_init(&item->arena, ITEM_ARENA_LEN_MAX);
    list_push_back(&hf->items, &item->node);
    hf_happened(hf);
}

static void item_free(struct hf_item *item)
{
    if (item != NULL) {
        slice_unref(&item->delivery.body);
        slice_unref(&item->delivery.head);
        slice_unref(&item->delivery.trail);
        arena_done(&item->arena);
        free(item);
    }
}

void hf_items_drop(struct hf *hf, uint64_t consumer)
{
    for (struct list_node *node = hf->items.next, *next; node != &hf->items; node = next) {
        struct hf_item *item = container_of(node, struct hf_item, node);
        next = node->next;
        if (consumer == 0 || item->delivery.consumer == consumer) {
            list_remove(node);
            item_free(item);
        }
    }
}

bool hf_item_drop(struct hf *hf, uint64_t consumer, uint64_t number)
{
    LIST_FOR_EACH (node, &hf->items) {
        struct hf_item *item = container_of(node, struct hf_item, node);
        if (item->delivery.consumer == consumer && item->delivery.number == number) {
            list_remove(node);
            item_free(item);
            return true;
        }
    }
    return false;
}

void hf_on_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct hf *hf = arg;
    if (err == 0) {
        /* A fetch is done: what it was given and has arrived is there still, unless it went back. */
        hf_happened(hf);
        return;
    }
    hf_items_drop(hf, consumer); /* They have gone back to their queue. */
    if (hf->settle_consumer == consumer) {
        if (hf->ranges_len > 0) {
            hf_late_set(&hf->settle, err, detail);
        }
        hf->ranges_len = 0;
        hf->settle_messages = 0;
    }
    hf_late_set(&hf->ended, err, detail);
    hf_happened(hf);
}

void hf_shown_drop(struct hf *hf)
{
    item_free(hf->shown);
    hf->shown = NULL;
}

int hf_poll(struct hf *hf)
{
    hf_limit_start(hf, POLL_MS);
    while (!hf->timed_out) {
        hf_turn(hf);
    }
    hf_limit_stop(hf);
    return hf->ended.err == 0 ? 0 : hf_fail(hf, hf->ended.err, hf->ended.detail);
}

static void on_settled(void *arg, const struct client_reply *reply)
{
    struct hf *hf = arg;
    hf->settles--;
    int err = reply->err == 0 && reply->repeated_count > 0 ? ERR_STALE : reply->err;
    hf_late_set(&hf->settle, err, reply->detail);
    hf_happened(hf);
}

/* Sends what has gathered, with `timeout_ms` for its answer. Waits for room for at most `wait_ms` (0: for ever); ERR_BUSY:
 * there was none, and it goes on gathering. */
static int settle_send(struct hf *hf, uint64_t timeout_ms, uint64_t wait_ms)
{
    if (hf->ranges_len == 0) {
        return 0;
    }
    int err;
    hf_limit_start(hf, wait_ms);
    /* While it waits for room, the subscription may end, and with it what has gathered. */
    while ((err = hf->ranges_len == 0
                      ? ERR_SESSION_EXPIRED
                      : client_core_settle(hf->core, hf->settle_consumer, hf->settle_outcome, hf->ranges,
                                           hf->ranges_len, timeout_ms, on_settled, hf)) == ERR_BUSY &&
           !hf->timed_out) {
        hf_turn(hf);
    }
    hf_limit_stop(hf);
    if (err == ERR_BUSY) {
        return hf_fail(hf, err, NULL);
    }
    hf->ranges_len = 0;
    hf->settle_messages = 0;
    if (err != 0) {
        return hf_fail(hf, err, NULL);
    }
    hf->settles++;
    return 0;
}

int hf_settle(struct hf *hf, uint64_t timeout_ms)
{
    return settle_send(hf, timeout_ms, timeout_ms);
}

int hf_subscribe(struct hf *hf, const char *queue, uint32_t credit, uint64_t timeout_ms, uint64_t *ret_consumer)
{
    const struct client_subscription how = {0};
    return hf_subscribe_as(hf, queue, credit, &how, timeout_ms, ret_consumer);
}

int hf_subscribe_as(struct hf *hf, const char *queue, uint32_t credit, const struct client_subscription *how,
                    uint64_t timeout_ms, uint64_t *ret_consumer)
{
    struct hf_call call = {.hf = hf, .invalid = HF_CREDIT_TEXT};
    uint64_t consumer = hf->consumers + 1;
    int err = hf_call_wait(
        &call, client_core_subscribe_as(hf->core, queue, consumer, credit, how, timeout_ms, hf_on_reply, &call));
    hf->consumers = consumer;
    if (err == 0) {
        *ret_consumer = consumer;
    }
    return err;
}

int hf_unsubscribe(struct hf *hf, uint64_t consumer, uint64_t timeout_ms)
{
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    int err = hf_settle(hf, timeout_ms);
    struct hf_call call = {.hf = hf};
    int end_err =
        hf_call_wait(&call, client_core_unsubscribe(hf->core, consumer, hf_left_ms(deadline_ms), hf_on_reply, &call));
    hf_items_drop(hf, consumer);
    return end_err != 0 ? end_err : err;
}

int hf_drain(struct hf *hf, uint64_t consumer, uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf};
    return hf_call_wait(&call, client_core_drain(hf->core, consumer, timeout_ms, hf_on_reply, &call));
}

int hf_set_credit(struct hf *hf, uint64_t consumer, uint32_t credit, uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf};
    Holdfast__SetCredit set_credit = HOLDFAST__SET_CREDIT__INIT;
    set_credit.consumer = consumer;
    set_credit.credit = credit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
    command.set_credit = &set_credit;
    return hf_call_wait(&call, client_core_command(hf->core, &command, false, timeout_ms, hf_on_reply, &call));
}

/* Waits for a message, or for the end of a subscription, for at most `timeout_ms` (here 0: not at all). */
static void message_wait(struct hf *hf, uint64_t timeout_ms)
{
    if (timeout_ms == 0) {
        hf_turn_now(hf);
        return;
    }
    hf_limit_start(hf, timeout_ms);
    while (list_empty(&hf->items) && hf->ended.err == 0 && !hf->timed_out) {
        hf_turn(hf);
    }
    hf_limit_stop(hf);
}

/* What the head and the trail say. */
static int message_unpack(struct hf_item *item, struct hf_message *message)
{
    int err = 0;
    if (item->delivery.head.len > 0) {
        err = client_properties_decode(item->delivery.head, &item->arena, &item->properties);
        message->properties = err == 0 ? &item->properties : NULL;
    }
    if (err == 0 && item->delivery.trail.len > 0) {
        err = client_deaths_decode(item->delivery.trail, &item->arena, &message->deaths, &message->deaths_len);
    }
    return err;
}

int hf_next(struct hf *hf, uint64_t timeout_ms, struct hf_message *ret_message)
{
    hf_shown_drop(hf);
    if (list_empty(&hf->items)) {
        int err = settle_send(hf, SETTLE_TIMEOUT_MS, 1);
        if (err != 0 && err != ERR_BUSY) { /* They leave with the next one. */
            return err;
        }
        message_wait(hf, timeout_ms);
    } else {
        hf_turn_now(hf); /* A busy reader's connection lives, too. */
    }
    if (hf->ended.err != 0) {
        return hf_late_take(hf, &hf->ended);
    }
    if (list_empty(&hf->items)) {
        return hf_fail(hf, ERR_TIMEOUT, "no message");
    }
    hf->shown = container_of(hf->items.next, struct hf_item, node);
    list_remove(&hf->shown->node);
    const struct client_delivery *delivery = &hf->shown->delivery;
    struct hf_message message = {.consumer = delivery->consumer,
                                 .number = delivery->number,
                                 .position = delivery->position,
                                 .enqueued_ms = delivery->enqueued_ms,
                                 .delivery_count = delivery->delivery_count,
                                 .lock_until_ms = delivery->lock_until_ms,
                                 .expires_ms = delivery->expires_ms,
                                 .settled = delivery->settled,
                                 .body = {.data = delivery->body.data, .len = delivery->body.len}};
    int err = message_unpack(hf->shown, &message);
    *ret_message = message; /* Whatever goes with it: else nobody could settle it. */
    return err == 0 ? 0 : hf_fail(hf, err, "the properties of a message cannot be read");
}

static int settle_add(struct hf *hf, const struct hf_message *message, enum client_outcome outcome)
{
    if (message->settled) {
        return 0; /* As it was delivered. */
    }
    bool other = hf->settle_consumer != message->consumer || hf->settle_outcome != outcome;
    struct client_range *last = hf->ranges_len > 0 ? &hf->ranges[hf->ranges_len - 1] : NULL;
    bool extends = last != NULL && message->number == last->last + 1;
    if (hf->ranges_len > 0 && (other || hf->settle_messages >= SETTLE_MESSAGES_BATCH ||
                               (hf->ranges_len == SETTLE_RANGES_BATCH && !extends))) {
        int err = hf_settle(hf, SETTLE_TIMEOUT_MS);
        if (err != 0) {
            return err;
        }
        extends = false;
    }
    hf->settle_consumer = message->consumer;
    hf->settle_outcome = outcome;
    if (extends) {
        last->last++;
    } else {
        hf->ranges[hf->ranges_len++] = (struct client_range){message->number, message->number};
    }
    hf->settle_messages++;
    return 0;
}

int hf_accept(struct hf *hf, const struct hf_message *message)
{
    return settle_add(hf, message, CLIENT_ACCEPT);
}

int hf_reject(struct hf *hf, const struct hf_message *message)
{
    return settle_add(hf, message, CLIENT_REJECT);
}

int hf_release(struct hf *hf, const struct hf_message *message)
{
    return settle_add(hf, message, CLIENT_RELEASE);
}

int hf_flush(struct hf *hf, uint64_t timeout_ms)
{
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    int err = hf_settle(hf, timeout_ms);
    hf_limit_start(hf, hf_left_ms(deadline_ms));
    while (hf->settles > 0 && !hf->timed_out) {
        hf_turn(hf);
    }
    hf_limit_stop(hf);
    int late = hf_late_take(hf, &hf->settle);
    if (late == 0 && err == 0 && hf->settles > 0) {
        return hf_fail(hf, ERR_OUTCOME_UNKNOWN, "no answer to all settlements in time");
    }
    return late != 0 ? late : err;
}
