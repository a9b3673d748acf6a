/* The client library on real sockets against the native server: what was published is what a subscriber would get. */

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "fake_gateway.h"
#include "net_fixture.h"
#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "rpc/client/hf.h"
#include "rpc/native/native_limit.h"
#include "rpc/native/native_server.h"

/* A node on a thread of its own: confirms every command, and delivers one message to every subscription. */
struct node {
    uv_loop_t loop;
    uv_check_t check;
    uv_async_t stop;
    struct fake_gateway fake;
    const struct gateway_ops *fake_ops; /* Its own, when a test puts others before them. */
    struct native_server *server;
    bool greeted;
    unsigned replied;
    uint64_t last_number;
    unsigned settled;
    char address[32];
    pthread_t thread;
};

static void command_answer(struct node *node, uint64_t number)
{
    const struct gateway_sink *sink = &node->fake.sink;
    node->last_number = number;
    Holdfast__Command *command =
        holdfast__command__unpack(NULL, node->fake.last_header.len, node->fake.last_header.data);
    CHECK(command != NULL);
    struct gateway_reply reply = {.number = number, .detail = "", .count = 1};
    if (command->kind_case == HOLDFAST__COMMAND__KIND_DELETE_QUEUE) {
        reply.error = (uint32_t)-ERR_NOT_FOUND;
        reply.detail = "no such queue";
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
    struct node *node = check->data;
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
    while (node->replied < node->fake.commands) {
        command_answer(node, node->fake.numbers[node->replied++ % FAKE_COMMANDS_MAX]);
    }
    sink->flush(sink->arg);
}

static void on_closed(void *arg)
{
    struct node *node = arg;
    uv_close((uv_handle_t *)&node->check, NULL);
    uv_close((uv_handle_t *)&node->stop, NULL);
}

static void on_stop(uv_async_t *stop)
{
    struct node *node = stop->data;
    native_server_close(node->server, on_closed, node);
}

static void *node_run(void *arg)
{
    struct node *node = arg;
    uv_run(&node->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void node_start(struct node *node)
{
    *node = (struct node){0};
    loop_open(&node->loop);
    fake_gateway_init(&node->fake);
    node->fake.queues = 1000;
    uv_check_init(&node->loop, &node->check);
    node->check.data = node;
    uv_check_start(&node->check, on_turn);
    uv_async_init(&node->loop, &node->stop, on_stop);
    node->stop.data = node;
    struct native_server_options options = {
        .loop = &node->loop, .gateway = &node->fake.base, .listen_address = "127.0.0.1:0"};
    char detail[200];
    cr_assert_eq(native_server_start(&options, &node->server, detail, sizeof detail), 0, "%s", detail);
    snprintf(node->address, sizeof node->address, "127.0.0.1:%u", native_server_port(node->server));
    cr_assert_eq(pthread_create(&node->thread, NULL, node_run, node), 0);
}

static void node_stop(struct node *node)
{
    uv_async_send(&node->stop);
    cr_assert_eq(pthread_join(node->thread, NULL), 0);
    loop_close(&node->loop);
    fake_gateway_done(&node->fake);
}

static struct hf *open_to(const struct node *node)
{
    struct hf_options options = {.servers = node->address, .client_name = "test"};
    struct hf *hf;
    cr_assert_eq(hf_open(&options, &hf), 0);
    return hf;
}

Test(hf, publishes_and_reports_refusals)
{
    struct node node;
    node_start(&node);
    struct hf *hf = open_to(&node);
    cr_assert_eq(hf_declare(hf, "q", 20000), 0);
    cr_assert_eq(hf_publish(hf, "q", NULL, 0, (struct hf_body){"hello", 5}, 20000), 0);
    cr_assert_eq(hf_delete(hf, "q", false, 5000, NULL), ERR_NOT_FOUND);
    cr_assert_str_eq(hf_error_detail(hf), "no such queue");
    cr_assert_eq(hf_publish(hf, "", NULL, 0, (struct hf_body){"hello", 5}, 20000), ERR_NAME);
    cr_assert_eq(hf_close(hf, 20000), 0);
    node_stop(&node);
}

Test(hf, refuses_a_body_over_the_limit_in_the_nodes_words)
{
    struct node node;
    node_start(&node);
    node.fake.base.body_len_max = 4;
    struct hf *hf = open_to(&node);
    char words[NATIVE_LIMIT_TEXT_LEN];
    native_limit_text(4, words);
    cr_assert_eq(hf_publish(hf, "q", NULL, 0, (struct hf_body){"hello", 5}, 20000), ERR_TOO_BIG); /* Not known yet. */
    cr_assert_str_eq(hf_error_detail(hf), words);
    struct hf_body bodies[] = {{"good", 4}, {"hello", 5}};
    cr_assert_eq(hf_submit(hf, "q", NULL, 0, bodies, 2, 20000), ERR_TOO_BIG);
    cr_assert_str_eq(hf_error_detail(hf), words);
    cr_assert_eq(hf_submit(hf, "q", NULL, 0, bodies, 1, 20000), 0);
    cr_assert_eq(hf_wait(hf, 0, NULL), 0);
    cr_assert_eq(hf_close(hf, 20000), 0);
    node_stop(&node);
}

Test(hf, says_that_a_subscription_is_over)
{
    struct node node;
    node_start(&node);
    struct hf *hf = open_to(&node);
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 5000, &consumer), 0);
    struct hf_message message;
    cr_assert_eq(hf_next(hf, 5000, &message), 0);
    cr_assert_eq(hf_declare(hf, "end the subscription", 20000), 0); /* What the node does at that. */
    cr_assert_eq(hf_next(hf, 5000, &message), ERR_NOT_FOUND);
    cr_assert_str_eq(hf_error_detail(hf), "the queue was deleted");
    cr_assert_eq(hf_next(hf, 0, &message), ERR_TIMEOUT);
    cr_assert_eq(hf_close(hf, 20000), 0);
    node_stop(&node);
}

Test(hf, submits_many_in_order)
{
    struct node node;
    node_start(&node);
    struct hf *hf = open_to(&node);
    struct hf_body body = {"hello", 5};
    for (uint64_t i = 1; i <= 2000; i++) {
        cr_assert_eq(hf_submit(hf, "q", "p", i, &body, 1, 20000), 0);
    }
    struct hf_submitted submitted;
    cr_assert_eq(hf_wait(hf, 0, &submitted), 0);
    cr_assert_eq(submitted.enqueued, 2000);
    cr_assert_eq(submitted.in_flight, 0);
    cr_assert_eq(hf_close(hf, 20000), 0);
    node_stop(&node);
    cr_assert_eq(node.last_number, 2001); /* The close, too. */
}

Test(hf, receives_and_settles)
{
    struct node node;
    node_start(&node);
    struct hf *hf = open_to(&node);
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 5000, &consumer), 0);
    struct hf_message message;
    cr_assert_eq(hf_next(hf, 5000, &message), 0);
    cr_assert_eq(message.position, 41);
    cr_assert_str_eq((const char *)message.body.data, "delivered");
    cr_assert_eq(hf_accept(hf, &message), 0);
    cr_assert_eq(hf_next(hf, 0, &message), ERR_TIMEOUT);
    cr_assert_eq(hf_flush(hf, 20000), 0);
    cr_assert_eq(hf_close(hf, 20000), 0);
    node_stop(&node);
    cr_assert_eq(node.settled, 1);
}

