/* The fixture of the tests of gateway and shard. */

#include "one_node.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "rpc/native/native_limit.h"

static uint64_t one_monotonic(struct clock *base)
{
    return container_of(base, struct one_clock, base)->now_ms;
}

static uint64_t one_wall(struct clock *base)
{
    const struct one_clock *clock = container_of(base, struct one_clock, base);
    return UINT64_C(1700000000000) + clock->now_ms + clock->wall_jump_ms;
}

static uint64_t one_random(struct clock *base)
{
    struct one_clock *clock = container_of(base, struct one_clock, base);
    clock->random = clock->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return clock->random;
}

static void one_send(void *arg, uint64_t to, struct frame_out *frame)
{
    (void)arg;
    (void)to;
    frame_out_done(frame);
}

static void one_fatal(void *arg, int err, const char *what)
{
    (void)arg;
    cr_assert_fail("fatal: %s: %s", what, err_text(err));
}

void one_node_open(struct one_node *node)
{
    char detail[512] = "";
    struct store *store;
    cr_assert_eq(store_memory_open(node->rows, &store), 0);
    node->options.store = store;
    cr_assert_eq(shard_open(&node->options, &node->shard, detail, sizeof detail), 0, "%s", detail);
    node->gateway = shard_gateway(node->shard);
    shard_set_client_address(node->shard, "client:1");
}

static void one_node_lead(struct one_node *node)
{
    struct gateway_leader leader;
    for (int i = 0; i < 100 && node->gateway->ops->leader(node->gateway, &leader) != 0; i++) {
        one_node_wait(node, 100);
    }
    cr_assert_eq(node->gateway->ops->leader(node->gateway, &leader), 0);
    cr_assert_eq(leader.node, 1u);
    cr_assert_str_eq(leader.address, "client:1");
    one_node_settle(node);
}

void one_node_start(struct one_node *node, const struct shard_options *options)
{
    static const struct driver_member alone = {.id = 1, .address = "node:1"};
    *node = (struct one_node){
        .clock = {.base = {.monotonic_ms = one_monotonic, .wall_ms = one_wall, .random = one_random}, .now_ms = 1000},
        .disk = sim_disk_new(),
        .rows = store_memory_disk_new(),
        .options = {.members = &alone, .members_len = 1},
    };
    if (options != NULL) {
        node->options = *options;
        node->options.members = options->members != NULL ? options->members : &alone;
        node->options.members_len = options->members != NULL ? options->members_len : 1;
    }
    node->options.node = 1;
    node->options.cluster = "test";
    node->options.version = "0";
    node->options.disk = sim_disk_ops(node->disk);
    node->options.clock = &node->clock.base;
    node->options.dir = "shard-0";
    node->options.arg = node;
    node->options.send = one_send;
    node->options.fatal = one_fatal;
    one_node_open(node);
    if (node->options.members_len == 1) {
        one_node_lead(node);
    }
}

void one_node_crash(struct one_node *node)
{
    sim_disk_crash_losing_all(node->disk);
    shard_close(node->shard);
    one_node_open(node);
    one_node_lead(node);
}

void one_node_stop(struct one_node *node)
{
    sim_disk_kill(node->disk);
    shard_close(node->shard);
    sim_disk_free(node->disk);
    store_memory_disk_free(node->rows);
}

void one_node_settle(struct one_node *node)
{
    for (int i = 0; i < 100000; i++) {
        shard_step(node->shard);
        if (sim_disk_pending(node->disk) > 0) {
            sim_disk_complete_one(node->disk);
        } else if (shard_deadline_ms(node->shard) > node->clock.now_ms) {
            return;
        }
    }
    cr_assert_fail("it never comes to rest");
}

void one_node_wait(struct one_node *node, uint64_t ms)
{
    node->clock.now_ms += ms;
    one_node_settle(node);
}

struct queue_search {
    const char *name;
    uint64_t ready;
    uint64_t unsettled;
};

static void note_queue(void *arg, const char *name, uint64_t ready, uint64_t unsettled, uint32_t consumers)
{
    struct queue_search *search = arg;
    (void)consumers;
    if (strcmp(name, search->name) == 0) {
        search->ready = ready;
        search->unsettled = unsettled;
    }
}

