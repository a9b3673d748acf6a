/* The client finds a node that serves, numbers its commands, sends them again, and says honestly how they ended. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fake_node.h"
#include "proto/base/limits.h"

Test(client_core, stays_where_it_is_and_knows_who_leads)
{
    struct fake_node node;
    fake_node_init(&node, 3, 0, false);
    cr_assert_eq(client_core_leader(node.core).node, 0);
    fake_node_connect(&node, "a:1");
    fake_node_welcome(&node, 1, 2, "leader:9");
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_ATTACH)->attempt, 1);
    fake_node_attached(&node, 77, 0);
    cr_assert_eq(node.attached_calls, 1);
    struct client_leader leader = client_core_leader(node.core);
    cr_assert_eq(leader.node, 1);
    cr_assert_eq(leader.leader, 2);
    cr_assert_str_eq(leader.address, "leader:9");
    fake_node_expect_nothing(&node);
    fake_node_done(&node);
}

Test(client_core, goes_on_elsewhere_and_sends_again_in_order_under_the_same_numbers)
{
    struct fake_node node;
    struct fake_reply replies[4] = {0};
    fake_node_init(&node, 3, 0, false);
    const struct fake_event *first = fake_node_attach(&node, "a:1", 0);
    cr_assert_not(first->resume);
    for (int i = 0; i < 4; i++) {
        fake_node_publish(&node, NULL, 0, 0, &replies[i]);
        cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, (uint64_t)i + 1);
    }
    fake_node_reply(&node, 1, 0);
    fake_node_reply(&node, 3, 0);
    cr_assert_eq(replies[0].calls, 1);
    cr_assert_eq(replies[2].calls, 1);
    uint64_t before = node.now_ms;
    fake_node_goodbye(&node, ERR_UNAVAILABLE, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_run(&node, 0);
    const struct fake_event *second = fake_node_attach(&node, "b:1", 3);
    cr_assert_eq(node.now_ms, before, "the next server is tried at once");
    cr_assert(second->resume);
    cr_assert_eq(first->attempt, 1);
    cr_assert_eq(second->attempt, 2);
    cr_assert_arr_eq(second->key, first->key, 16);
    const struct fake_event *again = fake_node_expect_frame(&node, FRAME_COMMAND);
    cr_assert_eq(again->number, 2);
    cr_assert_eq(again->answered, 0, "as when it was issued: the machine compares it with what was refused");
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 4);
    fake_node_expect_nothing(&node);
    fake_node_reply(&node, 2, 0);
    fake_node_reply(&node, 2, 0); /* Twice: counted once. */
    fake_node_reply(&node, 4, ERR_NOT_FOUND);
    cr_assert_eq(replies[1].calls, 1);
    cr_assert_eq(replies[3].err, ERR_NOT_FOUND);
    cr_assert_str_eq(replies[3].detail, "refused by the test");
    cr_assert_eq(client_core_unanswered(node.core), 0);
    fake_node_done(&node);
}

Test(client_core, every_server_is_tried_before_patience_grows)
{
    struct fake_node node;
    fake_node_init(&node, 3, 0, false);
    uint64_t gaps[24];
    fake_node_run(&node, 0);
    for (int i = 0; i < 24; i++) {
        static const char *const order[] = {"a:1", "b:1", "c:1"};
        const struct fake_event *event = fake_node_expect(&node, FAKE_CONNECT);
        cr_assert_str_eq(event->address, order[i % 3]);
        uint64_t before = node.now_ms;
        client_core_disconnected(node.core, ERR_SYSTEM);
        fake_node_run(&node, 0);
        while (node.read == node.events_len) {
            fake_node_run(&node, 1);
            cr_assert_leq(node.now_ms - before, 1000u);
        }
        gaps[i] = node.now_ms - before;
    }
    for (int i = 0; i < 24; i++) {
        cr_assert(i % 3 == 2 ? gaps[i] >= 25 : gaps[i] == 0, "attempt %d: %llu ms", i, (unsigned long long)gaps[i]);
    }
    cr_assert_leq(gaps[2], 50u);
    cr_assert_geq(gaps[23], 500u);
    fake_node_done(&node);
}