static void queue_count(void *arg, const struct client_queue *queue)
{
    char expected[16];
    snprintf(expected, sizeof expected, "q%06u", *(unsigned *)arg);
    cr_assert_str_eq(queue->name, expected);
    ++*(unsigned *)arg;
}

static void cluster_note(void *arg, const struct client_cluster *cluster)
{
    *(uint64_t *)arg = cluster->term;
    cr_assert_eq(cluster->members_len, 2);
    cr_assert_str_eq(cluster->members[1].role, "leader");
}

Test(hf, asks)
{
    struct node node;
    node_start(&node);
    struct hf *hf = open_to(&node);
    unsigned queues = 0;
    cr_assert_eq(hf_queues(hf, 5000, queue_count, &queues), 0);
    cr_assert_eq(queues, 1000); /* In several answers. */
    unsigned one = 7;
    cr_assert_eq(hf_queue(hf, "q000007", 5000, queue_count, &one), 0);
    cr_assert_eq(one, 8);
    cr_assert_eq(hf_queue(hf, "none", 5000, queue_count, &one), ERR_NOT_FOUND);
    uint64_t term = 0;
    cr_assert_eq(hf_cluster(hf, 5000, cluster_note, &term), 0);
    cr_assert_eq(term, 3);
    cr_assert_eq(hf_close(hf, 0), 0);
    node_stop(&node);
}

