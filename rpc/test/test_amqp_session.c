/* What each frame may be, and when: a session against clients that do what they must not. */

#include <string.h>

#include "amqp_fixture.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"

/* A frame with that payload is given; the connection is closed with this code. */
static void closes_with(uint8_t type, uint16_t channel, const void *payload, size_t len, enum amqp_code code)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_fixture_give_raw(&f, type, channel, payload, len);
    const struct amqp_connection_close *close = AMQP_TAKE(&f, 0, connection_close);
    cr_assert_eq(close->reply_code, code, "%u rather than %u: %.*s", close->reply_code, code,
                 (int)close->reply_text.len, (const char *)close->reply_text.data);
    amqp_fixture_close(&f);
}

Test(amqp_session, frames_that_are_wrong_close_the_connection)
{
    closes_with(77, 0, "", 0, AMQP_FRAME_ERROR);
    closes_with(AMQP_FRAME_METHOD, 1, "\0\x32", 2, AMQP_FRAME_ERROR);
    closes_with(AMQP_FRAME_METHOD, 1, "\0\x63\0\x0a", 4, AMQP_COMMAND_INVALID);   /* There is no class 99. */
    closes_with(AMQP_FRAME_METHOD, 1, "\0\x32\0\x0a", 4, AMQP_SYNTAX_ERROR);      /* queue.declare without anything. */
    closes_with(AMQP_FRAME_METHOD, 1, "\0\x14\0\x0a\0x", 6, AMQP_SYNTAX_ERROR);   /* channel.open and more. */
    closes_with(AMQP_FRAME_METHOD, 1, "\0\x14\0\x0a\0", 5, AMQP_CHANNEL_ERROR);   /* It is open. */
    closes_with(AMQP_FRAME_METHOD, 0, "\0\x14\0\x0a\0", 5, AMQP_COMMAND_INVALID); /* On the connection's own. */
    closes_with(AMQP_FRAME_METHOD, 1, "\0\x0a\0\x33", 4, AMQP_COMMAND_INVALID); /* connection.close-ok on a channel. */
    closes_with(AMQP_FRAME_METHOD, 2, "\0\x5a\0\x0a", 4, AMQP_CHANNEL_ERROR);   /* It is not open. */
    closes_with(AMQP_FRAME_METHOD, 1, "\0\x14\0\x0b\0\0\0\0", 8, AMQP_COMMAND_INVALID); /* channel.open-ok. */
    closes_with(AMQP_FRAME_HEADER, 0, "", 0, AMQP_COMMAND_INVALID);
    closes_with(AMQP_FRAME_BODY, 9, "x", 1, AMQP_CHANNEL_ERROR);
    closes_with(AMQP_FRAME_HEARTBEAT, 0, "x", 1, AMQP_FRAME_ERROR);
    closes_with(AMQP_FRAME_HEARTBEAT, 1, "", 0, AMQP_UNEXPECTED_FRAME);
    closes_with(AMQP_FRAME_GREETING, 0, "\1", 1, AMQP_FRAME_ERROR);
}

Test(amqp_session, channels_are_opened_up_to_the_limit)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    for (unsigned i = 2; i < 2047; i++) {
        amqp_fixture_channel(&f, (uint16_t)i);
    }
    AMQP_GIVE(&f, 9, channel_close);
    (void)AMQP_TAKE(&f, 9, channel_close_ok);
    amqp_fixture_channel(&f, 65535);
    amqp_fixture_channel(&f, 3000);
    AMQP_GIVE(&f, 9, channel_open);
    amqp_fixture_connection_closes(&f, AMQP_NOT_ALLOWED, AMQP_channel_open,
                                   "number of channels opened (2047) has reached the negotiated channel_max (2047)");
    amqp_fixture_close(&f);
}