Test(client_core, when_no_server_can_serve_it_asks_on_with_patience_until_the_time_is_up)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 2, 0, false);
    fake_node_publish(&node, NULL, 0, 3000, &reply);
    unsigned attempts = 0;
    while (node.now_ms < 4000 && reply.calls == 0) {
        fake_node_run(&node, 1);
        if (node.read == node.events_len) {
            continue;
        }
        fake_node_connect(&node, attempts % 2 == 0 ? "a:1" : "b:1");
        fake_node_welcome(&node, 1, 0, "");
        cr_assert_eq(fake_node_expect_frame(&node, FRAME_ATTACH)->attempt, ++attempts);
        fake_node_goodbye(&node, ERR_UNAVAILABLE, "");
        fake_node_expect(&node, FAKE_DISCONNECT);
    }
    cr_assert_eq(reply.err, ERR_UNAVAILABLE);
    cr_assert_geq(attempts, 12u);
    cr_assert_leq(attempts, 20u);
    fake_node_done(&node);
}

Test(client_core, a_server_that_is_named_twice_is_tried_once)
{
    struct fake_node node;
    static const char *const names[] = {"a:1", "a:1", "b:1", "a:1"};
    fake_node_init(&node, 1, 0, false);
    struct client_core_options options = {.servers = names, .servers_len = 4, .clock = &node.clock, .host = node.host};
    struct client_core *first = node.core;
    cr_assert_eq(client_core_new(&options, &node.core), 0);
    fake_node_run(&node, 0);
    static const char *const order[] = {"a:1", "b:1"};
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(fake_node_expect(&node, FAKE_CONNECT)->address, order[i]);
        client_core_disconnected(node.core, ERR_SYSTEM);
        fake_node_run(&node, 0);
    }
    fake_node_expect_nothing(&node); /* Both have been tried: it waits. */
    client_core_free(first);
    fake_node_done(&node);
}

Test(client_core, clients_that_spread_begin_anywhere)
{
    bool seen[3] = {false};
    for (uint64_t seed = 1; seed <= 64; seed++) {
        struct fake_node node;
        fake_node_init_options(&node, 3, (struct client_core_options){.spread = true}, seed);
        fake_node_run(&node, 0);
        const struct fake_event *event = fake_node_expect(&node, FAKE_CONNECT);
        seen[event->address[0] - 'a'] = true;
        bool met[3] = {false};
        for (int i = 0; i < 3; i++) { /* All of them, each once. */
            cr_assert_not(met[event->address[0] - 'a']);
            met[event->address[0] - 'a'] = true;
            client_core_disconnected(node.core, ERR_SYSTEM);
            fake_node_run(&node, 0);
            event = i < 2 ? fake_node_expect(&node, FAKE_CONNECT) : event;
        }
        fake_node_done(&node);
    }
    cr_assert(seen[0] && seen[1] && seen[2]);
}

Test(client_core, displaced_attaches_again_to_its_session)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 3, 0, false);
    fake_node_attach(&node, "a:1", 0);
    fake_node_publish(&node, NULL, 0, 0, &reply);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_goodbye(&node, ERR_DISPLACED, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    const struct fake_event *attach = fake_node_attach(&node, "a:1", 0);
    cr_assert(attach->resume);
    cr_assert_eq(attach->attempt, 2);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 1);
    fake_node_reply(&node, 1, ERR_DISPLACED);
    cr_assert_eq(reply.calls, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert(fake_node_attach(&node, "a:1", 1)->resume);
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(reply.calls, 1);
    cr_assert_eq(reply.err, 0);
    fake_node_done(&node);
}