void one_node_queue(struct one_node *node, const char *name, uint64_t *ret_ready, uint64_t *ret_unsettled)
{
    struct queue_search search = {.name = name, .ready = UINT64_MAX};
    struct gateway_query_sink sink = {.arg = &search, .queue = note_queue};
    bool more;
    cr_assert_eq(node->gateway->ops->queues(node->gateway, "", 100, &sink, &more), 0);
    cr_assert_neq(search.ready, UINT64_MAX, "no queue %s", name);
    *ret_ready = search.ready;
    *ret_unsettled = search.unsettled;
}

/* The client's side. */

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

void client_init(struct client *client, struct one_node *node, uint8_t key)
{
    *client = (struct client){.node = node, .key = key};
    client->reply = calloc(CLIENT_RECORDS_MAX, sizeof *client->reply);
    client->delivery = calloc(CLIENT_RECORDS_MAX, sizeof *client->delivery);
    cr_assert(client->reply != NULL && client->delivery != NULL);
}

void client_done(struct client *client)
{
    if (client->link != NULL) {
        client->node->gateway->ops->detach(client->link);
    }
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
        .consumer_ended = sink_consumer_ended,
        .detached = sink_detached,
        .resume = sink_resume,
        .flush = sink_flush,
    };
    struct gateway_attach attach = {
        .resume = resume,
        .virtual_host = "/",
        .client = "test",
        .lease_ms = 5000,
        .consumers = &consumer,
        .seen = &seen,
        .consumers_len = resume ? 1 : 0,
    };
    memset(attach.key, client->key, sizeof attach.key);
    client->detached = false;
    return client->node->gateway->ops->attach(client->node->gateway, &attach, &sink, &client->link);
}

void client_attach(struct client *client)
{
    unsigned before = client->attached;
    cr_assert_eq(client_attach_only(client, false, 0), 0);
    cr_assert_eq(client->attached, before, "never from within the call");
    one_node_settle(client->node);
    cr_assert_eq(client->attached, before + 1);
}

static int submit(struct client *client, const Holdfast__Command *message, struct slice bodies)
{
    struct slice header = slice_of_blob(blob_new(holdfast__command__get_packed_size(message)));
    cr_assert_not_null(header.blob);
    (void)holdfast__command__pack(message, header.blob->data);
    unsigned replies = client->replies;
    int err = client->node->gateway->ops->submit(client->link, client->number + 1, 0, header, bodies);
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
    return submit(client, &message, (struct slice){0});
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
    int err = submit(client, &message, text);
    slice_unref(&text);
    return err;
}

int client_publish(struct client *client, const char *queue, const char *body)
{
    struct slice text;
    cr_assert_eq(slice_copy(body, strlen(body), &text), 0);
    return publish(client, queue, text);
}

int client_publish_again(struct client *client, const char *queue, const char *body)
{
    client->number--;
    return client_publish(client, queue, body);
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
    return submit(client, &message, (struct slice){0});
}

int client_unsubscribe(struct client *client, uint64_t consumer)
{
    Holdfast__Unsubscribe body = HOLDFAST__UNSUBSCRIBE__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.consumer = consumer;
    message.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    message.unsubscribe = &body;
    return submit(client, &message, (struct slice){0});
}

int client_delete(struct client *client, const char *queue)
{
    Holdfast__DeleteQueue body = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    body.queue = (char *)(uintptr_t)queue;
    message.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    message.delete_queue = &body;
    return submit(client, &message, (struct slice){0});
}

int client_submit_refused(struct client *client)
{
    int err = client->node->gateway->ops->submit(client->link, client->number + 1, 0, native_limit_refused(),
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
    return submit(client, &message, (struct slice){0});
}

int client_close_session(struct client *client)
{
    Holdfast__CloseSession body = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    message.close_session = &body;
    return submit(client, &message, (struct slice){0});
}

void client_ready(struct client *client)
{
    client_attach(client);
    cr_assert_eq(client_declare(client, "q"), 0);
    one_node_settle(client->node);
    cr_assert_eq(client->replies, 1u);
    cr_assert_eq(client->reply[0].error, 0u);
    client->replies = 0;
}
