/* The blocking library: a loop of its own, turned until what was asked for is there. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "rpc/client/client_blocking.h"
#include "rpc/native/native_limit.h"

/* Settlements that gather before they leave by themselves. */
#define SETTLE_RANGES_BATCH 256u
#define SETTLE_MESSAGES_BATCH 1024u
#define SETTLE_TIMEOUT_MS 30000u

struct hf_item {
    struct list_node node;
    struct client_delivery delivery; /* Owns a reference to its body. */
};

struct hf {
    uv_loop_t loop;
    uv_timer_t timer; /* Of hf_next(). */
    bool timed_out;
    struct hf_client *client;
    struct client_core *core;
    struct list_node items;
    struct hf_item *shown; /* Returned by hf_next() last. */
    uint64_t consumers;    /* The last id given. */
    int ended_err;         /* A subscription is over, and hf_next() has not said so. */
    struct hf_submitted submitted;
    int submit_err;
    uint64_t settle_consumer; /* What gathers: of one consumer, with one outcome. */
    enum client_outcome settle_outcome;
    struct client_range ranges[SETTLE_RANGES_BATCH];
    size_t ranges_len;
    uint64_t settle_messages;
    size_t settles; /* Commands in flight. */
    int settle_err;
    char detail[512];
    char late[512]; /* Of submit_err, settle_err or ended_err. */
};

int hf_fail(struct hf *hf, int err, const char *detail)
{
    snprintf(hf->detail, sizeof hf->detail, "%s", detail == NULL || detail[0] == '\0' ? err_text(err) : detail);
    return err;
}

static void late_set(struct hf *hf, int *slot, int err, const char *detail)
{
    if (*slot == 0 && err != 0) {
        *slot = err;
        snprintf(hf->late, sizeof hf->late, "%s", detail[0] == '\0' ? err_text(err) : detail);
    }
}

/* Returns and clears an error that came with an answer nobody was waiting for. */
static int late_take(struct hf *hf, int *slot)
{
    int err = *slot;
    *slot = 0;
    return err == 0 ? 0 : hf_fail(hf, err, hf->late);
}

static void turn(struct hf *hf)
{
    uv_run(&hf->loop, UV_RUN_ONCE);
}

static void on_delivery(void *arg, const struct client_delivery *delivery)
{
    struct hf *hf = arg;
    struct hf_item *item = malloc(sizeof *item);
    if (item == NULL) {
        /* It has been counted as seen; only a new session brings it back. Say so rather than lose it quietly. */
        late_set(hf, &hf->ended_err, ERR_NOMEM, "");
        return;
    }
    item->delivery = *delivery;
    item->delivery.body = slice_ref(delivery->body);
    list_push_back(&hf->items, &item->node);
}

static void item_free(struct hf_item *item)
{
    if (item != NULL) {
        slice_unref(&item->delivery.body);
        free(item);
    }
}

static void items_drop(struct hf *hf, uint64_t consumer)
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

static void on_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct hf *hf = arg;
    items_drop(hf, consumer); /* They have gone back to their queue. */
    if (hf->settle_consumer == consumer) {
        if (hf->ranges_len > 0) {
            late_set(hf, &hf->settle_err, err, detail);
        }
        hf->ranges_len = 0;
        hf->settle_messages = 0;
    }
    late_set(hf, &hf->ended_err, err, detail);
}

static void on_timer(uv_timer_t *timer)
{
    ((struct hf *)timer->data)->timed_out = true;
}

int hf_open(const struct hf_options *options, struct hf **ret_hf)
{
    struct hf *hf = calloc(1, sizeof *hf);
    if (hf == NULL) {
        return ERR_NOMEM;
    }
    list_init(&hf->items);
    if (uv_loop_init(&hf->loop) != 0) {
        free(hf);
        return ERR_SYSTEM;
    }
    uv_timer_init(&hf->loop, &hf->timer);
    hf->timer.data = hf;
    struct hf_events events = {.arg = hf, .delivery = on_delivery, .consumer_ended = on_consumer_ended};
    int err = hf_client_new(&hf->loop, options, &events, &hf->client);
    if (err != 0) {
        uv_close((uv_handle_t *)&hf->timer, NULL);
        uv_run(&hf->loop, UV_RUN_DEFAULT);
        CHECK(uv_loop_close(&hf->loop) == 0);
        free(hf);
        return err;
    }
    hf->core = hf_client_core(hf->client);
    *ret_hf = hf;
    return 0;
}

