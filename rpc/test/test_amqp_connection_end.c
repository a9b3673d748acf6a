/* An AMQP connection as a whole: how it ends, what it does not take, and being told that messages are refused. */

#include <stdio.h>
#include <string.h>

#include "amqp_fixture.h"

static void greet(struct amqp_fixture *f)
{
    amqp_fixture_give_raw(f, AMQP_FRAME_GREETING, 0, "\1", 1);
    (void)AMQP_TAKE(f, 0, connection_start);
}

/* Up to Tune-Ok, which is the test's. */
static void tune(struct amqp_fixture *f)
{
    greet(f);
    AMQP_GIVE(f, 0, connection_start_ok, .mechanism = amqp_text("PLAIN"),
              .response = {(const uint8_t *)"\0guest\0guest", 12}, .locale = amqp_text("en_US"));
    (void)AMQP_TAKE(f, 0, connection_tune);
}

static void expect_silent_close(struct amqp_fixture *f)
{
    amqp_fixture_nothing(f);
    cr_assert_eq(f->closes, 1u);
}

/* ---- Methods at the wrong time ---- */

static void expect_unexpected(struct amqp_fixture *f, enum amqp_id id, const char *state)
{
    char words[100];
    (void)snprintf(words, sizeof words, "unexpected method in connection state %s", state);
    amqp_fixture_connection_closes(f, AMQP_CHANNEL_ERROR, id, words);
    amqp_fixture_close(f);
}

Test(amqp_connection_end, a_method_at_the_wrong_time_ends_the_connection)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    greet(&f);
    AMQP_GIVE(&f, 0, connection_open, .virtual_host = amqp_text("/"));
    expect_silent_close(&f); /* It has not shown who it is. */
    amqp_fixture_close(&f);
    amqp_fixture_new(&f, NULL);
    tune(&f);
    AMQP_GIVE(&f, 0, connection_open, .virtual_host = amqp_text("/"));
    expect_unexpected(&f, AMQP_connection_open, "tuning");
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 0, connection_tune_ok, .frame_max = 4096);
    expect_unexpected(&f, AMQP_connection_tune_ok, "running");
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 0, connection_blocked, .reason = amqp_text("mine"));
    expect_unexpected(&f, AMQP_connection_blocked, "running");
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 0, connection_close_ok);
    expect_unexpected(&f, AMQP_connection_close_ok, "running");
}

Test(amqp_connection_end, a_secret_is_updated_in_words)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 0, connection_update_secret, .new_secret = amqp_text("new"), .reason = amqp_text("old"));
    (void)AMQP_TAKE(&f, 0, connection_update_secret_ok);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

/* ---- The end ---- */

Test(amqp_connection_end, close_ok_comes_when_the_session_is_closed_and_all_was_answered)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .no_wait = true);
    AMQP_REPLY(&f, 0);
    AMQP_GIVE(&f, 0, connection_close, .reply_code = 200, .reply_text = amqp_text("bye"));
    (void)AMQP_COMMAND(&f, DECLARE_QUEUE);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    amqp_fixture_nothing(&f);
    cr_assert_eq(f.closes, 0u);
    AMQP_REPLY(&f, 0);
    (void)AMQP_TAKE(&f, 0, connection_close_ok);
    cr_assert_eq(f.closes, 1u);
    fake_gateway_detach(&f.fake, ERR_CLOSED, "the session has been closed", NULL);
    amqp_fixture_nothing(&f);
    cr_assert_eq(f.closes, 1u);
    amqp_fixture_close(&f);
}

Test(amqp_connection_end, a_close_is_answered_also_when_the_link_ends_meanwhile)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 0, connection_close, .reply_code = 200);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    fake_gateway_detach(&f.fake, ERR_UNAVAILABLE, "no leader", NULL);
    (void)AMQP_TAKE(&f, 0, connection_close_ok);
    cr_assert_eq(f.closes, 1u);
    amqp_fixture_close(&f);
}

Test(amqp_connection_end, a_client_that_closes_in_the_handshake_is_answered_at_once)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    tune(&f);
    AMQP_GIVE(&f, 0, connection_close, .reply_code = 200);
    (void)AMQP_TAKE(&f, 0, connection_close_ok);
    cr_assert_eq(f.closes, 1u);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

