/* Direct reply-to: the queue behind it, what a message carries, and what others find. */

#include <string.h>

#include "amqp_fixture.h"
#include "rpc/amqp/amqp_reply_to.h"

static struct amqp_fixture f;

static void setup(void)
{
    amqp_fixture_open(&f);
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_reply_to, .init = setup, .fini = teardown);

#define CONSUME(channel, ...)                                                                                          \
    AMQP_GIVE(&f, channel, basic_consume, .queue = amqp_text(AMQP_REPLY_QUEUE), .no_ack = true, __VA_ARGS__)

/* The name of the queue. */
static const char *consume(uint16_t channel)
{
    CONSUME(channel, .consumer_tag = amqp_text("replies"));
    const Holdfast__DeclareQueue *declare = AMQP_COMMAND(&f, DECLARE_QUEUE)->declare_queue;
    cr_assert(declare->options->exclusive && declare->options->auto_delete && !declare->passive);
    amqp_fixture_nothing(&f);
    AMQP_REPLY(&f);
    const Holdfast__Subscribe *subscribe = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe;
    cr_assert_str_eq(subscribe->queue, declare->queue);
    AMQP_REPLY(&f);
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, channel, basic_consume_ok)->consumer_tag, "replies"));
    return declare->queue;
}

static void publish(uint16_t channel, const char *reply_to)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.reply_to = (char *)(uintptr_t)reply_to;
    AMQP_GIVE(&f, channel, basic_publish, .routing_key = amqp_text("rpc"));
    amqp_fixture_give_content(&f, channel, &head, "question", 8);
}

/* What the next publish has as its reply-to. */
static const char *published(void)
{
    const Holdfast__Publish *publish = AMQP_COMMAND(&f, PUBLISH)->publish;
    cr_assert_eq(publish->n_head_len, 1u);
    const Holdfast__MessageHead *head =
        holdfast__message_head__unpack(&f.arena.protobuf, publish->head_len[0], f.bodies.data);
    cr_assert_not_null(head);
    return head->reply_to;
}

/* A message that wants an answer is refused, behind what was published before. */
static void expect_none(uint16_t channel)
{
    while (f.commands_replied < f.fake.commands) {
        AMQP_REPLY(&f, .count = 1);
    }
    publish(channel, AMQP_REPLY_QUEUE);
    amqp_fixture_nothing(&f);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    amqp_fixture_channel_closes(&f, channel, AMQP_PRECONDITION_FAILED, AMQP_basic_publish,
                                "fast reply consumer does not exist");
    f.commands_read = f.fake.commands;
}

Test(amqp_reply_to, names)
{
    cr_assert(amqp_reply_to_is("amq.rabbitmq.reply-to"));
    cr_assert(amqp_reply_to_is("amq.rabbitmq.reply-to.x"));
    cr_assert_not(amqp_reply_to_is("amq.rabbitmq.reply-too"));
    cr_assert_not(amqp_reply_to_is("amq.rabbitmq.reply"));
    cr_assert_not(amqp_reply_to_is(""));
}

Test(amqp_reply_to, a_message_carries_the_name_of_the_queue)
{
    const char *queue = consume(1);
    cr_assert_eq(strncmp(queue, AMQP_REPLY_QUEUE ".", sizeof AMQP_REPLY_QUEUE), 0, "%s", queue);
    cr_assert_eq(strlen(queue), sizeof AMQP_REPLY_QUEUE + 22);
    publish(1, AMQP_REPLY_QUEUE);
    cr_assert_str_eq(published(), queue);
    publish(1, "another");
    cr_assert_str_eq(published(), "another");
}

Test(amqp_reply_to, each_channel_has_its_own)
{
    const char *first = consume(1);
    amqp_fixture_channel(&f, 2);
    expect_none(2);
    amqp_fixture_channel(&f, 2);
    const char *second = consume(2);
    cr_assert_str_neq(first, second);
    publish(2, AMQP_REPLY_QUEUE);
    cr_assert_str_eq(published(), second);
}

Test(amqp_reply_to, what_is_not_allowed)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text(AMQP_REPLY_QUEUE));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_consume,
                                "reply consumer cannot acknowledge");
    amqp_fixture_channel(&f, 1);
    amqp_fixture_no_command(&f);
    (void)consume(1);
    CONSUME(1, .consumer_tag = amqp_text("again"));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_consume, "reply consumer already set");
}

Test(amqp_reply_to, after_a_cancel_there_is_none)
{
    (void)consume(1);
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("replies"));
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_cancel_ok);
    expect_none(1);
    amqp_fixture_channel(&f, 1);
    (void)consume(1);
}

Test(amqp_reply_to, a_queue_that_cannot_be_made)
{
    CONSUME(1, .consumer_tag = amqp_text("replies"));
    (void)AMQP_COMMAND(&f, DECLARE_QUEUE);
    AMQP_REPLY(&f, .error = -ERR_LIMIT, .detail = "the virtual host has as many queues as it may");
    amqp_fixture_connection_closes(&f, AMQP_RESOURCE_ERROR, AMQP_basic_consume,
                                   "the virtual host has as many queues as it may");
}

Test(amqp_reply_to, a_connection_that_goes_meanwhile)
{
    CONSUME(1, .consumer_tag = amqp_text("replies"));
    (void)AMQP_COMMAND(&f, DECLARE_QUEUE);
    amqp_fixture_leave(&f);
    AMQP_REPLY(&f);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    amqp_fixture_no_command(&f);
}

Test(amqp_reply_to, whether_somebody_waits)
{
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text(AMQP_REPLY_QUEUE), .passive = true);
    const struct amqp_queue_declare_ok *ok = AMQP_TAKE(&f, 1, queue_declare_ok);
    cr_assert(amqp_fixture_is(ok->queue, AMQP_REPLY_QUEUE));
    cr_assert(ok->message_count == 0 && ok->consumer_count == 1);
    amqp_fixture_no_command(&f);
    static const int found[] = {0, ERR_EXCLUSIVE};
    for (unsigned i = 0; i < 2; i++) {
        AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text(AMQP_REPLY_QUEUE ".x"));
        cr_assert(AMQP_COMMAND(&f, DECLARE_QUEUE)->declare_queue->passive);
        AMQP_REPLY(&f, .error = (uint32_t)-found[i], .count = 5);
        ok = AMQP_TAKE(&f, 1, queue_declare_ok);
        cr_assert(ok->message_count == 0 && ok->consumer_count == 1);
    }
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text(AMQP_REPLY_QUEUE ".x"), .passive = true);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_queue_declare,
                                "no queue 'amq.rabbitmq.reply-to.x' in vhost '/'");
}

Test(amqp_reply_to, to_other_methods_there_is_no_such_queue)
{
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text(AMQP_REPLY_QUEUE ".x"));
    cr_assert_eq(AMQP_TAKE(&f, 1, queue_delete_ok)->message_count, 0u);
    AMQP_GIVE(&f, 1, queue_purge, .queue = amqp_text(AMQP_REPLY_QUEUE ".x"));
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_queue_purge,
                                "no queue 'amq.rabbitmq.reply-to.x' in vhost '/'");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text(AMQP_REPLY_QUEUE));
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_get, "no queue 'amq.rabbitmq.reply-to' in vhost '/'");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text(AMQP_REPLY_QUEUE ".x"), .no_ack = true);
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_consume,
                                "no queue 'amq.rabbitmq.reply-to.x' in vhost '/'");
    amqp_fixture_no_command(&f);
}
