/* What must not be in one log entry with what a client sent before: a get, and a cancel, behind a publish. Its messages belong to the
 * consumers that wait for them. */

#include "amqp_fixture.h"

static struct amqp_fixture f;

static void setup(void)
{
    amqp_fixture_open(&f);
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_apart, .init = setup, .fini = teardown);

static void publish(void)
{
    AMQP_GIVE(&f, 1, basic_publish, .routing_key = amqp_text("q"));
    amqp_fixture_give_content(&f, 1, NULL, "body", 4);
}

/* The reply has been given; what waited for it goes out when the gateway's turn is over. */
static const Holdfast__Command *next(Holdfast__Command__KindCase kind)
{
    amqp_fixture_turn(&f);
    return amqp_fixture_command(&f, kind);
}

Test(amqp_apart, a_get_waits_for_what_was_published)
{
    publish();
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"), .no_ack = true);
    (void)AMQP_COMMAND(&f, PUBLISH);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    cr_assert(next(HOLDFAST__COMMAND__KIND_SUBSCRIBE)->subscribe->fetch);
    AMQP_REPLY(&f, .count = 0);
    (void)AMQP_TAKE(&f, 1, basic_get_empty);
}

Test(amqp_apart, on_whatever_channel)
{
    amqp_fixture_channel(&f, 2);
    publish();
    AMQP_GIVE(&f, 2, basic_get, .queue = amqp_text("q"), .no_ack = true);
    (void)AMQP_COMMAND(&f, PUBLISH);
    amqp_fixture_no_command(&f);
}

Test(amqp_apart, a_cancel_waits_for_what_was_published)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("c"), .no_ack = true);
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    publish();
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("c"));
    (void)AMQP_COMMAND(&f, PUBLISH);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    cr_assert(next(HOLDFAST__COMMAND__KIND_UNSUBSCRIBE)->unsubscribe->drain);
}

/* What it counts is ready for nobody who waits. */
Test(amqp_apart, what_counts_messages_waits_for_what_was_published)
{
    publish();
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .passive = true);
    (void)AMQP_COMMAND(&f, PUBLISH);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    (void)next(HOLDFAST__COMMAND__KIND_DECLARE_QUEUE);
    AMQP_REPLY(&f);
    publish();
    AMQP_GIVE(&f, 1, queue_purge, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, PUBLISH);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    (void)next(HOLDFAST__COMMAND__KIND_PURGE_QUEUE);
    AMQP_REPLY(&f);
    publish();
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, PUBLISH);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    (void)next(HOLDFAST__COMMAND__KIND_DELETE_QUEUE);
}

static uint64_t delivered(void)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("c"));
    uint64_t consumer = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, "body");
    delivery.consumer = consumer;
    delivery.number = 1;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    uint64_t tag = AMQP_TAKE(&f, 1, basic_deliver)->delivery_tag;
    (void)amqp_fixture_take_content(&f, 1);
    return tag;
}

Test(amqp_apart, what_goes_back_is_as_what_was_published)
{
    AMQP_GIVE(&f, 1, basic_reject, .delivery_tag = delivered(), .requeue = true);
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, SETTLE);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    cr_assert(next(HOLDFAST__COMMAND__KIND_SUBSCRIBE)->subscribe->fetch);
}

Test(amqp_apart, what_is_acknowledged_is_not)
{
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = delivered());
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, SETTLE);
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
}

/* As long as a get waits, what comes behind it does, too. */
Test(amqp_apart, order_is_kept)
{
    publish();
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"), .no_ack = true);
    AMQP_GIVE(&f, 1, queue_purge, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, PUBLISH);
    AMQP_REPLY(&f, .count = 1);
    (void)next(HOLDFAST__COMMAND__KIND_SUBSCRIBE);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 0);
    (void)AMQP_TAKE(&f, 1, basic_get_empty);
    (void)AMQP_COMMAND(&f, PURGE_QUEUE);
}

Test(amqp_apart, without_messages_on_their_way_nothing_waits)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("p"), .no_wait = true, .no_ack = true);
    AMQP_REPLY(&f);
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"), .no_ack = true);
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
    cr_assert(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->fetch);
}