/* The fake's messages with checksums that match: the client looks at them. */
struct browse_hashed {
    void *arg;
    bool (*each)(void *arg, const struct gateway_browsed *message);
};

static bool message_hash(void *arg, const struct gateway_browsed *message)
{
    struct browse_hashed *browse = arg;
    struct gateway_browsed hashed = *message;
    hashed.body_hash = XXH3_64bits(message->body.data, message->body.len);
    return browse->each(browse->arg, &hashed);
}

static int browse_hashed(struct gateway *gateway, const char *name, uint64_t position, void *arg,
                         bool (*each)(void *arg, const struct gateway_browsed *message), bool *ret_more)
{
    struct node *node = container_of(gateway, struct node, fake.base);
    struct browse_hashed browse = {.arg = arg, .each = each};
    return node->fake_ops->browse(gateway, name, position, &browse, message_hash, ret_more);
}

static void message_count(void *arg, const struct client_message *message)
{
    uint64_t *last = arg;
    cr_assert_eq(message->position, *last + 1);
    cr_assert_eq(message->body.len, 4);
    cr_assert_arr_eq(message->body.data, "body", 4);
    *last = message->position;
}

Test(hf, browses_in_pages)
{
    struct node node;
    node_start(&node);
    node.fake.messages = 25;
    node.fake_ops = node.fake.base.ops;
    struct gateway_ops ops = *node.fake_ops;
    ops.browse = browse_hashed;
    node.fake.base.ops = &ops;
    node.fake.body = (struct slice){.data = (const uint8_t *)"body", .len = 4};
    struct hf *hf = open_to(&node);
    uint64_t last = 0;
    bool more = true;
    unsigned pages = 0;
    while (more) {
        cr_assert_eq(hf_browse(hf, "q000001", last + 1, 10, 5000, message_count, &last, &more), 0);
        pages++;
    }
    cr_assert_eq(last, 25);
    cr_assert_eq(pages, 3);
    cr_assert_eq(hf_browse(hf, "none", 0, 10, 5000, message_count, &last, &more), ERR_NOT_FOUND);
    cr_assert_eq(hf_close(hf, 0), 0);
    node_stop(&node);
    cr_assert_eq(node.fake.attaches, 1);
}

Test(hf, hands_leadership_over_and_drops_messages)
{
    struct node node;
    node_start(&node);
    struct hf *hf = open_to(&node);
    uint64_t dropped = 0;
    cr_assert_eq(hf_purge(hf, "q", 5000, &dropped), 0);
    cr_assert_eq(dropped, 1);
    cr_assert_eq(hf_transfer(hf, 2, 5000), 0);
    node.fake.transfer_err = ERR_NOT_FOUND;
    cr_assert_eq(hf_transfer(hf, 9, 5000), ERR_NOT_FOUND);
    cr_assert_eq(hf_close(hf, 0), 0);
    node_stop(&node);
    cr_assert_eq(node.fake.last_transfer, 9);
}

Test(hf, says_that_nobody_is_there_and_why)
{
    struct hf_options options = {.servers = "127.0.0.1:1"};
    struct hf *hf;
    cr_assert_eq(hf_open(&options, &hf), 0);
    cr_assert_eq(hf_declare(hf, "q", 200), ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(hf_error_detail(hf), "127.0.0.1:1"));
    cr_assert_eq(hf_close(hf, 200), 0); /* There is no session to be closed. */
    options.servers = "";
    struct hf *none;
    cr_assert_eq(hf_open(&options, &none), ERR_INVALID);
}
