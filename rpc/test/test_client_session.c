/* A session with a key of the program's own: what one process leaves in it the next one takes up, and one of two has it. */

#include <criterion/criterion.h>
#include <string.h>

#include "fake_node.h"
#include "proto/base/limits.h"
#include "rpc/client/client_query.h"

static const uint8_t key[SESSION_KEY_LEN] = "sixteen bytes...";

static void begin(struct fake_node *node)
{
    fake_node_init_options(node, 2, (struct client_core_options){.key = key}, 1);
}

/* Attaches to what another process has left after so many commands. */
static const struct fake_event *begin_after(struct fake_node *node, uint64_t last_number)
{
    begin(node);
    fake_node_connect(node, "a:1");
    fake_node_welcome(node, 1, 1, "");
    const struct fake_event *attach = fake_node_expect_frame(node, FRAME_ATTACH);
    fake_node_attached(node, 77, last_number);
    return attach;
}

static struct client_consumer_info left_behind(uint64_t consumer, uint64_t delivered)
{
    return (struct client_consumer_info){.session = 77, .consumer = consumer, .delivered = delivered};
}

Test(client_session, goes_on_with_the_numbers_of_the_process_before)
{
    struct fake_node node;
    struct fake_reply replies[2] = {0};
    const struct fake_event *attach = begin_after(&node, 41);
    cr_assert_arr_eq(attach->key, key, sizeof key);
    cr_assert_not(attach->resume, "there may be none");
    cr_assert_eq(client_core_session(node.core), 77);
    fake_node_publish(&node, "p", 7, 0, &replies[0]);
    const struct fake_event *command = fake_node_expect_frame(&node, FRAME_COMMAND);
    cr_assert_eq(command->number, 42);
    cr_assert_eq(command->answered, 41, "nobody waits for the answers of the other process");
    fake_node_reply(&node, 41, ERR_NOT_FOUND); /* One of them. */
    cr_assert_eq(replies[0].calls, 0);
    fake_node_reply(&node, 42, 0);
    cr_assert_eq(replies[0].calls, 1);
    cr_assert_eq(replies[0].err, 0);

    fake_node_publish(&node, "p", 8, 0, &replies[1]);
    (void)fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_goodbye(&node, ERR_UNAVAILABLE, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    const struct fake_event *again = fake_node_attach(&node, "b:1", 42);
    cr_assert(again->resume, "from now on it is known");
    cr_assert_arr_eq(again->key, key, sizeof key);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 43);
    fake_node_done(&node);
}

Test(client_session, a_later_process_counts_higher)
{
    struct fake_node first;
    struct fake_node second;
    uint64_t before = begin_after(&first, 0)->attempt;
    cr_assert_eq(before, ((FAKE_WALL_MS + 1000) << 20) + 1, "it began at 1000");
    begin(&second);
    fake_node_run(&second, 0);
    client_core_free(second.core);
    second.now_ms += 1; /* A process that begins a millisecond later. */
    static const char *const servers[] = {"a:1"};
    struct client_core_options options = {
        .servers = servers, .servers_len = 1, .key = key, .clock = &second.clock, .host = second.host};
    cr_assert_eq(client_core_new(&options, &second.core), 0);
    second.read = second.events_len;
    fake_node_connect(&second, "a:1");
    fake_node_welcome(&second, 1, 1, "");
    cr_assert_gt(fake_node_expect_frame(&second, FRAME_ATTACH)->attempt, before + 1000000);
    fake_node_done(&first);
    fake_node_done(&second);
}

Test(client_session, a_node_that_counts_beyond_reason_is_not_believed)
{
    struct fake_node node;
    begin_after(&node, UINT64_MAX);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(client_core_session(node.core), 0);
    fake_node_done(&node);
}

