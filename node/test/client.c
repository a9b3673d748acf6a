/* The client of the tests: what it says, and what it hears. */

#include "client.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/message.pb-c.h"
#include "rpc/native/native_limit.h"

static void sink_attached(void *arg, uint64_t session, uint64_t last_number)
{
    struct client *client = arg;
    client->attached++;
    client->session = session;
    client->last_number = last_number;
    client->unflushed = true;
}

static void sink_reply(void *arg, const struct gateway_reply *reply)
{
    struct client *client = arg;
    cr_assert_lt(client->replies, CLIENT_RECORDS_MAX);
    client->reply[client->replies++] = (struct client_reply_record){
        .number = reply->number,
        .error = reply->error,
        .count = reply->count,
        .repeated_count = reply->repeated_count,
    };
    client->unflushed = true;
}

static void sink_delivery(void *arg, const struct gateway_delivery *delivery)
{
    struct client *client = arg;
    cr_assert_lt(client->deliveries, CLIENT_RECORDS_MAX);
    cr_assert_eq(delivery->body_hash, XXH3_64bits(delivery->body.data, delivery->body.len));
    struct client_delivery_record *record = &client->delivery[client->deliveries++];
    *record = (struct client_delivery_record){
        .consumer = delivery->consumer,
        .number = delivery->number,
        .delivery_count = delivery->delivery_count,
    };
    size_t len = delivery->body.len < sizeof record->body ? delivery->body.len : sizeof record->body - 1;
    memcpy(record->body, delivery->body.data, len);
    client->unflushed = true;
}

static bool sink_takes(void *arg, size_t body_len)
{
    struct client *client = arg;
    cr_assert_gt(body_len, 0u);
    if (client->takes == 0 || client->deliveries < client->takes) {
        return true;
    }
    client->link->gateway->ops->pause(client->link, true);
    return false;
}

static void sink_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct client *client = arg;
    cr_assert(client->attached > 0 && !client->detached);
    cr_assert_str_not_empty(detail);
    client->ended++;
    client->ended_consumer = consumer;
    client->ended_err = err;
    client->ended_after_deliveries = client->deliveries;
    client->unflushed = true;
}

static void sink_detached(void *arg, int err, const char *detail, const struct gateway_leader *leader)
{
    struct client *client = arg;
    cr_assert_not_null(detail);
    cr_assert_not_null(leader->address);
    cr_assert_not(client->unflushed, "a farewell comes after what was said before it");
    client->detached = true;
    client->detached_err = err;
    client->detached_leader = leader->node;
    client->link = NULL;
}

static void sink_resume(void *arg)
{
    struct client *client = arg;
    client->resumes++;
}

static void sink_flush(void *arg)
{
    struct client *client = arg;
    client->flushes++;
    client->unflushed = false;
}

void client_init(struct client *client, struct home *home, uint8_t key)
{
    *client = (struct client){.home = home, .key = key};
    client->reply = calloc(CLIENT_RECORDS_MAX, sizeof *client->reply);
    client->delivery = calloc(CLIENT_RECORDS_MAX, sizeof *client->delivery);
    cr_assert(client->reply != NULL && client->delivery != NULL);
}

void client_done(struct client *client)
{
    client_detach(client);
    free(client->reply);
    free(client->delivery);
}

int client_attach_only(struct client *client, bool resume, uint64_t seen)
{
    const uint64_t consumer = 1;
    struct gateway_sink sink = {
        .arg = client,
        .attached = sink_attached,
        .reply = sink_reply,
        .delivery = sink_delivery,
        .takes = sink_takes,
        .consumer_ended = sink_consumer_ended,
        .detached = sink_detached,
        .resume = sink_resume,
        .flush = sink_flush,
    };
    struct gateway_attach attach = {
        .resume = resume,
        .virtual_host = "/",
        .client = "test",
        .lease_ms = CLIENT_LEASE_MS,
        .attempt = ++client->attempt,
        .consumers = &consumer,
        .seen = &seen,
        .consumers_len = resume ? 1 : 0,
    };
    memset(attach.key, client->key, sizeof attach.key);
    client->detached = false;
    client->detached_err = 0;
    return client->home->gateway->ops->attach(client->home->gateway, &attach, &sink, &client->link);
}

