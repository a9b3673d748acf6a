/* basic.get. */

#include <criterion/criterion.h>

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

TestSuite(amqp_get, .init = setup, .fini = teardown);

static uint64_t get_from(const char *queue, bool no_ack)
{
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text(queue), .no_ack = no_ack);
    const Holdfast__Subscribe *subscribe = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe;
    cr_assert_str_eq(subscribe->queue, queue);
    cr_assert(subscribe->fetch);
    cr_assert_not(subscribe->more);
    cr_assert_eq(subscribe->credit, 1u);
    cr_assert_eq(subscribe->auto_accept, no_ack);
    return subscribe->consumer;
}

static uint64_t get(bool no_ack)
{
    return get_from("q", no_ack);
}

static void deliver(uint64_t consumer, const char *body, uint32_t delivery_count)
{
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, body);
    delivery.consumer = consumer;
    delivery.number = 1;
    delivery.delivery_count = delivery_count;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
}

static void ended(uint64_t consumer, int err)
{
    f.fake.sink.consumer_ended(f.fake.sink.arg, consumer, err, "");
}

Test(amqp_get, a_message)
{
    uint64_t consumer = get(false);
    AMQP_REPLY(&f, .count = 1, .repeated_count = 41);
    amqp_fixture_nothing(&f);
    deliver(consumer, "one", 0);
    const struct amqp_basic_get_ok *ok = AMQP_TAKE(&f, 1, basic_get_ok);
    cr_assert_eq(ok->delivery_tag, 1u);
    cr_assert_eq(ok->message_count, 41u);
    cr_assert_not(ok->redelivered);
    cr_assert(amqp_fixture_is(ok->exchange, ""));
    cr_assert(amqp_fixture_is(ok->routing_key, "q"));
    cr_assert(amqp_fixture_is(amqp_fixture_take_content(&f, 1)->body, "one"));
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert_eq(settle->consumer, consumer);
    cr_assert(settle->n_first == 1 && settle->first[0] == 1 && settle->last[0] == 1);
    ended(consumer, 0);
    AMQP_REPLY(&f, .count = 1);
    amqp_fixture_nothing(&f);
}

/* It is delivered, and over, before the reply. */
Test(amqp_get, without_acknowledgement)
{
    uint64_t consumer = get(true);
    deliver(consumer, "one", 2);
    ended(consumer, 0);
    amqp_fixture_nothing(&f);
    AMQP_REPLY(&f, .count = 1, .repeated_count = 7);
    const struct amqp_basic_get_ok *ok = AMQP_TAKE(&f, 1, basic_get_ok);
    cr_assert_eq(ok->message_count, 7u);
    cr_assert(ok->redelivered);
    cr_assert(amqp_fixture_is(amqp_fixture_take_content(&f, 1)->body, "one"));
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_ack, "unknown delivery tag 1");
}

Test(amqp_get, empty)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t consumer = get(i > 0);
        if (i > 0) { /* The reply alone says enough. */
            ended(consumer, 0);
        }
        AMQP_REPLY(&f, .count = 0);
        (void)AMQP_TAKE(&f, 1, basic_get_empty);
        amqp_fixture_nothing(&f);
    }
}

/* The answers come in the order of the questions, although the message comes late. */
Test(amqp_get, nothing_is_looked_at_until_it_is_there)
{
    uint64_t consumer = get(false);
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 3);
    AMQP_REPLY(&f, .count = 1, .repeated_count = 0);
    amqp_fixture_nothing(&f);
    cr_assert(f.held);
    deliver(consumer, "one", 0);
    (void)AMQP_TAKE(&f, 1, basic_get_ok);
    (void)amqp_fixture_take_content(&f, 1);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    cr_assert_not(f.held);
}

/* It has gone back before it could be sent: its lock was over, or its queue deleted. */
Test(amqp_get, a_message_that_does_not_come)
{
    uint64_t consumer = get(false);
    AMQP_REPLY(&f, .count = 1, .repeated_count = 0);
    f.fake.sink.lock_ended(f.fake.sink.arg, consumer, 1);
    ended(consumer, 0);
    (void)AMQP_TAKE(&f, 1, basic_get_empty);
    amqp_fixture_nothing(&f);
    consumer = get(false);
    AMQP_REPLY(&f, .count = 1, .repeated_count = 0);
    ended(consumer, ERR_NOT_FOUND);
    (void)AMQP_TAKE(&f, 1, basic_get_empty);
    cr_assert_not(f.held);
}

Test(amqp_get, no_such_queue)
{
    (void)get(false);
    AMQP_REPLY(&f, .error = (uint32_t)-ERR_NOT_FOUND);
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_get, "no queue 'q' in vhost '/'");
}

Test(amqp_get, an_active_consumer_of_another)
{
    (void)get(false);
    amqp_fixture_reply(&f, (struct gateway_reply){.error = (uint32_t)-ERR_EXCLUSIVE,
                                                  .detail = "the queue has an active consumer of another session"});
    amqp_fixture_channel_closes(&f, 1, AMQP_RESOURCE_LOCKED, AMQP_basic_get,
                                "cannot obtain access to locked queue 'q' in vhost '/'. basic.get operations are not "
                                "supported by quorum queues with single active consumer");
}

/* What a channel holds of its fetches goes back with it, and what comes afterwards is nobody's. */
Test(amqp_get, its_channel_closes)
{
    uint64_t first = get(false);
    AMQP_REPLY(&f, .count = 1);
    deliver(first, "one", 0);
    (void)AMQP_TAKE(&f, 1, basic_get_ok);
    (void)amqp_fixture_take_content(&f, 1);
    uint64_t second = get_from("p", false);
    AMQP_REPLY(&f, .count = 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 77); /* It waits; the second message comes never. */
    ended(second, ERR_NOT_FOUND);
    (void)AMQP_TAKE(&f, 1, basic_get_empty);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_ack, "unknown delivery tag 77");
    cr_assert_eq(AMQP_COMMAND(&f, UNSUBSCRIBE)->unsubscribe->consumer, first);
    AMQP_REPLY(&f);
    amqp_fixture_channel(&f, 1);
    deliver(first, "late", 0);
    amqp_fixture_nothing(&f);
}

/* The connection goes while a message is on its way. */
Test(amqp_get, the_connection_goes)
{
    (void)get(false);
    AMQP_REPLY(&f, .count = 1);
    amqp_fixture_turn(&f);
    uint64_t consumer = 0;
    amqp_fixture_leave(&f);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    ended(consumer, 0);
}
