/* Exchange.Declare and Delete: commands, and RabbitMQ's words. */

#include <string.h>

#include "amqp_fixture.h"

static struct amqp_fixture f;
static char name_x[] = "x";
static char note_durable[] = "AMQP: durable";
static Holdfast__DeclareExchange there = HOLDFAST__DECLARE_EXCHANGE__INIT;

static void setup(void)
{
    amqp_fixture_open(&f);
    there.exchange = name_x;
    there.note = note_durable;
    f.fake.exchange_is = &there;
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_exchange, .init = setup, .fini = teardown);

/* Of the exchange "x". */
#define DECLARE(...) AMQP_GIVE(&f, 1, exchange_declare, .exchange = amqp_text("x"), __VA_ARGS__)

static void expect_otherwise(const char *words)
{
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f, .error = -ERR_EXISTS, .detail = "the exchange is there with other properties");
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare, words);
    amqp_fixture_channel(&f, 1);
}

Test(amqp_exchange, of_each_type)
{
    static const struct {
        const char *name;
        Holdfast__DeclareExchange__Type type;
    } types[] = {
        {"direct", HOLDFAST__DECLARE_EXCHANGE__TYPE__DIRECT},
        {"fanout", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT},
        {"topic", HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC},
        {"headers", HOLDFAST__DECLARE_EXCHANGE__TYPE__HEADERS},
    };
    for (unsigned i = 0; i < 4; i++) {
        DECLARE(.type = amqp_text(types[i].name), .durable = true);
        const Holdfast__DeclareExchange *declare = AMQP_COMMAND(&f, DECLARE_EXCHANGE)->declare_exchange;
        cr_assert_eq(declare->type, types[i].type);
        cr_assert(!declare->passive && !declare->auto_delete && !declare->internal && !declare->delayed);
        cr_assert(!declare->has_alternate && !declare->protected_);
        cr_assert_str_eq(declare->exchange, "x");
        there.type = types[i].type;
        AMQP_REPLY(&f);
        (void)AMQP_TAKE(&f, 1, exchange_declare_ok);
    }
}

Test(amqp_exchange, with_everything)
{
    struct amqp_bytes arguments = amqp_fixture_table(&f, "alternate-exchange", 'S', "other", "x-what", 'I', 5, NULL);
    there.exchange = (char[]){"elsewhere"};
    DECLARE(.type = amqp_text("topic"), .auto_delete = true, .internal = true, .arguments = arguments);
    const Holdfast__DeclareExchange *declare = AMQP_COMMAND(&f, DECLARE_EXCHANGE)->declare_exchange;
    cr_assert(declare->auto_delete && declare->internal && declare->has_alternate);
    cr_assert_str_eq(declare->alternate, "other");
    cr_assert_str_eq(declare->note, "AMQP: transient");
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_declare_ok);
}

Test(amqp_exchange, no_wait_is_not_answered_unless_it_fails)
{
    DECLARE(.type = amqp_text("direct"), .durable = true, .no_wait = true);
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f);
    amqp_fixture_nothing(&f);
    AMQP_GIVE(&f, 1, exchange_delete, .exchange = amqp_text("x"), .no_wait = true);
    (void)AMQP_COMMAND(&f, DELETE_EXCHANGE);
    AMQP_REPLY(&f);
    amqp_fixture_nothing(&f);
    DECLARE(.type = amqp_text("fanout"), .durable = true, .no_wait = true);
    expect_otherwise(
        "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'direct'");
}

Test(amqp_exchange, the_next_method_waits_for_the_answer)
{
    DECLARE(.type = amqp_text("direct"), .durable = true);
    AMQP_GIVE(&f, 1, exchange_delete, .exchange = amqp_text("y"));
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_declare_ok);
    cr_assert_str_eq(AMQP_COMMAND(&f, DELETE_EXCHANGE)->delete_exchange->exchange, "y");
}

Test(amqp_exchange, passive_compares_nothing)
{
    DECLARE(.type = amqp_text("what"), .passive = true);
    const Holdfast__DeclareExchange *declare = AMQP_COMMAND(&f, DECLARE_EXCHANGE)->declare_exchange;
    cr_assert(declare->passive);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_declare_ok);
    DECLARE(.passive = true);
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND, .detail = "no such exchange");
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_exchange_declare, "no exchange 'x' in vhost '/'");
}