void client_attach(struct client *client)
{
    unsigned before = client->attached;
    cr_assert_eq(client_attach_only(client, false, 0), 0);
    cr_assert_eq(client->attached, before, "never from within the call");
    client->home->wait(client->home, CLIENT_ANSWER_MS);
    cr_assert_eq(client->attached, before + 1, "%s", err_name(client->detached_err));
}

void client_move(struct client *client, struct home *home)
{
    client->home = home;
    unsigned before = client->attached;
    cr_assert_eq(client_attach_only(client, true, client->deliveries), 0);
    home->wait(home, CLIENT_ANSWER_MS);
    cr_assert_eq(client->attached, before + 1, "%s", err_name(client->detached_err));
    client->number = client->last_number;
}

void client_detach(struct client *client)
{
    if (client->link != NULL) {
        client->home->gateway->ops->detach(client->link);
        client->link = NULL;
    }
}

void client_cut(struct client *client)
{
    client->link = NULL;
}

int client_submit(struct client *client, const Holdfast__Command *message, struct slice bodies)
{
    struct slice header = slice_of_blob(blob_new(holdfast__command__get_packed_size(message)));
    cr_assert_not_null(header.blob);
    (void)holdfast__command__pack(message, header.blob->data);
    unsigned replies = client->replies;
    int err = client->home->gateway->ops->submit(client->link, client->number + 1, 0, header, bodies);
    cr_assert_eq(client->replies, replies, "never from within the call");
    client->number += err == 0;
    slice_unref(&header);
    return err;
}

int client_declare(struct client *client, const char *queue)
{
    Holdfast__DeclareQueue body = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.queue = (char *)(uintptr_t)queue;
    message.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    message.declare_queue = &body;
    return client_submit(client, &message, (struct slice){0});
}

static int publish(struct client *client, const char *queue, struct slice text)
{
    uint32_t len = (uint32_t)text.len;
    uint64_t hash = XXH3_64bits(text.data, text.len);
    Holdfast__Publish body = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.queue = (char *)(uintptr_t)queue;
    body.n_body_len = 1;
    body.body_len = &len;
    body.n_body_hash = 1;
    body.body_hash = &hash;
    body.producer = (char *)(uintptr_t) "";
    message.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    message.publish = &body;
    int err = client_submit(client, &message, text);
    slice_unref(&text);
    return err;
}

int client_publish(struct client *client, const char *queue, const char *body)
{
    struct slice text;
    cr_assert_eq(slice_copy(body, strlen(body), &text), 0);
    return publish(client, queue, text);
}

int client_publish_delayed(struct client *client, const char *queue, uint64_t delay_ms)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.delay_ms = delay_ms;
    uint32_t head_len = (uint32_t)holdfast__message_head__get_packed_size(&head);
    uint32_t body_len = 1;
    struct slice text = slice_of_blob(blob_new(head_len + body_len));
    cr_assert_not_null(text.blob);
    (void)holdfast__message_head__pack(&head, text.blob->data);
    text.blob->data[head_len] = 'x';
    uint64_t hash = XXH3_64bits(text.data, text.len);
    Holdfast__Publish body = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.queue = (char *)(uintptr_t)queue;
    body.n_body_len = body.n_head_len = body.n_body_hash = 1;
    body.body_len = &body_len;
    body.head_len = &head_len;
    body.body_hash = &hash;
    message.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    message.publish = &body;
    int err = client_submit(client, &message, text);
    slice_unref(&text);
    return err;
}

int client_publish_large(struct client *client, const char *queue, size_t len)
{
    struct slice text = slice_of_blob(blob_new(len));
    cr_assert_not_null(text.blob);
    memset(text.blob->data, 'x', len);
    return publish(client, queue, text);
}