Test(client_core, an_expired_session_splits_what_was_sent_from_what_was_not)
{
    struct fake_node node;
    struct fake_reply anonymous = {0}, named = {0}, declared = {0}, waits = {0};
    fake_node_init(&node, 3, 3, false);
    const struct fake_event *first = fake_node_attach(&node, "a:1", 0);
    fake_node_publish(&node, NULL, 0, 0, &anonymous);
    fake_node_publish(&node, "p", 7, 0, &named);
    cr_assert_eq(client_core_declare(node.core, "d", 0, fake_reply_cb, &declared), 0);
    fake_node_publish(&node, NULL, 0, 0, &waits); /* Beyond the window of 3. */
    for (int i = 0; i < 3; i++) {
        fake_node_expect_frame(&node, FRAME_COMMAND);
    }
    fake_node_expect_nothing(&node);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(anonymous.calls, 1);
    cr_assert_eq(anonymous.err, ERR_OUTCOME_UNKNOWN);
    cr_assert_eq(named.calls + declared.calls + waits.calls, 0);
    const struct fake_event *second = fake_node_attach(&node, "a:1", 0);
    cr_assert_not(second->resume);
    cr_assert_eq(second->attempt, 1);
    cr_assert_arr_neq(second->key, first->key, 16);
    const struct fake_event *event = fake_node_expect_frame(&node, FRAME_COMMAND);
    cr_assert_eq(event->number, 1);
    cr_assert_eq(event->first_sequence, 7);
    event = fake_node_expect_frame(&node, FRAME_COMMAND);
    cr_assert_eq(event->number, 2);
    cr_assert_str_eq(event->queue, "d");
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        fake_node_reply(&node, i, 0);
    }
    cr_assert_eq(named.calls + declared.calls + waits.calls, 3);
    cr_assert_eq(named.err + declared.err + waits.err, 0);
    fake_node_done(&node);
}

Test(client_core, a_session_that_knows_less_than_was_answered_is_not_believed)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, "a:1", 0);
    fake_node_publish(&node, NULL, 0, 0, &reply);
    fake_node_reply(&node, 1, 0);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    client_core_disconnected(node.core, ERR_CLOSED);
    cr_assert(fake_node_attach(&node, "a:1", 0)->resume);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_not(fake_node_attach(&node, "a:1", 0)->resume);
    fake_node_done(&node);
}

Test(client_core, a_late_answer_keeps_its_number)
{
    struct fake_node node;
    struct fake_reply late = {0}, next = {0};
    fake_node_init(&node, 3, 0, false);
    fake_node_attach(&node, "a:1", 0);
    fake_node_publish(&node, NULL, 0, 900, &late);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_run(&node, 899);
    cr_assert_eq(late.calls, 0);
    fake_node_run(&node, 1);
    cr_assert_eq(late.calls, 1);
    cr_assert_eq(late.err, ERR_OUTCOME_UNKNOWN);
    cr_assert_eq(client_core_unanswered(node.core), 0);
    fake_node_publish(&node, NULL, 0, 0, &next);
    const struct fake_event *event = fake_node_expect_frame(&node, FRAME_COMMAND);
    cr_assert_eq(event->number, 2);
    cr_assert_eq(event->answered, 0);
    client_core_disconnected(node.core, ERR_CLOSED);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 1); /* No hole. */
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 2);
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(late.calls, 1);
    fake_node_reply(&node, 2, 0);
    cr_assert_eq(next.calls, 1);
    fake_node_done(&node);
}

Test(client_core, what_was_never_sent_times_out_as_unavailable)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_publish(&node, NULL, 0, 300, &reply);
    fake_node_run(&node, 0);
    fake_node_expect(&node, FAKE_CONNECT);
    client_core_disconnected(node.core, ERR_SYSTEM);
    for (int i = 0; i < 300; i++) {
        fake_node_run(&node, 1);
        client_core_disconnected(node.core, ERR_SYSTEM);
    }
    cr_assert_eq(reply.calls, 1);
    cr_assert_eq(reply.err, ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(reply.detail, "a:1"));
    fake_node_done(&node);
}

Test(client_core, a_named_publish_that_was_sent_in_a_lost_session_ends_as_unknown_when_its_time_is_up)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    fake_node_publish(&node, "p", 1, 300, &reply);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    cr_assert_eq(reply.calls, 0);
    fake_node_run(&node, 300);
    cr_assert_eq(reply.err, ERR_OUTCOME_UNKNOWN);
    fake_node_done(&node);
}