static void on_reply(void *arg, const struct client_reply *reply)
{
    struct hf_call *call = arg;
    call->done = true;
    call->err = reply->err;
    call->count = reply->count;
    if (reply->err != 0) {
        (void)hf_fail(call->hf, reply->err, reply->detail);
    }
}

/* A publish that was not even issued: says which limit it is over, in the node's words. */
static int publish_fail(struct hf *hf, int err)
{
    char words[NATIVE_LIMIT_TEXT_LEN];
    native_limit_text(client_core_body_len_max(hf->core), words);
    return hf_fail(hf, err, err == ERR_TOO_BIG ? words : NULL);
}

int hf_call_wait(struct hf_call *call, int err)
{
    if (err != 0) {
        return hf_fail(call->hf, err, NULL);
    }
    while (!call->done) {
        turn(call->hf);
    }
    return call->err;
}

int hf_close(struct hf *hf, uint64_t timeout_ms)
{
    if (hf == NULL) {
        return 0;
    }
    int err = 0;
    if (timeout_ms > 0) {
        err = hf_flush(hf, timeout_ms);
        struct hf_call call = {.hf = hf};
        int close_err = hf_call_wait(&call, client_core_close_session(hf->core, timeout_ms, on_reply, &call));
        err = err == 0 && close_err != ERR_CLOSED ? close_err : err;
    }
    hf_client_free(hf->client, NULL, NULL);
    uv_close((uv_handle_t *)&hf->timer, NULL);
    uv_run(&hf->loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&hf->loop) == 0);
    items_drop(hf, 0);
    item_free(hf->shown);
    free(hf);
    return err;
}

struct client_core *hf_core(struct hf *hf)
{
    return hf->core;
}

const char *hf_error_detail(const struct hf *hf)
{
    return hf->detail;
}

int hf_declare(struct hf *hf, const char *queue, uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf};
    return hf_call_wait(&call, client_core_declare(hf->core, queue, timeout_ms, on_reply, &call));
}

int hf_purge(struct hf *hf, const char *queue, uint64_t timeout_ms, uint64_t *ret_dropped)
{
    struct hf_call call = {.hf = hf};
    int err = hf_call_wait(&call, client_core_purge(hf->core, queue, timeout_ms, on_reply, &call));
    if (err == 0 && ret_dropped != NULL) {
        *ret_dropped = call.count;
    }
    return err;
}

int hf_delete(struct hf *hf, const char *queue, bool if_empty, uint64_t timeout_ms, uint64_t *ret_dropped)
{
    struct hf_call call = {.hf = hf};
    int err = hf_call_wait(&call, client_core_delete(hf->core, queue, if_empty, timeout_ms, on_reply, &call));
    if (err == 0 && ret_dropped != NULL) {
        *ret_dropped = call.count;
    }
    return err;
}

int hf_publish(struct hf *hf, const char *queue, const char *producer, uint64_t sequence, struct hf_body body,
               uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf};
    struct slice slice = {.data = body.data, .len = body.len};
    int err = client_core_publish(hf->core, queue, producer, sequence, &slice, 1, timeout_ms, on_reply, &call);
    return err == ERR_TOO_BIG ? publish_fail(hf, err) : hf_call_wait(&call, err);
}

/* A submitted publish: it outlives the call. */
struct submit {
    struct hf *hf;
    uint64_t messages;
};

static void on_submitted(void *arg, const struct client_reply *reply)
{
    struct submit *submit = arg;
    struct hf *hf = submit->hf;
    hf->submitted.in_flight -= submit->messages;
    hf->submitted.enqueued += reply->err == 0 ? reply->count : 0;
    hf->submitted.repeated += reply->err == 0 ? reply->repeated_count : 0;
    late_set(hf, &hf->submit_err, reply->err, reply->detail);
    free(submit);
}

int hf_submit(struct hf *hf, const char *queue, const char *producer, uint64_t first_sequence,
              const struct hf_body *bodies, size_t bodies_len, uint64_t timeout_ms)
{
    if (bodies_len == 0 || bodies_len > PUBLISH_MESSAGES_MAX) {
        return hf_fail(hf, bodies_len == 0 ? ERR_INVALID : ERR_TOO_BIG, NULL);
    }
    struct submit *submit = malloc(sizeof *submit);
    struct slice *slices = malloc(bodies_len * sizeof *slices);
    int err = submit == NULL || slices == NULL ? ERR_NOMEM : 0;
    if (err == 0) {
        *submit = (struct submit){.hf = hf, .messages = bodies_len};
        for (size_t i = 0; i < bodies_len; i++) {
            slices[i] = (struct slice){.data = bodies[i].data, .len = bodies[i].len};
        }
        while ((err = client_core_publish(hf->core, queue, producer, first_sequence, slices, bodies_len, timeout_ms,
                                          on_submitted, submit)) == ERR_BUSY) {
            turn(hf);
        }
    }
    free(slices);
    if (err != 0) {
        free(submit);
        return publish_fail(hf, err);
    }
    hf->submitted.in_flight += bodies_len;
    return 0;
}

