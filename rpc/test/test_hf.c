/* The client library on real sockets against the native server: what was published is what a subscriber would get. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "hf_node.h"
#include "proto/base/check.h"
#include "rpc/native/native_limit.h"

Test(hf, publishes_and_reports_refusals)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
    cr_assert_eq(hf_declare(hf, "q", 20000), 0);
    cr_assert_eq(hf_publish(hf, "q", NULL, 0, (struct hf_body){"hello", 5}, 20000), 0);
    cr_assert_eq(hf_delete(hf, "q", false, 5000, NULL), ERR_NOT_FOUND);
    cr_assert_str_eq(hf_error_detail(hf), "no such queue");
    cr_assert_eq(hf_publish(hf, "", NULL, 0, (struct hf_body){"hello", 5}, 20000), ERR_NAME);
    cr_assert_eq(hf_close(hf, 20000), 0);
    hf_node_stop(&node);
}

Test(hf, refuses_a_body_over_the_limit_in_the_nodes_words)
{
    struct hf_node node;
    hf_node_start(&node);
    node.fake.base.body_len_max = 4;
    struct hf *hf = hf_node_client(&node);
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
    hf_node_stop(&node);
}

Test(hf, says_that_a_subscription_is_over)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 5000, &consumer), 0);
    struct hf_message message;
    cr_assert_eq(hf_next(hf, 5000, &message), 0);
    cr_assert_eq(hf_declare(hf, "end the subscription", 20000), 0); /* What the node does at that. */
    cr_assert_eq(hf_next(hf, 5000, &message), ERR_NOT_FOUND);
    cr_assert_str_eq(hf_error_detail(hf), "the queue was deleted");
    cr_assert_eq(hf_next(hf, 0, &message), ERR_TIMEOUT);
    cr_assert_eq(hf_close(hf, 20000), 0);
    hf_node_stop(&node);
}

Test(hf, submits_many_in_order)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
    struct hf_body body = {"hello", 5};
    for (uint64_t i = 1; i <= 2000; i++) {
        cr_assert_eq(hf_submit(hf, "q", "p", i, &body, 1, 20000), 0);
    }
    struct hf_submitted submitted;
    cr_assert_eq(hf_wait(hf, 0, &submitted), 0);
    cr_assert_eq(submitted.enqueued, 2000);
    cr_assert_eq(submitted.in_flight, 0);
    cr_assert_eq(hf_close(hf, 20000), 0);
    hf_node_stop(&node);
    cr_assert_eq(node.last_number, 2001); /* The close, too. */
}

Test(hf, receives_and_settles)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
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
    hf_node_stop(&node);
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
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
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
    hf_node_stop(&node);
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

static int browse_hashed(struct gateway *gateway, const char *virtual_host, const char *name, uint64_t position,
                         bool kept, void *arg, bool (*each)(void *arg, const struct gateway_browsed *message),
                         bool *ret_more)
{
    struct hf_node *node = container_of(gateway, struct hf_node, fake.base);
    struct browse_hashed browse = {.arg = arg, .each = each};
    return node->fake_ops->browse(gateway, virtual_host, name, position, kept, &browse, message_hash, ret_more);
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
    struct hf_node node;
    hf_node_start(&node);
    node.fake.messages = 25;
    node.fake_ops = node.fake.base.ops;
    struct gateway_ops ops = *node.fake_ops;
    ops.browse = browse_hashed;
    node.fake.base.ops = &ops;
    node.fake.body = (struct slice){.data = (const uint8_t *)"body", .len = 4};
    struct hf *hf = hf_node_client(&node);
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
    hf_node_stop(&node);
    cr_assert_eq(node.fake.attaches, 1);
}

Test(hf, hands_leadership_over_and_drops_messages)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
    uint64_t dropped = 0;
    cr_assert_eq(hf_purge(hf, "q", 5000, &dropped), 0);
    cr_assert_eq(dropped, 1);
    cr_assert_eq(hf_transfer(hf, 2, 5000), 0);
    node.fake.transfer_err = ERR_NOT_FOUND;
    cr_assert_eq(hf_transfer(hf, 9, 5000), ERR_NOT_FOUND);
    cr_assert_eq(hf_close(hf, 0), 0);
    hf_node_stop(&node);
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
    static const char *const wrong[] = {"", ",", "host", "host:99999", "127.0.0.1:7470,:1", "host:"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.servers = wrong[i];
        struct hf *none;
        cr_assert_eq(hf_open(&options, &none), ERR_INVALID, "%s", wrong[i]);
    }
}