Test(client_core, what_a_producer_numbered_later_never_overtakes)
{
    struct fake_node node;
    struct fake_reply first = {0}, second = {0}, third = {0}, other = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    fake_node_publish(&node, "p", 1, 300, &first);
    fake_node_publish(&node, "p", 2, 0, &second);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_run(&node, 300);
    cr_assert_eq(first.err, ERR_OUTCOME_UNKNOWN);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_publish(&node, "p", 3, 200, &third);
    fake_node_publish(&node, "p", 4, 0, &third); /* Would make the third a repetition. */
    fake_node_publish(&node, "o", 4, 0, &other);
    fake_node_run(&node, 200);
    fake_node_expect(&node, FAKE_CONNECT);
    cr_assert_eq(third.calls, 2);
    cr_assert_eq(third.err, ERR_UNAVAILABLE);
    client_core_connected(node.core);
    fake_node_expect_frame(&node, FRAME_HELLO);
    fake_node_welcome(&node, 1, 1, "");
    fake_node_expect_frame(&node, FRAME_ATTACH);
    fake_node_attached(&node, 78, 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->first_sequence, 1);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->first_sequence, 2);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->first_sequence, 4);
    fake_node_expect_nothing(&node);
    for (uint64_t i = 1; i <= 3; i++) {
        fake_node_reply(&node, i, 0);
    }
    cr_assert_eq(first.calls, 1);
    cr_assert_eq(second.calls + other.calls, 2);
    cr_assert_eq(second.err + other.err, 0);
    fake_node_done(&node);
}

Test(client_core, beyond_window_and_queue_it_is_busy)
{
    struct fake_node node;
    struct fake_reply replies[10] = {0};
    struct fake_reply refused = {0};
    fake_node_init(&node, 1, 2, false);
    fake_node_attach(&node, NULL, 0);
    for (int i = 0; i < 10; i++) { /* 2 in flight, 8 wait. */
        fake_node_publish(&node, NULL, 0, 0, &replies[i]);
    }
    struct slice body = {.data = (const uint8_t *)"x", .len = 1};
    cr_assert_eq(client_core_publish(node.core, "q", NULL, 0, &body, 1, 0, fake_reply_cb, &refused), ERR_BUSY);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_expect_nothing(&node);
    fake_node_reply(&node, 2, 0); /* Out of turn: the window counts from the oldest. */
    fake_node_expect_nothing(&node);
    fake_node_reply(&node, 1, 0);
    const struct fake_event *event = fake_node_expect_frame(&node, FRAME_COMMAND);
    cr_assert_eq(event->number, 3);
    cr_assert_eq(event->answered, 2);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 4);
    fake_node_expect_nothing(&node);
    fake_node_done(&node);
    for (int i = 0; i < 10; i++) { /* Exactly once, each as it ended. */
        cr_assert_eq(replies[i].calls, 1);
        cr_assert_eq(replies[i].err, i < 2 ? 0 : i < 4 ? ERR_OUTCOME_UNKNOWN : ERR_CLOSED);
    }
    cr_assert_eq(refused.calls, 0);
}

Test(client_core, a_thousand_commands_go_round_the_ring)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 1, SESSION_WINDOW_MAX, false);
    fake_node_attach(&node, NULL, 0);
    for (uint64_t i = 1; i <= 3000; i++) {
        fake_node_publish(&node, NULL, 0, 0, &reply);
        cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, i);
        if (i > 1000) {
            fake_node_reply(&node, i - 1000, 0);
        }
    }
    cr_assert_eq(reply.calls, 2000);
    cr_assert_eq(client_core_unanswered(node.core), 1000);
    fake_node_done(&node);
    cr_assert_eq(reply.calls, 3000);
}

Test(client_core, out_of_order_is_no_outcome_but_sends_again)
{
    struct fake_node node;
    struct fake_reply first = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    fake_node_publish(&node, "p", 1, 0, &first);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_reply(&node, 1, ERR_OUT_OF_ORDER);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(first.calls, 0);
    fake_node_attach(&node, NULL, 1); /* It was carried out after all: sent earlier, over another connection. */
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->number, 1);
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(first.err, 0);
    cr_assert_eq(first.calls, 1);
    fake_node_done(&node);
}

Test(client_core, closes_its_session)
{
    struct fake_node node;
    struct fake_reply reply = {0}, closed = {0}, refused = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    fake_node_publish(&node, NULL, 0, 0, &reply);
    cr_assert_eq(client_core_close_session(node.core, 0, fake_reply_cb, &closed), 0);
    cr_assert_eq(client_core_declare(node.core, "q", 0, fake_reply_cb, &refused), ERR_CLOSED);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->command, HOLDFAST__COMMAND__KIND_CLOSE_SESSION);
    fake_node_reply(&node, 1, 0);
    fake_node_reply(&node, 2, 0);
    cr_assert_eq(closed.calls, 1);
    cr_assert_eq(closed.err, 0);
    cr_assert_eq(reply.err, 0);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(client_core_deadline_ms(node.core), UINT64_MAX);
    fake_node_done(&node);
}