/* It holds 3 and 5 of what it was given, up to 5; then there is more. */
Test(client_session, what_a_subscription_holds_is_delivered_once_more)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    begin_after(&node, 9);
    struct client_consumer_info left = left_behind(500, 5);
    fake_node_deliver(&node, 500, 6, "nobody asked", 0);
    cr_assert_eq(node.deliveries_len, 0);
    cr_assert_eq(client_core_take_up(node.core, &left), 0);
    cr_assert_eq(client_core_take_up(node.core, &left), ERR_EXISTS);
    fake_node_run(&node, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    const struct fake_event *attach = fake_node_attach(&node, "a:1", 9);
    cr_assert(attach->resume);
    cr_assert_eq(attach->consumers_len, 1);
    cr_assert_eq(attach->consumer, 500);
    cr_assert_eq(attach->seen, 0, "all that it holds");
    fake_node_deliver(&node, 500, 3, "three", 0);
    fake_node_deliver(&node, 500, 5, "five", 0);
    fake_node_deliver(&node, 500, 6, "six", 0);
    fake_node_deliver(&node, 500, 7, "seven", 0);
    cr_assert_eq(node.deliveries_len, 4);
    cr_assert_str_eq(node.deliveries[0].body, "three");
    const struct client_range both = {3, 5};
    cr_assert_eq(client_core_settle(node.core, 500, CLIENT_ACCEPT, &both, 1, 0, fake_reply_cb, &reply), 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 10);
    fake_node_expect_nothing(&node);
    fake_node_deliver(&node, 500, 9, "nine", 0); /* From here on nothing may be missing. */
    cr_assert_eq(node.deliveries_len, 4);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_done(&node);
}