int hf_wait(struct hf *hf, uint64_t in_flight, struct hf_submitted *ret_submitted)
{
    while (hf->submitted.in_flight > in_flight) {
        turn(hf);
    }
    if (ret_submitted != NULL) {
        *ret_submitted = hf->submitted;
    }
    return late_take(hf, &hf->submit_err);
}

int hf_subscribe(struct hf *hf, const char *queue, uint32_t credit, uint64_t timeout_ms, uint64_t *ret_consumer)
{
    struct hf_call call = {.hf = hf};
    uint64_t consumer = hf->consumers + 1;
    int err =
        hf_call_wait(&call, client_core_subscribe(hf->core, queue, consumer, credit, timeout_ms, on_reply, &call));
    hf->consumers = consumer;
    if (err == 0) {
        *ret_consumer = consumer;
    }
    return err;
}

int hf_unsubscribe(struct hf *hf, uint64_t consumer, uint64_t timeout_ms)
{
    int err = hf_settle(hf, timeout_ms);
    struct hf_call call = {.hf = hf};
    int end_err = hf_call_wait(&call, client_core_unsubscribe(hf->core, consumer, timeout_ms, on_reply, &call));
    items_drop(hf, consumer);
    return end_err != 0 ? end_err : err;
}

int hf_next(struct hf *hf, uint64_t timeout_ms, struct hf_message *ret_message)
{
    item_free(hf->shown);
    hf->shown = NULL;
    if (list_empty(&hf->items)) {
        int err = hf_settle(hf, SETTLE_TIMEOUT_MS);
        if (err != 0) {
            return err;
        }
        hf->timed_out = false;
        uv_update_time(&hf->loop);
        uv_timer_start(&hf->timer, on_timer, timeout_ms, 0);
        while (list_empty(&hf->items) && hf->ended_err == 0 && !hf->timed_out) {
            turn(hf);
        }
        uv_timer_stop(&hf->timer);
    } else {
        uv_run(&hf->loop, UV_RUN_NOWAIT); /* A busy reader's connection lives, too. */
    }
    if (hf->ended_err != 0) {
        return late_take(hf, &hf->ended_err);
    }
    if (list_empty(&hf->items)) {
        return hf_fail(hf, ERR_TIMEOUT, "no message");
    }
    hf->shown = container_of(hf->items.next, struct hf_item, node);
    list_remove(&hf->shown->node);
    const struct client_delivery *delivery = &hf->shown->delivery;
    *ret_message = (struct hf_message){.consumer = delivery->consumer,
                                       .number = delivery->number,
                                       .position = delivery->position,
                                       .enqueued_ms = delivery->enqueued_ms,
                                       .delivery_count = delivery->delivery_count,
                                       .body = {.data = delivery->body.data, .len = delivery->body.len}};
    return 0;
}

static void on_settled(void *arg, const struct client_reply *reply)
{
    struct hf *hf = arg;
    hf->settles--;
    int err = reply->err == 0 && reply->repeated_count > 0 ? ERR_STALE : reply->err;
    late_set(hf, &hf->settle_err, err, reply->detail);
}

int hf_settle(struct hf *hf, uint64_t timeout_ms)
{
    if (hf->ranges_len == 0) {
        return 0;
    }
    int err;
    /* While it waits for room, the subscription may end, and with it what has gathered. */
    while ((err = hf->ranges_len == 0
                      ? ERR_SESSION_EXPIRED
                      : client_core_settle(hf->core, hf->settle_consumer, hf->settle_outcome, hf->ranges,
                                           hf->ranges_len, timeout_ms, on_settled, hf)) == ERR_BUSY) {
        turn(hf);
    }
    hf->ranges_len = 0;
    hf->settle_messages = 0;
    if (err != 0) {
        return hf_fail(hf, err, NULL);
    }
    hf->settles++;
    return 0;
}

static int settle_add(struct hf *hf, const struct hf_message *message, enum client_outcome outcome)
{
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
    int err = hf_settle(hf, timeout_ms);
    while (hf->settles > 0) {
        turn(hf);
    }
    int late = late_take(hf, &hf->settle_err);
    return late != 0 ? late : err;
}