Test(client_core, closing_without_a_session_is_done_at_once)
{
    struct fake_node node;
    struct fake_reply closed = {0};
    fake_node_init(&node, 1, 0, false);
    cr_assert_eq(client_core_close_session(node.core, 0, fake_reply_cb, &closed), 0);
    cr_assert_eq(closed.calls, 0);
    client_core_tick(node.core);
    cr_assert_eq(closed.calls, 1);
    cr_assert_eq(closed.err, 0);
    fake_node_done(&node);
}

Test(client_core, an_expired_session_is_a_closed_one)
{
    struct fake_node node;
    struct fake_reply closed = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(client_core_close_session(node.core, 0, fake_reply_cb, &closed), 0);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    cr_assert_eq(closed.calls, 1);
    cr_assert_eq(closed.err, 0);
    fake_node_done(&node);
}

Test(client_core, refuses_what_cannot_be_sent)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 1, 0, false);
    static const uint8_t byte = 0;
    struct slice big = {.data = &byte, .len = BODY_LEN_MAX + 1};
    cr_assert_eq(client_core_publish(node.core, "q", NULL, 0, &big, 1, 0, fake_reply_cb, &reply), ERR_TOO_BIG);
    struct slice small = {.data = &byte, .len = 1};
    cr_assert_eq(client_core_publish(node.core, "", NULL, 0, &small, 1, 0, fake_reply_cb, &reply), ERR_NAME);
    cr_assert_eq(client_core_publish(node.core, "q", "p", 0, &small, 1, 0, fake_reply_cb, &reply), ERR_INVALID);
    cr_assert_eq(client_core_publish(node.core, "q", NULL, 0, &small, 0, 0, fake_reply_cb, &reply), ERR_INVALID);
    cr_assert_eq(client_core_declare(node.core, "\xff", 0, fake_reply_cb, &reply), ERR_UTF8);
    cr_assert_eq(
        client_core_settle(node.core, 5, CLIENT_ACCEPT, &(struct client_range){1, 1}, 1, 0, fake_reply_cb, &reply),
        ERR_NOT_FOUND);
    fake_node_done(&node);
    cr_assert_eq(reply.calls, 0);
}

static int publish_bytes(struct fake_node *node, const char *producer, uint64_t sequence, size_t len,
                         struct fake_reply *reply)
{
    static const uint8_t bytes[1001];
    struct slice body = {.data = bytes, .len = len};
    return client_core_publish(node->core, "q", producer, sequence, &body, 1, 0, fake_reply_cb, reply);
}

Test(client_core, refuses_what_the_node_would_not_take)
{
    struct fake_node node;
    struct fake_reply reply = {0};
    fake_node_init(&node, 2, 0, false);
    cr_assert_eq(client_core_body_len_max(node.core), BODY_LEN_MAX);
    node.body_len_max = 1000;
    fake_node_attach(&node, "a:1", 0);
    cr_assert_eq(client_core_body_len_max(node.core), 1000u);
    cr_assert_eq(publish_bytes(&node, NULL, 0, 1001, &reply), ERR_TOO_BIG);
    fake_node_expect_nothing(&node);
    cr_assert_eq(publish_bytes(&node, NULL, 0, 1000, &reply), 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->body_len, 1000u);
    client_core_disconnected(node.core, ERR_CLOSED);
    node.body_len_max = 0; /* An older node does not say. */
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(client_core_body_len_max(node.core), BODY_LEN_MAX);
    fake_node_done(&node);
}

Test(client_core, what_waits_is_refused_when_the_nodes_limit_becomes_known)
{
    struct fake_node node;
    struct fake_reply big = {0}, follower = {0}, other = {0}, small = {0};
    fake_node_init(&node, 1, 0, false);
    node.body_len_max = 1000;
    cr_assert_eq(publish_bytes(&node, "p", 1, 1000, &small), 0);
    cr_assert_eq(publish_bytes(&node, "p", 2, 1001, &big), 0);
    cr_assert_eq(publish_bytes(&node, "p", 3, 1, &follower), 0);
    cr_assert_eq(publish_bytes(&node, "r", 1, 1, &other), 0);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(big.calls, 1);
    cr_assert_eq(big.err, ERR_TOO_BIG);
    cr_assert_not_null(strstr(big.detail, "1000"), "%s", big.detail);
    cr_assert_eq(follower.err, ERR_REFUSED, "a later number must not overtake the one that was refused");
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->first_sequence, 1u);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->first_sequence, 1u);
    fake_node_expect_nothing(&node);
    cr_assert_eq(small.calls + other.calls, 0);
    fake_node_reply(&node, 2, 0);
    cr_assert_eq(other.err, 0);
    fake_node_done(&node);
}

