/* Publishing by AMQP: what becomes one command, and what its answer means. */

#include <string.h>

#include "amqp_publish_fixture.h"
#include "proto/base/limits.h"
#include "rpc/amqp/amqp_refusal.h"

Test(amqp_publish, what_comes_in_one_turn_is_one_command)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_fixture_channel(&f, 2);
    give_message(&f, 1, "", "a", NULL, "one");
    give_message(&f, 2, "amq.topic", "b.c", NULL, "");
    give_message(&f, 1, "", "a", NULL, "three");
    const Holdfast__Publish *publish = take_publish(&f);
    cr_assert_eq(publish->n_body_len, 3u);
    cr_assert(publish->each);
    cr_assert_str_eq(publish->queue, "");
    cr_assert_str_eq(publish->producer, "");
    cr_assert(published_is(&f, publish, 0, "one"));
    cr_assert(published_is(&f, publish, 1, ""));
    cr_assert(published_is(&f, publish, 2, "three"));
    cr_assert_str_eq(published_of(&f, publish, 0).head->routing_key, "a");
    cr_assert_str_eq(published_of(&f, publish, 1).head->exchange, "amq.topic");
    cr_assert_str_eq(published_of(&f, publish, 1).head->routing_key, "b.c");
    AMQP_REPLY(&f, .count = 3);
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

Test(amqp_publish, a_command_has_so_many_messages_and_no_more)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    for (unsigned i = 0; i < 600; i++) {
        give_message(&f, 1, "", "q", NULL, "message");
    }
    cr_assert_eq(take_publish(&f)->n_body_len, 256u);
    cr_assert_eq(take_publish(&f)->n_body_len, 256u);
    cr_assert_eq(take_publish(&f)->n_body_len, 88u);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

Test(amqp_publish, another_command_comes_behind_what_was_published)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    AMQP_GIVE(&f, 1, queue_bind, .queue = amqp_text("q"), .exchange = amqp_text("amq.fanout"));
    (void)take_publish(&f);
    (void)AMQP_COMMAND(&f, BIND);
    amqp_fixture_close(&f);
}

Test(amqp_publish, immediate_is_not_offered)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, basic_publish, .routing_key = amqp_text("q"), .immediate = true);
    amqp_fixture_connection_closes(&f, AMQP_NOT_IMPLEMENTED, AMQP_basic_publish, "immediate=true");
    amqp_fixture_close(&f);
}

/* ---- Exchanges ---- */

Test(amqp_publish, an_exchange_that_is_there_is_not_asked_for)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    amqp_fixture_open(&f);
    exchange_is(&f, &exchange, "x");
    give_message(&f, 1, "x", "", NULL, "one");
    cr_assert_str_eq(published_of(&f, take_publish(&f), 0).head->exchange, "x");
    amqp_fixture_close(&f);
}

Test(amqp_publish, each_exchange_is_looked_at)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    amqp_fixture_open(&f);
    exchange_is(&f, &exchange, "x");
    give_message(&f, 1, "x", "", NULL, "one");
    give_message(&f, 1, "y", "", NULL, "two");
    (void)take_publish(&f);
    cr_assert_str_eq(AMQP_COMMAND(&f, DECLARE_EXCHANGE)->declare_exchange->exchange, "y");
    amqp_fixture_close(&f);
}

Test(amqp_publish, no_exchange_closes_the_channel_before_what_follows)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    amqp_fixture_open(&f);
    exchange_is(&f, &exchange, NULL);
    give_message(&f, 1, "", "q", NULL, "before");
    give_message(&f, 1, "gone", "", NULL, "one");
    give_message(&f, 1, "", "q", NULL, "two");
    cr_assert(published_is(&f, take_publish(&f), 0, "before"));
    const Holdfast__DeclareExchange *asked = AMQP_COMMAND(&f, DECLARE_EXCHANGE)->declare_exchange;
    cr_assert_str_eq(asked->exchange, "gone");
    cr_assert(asked->passive);
    AMQP_REPLY(&f, .count = 1);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_publish, "no exchange 'gone' in vhost '/'");
    amqp_fixture_no_command(&f);
    amqp_fixture_channel(&f, 1);
    give_message(&f, 1, "", "q", NULL, "three");
    cr_assert(published_is(&f, take_publish(&f), 0, "three"));
    amqp_fixture_close(&f);
}

Test(amqp_publish, an_exchange_that_this_node_had_not_heard_of_is_there)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    amqp_fixture_open(&f);
    exchange_is(&f, &exchange, NULL);
    give_message(&f, 1, "new", "key", NULL, "one");
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    cr_assert(f.held);
    exchange_is(&f, &exchange, "new");
    AMQP_REPLY(&f, .error = 0);
    const Holdfast__Publish *publish = take_publish(&f);
    cr_assert(published_is(&f, publish, 0, "one"));
    cr_assert_str_eq(published_of(&f, publish, 0).head->routing_key, "key");
    cr_assert_not(f.held);
    amqp_fixture_close(&f);
}

