/* Names in AMQP methods: what is left out of them, what is refused, and what "" means. */

#include <string.h>

#include "amqp_fixture.h"
#include "rpc/amqp/amqp_session_private.h"

static struct amqp_fixture f;

static void setup(void)
{
    amqp_fixture_open(&f);
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_name, .init = setup, .fini = teardown);

/* Declares it, and returns the name in the command. */
static const char *declared(struct amqp_bytes name)
{
    AMQP_GIVE(&f, 1, queue_declare, .queue = name);
    const Holdfast__Command *command = AMQP_COMMAND(&f, DECLARE_QUEUE);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_declare_ok);
    return command->declare_queue->queue;
}

Test(amqp_name, line_breaks_are_left_out)
{
    cr_assert_str_eq(declared(amqp_text("a\r\nb\n")), "ab");
}

Test(amqp_name, of_255_bytes_and_beyond_ascii)
{
    char longest[256];
    memset(longest, 'x', 255);
    longest[255] = '\0';
    cr_assert_str_eq(declared(amqp_text(longest)), longest);
    cr_assert_str_eq(declared(amqp_text("f\xc3\xbcnf queues, please")), "f\xc3\xbcnf queues, please");
}

Test(amqp_name, control_characters_are_refused)
{
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("a\tb"));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_declare,
                                "the name of the queue has a control character in it");
    amqp_fixture_no_command(&f);
}

Test(amqp_name, what_is_not_utf8_is_refused)
{
    AMQP_GIVE(&f, 1, exchange_delete, .exchange = amqp_text("\xff\xfe"));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_delete,
                                "the name of the exchange is not UTF-8");
    amqp_fixture_no_command(&f);
}

Test(amqp_name, zero_bytes_are_refused)
{
    AMQP_GIVE(&f, 1, queue_purge, .queue = {(const uint8_t *)"a\0b", 3});
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_purge,
                                "a zero byte in the name of the queue");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, queue_purge, .queue = {(const uint8_t *)"\0b", 2});
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_purge,
                                "a zero byte in the name of the queue");
    amqp_fixture_no_command(&f);
}

Test(amqp_name, an_empty_one_is_the_queue_declared_last_on_the_channel)
{
    (void)declared(amqp_text("first"));
    (void)declared(amqp_text("second"));
    AMQP_GIVE(&f, 1, queue_purge);
    cr_assert_str_eq(AMQP_COMMAND(&f, PURGE_QUEUE)->purge_queue->queue, "second");
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_purge_ok);
    amqp_fixture_channel(&f, 2);
    AMQP_GIVE(&f, 2, queue_purge);
    amqp_fixture_channel_closes(&f, 2, AMQP_NOT_FOUND, AMQP_queue_purge, "no previously declared queue");
}

Test(amqp_name, one_that_was_refused_is_not_the_last)
{
    (void)declared(amqp_text("first"));
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("second"), .passive = true);
    (void)AMQP_COMMAND(&f, DECLARE_QUEUE);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND, .detail = "no such queue");
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_queue_declare, "no queue 'second' in vhost '/'");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, queue_purge);
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_queue_purge, "no previously declared queue");
}

Test(amqp_name, a_routing_key_may_be_anything_that_is_utf8)
{
    AMQP_GIVE(&f, 1, queue_bind, .queue = amqp_text("q"), .exchange = amqp_text("x"),
              .routing_key = amqp_text("a\tb\nc"));
    cr_assert_str_eq(AMQP_COMMAND(&f, BIND)->bind->key, "a\tb\nc");
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_bind_ok);
    AMQP_GIVE(&f, 1, queue_bind, .queue = amqp_text("q"), .exchange = amqp_text("x"), .routing_key = amqp_text("\xff"));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_bind,
                                "a routing key is not UTF-8, or has a zero byte in it");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, queue_bind, .queue = amqp_text("q"), .exchange = amqp_text("x"),
              .routing_key = {(const uint8_t *)"a\0", 2});
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_bind,
                                "a routing key is not UTF-8, or has a zero byte in it");
}

Test(amqp_name, those_made_up_are_different_and_need_no_quoting)
{
    char a[AMQP_NAME_MADE_MAX];
    char b[AMQP_NAME_MADE_MAX];
    amqp_name_generate("amq.gen-", a);
    amqp_name_generate("amq.gen-", b);
    cr_assert_str_neq(a, b);
    cr_assert_eq(strlen(a), 8u + 22u);
    cr_assert_eq(strspn(a + 8, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 22u);
    cr_assert(amqp_name_is_reserved(a));
    cr_assert_not(amqp_name_is_reserved("amq"));
}

Test(amqp_name, a_malformed_table_of_arguments_ends_the_connection)
{
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .arguments = {(const uint8_t *)"\1a?", 3});
    amqp_fixture_connection_closes(&f, AMQP_SYNTAX_ERROR, AMQP_queue_declare,
                                   "the table of arguments of 'queue_declare' is malformed");
}

Test(amqp_name, arguments_without_end_are_refused)
{
    struct amqp_bytes table = amqp_fixture_table(&f, "bottom", 'V', NULL);
    for (unsigned i = 0; i <= AMQP_DEPTH_MAX; i++) {
        table = amqp_fixture_table(&f, "deeper", 'F', table, NULL);
    }
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .arguments = table);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_declare,
                                "arguments are nested more than 8 deep, or are more than 16384 values");
    amqp_fixture_no_command(&f);
}
