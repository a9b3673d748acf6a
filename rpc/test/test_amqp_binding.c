/* Queue.Bind, Exchange.Bind and their opposites. */

#include "amqp_fixture.h"

static struct amqp_fixture f;
static char name_x[] = "x";
static Holdfast__DeclareExchange there = HOLDFAST__DECLARE_EXCHANGE__INIT;

static void setup(void)
{
    amqp_fixture_open(&f);
    there.exchange = name_x;
    f.fake.exchange_is = &there;
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_binding, .init = setup, .fini = teardown);

static struct amqp_bytes t(const char *text)
{
    return amqp_text(text);
}

Test(amqp_binding, a_queue)
{
    struct amqp_bytes arguments = amqp_fixture_table(&f, "x-match", 'S', "any", "n", 'l', (int64_t)-5, NULL);
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("q"), .exchange = t("x"), .routing_key = t("k"), .arguments = arguments);
    const Holdfast__Bind *bind = AMQP_COMMAND(&f, BIND)->bind;
    cr_assert_str_eq(bind->source, "x");
    cr_assert_str_eq(bind->queue, "q");
    cr_assert_str_eq(bind->exchange, "");
    cr_assert_str_eq(bind->key, "k");
    cr_assert_not(bind->to_exchange);
    cr_assert_eq(bind->n_argument, 2u);
    cr_assert_str_eq(bind->argument[1]->name, "n");
    cr_assert_eq(bind->argument[1]->value->int64, -5);
    AMQP_REPLY(&f, .count = 1);
    (void)AMQP_TAKE(&f, 1, queue_bind_ok);
    AMQP_GIVE(&f, 1, queue_unbind, .queue = t("q"), .exchange = t("x"), .routing_key = t("k"), .arguments = arguments);
    const Holdfast__Unbind *unbind = AMQP_COMMAND(&f, UNBIND)->unbind;
    cr_assert_str_eq(unbind->source, "x");
    cr_assert_str_eq(unbind->queue, "q");
    cr_assert_str_eq(unbind->key, "k");
    cr_assert_not(unbind->to_exchange);
    cr_assert_eq(unbind->n_argument, 2u);
    AMQP_REPLY(&f, .count = 1);
    (void)AMQP_TAKE(&f, 1, queue_unbind_ok);
}

Test(amqp_binding, an_exchange)
{
    AMQP_GIVE(&f, 1, exchange_bind, .destination = t("to"), .source = t("from"), .routing_key = t("k"));
    const Holdfast__Bind *bind = AMQP_COMMAND(&f, BIND)->bind;
    cr_assert_str_eq(bind->source, "from");
    cr_assert_str_eq(bind->exchange, "to");
    cr_assert_str_eq(bind->queue, "");
    cr_assert(bind->to_exchange);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_bind_ok);
    AMQP_GIVE(&f, 1, exchange_unbind, .destination = t("to"), .source = t("from"), .routing_key = t("k"));
    const Holdfast__Unbind *unbind = AMQP_COMMAND(&f, UNBIND)->unbind;
    cr_assert_str_eq(unbind->source, "from");
    cr_assert_str_eq(unbind->exchange, "to");
    cr_assert(unbind->to_exchange);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_unbind_ok);
}

Test(amqp_binding, no_wait_is_not_answered)
{
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("q"), .exchange = t("x"), .no_wait = true);
    AMQP_REPLY(&f);
    AMQP_GIVE(&f, 1, exchange_bind, .destination = t("y"), .source = t("x"), .no_wait = true);
    AMQP_REPLY(&f);
    AMQP_GIVE(&f, 1, exchange_unbind, .destination = t("y"), .source = t("x"), .no_wait = true);
    AMQP_REPLY(&f);
    amqp_fixture_nothing(&f);
}

Test(amqp_binding, the_last_queue_and_its_name_as_key)
{
    AMQP_GIVE(&f, 1, queue_declare, .queue = t("last"), .passive = true);
    (void)AMQP_COMMAND(&f, DECLARE_QUEUE);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_declare_ok);
    AMQP_GIVE(&f, 1, queue_bind, .exchange = t("x"));
    const Holdfast__Bind *bind = AMQP_COMMAND(&f, BIND)->bind;
    cr_assert_str_eq(bind->queue, "last");
    cr_assert_str_eq(bind->key, "last");
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_bind_ok);
    AMQP_GIVE(&f, 1, queue_bind, .exchange = t("x"), .routing_key = t("k"));
    bind = AMQP_COMMAND(&f, BIND)->bind;
    cr_assert_str_eq(bind->queue, "last");
    cr_assert_str_eq(bind->key, "k");
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_bind_ok);
    AMQP_GIVE(&f, 1, queue_bind, .exchange = t("x"), .queue = t("q"));
    cr_assert_str_eq(AMQP_COMMAND(&f, BIND)->bind->key, "");
}