/* It is their number that is limited, whatever their numbers are; many of these fall together in the table. */
Test(amqp_session, channels_of_any_number)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    for (unsigned i = 1; i < 256; i++) {
        amqp_fixture_channel(&f, (uint16_t)(i * 256));
    }
    for (unsigned i = 1; i < 256; i += 2) {
        AMQP_GIVE(&f, (uint16_t)(i * 256), channel_close);
        (void)AMQP_TAKE(&f, (uint16_t)(i * 256), channel_close_ok);
    }
    for (unsigned i = 1; i < 256; i++) {
        if (i % 2 == 0) {
            AMQP_GIVE(&f, (uint16_t)(i * 256), channel_flow, .active = true);
            (void)AMQP_TAKE(&f, (uint16_t)(i * 256), channel_flow_ok);
        } else {
            amqp_fixture_channel(&f, (uint16_t)(i * 256));
        }
    }
    AMQP_GIVE(&f, 256, channel_open);
    amqp_fixture_connection_closes(&f, AMQP_CHANNEL_ERROR, AMQP_channel_open, "second 'channel.open' seen");
    amqp_fixture_close(&f);
}

/* Clients of the time before 0-9-1 ask for a ticket first. */
Test(amqp_session, a_ticket)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, access_request, .realm = amqp_text("/data"), .active = true, .write = true, .read = true);
    cr_assert_eq(AMQP_TAKE(&f, 1, access_request_ok)->ticket, 1u);
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

/* Nothing is looked at until an answer is there; then in order. */
Test(amqp_session, what_follows_a_method_that_may_be_refused_waits)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("a"));
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("b"));
    cr_assert_str_eq(AMQP_COMMAND(&f, DELETE_QUEUE)->delete_queue->queue, "a");
    amqp_fixture_no_command(&f);
    cr_assert(f.held);
    AMQP_REPLY(&f, .count = 1);
    (void)AMQP_TAKE(&f, 1, queue_delete_ok);
    cr_assert_str_eq(AMQP_COMMAND(&f, DELETE_QUEUE)->delete_queue->queue, "b");
    AMQP_REPLY(&f, .repeated_count = 2);
    cr_assert_eq(AMQP_TAKE(&f, 1, queue_delete_ok)->message_count, 2u);
    cr_assert_not(f.held);
    amqp_fixture_close(&f);
}

Test(amqp_session, what_follows_a_method_that_was_refused_meets_a_closed_channel)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("a"));
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("b"));
    (void)AMQP_COMMAND(&f, DELETE_QUEUE);
    AMQP_REPLY(&f, .error = -ERR_REFUSED, .detail = "the queue is protected");
    cr_assert_eq(AMQP_TAKE(&f, 1, channel_close)->reply_code, AMQP_ACCESS_REFUSED);
    amqp_fixture_no_command(&f);
    AMQP_GIVE(&f, 1, channel_close_ok);
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("c"));
    cr_assert_str_eq(AMQP_COMMAND(&f, DELETE_QUEUE)->delete_queue->queue, "c");
    amqp_fixture_close(&f);
}

Test(amqp_session, commands_wait_while_the_gateway_is_busy_and_lose_their_order_never)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    f.fake.submit_err = ERR_BUSY;
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("a"));
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("b"));
    amqp_fixture_no_command(&f);
    cr_assert(f.held);
    f.fake.submit_err = 0;
    f.fake.sink.resume(f.fake.sink.arg);
    cr_assert_str_eq(AMQP_COMMAND(&f, DELETE_QUEUE)->delete_queue->queue, "a");
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_delete_ok);
    cr_assert_str_eq(AMQP_COMMAND(&f, DELETE_QUEUE)->delete_queue->queue, "b");
    amqp_fixture_close(&f);
}

Test(amqp_session, a_client_that_sends_on_although_it_is_held_is_sent_away)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    for (unsigned i = 0; i < 66; i++) {
        AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("a"));
    }
    cr_assert_eq(AMQP_TAKE(&f, 0, connection_close)->reply_code, AMQP_RESOURCE_ERROR);
    amqp_fixture_close(&f);
}

/* ---- The end ---- */

Test(amqp_session, a_lost_connection_closes_the_session_of_the_machine)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("a"));
    (void)AMQP_COMMAND(&f, DELETE_QUEUE);
    amqp_fixture_leave(&f);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    cr_assert_not(list_empty(&f.leaving));
    AMQP_REPLY(&f); /* To what it had asked for before. */
    AMQP_REPLY(&f);
    fake_gateway_detach(&f.fake, ERR_CLOSED, "", NULL);
    cr_assert(list_empty(&f.leaving));
    amqp_fixture_close(&f);
}

