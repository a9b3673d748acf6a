/* How much is done at a time: deliveries to all links by turns, and entries that are not long to apply. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/core/gateway.h"
#include "one_node.h"
#include "statemachine/hash.h"
#include "statemachine/machine_weight.h"

#define LINKS 20u
#define EACH 60u

static struct one_node node;
static struct client clients[LINKS];

Test(gateway_turn, links_are_sent_a_few_messages_by_turns)
{
    one_node_start(&node, NULL);
    char queue[16];
    for (unsigned i = 0; i < LINKS; i++) {
        client_init(&clients[i], &node.home, (uint8_t)(i + 1));
        client_ready(&clients[i]);
        (void)snprintf(queue, sizeof queue, "q%u", i);
        cr_assert_eq(client_declare(&clients[i], queue), 0);
        for (unsigned j = 0; j < EACH; j++) {
            cr_assert_eq(client_publish(&clients[i], queue, "text"), 0);
        }
    }
    one_node_settle(&node);
    for (unsigned i = 0; i < LINKS; i++) {
        (void)snprintf(queue, sizeof queue, "q%u", i);
        cr_assert_eq(client_subscribe(&clients[i], queue, 1, EACH), 0);
    }
    unsigned flushes[LINKS];
    for (unsigned i = 0; i < LINKS; i++) {
        flushes[i] = clients[i].flushes;
    }
    one_node_settle(&node);
    for (unsigned i = 0; i < LINKS; i++) {
        cr_assert_eq(clients[i].deliveries, EACH);
        cr_assert_geq(clients[i].flushes - flushes[i], (EACH + LINK_DELIVERIES_MAX - 1) / LINK_DELIVERIES_MAX);
    }
    for (unsigned i = 0; i < LINKS; i++) {
        client_done(&clients[i]);
    }
    one_node_stop(&node);
}

/* 300 messages of 1 byte, each for all queues of "amq.fanout". */
#define HEAVY_MESSAGES 300u
#define HEAVY_QUEUES 40u
#define HEAVY 12u

static void publish_heavily(struct client *client)
{
    static const char head[] = "\x0a\x0a"
                               "amq.fanout"; /* MessageHead.exchange */
    static uint32_t head_lens[HEAVY_MESSAGES];
    static uint32_t body_lens[HEAVY_MESSAGES];
    static uint64_t hashes[HEAVY_MESSAGES];
    struct slice bodies = slice_of_blob(blob_new(HEAVY_MESSAGES * sizeof head));
    for (unsigned i = 0; i < HEAVY_MESSAGES; i++) {
        uint8_t *message = bodies.blob->data + i * sizeof head;
        memcpy(message, head, sizeof head);
        message[sizeof head - 1] = 'm';
        head_lens[i] = sizeof head - 1;
        body_lens[i] = 1;
        hashes[i] = XXH3_64bits(message, sizeof head);
    }
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.n_head_len = publish.n_body_len = publish.n_body_hash = HEAVY_MESSAGES;
    publish.head_len = head_lens;
    publish.body_len = body_lens;
    publish.body_hash = hashes;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    message.publish = &publish;
    cr_assert_eq(client_submit(client, &message, bodies), 0);
    slice_unref(&bodies);
}

static void bind_queues(struct client *client)
{
    char queue[16];
    for (unsigned i = 0; i < HEAVY_QUEUES; i++) {
        (void)snprintf(queue, sizeof queue, "heavy%u", i);
        cr_assert_eq(client_declare(client, queue), 0);
        Holdfast__Bind bind = HOLDFAST__BIND__INIT;
        bind.source = (char[]){"amq.fanout"};
        bind.queue = queue;
        Holdfast__Command message = HOLDFAST__COMMAND__INIT;
        message.kind_case = HOLDFAST__COMMAND__KIND_BIND;
        message.bind = &bind;
        cr_assert_eq(client_submit(client, &message, (struct slice){0}), 0);
    }
    one_node_settle(&node);
}

/* What was submitted at once, and the entries that it takes. */
static uint64_t entries_of(struct client *client, void (*submit)(struct client *client), unsigned times)
{
    uint64_t before = machine_applied_index(shard_machine(node.shard));
    unsigned replies = client->replies;
    for (unsigned i = 0; i < times; i++) {
        submit(client);
    }
    one_node_settle(&node);
    cr_assert_eq(client->replies, replies + times);
    for (unsigned i = 0; i < times; i++) {
        client_expect_reply(client, replies + i, client->number - times + 1 + i, 0);
    }
    return machine_applied_index(shard_machine(node.shard)) - before;
}

static void publish_lightly(struct client *client)
{
    cr_assert_eq(client_publish(client, "q", "text"), 0);
}

Test(gateway_turn, commands_that_are_much_work_do_not_share_an_entry)
{
    static struct client one;
    one_node_start(&node, NULL);
    client_init(&one, &node.home, 1);
    client_ready(&one);
    bind_queues(&one);
    uint64_t light = entries_of(&one, publish_lightly, HEAVY);
    uint64_t heavy = entries_of(&one, publish_heavily, HEAVY);
    cr_assert_leq(light, 4u);
    cr_assert_geq(heavy, HEAVY * HEAVY_MESSAGES * HEAVY_QUEUES / ENTRY_WEIGHT_MAX);
    client_done(&one);
    one_node_stop(&node);
}