Test(client_session, of_what_is_settled_nothing_is_missed)
{
    struct fake_node node;
    begin_after(&node, 9);
    struct client_consumer_info left = left_behind(500, 5);
    cr_assert_eq(client_core_take_up(node.core, &left), 0);
    fake_node_run(&node, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_attach(&node, "a:1", 9);
    fake_node_deliver(&node, 500, 6, "all five are settled", 0);
    cr_assert_eq(node.deliveries_len, 1);
    fake_node_done(&node);

    begin_after(&node, 9);
    cr_assert_eq(client_core_take_up(node.core, &left), 0);
    fake_node_run(&node, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_attach(&node, "a:1", 9);
    fake_node_deliver(&node, 500, 7, "six is missing", 0);
    cr_assert_eq(node.deliveries_len, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_done(&node);
}

Test(client_session, what_belongs_to_another_session_is_not_taken_up)
{
    struct fake_node node;
    begin(&node);
    struct client_consumer_info left = left_behind(500, 5);
    cr_assert_eq(client_core_take_up(node.core, &left), ERR_NOT_FOUND, "it has no session yet");
    fake_node_connect(&node, "a:1");
    fake_node_welcome(&node, 1, 1, "");
    (void)fake_node_expect_frame(&node, FRAME_ATTACH);
    fake_node_attached(&node, 78, 0);
    cr_assert_eq(client_core_take_up(node.core, &left), ERR_NOT_FOUND);
    fake_node_expect_nothing(&node);
    fake_node_done(&node);
}

/* A subscription that is made while another is taken up, and one that is taken up while there is no connection. */
Test(client_session, a_subscription_is_taken_up_once_whatever_happens_meanwhile)
{
    struct fake_node node;
    begin_after(&node, 9);
    struct client_consumer_info left = left_behind(500, 5);
    cr_assert_eq(client_core_take_up(node.core, &left), 0);
    fake_node_goodbye(&node, ERR_UNAVAILABLE, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_run(&node, 0);
    const struct fake_event *attach = fake_node_attach(&node, "b:1", 9);
    cr_assert_eq(attach->consumers_len, 1);
    fake_node_run(&node, 100);
    fake_node_expect_nothing(&node);
    fake_node_end(&node, 500, ERR_NOT_FOUND);
    cr_assert_eq(node.ended_consumer, 500);
    cr_assert_eq(node.ended_err, ERR_NOT_FOUND);
    fake_node_done(&node);
}

/* Attaches and is told that a later attachment has been there. */
static void overtaken(struct fake_node *node)
{
    fake_node_run(node, 1000);
    fake_node_connect(node, NULL);
    fake_node_welcome(node, 1, 1, "");
    (void)fake_node_expect_frame(node, FRAME_ATTACH);
    fake_node_goodbye(node, ERR_DISPLACED, "");
    fake_node_expect(node, FAKE_DISCONNECT);
}

Test(client_session, one_that_another_process_has_taken_ends)
{
    struct fake_node node;
    struct fake_reply sent = {0};
    struct fake_reply unsent = {0};
    begin_after(&node, 9);
    struct client_consumer_info left = left_behind(500, 5);
    cr_assert_eq(client_core_take_up(node.core, &left), 0);
    fake_node_run(&node, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_attach(&node, "a:1", 9);
    fake_node_publish(&node, "p", 1, 0, &sent);
    (void)fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_goodbye(&node, ERR_DISPLACED, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_publish(&node, "p", 2, 0, &unsent);
    overtaken(&node);
    overtaken(&node);
    cr_assert_eq(sent.calls + unsent.calls + node.ended_calls, 0, "it may have been one of its own");
    overtaken(&node);
    cr_assert_eq(sent.err, ERR_OUTCOME_UNKNOWN);
    cr_assert_eq(unsent.err, ERR_DISPLACED);
    cr_assert_eq(node.ended_calls, 1);
    cr_assert_eq(node.ended_consumer, 500);
    cr_assert_eq(node.ended_err, ERR_DISPLACED);
    fake_node_run(&node, 60000);
    fake_node_expect_nothing(&node);
    cr_assert_eq(client_core_declare(node.core, "q", 0, fake_reply_cb, &unsent), ERR_DISPLACED);
    cr_assert_eq(client_core_query_queue(node.core, "q", 0, NULL, NULL), ERR_DISPLACED);
    cr_assert_eq(client_core_close_session(node.core, 0, NULL, NULL), ERR_DISPLACED);
    fake_node_done(&node);
}

Test(client_session, an_attachment_of_its_own_that_comes_late_does_not_end_it)
{
    struct fake_node node;
    begin_after(&node, 9);
    for (int i = 0; i < 5; i++) {
        fake_node_goodbye(&node, ERR_DISPLACED, "");
        fake_node_expect(&node, FAKE_DISCONNECT);
        overtaken(&node);
        overtaken(&node);
        fake_node_run(&node, 1000);
        cr_assert(fake_node_attach(&node, NULL, 9)->resume);
    }
    fake_node_done(&node);
}

Test(client_session, a_key_made_at_random_is_nobody_elses)
{
    struct fake_node node;
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, "a:1", 0);
    fake_node_goodbye(&node, ERR_DISPLACED, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    for (int i = 0; i < 10; i++) {
        overtaken(&node);
    }
    fake_node_run(&node, 1000);
    fake_node_attach(&node, "a:1", 0);
    fake_node_done(&node);
}

Test(client_session, the_next_session_has_the_same_key)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    begin_after(&node, 9);
    fake_node_publish(&node, "p", 1, 0, &reply);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 10);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(client_core_session(node.core), 0);
    fake_node_run(&node, 0);
    const struct fake_event *attach = fake_node_attach(&node, "a:1", 0);
    cr_assert_not(attach->resume);
    cr_assert_arr_eq(attach->key, key, sizeof key);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 1, "a numbered publish goes again");
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(reply.err, 0);
    fake_node_done(&node);
}

Test(client_session, what_another_process_left_is_there_to_be_closed)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    begin(&node);
    cr_assert_eq(client_core_close_session(node.core, 0, fake_reply_cb, &reply), 0);
    fake_node_run(&node, 0);
    fake_node_attach(&node, "a:1", 9);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 10);
    fake_node_reply(&node, 10, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(reply.err, 0);
    cr_assert_eq(reply.calls, 1);
    fake_node_done(&node);
}