Test(amqp_exchange, an_unknown_type_ends_the_connection)
{
    DECLARE(.type = amqp_text("what"));
    amqp_fixture_connection_closes(&f, AMQP_COMMAND_INVALID, AMQP_exchange_declare, "unknown exchange type 'what'");
    amqp_fixture_no_command(&f);
}

Test(amqp_exchange, an_empty_type_ends_the_connection)
{
    DECLARE(.durable = true);
    amqp_fixture_connection_closes(&f, AMQP_COMMAND_INVALID, AMQP_exchange_declare, "invalid exchange type ''");
}

Test(amqp_exchange, each_difference_is_named)
{
    there.has_alternate = true;
    there.alternate = (char[]){"ae"};
    struct amqp_bytes same = amqp_fixture_table(&f, "alternate-exchange", 'S', "ae", NULL);
    struct amqp_bytes other = amqp_fixture_table(&f, "alternate-exchange", 'S', "ae2", NULL);
    DECLARE(.type = amqp_text("fanout"), .auto_delete = true);
    expect_otherwise(
        "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'direct'");
    DECLARE(.type = amqp_text("direct"), .arguments = other);
    expect_otherwise(
        "inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'false' but current is 'true'");
    DECLARE(.type = amqp_text("direct"), .durable = true, .auto_delete = true, .arguments = same);
    expect_otherwise(
        "inequivalent arg 'auto_delete' for exchange 'x' in vhost '/': received 'true' but current is 'false'");
    DECLARE(.type = amqp_text("direct"), .durable = true, .internal = true, .arguments = same);
    expect_otherwise(
        "inequivalent arg 'internal' for exchange 'x' in vhost '/': received 'true' but current is 'false'");
    DECLARE(.type = amqp_text("direct"), .durable = true, .arguments = other);
    expect_otherwise(
        "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received 'ae2' but current is 'ae'");
    DECLARE(.type = amqp_text("direct"), .durable = true);
    expect_otherwise(
        "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received none but current is "
        "the value 'ae' of type 'longstr'");
    there.has_alternate = false;
    DECLARE(.type = amqp_text("direct"), .durable = true, .arguments = other);
    expect_otherwise("inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received the value 'ae2' of "
                     "type 'longstr' but current is none");
}

/* The machine does not compare it. */
Test(amqp_exchange, durable_is_compared_when_it_is_known)
{
    DECLARE(.type = amqp_text("direct"));
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f);
    amqp_fixture_channel_closes(
        &f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare,
        "inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'false' but current is 'true'");
    amqp_fixture_channel(&f, 1);
    there.note = (char[]){"of an operator's"};
    DECLARE(.type = amqp_text("direct"));
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_declare_ok);
}

Test(amqp_exchange, built_in_ones_are_durable)
{
    there.exchange = (char[]){"amq.direct"};
    there.note = (char[]){""};
    AMQP_GIVE(&f, 1, exchange_declare, .exchange = amqp_text("amq.direct"), .type = amqp_text("direct"),
              .durable = true);
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_declare_ok);
    AMQP_GIVE(&f, 1, exchange_declare, .exchange = amqp_text("amq.direct"), .type = amqp_text("direct"));
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f);
    amqp_fixture_channel_closes(
        &f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare,
        "inequivalent arg 'durable' for exchange 'amq.direct' in vhost '/': received 'false' but current is 'true'");
}

/* It was changed since. */
Test(amqp_exchange, what_the_machine_takes_for_the_same_is_the_same)
{
    there.type = HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC;
    there.internal = true;
    DECLARE(.type = amqp_text("direct"), .durable = true);
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_declare_ok);
}

/* It has been deleted, or changed, since. */
Test(amqp_exchange, without_a_difference_the_machine_has_the_word)
{
    DECLARE(.type = amqp_text("direct"), .durable = true);
    expect_otherwise("the exchange is there with other properties");
}