Test(amqp_publish, an_internal_exchange_takes_no_messages)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    amqp_fixture_open(&f);
    exchange_is(&f, &exchange, "x");
    exchange.internal = true;
    give_message(&f, 1, "x", "", NULL, "one");
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f, .error = 0);
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_basic_publish,
                                "cannot publish to internal exchange 'x' in vhost '/'");
    amqp_fixture_close(&f);
}

Test(amqp_publish, an_exchange_that_goes_meanwhile_closes_the_channel)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    amqp_fixture_open(&f);
    amqp_fixture_channel(&f, 2);
    exchange_is(&f, &exchange, "x");
    give_message(&f, 1, "x", "", NULL, "one");
    give_message(&f, 2, "", "q", NULL, "two");
    (void)take_publish(&f);
    exchange_is(&f, &exchange, NULL);
    AMQP_REPLY(&f, .count = 1, .refused = {.data = (const uint8_t *)"\x01", .len = 1});
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_publish, "no exchange 'x' in vhost '/'");
    give_message(&f, 2, "", "q", NULL, "three");
    cr_assert(published_is(&f, take_publish(&f), 0, "three"));
    amqp_fixture_close(&f);
}

Test(amqp_publish, what_a_full_queue_refuses_is_dropped_when_nobody_asked)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .refused = {.data = (const uint8_t *)"\x01", .len = 1});
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

/* ---- Producers ---- */

Test(amqp_publish, numbers_that_follow_one_another_are_one_command)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_numbered(&f, "p", 1, "one");
    give_numbered(&f, "p", 2, "two");
    give_numbered(&f, "p", 4, "four");
    give_numbered(&f, "other", 5, "five");
    give_message(&f, 1, "", "q", NULL, "plain");
    const Holdfast__Publish *publish = take_publish(&f);
    cr_assert_str_eq(publish->producer, "p");
    cr_assert_eq(publish->first_sequence, 1u);
    cr_assert_eq(publish->n_body_len, 2u);
    cr_assert(publish->no_gaps);
    cr_assert_not(publish->each, "its number would be used up by a message that is refused");
    cr_assert(published_is(&f, publish, 1, "two"));
    publish = take_publish(&f);
    cr_assert_eq(publish->first_sequence, 4u);
    cr_assert_eq(publish->n_body_len, 1u);
    publish = take_publish(&f);
    cr_assert_str_eq(publish->producer, "other");
    publish = take_publish(&f);
    cr_assert_str_eq(publish->producer, "");
    cr_assert(publish->each);
    amqp_fixture_close(&f);
}

Test(amqp_publish, numbered_messages_that_are_refused_together_are_tried_one_by_one)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    give_numbered(&f, "p", 7, "one");
    give_numbered(&f, "p", 8, "two");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .error = -ERR_FULL);
    const Holdfast__Publish *publish = take_publish(&f);
    cr_assert_eq(publish->n_body_len, 1u);
    cr_assert_eq(publish->first_sequence, 7u);
    cr_assert(published_is(&f, publish, 0, "one"));
    publish = take_publish(&f);
    cr_assert_eq(publish->first_sequence, 8u);
    cr_assert_str_eq(publish->producer, "p");
    cr_assert(published_is(&f, publish, 0, "two"));
    AMQP_REPLY(&f, .count = 1);
    AMQP_REPLY(&f, .error = -ERR_FULL);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 1u);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_nack)->delivery_tag, 2u);
    amqp_fixture_close(&f);
}

Test(amqp_publish, a_number_that_was_skipped_is_refused)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_numbered(&f, "p", 5, "one");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .error = -ERR_GAP, .detail = "a number was skipped");
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_publish, "a number was skipped");
    amqp_fixture_close(&f);
}

/* ---- What is refused here ---- */

Test(amqp_publish, what_was_published_before_an_error_is_confirmed_before_it)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    give_mandatory(&f, 1, "nowhere", "one");
    give_with_header(&f, "CC", 'I', 1);
    give_message(&f, 1, "", "q", NULL, "three");
    cr_assert(published_is(&f, take_publish(&f), 0, "one"));
    (void)AMQP_COMMAND(&f, SET_CREDIT);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1, .unrouted = {.data = (const uint8_t *)"\x01", .len = 1});
    (void)AMQP_TAKE(&f, 1, basic_return);
    (void)amqp_fixture_take_content(&f, 1);
    (void)AMQP_TAKE(&f, 1, basic_ack);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_publish,
                                "invalid message: {unacceptable_type_in_header,\"CC\",signedint}");
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

/* ---- Limits, and a cluster that takes nothing ---- */

/* The virtual host has as many as it may: that is so for each of them. */
Test(amqp_publish, over_a_limit_all_are_refused_and_nothing_is_tried_twice)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    give_message(&f, 1, "", "q", NULL, "one");
    give_message(&f, 1, "", "q", NULL, "two");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .error = -ERR_LIMIT, .detail = AMQP_SAID_READY_MESSAGES);
    amqp_fixture_no_command(&f);
    const struct amqp_basic_nack *nack = AMQP_TAKE(&f, 1, basic_nack);
    cr_assert_eq(nack->delivery_tag, 2u);
    cr_assert(nack->multiple);
    give_message(&f, 1, "", "q", NULL, "three");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 3u);
    amqp_fixture_close(&f);
}

