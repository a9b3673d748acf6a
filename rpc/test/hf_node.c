/* A node on a thread of its own, over the fake gateway. */

#include "hf_node.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"

static void command_answer(struct hf_node *node, uint64_t number)
{
    const struct gateway_sink *sink = &node->fake.sink;
    node->last_number = number;
    Holdfast__Command *command =
        holdfast__command__unpack(NULL, node->fake.last_header.len, node->fake.last_header.data);
    CHECK(command != NULL);
    if (node->script != NULL && node->script(node, number, command)) {
        holdfast__command__free_unpacked(command, NULL);
        return;
    }
    struct gateway_reply reply = {.number = number, .detail = "", .count = 1};
    if (command->kind_case == HOLDFAST__COMMAND__KIND_DELETE_QUEUE) {
        reply.error = (uint32_t)-ERR_NOT_FOUND;
        reply.detail = "no such queue";
    }
    if (node->full) {
        reply.error = (uint32_t)-ERR_NO_SPACE;
        reply.count = 0;
    }
    sink->reply(sink->arg, &reply);
    if (command->kind_case == HOLDFAST__COMMAND__KIND_SUBSCRIBE) {
        static const char body[] = "delivered";
        struct gateway_delivery delivery = {.consumer = command->subscribe->consumer,
                                            .number = 1,
                                            .position = 41,
                                            .body_hash = XXH3_64bits(body, sizeof body),
                                            .body = {.data = (const uint8_t *)body, .len = sizeof body}};
        sink->delivery(sink->arg, &delivery);
    }
    if (command->kind_case == HOLDFAST__COMMAND__KIND_DECLARE_QUEUE &&
        strcmp(command->declare_queue->queue, "end the subscription") == 0) {
        sink->consumer_ended(sink->arg, 1, ERR_NOT_FOUND, "the queue was deleted");
    }
    if (command->kind_case == HOLDFAST__COMMAND__KIND_SETTLE) {
        CHECK(command->settle->n_first == 1 && command->settle->first[0] == 1 && command->settle->last[0] == 1);
        node->settled++;
    }
    holdfast__command__free_unpacked(command, NULL);
}

static void on_turn(uv_check_t *check)
{
    struct hf_node *node = check->data;
    const struct gateway_sink *sink = &node->fake.sink;
    (void)fake_gateway_read_done(&node->fake, 0);
    if (!node->fake.attached) {
        node->greeted = false;
        return;
    }
    if (!node->greeted) {
        node->greeted = true;
        sink->attached(sink->arg, 7, node->last_number);
    }
    while (!node->mute && node->replied < node->fake.commands) {
        command_answer(node, node->fake.numbers[node->replied++ % FAKE_COMMANDS_MAX]);
    }
    sink->flush(sink->arg);
}

static void on_closed(void *arg)
{
    struct hf_node *node = arg;
    uv_close((uv_handle_t *)&node->check, NULL);
    uv_close((uv_handle_t *)&node->stop, NULL);
}

static void on_stop(uv_async_t *stop)
{
    struct hf_node *node = stop->data;
    native_server_close(node->server, on_closed, node);
}

static void *node_run(void *arg)
{
    struct hf_node *node = arg;
    uv_run(&node->loop, UV_RUN_DEFAULT);
    return NULL;
}

void hf_node_start(struct hf_node *node)
{
    hf_node_start_strict(node, 0);
}

void hf_node_start_strict(struct hf_node *node, uint64_t idle_timeout_ms)
{
    memset(node, 0, sizeof *node);
    loop_open(&node->loop);
    fake_gateway_init(&node->fake);
    node->fake.queues = 1000;
    uv_check_init(&node->loop, &node->check);
    node->check.data = node;
    uv_check_start(&node->check, on_turn);
    uv_async_init(&node->loop, &node->stop, on_stop);
    node->stop.data = node;
    struct native_server_options options = {.server.loop = &node->loop,
                                            .server.gateway = &node->fake.base,
                                            .server.listen_address = "127.0.0.1:0",
                                            .idle_timeout_ms = idle_timeout_ms};
    char detail[200];
    cr_assert_eq(native_server_start(&options, &node->server, detail, sizeof detail), 0, "%s", detail);
    snprintf(node->address, sizeof node->address, "127.0.0.1:%u", native_server_port(node->server));
    cr_assert_eq(pthread_create(&node->thread, NULL, node_run, node), 0);
}

void hf_node_stop(struct hf_node *node)
{
    uv_async_send(&node->stop);
    cr_assert_eq(pthread_join(node->thread, NULL), 0);
    loop_close(&node->loop);
    fake_gateway_done(&node->fake);
}

struct hf *hf_node_client(const struct hf_node *node)
{
    struct hf_options options = {.servers = node->address, .client_name = "test"};
    struct hf *hf;
    cr_assert_eq(hf_open(&options, &hf), 0);
    return hf;
}

void hf_node_reply(struct hf_node *node, uint64_t number, uint64_t count, uint64_t repeated)
{
    struct gateway_reply reply = {.number = number, .detail = "", .count = count, .repeated_count = repeated};
    node->fake.sink.reply(node->fake.sink.arg, &reply);
}

void hf_node_deliver(struct hf_node *node, uint64_t consumer, uint64_t number)
{
    static const char body[] = "delivered";
    struct gateway_delivery delivery = {.consumer = consumer,
                                        .number = number,
                                        .position = number,
                                        .lock_until_ms = 5000,
                                        .body_hash = XXH3_64bits(body, sizeof body),
                                        .body = {.data = (const uint8_t *)body, .len = sizeof body}};
    node->fake.sink.delivery(node->fake.sink.arg, &delivery);
}