Test(amqp_exchange, reserved_names)
{
    AMQP_GIVE(&f, 1, exchange_declare, .exchange = amqp_text("amq.foo"), .type = amqp_text("direct"));
    (void)AMQP_COMMAND(&f, DECLARE_EXCHANGE);
    AMQP_REPLY(&f, .error = -ERR_REFUSED, .detail = "names that begin with amq. are not given");
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_exchange_declare,
                                "exchange name 'amq.foo' contains reserved prefix 'amq.*'");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, exchange_delete, .exchange = amqp_text("amq.direct"));
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_exchange_delete,
                                "deletion of system exchange 'amq.direct' in vhost '/' not allowed");
    amqp_fixture_no_command(&f);
}

Test(amqp_exchange, the_default_exchange_is_left_alone)
{
    AMQP_GIVE(&f, 1, exchange_declare, .type = amqp_text("direct"));
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_exchange_declare,
                                "operation not permitted on the default exchange");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, exchange_declare, .passive = true);
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_exchange_declare,
                                "operation not permitted on the default exchange");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, exchange_delete, .if_unused = true);
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_exchange_delete,
                                "operation not permitted on the default exchange");
    amqp_fixture_no_command(&f);
}

Test(amqp_exchange, alternates_that_are_none)
{
    DECLARE(.type = amqp_text("direct"), .arguments = amqp_fixture_table(&f, "alternate-exchange", 'I', 5, NULL));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare,
                                "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'");
    amqp_fixture_channel(&f, 1);
    char name[300];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    DECLARE(.type = amqp_text("direct"), .arguments = amqp_fixture_table(&f, "alternate-exchange", 'S', name, NULL));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare,
                                "invalid arg 'alternate-exchange' for exchange 'x' in vhost '/': not a name");
    amqp_fixture_no_command(&f);
}

Test(amqp_exchange, delayed_ones)
{
    there.exchange = (char[]){"elsewhere"};
    DECLARE(.type = amqp_text("x-delayed-message"), .durable = true,
            .arguments = amqp_fixture_table(&f, "x-delayed-type", 'S', "topic", NULL));
    const Holdfast__DeclareExchange *declare = AMQP_COMMAND(&f, DECLARE_EXCHANGE)->declare_exchange;
    cr_assert(declare->delayed);
    cr_assert_eq(declare->type, HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_declare_ok);
    const char *words = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    DECLARE(.type = amqp_text("x-delayed-message"));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare, words);
    amqp_fixture_channel(&f, 1);
    DECLARE(.type = amqp_text("x-delayed-message"),
            .arguments = amqp_fixture_table(&f, "x-delayed-type", 'S', "x-delayed-message", NULL));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_declare, words);
}

Test(amqp_exchange, delayed_ones_that_are_there)
{
    there.delayed = true;
    DECLARE(.type = amqp_text("x-delayed-message"), .durable = true,
            .arguments = amqp_fixture_table(&f, "x-delayed-type", 'S', "topic", NULL));
    expect_otherwise(
        "inequivalent arg 'x-delayed-type' for exchange 'x' in vhost '/': received 'topic' but current is 'direct'");
    DECLARE(.type = amqp_text("direct"), .durable = true);
    expect_otherwise("inequivalent arg 'type' for exchange 'x' in vhost '/': received 'direct' but current is "
                     "'x-delayed-message'");
}

Test(amqp_exchange, deleting)
{
    AMQP_GIVE(&f, 1, exchange_delete, .exchange = amqp_text("x"), .if_unused = true);
    const Holdfast__DeleteExchange *delete = AMQP_COMMAND(&f, DELETE_EXCHANGE)->delete_exchange;
    cr_assert(delete->if_unused && delete->if_exists);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, exchange_delete_ok);
    AMQP_GIVE(&f, 1, exchange_delete, .exchange = amqp_text("x"), .if_unused = true);
    (void)AMQP_COMMAND(&f, DELETE_EXCHANGE);
    AMQP_REPLY(&f, .error = -ERR_REFUSED, .detail = "there are bindings from the exchange");
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_exchange_delete,
                                "exchange 'x' in vhost '/' in use");
    amqp_fixture_channel(&f, 1);
    there.protected_ = true;
    AMQP_GIVE(&f, 1, exchange_delete, .exchange = amqp_text("x"), .if_unused = true);
    (void)AMQP_COMMAND(&f, DELETE_EXCHANGE);
    AMQP_REPLY(&f, .error = -ERR_REFUSED, .detail = "the exchange is protected");
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_exchange_delete, "the exchange is protected");
}