int client_subscribe(struct client *client, const char *queue, uint64_t consumer, uint32_t credit)
{
    Holdfast__Subscribe body = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.queue = (char *)(uintptr_t)queue;
    body.consumer = consumer;
    body.credit = credit;
    message.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    message.subscribe = &body;
    return client_submit(client, &message, (struct slice){0});
}

int client_unsubscribe(struct client *client, uint64_t consumer)
{
    Holdfast__Unsubscribe body = HOLDFAST__UNSUBSCRIBE__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.consumer = consumer;
    message.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    message.unsubscribe = &body;
    return client_submit(client, &message, (struct slice){0});
}

int client_delete(struct client *client, const char *queue)
{
    Holdfast__DeleteQueue body = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.queue = (char *)(uintptr_t)queue;
    message.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    message.delete_queue = &body;
    return client_submit(client, &message, (struct slice){0});
}

int client_submit_refused(struct client *client)
{
    int err = client->home->gateway->ops->submit(client->link, client->number + 1, 0, native_limit_refused(),
                                                 (struct slice){0});
    client->number += err == 0;
    return err;
}

int client_accept(struct client *client, uint64_t consumer, uint64_t first, uint64_t last)
{
    Holdfast__Settle body = HOLDFAST__SETTLE__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.consumer = consumer;
    body.outcome = HOLDFAST__SETTLE__OUTCOME__ACCEPT;
    body.n_first = 1;
    body.first = &first;
    body.n_last = 1;
    body.last = &last;
    message.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    message.settle = &body;
    return client_submit(client, &message, (struct slice){0});
}

int client_close_session(struct client *client)
{
    Holdfast__CloseSession body = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    message.close_session = &body;
    return client_submit(client, &message, (struct slice){0});
}

void client_ready(struct client *client)
{
    client_attach(client);
    cr_assert_eq(client_declare(client, "q"), 0);
    client->home->wait(client->home, CLIENT_ANSWER_MS);
    cr_assert_eq(client->replies, 1u);
    cr_assert_eq(client->reply[0].error, 0u);
    client->replies = 0;
}

void client_expect_reply(const struct client *client, unsigned at, uint64_t number, int err)
{
    cr_assert_lt(at, client->replies, "%u replies", client->replies);
    cr_assert_eq(client->reply[at].number, number, "reply to %llu in place %u",
                 (unsigned long long)client->reply[at].number, at);
    cr_assert_eq(client->reply[at].error, (uint32_t)-err, "reply %llu: %s", (unsigned long long)number,
                 err_name(-(int)client->reply[at].error));
}

void client_expect_detached(const struct client *client, int err)
{
    cr_assert(client->detached);
    cr_assert_eq(client->detached_err, err, "%s", err_name(client->detached_err));
}

static void reading_done(struct gateway_read *read, int err)
{
    struct reading *reading = container_of(read, struct reading, read);
    struct gateway_queue queue;
    reading->done++;
    reading->err = err;
    int found = reading->home->gateway->ops->queue(reading->home->gateway, "", "q", &queue);
    reading->ready = found == 0 ? queue.ready : UINT64_MAX;
}

void reading_start(struct reading *reading, struct home *home)
{
    *reading = (struct reading){.read = {.done = reading_done}, .home = home};
    home->gateway->ops->read(home->gateway, &reading->read);
    cr_assert_eq(reading->done, 0u, "never from within the call");
}

void home_queue(struct home *home, const char *name, uint64_t *ret_ready, uint64_t *ret_unsettled)
{
    struct gateway_queue queue;
    cr_assert_eq(home->gateway->ops->queue(home->gateway, "", name, &queue), 0, "no queue %s", name);
    *ret_ready = queue.ready;
    *ret_unsettled = queue.unsettled;
}

void home_expect_queue(struct home *home, uint64_t ready, uint64_t unsettled)
{
    uint64_t found_ready;
    uint64_t found_unsettled;
    home_queue(home, "q", &found_ready, &found_unsettled);
    cr_assert_eq(found_ready, ready, "ready: %llu", (unsigned long long)found_ready);
    cr_assert_eq(found_unsettled, unsettled, "unsettled: %llu", (unsigned long long)found_unsettled);
}