Test(client_core, what_was_sent_is_left_to_the_node)
{
    struct fake_node node;
    struct fake_reply sent = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(publish_bytes(&node, "p", 1, 1001, &sent), 0);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    client_core_disconnected(node.core, ERR_CLOSED);
    node.body_len_max = 1000;
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(sent.calls, 0, "it may have been done");
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->body_len, 1001u);
    /* The session is lost, and it waits to be sent again in the next. */
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(sent.calls, 0, "it may have been done");
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->body_len, 1001u);
    fake_node_reply(&node, 1, ERR_TOO_BIG);
    cr_assert_eq(sent.err, ERR_TOO_BIG);
    fake_node_done(&node);
}

Test(client_core, a_refused_publish_is_not_hidden_by_a_later_one)
{
    struct fake_node node;
    struct fake_reply refused = {0}, flying = {0}, waiting = {0}, other = {0};
    fake_node_init(&node, 1, 2, false);
    fake_node_attach(&node, NULL, 0);
    fake_node_publish(&node, "p", 1, 0, &refused);
    fake_node_publish(&node, "p", 2, 0, &flying);
    fake_node_publish(&node, "p", 3, 0, &waiting);
    fake_node_publish(&node, "o", 1, 0, &other);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_reply(&node, 1, ERR_NO_SPACE);
    cr_assert_eq(refused.err, ERR_NO_SPACE);
    cr_assert_eq(waiting.err, ERR_REFUSED);
    cr_assert_eq(flying.calls + other.calls, 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->first_sequence, 1u); /* The other producer's. */
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    cr_assert_eq(flying.err, ERR_OUTCOME_UNKNOWN, "not sent again: it would hide the first");
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->first_sequence, 1u);
    fake_node_expect_nothing(&node);
    fake_node_done(&node);
}

/* Refused now, unseen; in the session before it may have been done. */
Test(client_core, what_is_refused_when_sent_again_in_another_session_is_unknown)
{
    const int errors[] = {ERR_NO_SPACE, ERR_REFUSED};
    for (unsigned i = 0; i < 2; i++) {
        struct fake_node node;
        struct fake_reply again = {0};
        fake_node_init(&node, 1, 2, false);
        fake_node_attach(&node, NULL, 0);
        fake_node_publish(&node, "o", 1, 0, &again);
        fake_node_expect_frame(&node, FRAME_COMMAND);
        fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
        fake_node_expect(&node, FAKE_DISCONNECT);
        fake_node_attach(&node, NULL, 0);
        cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->first_sequence, 1u);
        fake_node_reply(&node, 1, errors[i]);
        cr_assert_eq(again.err, ERR_OUTCOME_UNKNOWN);
        fake_node_done(&node);
    }
}

Test(client_core, drops_what_is_ready_in_a_queue)
{
    struct fake_node node;
    struct fake_reply purged = {0}, lost = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(client_core_purge(node.core, "q", 0, fake_reply_cb, &purged), 0);
    const struct fake_event *event = fake_node_expect_frame(&node, FRAME_COMMAND);
    cr_assert_eq(event->command, HOLDFAST__COMMAND__KIND_PURGE_QUEUE);
    cr_assert_str_eq(event->queue, "q");
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(purged.calls, 1);
    cr_assert_eq(client_core_purge(node.core, "q", 0, fake_reply_cb, &lost), 0);
    fake_node_goodbye(&node, ERR_SESSION_EXPIRED, "");
    cr_assert_eq(lost.err, ERR_OUTCOME_UNKNOWN);
    fake_node_done(&node);
}

Test(client_core, nonsense_ends_the_connection)
{
    struct fake_node node;
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    struct blob *blob = blob_new(3);
    memcpy(blob->data, "\xff\xff\xff", 3);
    struct frame frame = {.type = FRAME_REPLIES, .header = slice_of_blob(blob)};
    client_core_frame(node.core, &frame);
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_done(&node);
}
