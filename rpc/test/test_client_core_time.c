/* What the client takes for a sign of life, and what it tells when there is none. */

#include <criterion/criterion.h>
#include <string.h>

#include "fake_node.h"

/* Attached at the first of three, and waiting for the answer to a publish. */
static void start_waiting(struct fake_node *node, struct fake_reply *reply)
{
    fake_node_init(node, 3, 0, false);
    fake_node_attach(node, "a:1", 0);
    fake_node_publish(node, NULL, 0, 0, reply);
    fake_node_expect_frame(node, FRAME_COMMAND);
}

/* It has asked whether the node is there; the node stays silent until its time is over. */
static void expect_ping_in_vain(struct fake_node *node)
{
    fake_node_expect_frame(node, FRAME_PING);
    fake_node_run(node, 1999);
    fake_node_expect_nothing(node);
    fake_node_run(node, 1);
    fake_node_expect(node, FAKE_DISCONNECT);
}

Test(client_core_time, silence_leads_to_another_node)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    start_waiting(&node, &reply);
    fake_node_run(&node, 999);
    fake_node_expect_nothing(&node);
    fake_node_run(&node, 1);
    expect_ping_in_vain(&node);
    fake_node_attach(&node, "b:1", 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 1);
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(reply.err, 0);
    fake_node_done(&node);
}

Test(client_core_time, a_node_that_answers_is_not_silent)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    start_waiting(&node, &reply);
    for (int i = 0; i < 8; i++) {
        fake_node_run(&node, 1000);
        fake_node_pong(&node, fake_node_expect_frame(&node, FRAME_PING)->id);
    }
    fake_node_run(&node, 999);
    fake_node_expect_nothing(&node);
    fake_node_run(&node, 1); /* It lives, but has not answered the command for three times the silence. */
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_attach(&node, "b:1", 0);
    fake_node_done(&node);
}

Test(client_core_time, a_node_that_does_not_attach_is_given_up)
{
    struct fake_node node;
    fake_node_init(&node, 2, 0, false);
    fake_node_connect(&node, "a:1");
    fake_node_run(&node, 2000);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_connect(&node, "b:1");
    fake_node_done(&node);
}

Test(client_core_time, a_long_frame_on_a_slow_line_is_no_silence)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    start_waiting(&node, &reply);
    for (unsigned second = 0; second < 20; second++) { /* Neither a reply nor a PONG can overtake it. */
        node.moved++;
        fake_node_run(&node, 1000);
        fake_node_expect_nothing(&node);
    }
    fake_node_run(&node, 1000); /* Now it stands still. */
    expect_ping_in_vain(&node);
    fake_node_attach(&node, "b:1", 0);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_done(&node);
}

Test(client_core_time, a_line_that_moves_only_before_the_ping_is_silent)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    start_waiting(&node, &reply);
    fake_node_run(&node, 1000);
    fake_node_expect_frame(&node, FRAME_PING);
    node.moved++;
    fake_node_run(&node, 1000); /* Seen here, and taken for a sign of life. */
    fake_node_run(&node, 2999);
    fake_node_expect_nothing(&node);
    fake_node_run(&node, 1);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_done(&node);
}

Test(client_core_time, trouble_is_told_when_each_server_has_been_tried)
{
    struct fake_node node;
    fake_node_init(&node, 2, 0, false);
    fake_node_run(&node, 0);
    cr_assert_str_eq(fake_node_expect(&node, FAKE_CONNECT)->address, "a:1");
    client_core_disconnected_because(node.core, ERR_SYSTEM, "refused here");
    cr_assert_eq(node.trouble_calls, 0);
    fake_node_run(&node, 0);
    cr_assert_str_eq(fake_node_expect(&node, FAKE_CONNECT)->address, "b:1");
    client_core_disconnected_because(node.core, ERR_SYSTEM, "refused there");
    cr_assert_eq(node.trouble_calls, 1);
    cr_assert_str_eq(node.trouble, "b:1: refused there");
    fake_node_attach(&node, "a:1", 0);
    cr_assert_eq(node.trouble_calls, 1);
    fake_node_done(&node);
}

/* The program did not turn its loop for long: that says nothing about the node. */
Test(client_core_time, a_program_that_was_away_asks_first)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    start_waiting(&node, &reply);
    node.now_ms += 60000;
    client_core_tick(node.core);
    expect_ping_in_vain(&node);
    fake_node_done(&node);
}

Test(client_core_time, a_busy_node_is_given_more_time_to_attach)
{
    struct fake_node node;
    fake_node_init(&node, 1, 0, false);
    const uint64_t given_ms[] = {2000, 4000, 8000, 16000, 16000};
    for (size_t i = 0; i < sizeof given_ms / sizeof given_ms[0]; i++) {
        while (node.read == node.events_len) { /* The pause before. */
            fake_node_run(&node, 1);
        }
        fake_node_connect(&node, "a:1");
        fake_node_welcome(&node, 1, 1, "a:1");
        fake_node_expect_frame(&node, FRAME_ATTACH);
        fake_node_run(&node, given_ms[i] - 1);
        fake_node_expect_nothing(&node);
        fake_node_run(&node, 1);
        fake_node_expect(&node, FAKE_DISCONNECT);
    }
    while (node.read == node.events_len) {
        fake_node_run(&node, 1);
    }
    fake_node_attach(&node, "a:1", 0); /* That was in time: the next one has as much as the first. */
    client_core_disconnected(node.core, ERR_CLOSED);
    while (node.read == node.events_len) {
        fake_node_run(&node, 1);
    }
    fake_node_connect(&node, "a:1");
    fake_node_welcome(&node, 1, 1, "a:1");
    fake_node_expect_frame(&node, FRAME_ATTACH);
    fake_node_run(&node, 2000);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_done(&node);
}