Test(amqp_connection_end, closes_from_both_sides_cross)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_session_force_close(f.session, "shutdown");
    AMQP_GIVE(&f, 0, connection_close, .reply_code = 200);
    (void)AMQP_TAKE(&f, 0, connection_close);
    (void)AMQP_TAKE(&f, 0, connection_close_ok);
    cr_assert_eq(f.closes, 1u);
    amqp_fixture_close(&f);
}

Test(amqp_connection_end, a_node_that_cannot_serve_any_more_says_so)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    fake_gateway_detach(&f.fake, ERR_UNAVAILABLE, "this node is stopping", NULL);
    amqp_fixture_connection_closes(&f, AMQP_CONNECTION_FORCED, 0,
                                   "broker forced connection closure with reason 'this node is stopping'");
    amqp_fixture_close(&f);
}

Test(amqp_connection_end, a_client_that_was_told_to_go_is_heard_only_about_that)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_session_force_close(f.session, "shutdown");
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"));
    AMQP_GIVE(&f, 0, connection_update_secret);
    amqp_fixture_connection_closes(&f, AMQP_CONNECTION_FORCED, 0,
                                   "broker forced connection closure with reason 'shutdown'");
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

/* ---- Nonsense ---- */

Test(amqp_connection_end, another_protocol_is_told_which_one_is_spoken)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    amqp_session_broken(f.session, "what arrived is not a frame");
    cr_assert_eq(f.sent.len, AMQP_GREETING_LEN);
    cr_assert_eq(memcmp(f.sent.data, AMQP_GREETING, AMQP_GREETING_LEN), 0);
    cr_assert_eq(f.closes, 1u);
    amqp_fixture_close(&f);
}

Test(amqp_connection_end, what_is_no_frame_is_a_frame_error_to_whom_we_know)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_session_broken(f.session, "a frame over the limit of 131065 bytes");
    const struct amqp_connection_close *close = AMQP_TAKE(&f, 0, connection_close);
    cr_assert_eq(close->reply_code, 501);
    cr_assert(amqp_fixture_is(close->reply_text, "FRAME_ERROR - a frame over the limit of 131065 bytes"));
    cr_assert_eq(f.closes, 1u);
    amqp_fixture_close(&f);
    amqp_fixture_new(&f, NULL);
    greet(&f);
    amqp_session_broken(f.session, "a frame over the limit of 4089 bytes");
    expect_silent_close(&f);
    amqp_fixture_close(&f);
}

/* ---- Messages are refused ---- */

static void publish(struct amqp_fixture *f)
{
    AMQP_GIVE(f, 1, basic_publish, .routing_key = amqp_text("q"));
    amqp_fixture_give_content(f, 1, NULL, "m", 1);
    amqp_fixture_turn(f);
}

Test(amqp_connection_end, who_publishes_is_told_that_messages_are_refused_and_that_they_are_taken_again)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_session_refusing(f.session, "disk");
    amqp_fixture_nothing(&f);
    amqp_session_refusing(f.session, "");
    publish(&f);
    amqp_session_refusing(f.session, "disk");
    amqp_session_refusing(f.session, "disk"); /* It is told each time anew. */
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 0, connection_blocked)->reason, "disk"));
    amqp_fixture_nothing(&f);
    amqp_session_refusing(f.session, "");
    amqp_session_refusing(f.session, "");
    (void)AMQP_TAKE(&f, 0, connection_unblocked);
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

Test(amqp_connection_end, a_client_that_does_not_know_blocked_is_not_told)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    amqp_fixture_shake_hands(&f, amqp_fixture_table(&f, "product", 'S', "old", NULL));
    amqp_fixture_channel(&f, 1);
    publish(&f);
    amqp_session_refusing(f.session, "disk");
    amqp_session_refusing(f.session, "");
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

Test(amqp_connection_end, a_long_reason_is_cut)
{
    char reason[400] = {0};
    struct amqp_fixture f;
    memset(reason, 'x', 254);
    (void)snprintf(reason + 254, sizeof reason - 254, "\xc3\xa4 and more");
    amqp_fixture_open(&f);
    publish(&f);
    amqp_session_refusing(f.session, reason);
    cr_assert_eq(AMQP_TAKE(&f, 0, connection_blocked)->reason.len, 254u);
    amqp_fixture_close(&f);
}