/* There are too many copies of all of them, perhaps. */
Test(amqp_publish, over_another_limit_each_is_tried_alone)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    give_message(&f, 1, "", "q", NULL, "one");
    give_message(&f, 1, "", "q", NULL, "two");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .error = -ERR_LIMIT);
    cr_assert(published_is(&f, take_publish(&f), 0, "one"));
    cr_assert(published_is(&f, take_publish(&f), 0, "two"));
    AMQP_REPLY(&f, .error = -ERR_LIMIT);
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_nack)->delivery_tag, 1u);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 2u);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

Test(amqp_publish, what_the_cluster_has_no_space_for_is_kept_until_it_has)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    amqp_session_refusing(f.session, "no room");
    give_message(&f, 1, "", "q", NULL, "one");
    (void)take_publish(&f);
    amqp_session_refusing(f.session, "no room");
    (void)AMQP_TAKE(&f, 0, connection_blocked);
    give_message(&f, 1, "", "q", NULL, "two");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    give_message(&f, 1, "", "q", NULL, "three");
    amqp_fixture_no_command(&f);
    cr_assert(f.held);
    amqp_session_refusing(f.session, "");
    (void)AMQP_TAKE(&f, 0, connection_unblocked);
    cr_assert(published_is(&f, take_publish(&f), 0, "one"));
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    cr_assert(published_is(&f, take_publish(&f), 0, "two"));
    cr_assert(published_is(&f, take_publish(&f), 0, "three"));
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 1u);
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 2u);
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 3u);
    cr_assert_not(f.held);
    amqp_fixture_close(&f);
}

/* The gateway gives it some pause between refusals; here there is none. */
Test(amqp_publish, a_refusal_that_nobody_announced_is_tried_again_by_itself)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    amqp_fixture_turn(&f);
    give_message(&f, 1, "", "q", NULL, "two");
    (void)take_publish(&f);
    (void)take_publish(&f);
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(published_is(&f, take_publish(&f), 0, "one"));
        amqp_fixture_no_command(&f);
        AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    }
    cr_assert(published_is(&f, take_publish(&f), 0, "one"));
    AMQP_REPLY(&f, .count = 1);
    cr_assert(published_is(&f, take_publish(&f), 0, "two"));
    AMQP_REPLY(&f, .count = 1);
    amqp_fixture_nothing(&f);
    cr_assert_not(f.held);
    amqp_fixture_close(&f);
}

Test(amqp_publish, a_channel_closes_when_what_it_published_is_answered)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_fixture_channel(&f, 2);
    give_message(&f, 1, "", "q", NULL, "one");
    give_message(&f, 2, "", "q", NULL, "two");
    AMQP_GIVE(&f, 1, channel_close);
    (void)take_publish(&f);
    amqp_fixture_nothing(&f);
    AMQP_REPLY(&f, .count = 2);
    (void)AMQP_COMMAND(&f, SET_CREDIT);
    AMQP_REPLY(&f, .error = -ERR_INVALID);
    (void)AMQP_TAKE(&f, 1, channel_close_ok);
    AMQP_GIVE(&f, 2, channel_close);
    (void)AMQP_TAKE(&f, 2, channel_close_ok);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

/* Also what nobody wants confirmed is there when the client hears that its connection is closed. */
Test(amqp_publish, a_connection_closes_when_what_it_published_is_taken)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_session_refusing(f.session, "no room");
    give_message(&f, 1, "", "q", NULL, "one");
    AMQP_GIVE(&f, 0, connection_close, .reply_code = 200);
    (void)take_publish(&f);
    amqp_fixture_no_command(&f);
    amqp_session_refusing(f.session, "no room");
    (void)AMQP_TAKE(&f, 0, connection_blocked);
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    amqp_fixture_no_command(&f);
    amqp_session_refusing(f.session, "");
    (void)AMQP_TAKE(&f, 0, connection_unblocked);
    cr_assert(published_is(&f, take_publish(&f), 0, "one"));
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    AMQP_REPLY(&f, .error = 0);
    (void)AMQP_TAKE(&f, 0, connection_close_ok);
    amqp_fixture_close(&f);
}

Test(amqp_publish, a_connection_that_goes_while_it_closes)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    AMQP_GIVE(&f, 0, connection_close, .reply_code = 200);
    (void)take_publish(&f);
    amqp_fixture_leave(&f);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    AMQP_REPLY(&f, .count = 1);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

Test(amqp_publish, what_waits_for_an_answer_or_for_space_goes_with_the_session)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    amqp_fixture_turn(&f);
    give_message(&f, 1, "", "q", NULL, "two");
    amqp_session_refusing(f.session, "no room");
    amqp_fixture_turn(&f);
    amqp_session_refusing(f.session, "no room");
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    amqp_fixture_close(&f);
}