Test(amqp_session, a_lost_connection_closes_it_also_when_the_gateway_is_busy)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    f.fake.submit_err = ERR_BUSY;
    amqp_fixture_leave(&f);
    amqp_fixture_no_command(&f);
    f.fake.submit_err = 0;
    f.fake.sink.resume(f.fake.sink.arg);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    fake_gateway_detach(&f.fake, ERR_CLOSED, "", NULL);
    amqp_fixture_close(&f);
}

Test(amqp_session, sessions_that_leave_can_be_cut_short)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_fixture_leave(&f);
    amqp_sessions_free(&f.leaving);
    cr_assert_eq(f.fake.detaches, 1u);
    amqp_fixture_close(&f);
}

/* ---- Channels ---- */

Test(amqp_session, a_channel_closes_when_what_it_asked_for_is_done)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    AMQP_GIVE(&f, 1, basic_publish, .routing_key = amqp_text("q"));
    amqp_fixture_give_content(&f, 1, NULL, "x", 1);
    AMQP_GIVE(&f, 1, channel_close);
    (void)AMQP_COMMAND(&f, PUBLISH);
    amqp_fixture_nothing(&f); /* The client is not told before. */
    AMQP_REPLY(&f, .count = 1);
    (void)AMQP_COMMAND(&f, SET_CREDIT); /* Behind it, whatever comes of it. */
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    (void)AMQP_TAKE(&f, 1, channel_close_ok);
    amqp_fixture_channel(&f, 1);
    amqp_fixture_close(&f);
}

Test(amqp_session, both_sides_may_close_a_channel_at_the_same_time)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 5);
    cr_assert_eq(AMQP_TAKE(&f, 1, channel_close)->reply_code, AMQP_PRECONDITION_FAILED);
    AMQP_GIVE(&f, 1, channel_close);
    (void)AMQP_TAKE(&f, 1, channel_close_ok);
    AMQP_GIVE(&f, 1, channel_close_ok);
    AMQP_GIVE(&f, 1, channel_close_ok); /* One more does no harm. */
    amqp_fixture_nothing(&f);
    amqp_fixture_channel(&f, 1);
    amqp_fixture_close(&f);
}

Test(amqp_session, channel_flow_is_answered_and_cannot_be_stopped)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, channel_flow, .active = true);
    cr_assert(AMQP_TAKE(&f, 1, channel_flow_ok)->active);
    AMQP_GIVE(&f, 1, channel_flow, .active = false);
    amqp_fixture_connection_closes(&f, AMQP_NOT_IMPLEMENTED, AMQP_channel_flow, "active=false");
    amqp_fixture_close(&f);
}

/* ---- What goes out ---- */

Test(amqp_session, a_heartbeat_is_sent_when_nothing_else_was)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_session_beat(f.session);
    size_t len = f.sent.len;
    amqp_session_beat(f.session);
    cr_assert_eq(f.sent.len, len + AMQP_FRAME_COST);
    f.read = f.sent.len;
    amqp_fixture_channel(&f, 2);
    len = f.sent.len;
    f.read = len;
    amqp_session_beat(f.session);
    cr_assert_eq(f.sent.len, len, "there was something else");
    amqp_fixture_close(&f);
}

Test(amqp_session, words_of_an_error_are_cut_between_characters)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    char name[256] = "q";
    for (size_t i = 1; i + 2 < sizeof name; i += 2) {
        memcpy(name + i, "\xc3\xa4", 3);
    }
    AMQP_GIVE(&f, 1, queue_purge, .queue = amqp_text(name));
    (void)AMQP_COMMAND(&f, PURGE_QUEUE);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND, .detail = "no such queue");
    struct amqp_bytes words = AMQP_TAKE(&f, 1, channel_close)->reply_text;
    cr_assert(words.len == 254 || words.len == 255, "%zu", words.len);
    cr_assert(bytes_are_utf8(words.data, words.len));
    cr_assert_eq(memcmp(words.data + words.len - 3, "...", 3), 0);
    amqp_fixture_close(&f);
}