Test(amqp_binding, without_a_last_queue)
{
    AMQP_GIVE(&f, 1, queue_bind, .exchange = t("x"));
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_queue_bind, "no previously declared queue");
    amqp_fixture_no_command(&f);
}

Test(amqp_binding, the_default_exchange_is_left_alone)
{
    const char *words = "operation not permitted on the default exchange";
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("q"), .routing_key = t("k"));
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_queue_bind, words);
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, queue_unbind, .queue = t("q"), .routing_key = t("k"));
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_queue_unbind, words);
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, exchange_bind, .destination = t("x"));
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_exchange_bind, words);
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, exchange_bind, .source = t("x"));
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_exchange_bind, words);
    amqp_fixture_no_command(&f);
}

static void expect_refused(int err, enum amqp_code code, uint32_t id, const char *words)
{
    AMQP_REPLY(&f, .error = (uint32_t)-err, .detail = "the machine's words");
    amqp_fixture_channel_closes(&f, 1, code, id, words);
    amqp_fixture_channel(&f, 1);
}

Test(amqp_binding, what_is_missing_is_named)
{
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("q"), .exchange = t("x"));
    expect_refused(ERR_NOT_FOUND, AMQP_NOT_FOUND, AMQP_queue_bind, "no queue 'q' in vhost '/'");
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("q"), .exchange = t("y"));
    expect_refused(ERR_NOT_FOUND, AMQP_NOT_FOUND, AMQP_queue_bind, "no exchange 'y' in vhost '/'");
    AMQP_GIVE(&f, 1, exchange_bind, .destination = t("z"), .source = t("x"));
    expect_refused(ERR_NOT_FOUND, AMQP_NOT_FOUND, AMQP_exchange_bind, "no exchange 'z' in vhost '/'");
    AMQP_GIVE(&f, 1, exchange_bind, .destination = t("x"), .source = t("y"));
    expect_refused(ERR_NOT_FOUND, AMQP_NOT_FOUND, AMQP_exchange_bind, "no exchange 'y' in vhost '/'");
}

Test(amqp_binding, a_locked_queue)
{
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("q"), .exchange = t("x"));
    expect_refused(
        ERR_EXCLUSIVE, AMQP_RESOURCE_LOCKED, AMQP_queue_bind,
        "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on "
        "another connection or the exclusive property value does not match that of the original "
        "declaration.");
}

Test(amqp_binding, unbinding_what_is_not_there_is_no_error)
{
    AMQP_GIVE(&f, 1, queue_unbind, .queue = t("q"), .exchange = t("y"));
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND, .detail = "no such exchange");
    (void)AMQP_TAKE(&f, 1, queue_unbind_ok);
    AMQP_GIVE(&f, 1, exchange_unbind, .destination = t("z"), .source = t("y"));
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND, .detail = "no such exchange");
    (void)AMQP_TAKE(&f, 1, exchange_unbind_ok);
}

Test(amqp_binding, an_x_match_that_is_none)
{
    struct amqp_bytes arguments = amqp_fixture_table(&f, "x-match", 'S', "bogus", NULL);
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("q"), .exchange = t("x"), .arguments = arguments);
    expect_refused(ERR_INVALID, AMQP_PRECONDITION_FAILED, AMQP_queue_bind,
                   "Invalid x-match field value <<\"bogus\">>; expected all, any, all-with-x, or any-with-x");
    arguments = amqp_fixture_table(&f, "x-match", 'I', 5, NULL);
    AMQP_GIVE(&f, 1, exchange_bind, .destination = t("y"), .source = t("x"), .arguments = arguments);
    expect_refused(ERR_INVALID, AMQP_PRECONDITION_FAILED, AMQP_exchange_bind,
                   "Invalid x-match field type signedint (value 5); expected longstr");
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("q"), .exchange = t("x"));
    expect_refused(ERR_INVALID, AMQP_PRECONDITION_FAILED, AMQP_queue_bind, "the machine's words");
}

Test(amqp_binding, the_reply_queue_is_no_queue)
{
    AMQP_GIVE(&f, 1, queue_bind, .queue = t("amq.rabbitmq.reply-to"), .exchange = t("x"));
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_queue_bind,
                                "no queue 'amq.rabbitmq.reply-to' in vhost '/'");
    amqp_fixture_no_command(&f);
}
