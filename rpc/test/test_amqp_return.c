/* Messages that reach no queue. */

#include <string.h>

#include "amqp_publish_fixture.h"

#define UNROUTED(bits)                                                                                                 \
    {                                                                                                                  \
        .data = (const uint8_t *)(bits), .len = sizeof(bits) - 1                                                       \
    }

Test(amqp_return, what_reaches_no_queue_comes_back_before_it_is_confirmed)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    give_mandatory(&f, 1, "there", "one");
    give_mandatory(&f, 1, "nowhere", "two");
    const Holdfast__Publish *publish = take_publish(&f);
    cr_assert(published_of(&f, publish, 1).head->mandatory);
    AMQP_REPLY(&f, .count = 2, .unrouted = UNROUTED("\x02"));
    const struct amqp_basic_return *returned = AMQP_TAKE(&f, 1, basic_return);
    cr_assert_eq(returned->reply_code, 312);
    cr_assert(amqp_fixture_is(returned->reply_text, "NO_ROUTE"));
    cr_assert(amqp_fixture_is(returned->exchange, ""));
    cr_assert(amqp_fixture_is(returned->routing_key, "nowhere"));
    cr_assert(amqp_fixture_is(amqp_fixture_take_content(&f, 1)->body, "two"));
    const struct amqp_basic_ack *ack = AMQP_TAKE(&f, 1, basic_ack);
    cr_assert_eq(ack->delivery_tag, 2u);
    cr_assert(ack->multiple);
    amqp_fixture_close(&f);
}

Test(amqp_return, it_comes_before_the_answer_to_a_later_method)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, confirm_select);
    give_mandatory(&f, 1, "there", "two");
    amqp_fixture_nothing(&f);
    (void)take_publish(&f);
    AMQP_REPLY(&f, .count = 1, .unrouted = UNROUTED("\x01"));
    (void)AMQP_TAKE(&f, 1, basic_return);
    cr_assert(amqp_fixture_is(amqp_fixture_take_content(&f, 1)->body, "one"));
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    (void)take_publish(&f);
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 1u);
    amqp_fixture_close(&f);
}

Test(amqp_return, it_has_the_properties_that_it_was_published_with)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    amqp_fixture_open(&f);
    exchange_is(&f, &exchange, "x");
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.content_type = (char[]){"text/plain"};
    head.expiration = (char[]){"60000"};
    head.wire_priority = 3;
    head.delivery_mode = 2;
    head.message_id = (char[]){"id"};
    head.has_timestamp = true;
    head.timestamp_s = 7;
    head.has_headers = true;
    AMQP_GIVE(&f, 1, basic_publish, .exchange = amqp_text("x"), .routing_key = amqp_text("k"), .mandatory = true);
    amqp_fixture_give_content(&f, 1, &head, "", 0);
    (void)take_publish(&f);
    AMQP_REPLY(&f, .count = 1, .unrouted = UNROUTED("\x01"));
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, basic_return)->exchange, "x"));
    const struct amqp_fixture_content *content = amqp_fixture_take_content(&f, 1);
    cr_assert_eq(content->body.len, 0u);
    cr_assert_str_eq(content->head.content_type, "text/plain");
    cr_assert_str_eq(content->head.expiration, "60000");
    cr_assert_eq(content->head.wire_priority, 3u);
    cr_assert_eq(content->head.delivery_mode, 2u);
    cr_assert_str_eq(content->head.message_id, "id");
    cr_assert_eq(content->head.timestamp_s, 7u);
    cr_assert(content->head.has_headers);
    cr_assert_eq(content->head.n_header, 0u);
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

Test(amqp_return, a_large_body_comes_back_whole)
{
    static char body[300000];
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (char)('a' + i % 23);
    }
    AMQP_GIVE(&f, 1, basic_publish, .routing_key = amqp_text("nowhere"), .mandatory = true);
    amqp_fixture_give_content(&f, 1, NULL, body, sizeof body);
    (void)take_publish(&f);
    AMQP_REPLY(&f, .count = 1, .unrouted = UNROUTED("\x01"));
    (void)AMQP_TAKE(&f, 1, basic_return);
    struct amqp_bytes back = amqp_fixture_take_content(&f, 1)->body;
    cr_assert(back.len == sizeof body && memcmp(back.data, body, sizeof body) == 0);
    amqp_fixture_close(&f);
}

Test(amqp_return, who_did_not_ask_or_has_closed_is_not_told)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_message(&f, 1, "", "nowhere", NULL, "one");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .count = 1, .unrouted = UNROUTED("\x01"));
    amqp_fixture_nothing(&f);
    give_message(&f, 1, "", "nowhere", NULL, "one");
    give_mandatory(&f, 1, "nowhere", "two");
    (void)take_publish(&f);
    AMQP_GIVE(&f, 1, channel_close);
    amqp_fixture_turn(&f);
    AMQP_REPLY(&f, .count = 2, .unrouted = UNROUTED("\x03"));
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}
