/* basic.qos: how many may be out. */

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

TestSuite(amqp_qos, .init = setup, .fini = teardown);

static void qos(uint16_t count, bool global)
{
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = count, .global = global);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
}

static uint64_t consume(unsigned credit)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"));
    const Holdfast__Subscribe *subscribe = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe;
    cr_assert_eq(subscribe->credit, credit);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    return subscribe->consumer;
}

static void deliver(uint64_t consumer, uint64_t number)
{
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, "body");
    delivery.consumer = consumer;
    delivery.number = number;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
}

static void take_delivery(uint64_t tag)
{
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_deliver)->delivery_tag, tag);
    (void)amqp_fixture_take_content(&f, 1);
}

static void expect_credit(uint64_t consumer, unsigned credit)
{
    const Holdfast__SetCredit *set = AMQP_COMMAND(&f, SET_CREDIT)->set_credit;
    cr_assert(set->consumer == consumer && set->credit == credit, "%u of %u, not %u of %u", set->credit,
              (unsigned)set->consumer, credit, (unsigned)consumer);
    AMQP_REPLY(&f);
}

static void expect_unseen(uint64_t consumer, uint64_t number)
{
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert_eq(settle->consumer, consumer);
    cr_assert(settle->outcome == HOLDFAST__SETTLE__OUTCOME__RELEASE && settle->not_counted && settle->has_delay);
    cr_assert(settle->n_first == 1 && settle->first[0] == number && settle->last[0] == number);
    AMQP_REPLY(&f, .count = 1);
}

static void expect_accepted(uint64_t consumer, uint64_t number)
{
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert_eq(settle->consumer, consumer);
    cr_assert_eq(settle->outcome, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    cr_assert(settle->n_first == 1 && settle->first[0] == number && settle->last[0] == number);
    AMQP_REPLY(&f, .count = 1);
}

static void ack(uint64_t tag, uint64_t consumer, uint64_t number)
{
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = tag);
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert_eq(settle->consumer, consumer);
    cr_assert_eq(settle->first[0], number);
    AMQP_REPLY(&f, .count = 1);
}

Test(amqp_qos, of_consumers_to_come)
{
    (void)consume(65535);
    qos(5, false);
    (void)consume(5);
    qos(0, false);
    (void)consume(65535);
    amqp_fixture_no_command(&f);
}

Test(amqp_qos, a_size)
{
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_size = 8192, .prefetch_count = 1);
    amqp_fixture_connection_closes(&f, AMQP_NOT_IMPLEMENTED, AMQP_basic_qos, "prefetch_size!=0 (8192)");
}

/* Both limits: of the consumer, and of all of them. */
Test(amqp_qos, shared_and_own)
{
    qos(5, false);
    qos(3, true);
    (void)consume(3);
    qos(7, false);
    qos(0, true);
    expect_credit(1, 5);
    (void)consume(7);
    qos(100, true);
    amqp_fixture_no_command(&f);
}

/* One consumer: the machine alone sees to it. */
Test(amqp_qos, shared_by_one)
{
    qos(2, true);
    uint64_t one = consume(2);
    deliver(one, 1);
    deliver(one, 2);
    take_delivery(1);
    take_delivery(2);
    ack(1, one, 1);
    deliver(one, 3);
    take_delivery(3);
    amqp_fixture_no_command(&f);
}

/* What is one too many goes back, as if it had not been delivered, and its consumer is stopped before. */
Test(amqp_qos, shared_by_two)
{
    qos(2, true);
    uint64_t one = consume(2);
    uint64_t two = consume(2);
    deliver(one, 1);
    take_delivery(1);
    amqp_fixture_no_command(&f);
    deliver(two, 1);
    deliver(two, 2); /* On its way while both are being stopped. */
    take_delivery(2);
    amqp_fixture_nothing(&f);
    expect_credit(one, 0);
    expect_credit(two, 0);
    expect_unseen(two, 2);
    amqp_fixture_no_command(&f);
    ack(1, one, 1); /* Room for one: */
    expect_credit(one, 1);
    expect_credit(two, 2);
    deliver(one, 2);
    take_delivery(3);
    expect_credit(two, 0); /* two has one out, and credit for another. */
    ack(3, one, 2);
    expect_credit(one, 0); /* Behind the other one. */
    expect_credit(two, 2);
    expect_credit(one, 1);
    ack(2, two, 1); /* Nothing is out: all have all of it again. */
    expect_credit(one, 0);
    expect_credit(one, 2);
    amqp_fixture_no_command(&f);
    deliver(two, 3);
    deliver(two, 4);
    take_delivery(4);
    take_delivery(5);
}

Test(amqp_qos, a_lower_limit_while_it_runs)
{
    qos(10, true);
    uint64_t one = consume(10);
    for (uint64_t i = 1; i <= 3; i++) {
        deliver(one, i);
        take_delivery(i);
    }
    qos(2, true);
    expect_credit(one, 2);
    deliver(one, 4); /* Made before the machine knew. */
    amqp_fixture_nothing(&f);
    expect_credit(one, 0);
    expect_unseen(one, 4);
    ack(1, one, 1);
    ack(2, one, 2);
    expect_credit(one, 2);
    deliver(one, 5);
    take_delivery(4);
    qos(0, true);
    expect_credit(one, 65535);
}

/* Deliveries that are not acknowledged do not count, but wait as well; fetches do neither. */
Test(amqp_qos, what_does_not_count)
{
    qos(1, true);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .no_ack = true);
    const Holdfast__Subscribe *subscribe = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe;
    uint64_t free = subscribe->consumer;
    cr_assert_eq(subscribe->credit, 1024u);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    uint64_t one = consume(1);
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"));
    uint64_t fetch = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f, .count = 1);
    deliver(fetch, 1);
    (void)AMQP_TAKE(&f, 1, basic_get_ok);
    (void)amqp_fixture_take_content(&f, 1);
    deliver(free, 1);
    take_delivery(2);
    expect_accepted(free, 1);
    deliver(free, 2);
    take_delivery(3);
    expect_accepted(free, 2);
    amqp_fixture_no_command(&f);
    deliver(one, 1);
    take_delivery(4);
    expect_credit(free, 0);
    deliver(free, 3);
    amqp_fixture_nothing(&f);
    expect_unseen(free, 3);
    ack(1, fetch, 1);
    amqp_fixture_no_command(&f);
    ack(4, one, 1);
    expect_credit(one, 0);
    expect_credit(free, 1024);
    expect_credit(one, 1);
    amqp_fixture_no_command(&f);
}

/* Of what is delivered in a turn, each consumer is given one before any is given two; who had one last is last. */
Test(amqp_qos, shared_fairly)
{
    qos(2, true);
    uint64_t consumers[3];
    for (unsigned i = 0; i < 3; i++) {
        consumers[i] = consume(2);
    }
    for (uint64_t number = 1; number <= 2; number++) {
        deliver(consumers[0], number);
    }
    deliver(consumers[1], 1);
    deliver(consumers[2], 1);
    take_delivery(1);
    take_delivery(2);
    amqp_fixture_nothing(&f);
    for (unsigned i = 0; i < 3; i++) {
        expect_credit(consumers[(i + 2) % 3], 0);
    }
    for (unsigned i = 0; i < 2; i++) { /* The third, and the second of the first one. */
        const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
        cr_assert(settle->not_counted);
        cr_assert_eq(settle->consumer, i == 0 ? consumers[2] : consumers[0]);
        cr_assert_eq(settle->first[0], i == 0 ? 1u : 2u);
        AMQP_REPLY(&f, .count = 1);
    }
    ack(1, consumers[0], 1);
    expect_credit(consumers[2], 1);
    expect_credit(consumers[0], 1);
    expect_credit(consumers[1], 2);
    deliver(consumers[0], 3); /* In the order of the machine; */
    deliver(consumers[2], 2);
    const struct amqp_basic_deliver *method = AMQP_TAKE(&f, 1, basic_deliver);
    cr_assert_eq(method->delivery_tag, 3u);
    (void)amqp_fixture_take_content(&f, 1);
    expect_credit(consumers[0], 0);
    expect_credit(consumers[1], 0);
    expect_unseen(consumers[0], 3); /* but the third is the one that waits. */
    amqp_fixture_nothing(&f);
}

/* What waits for the end of the turn goes with the channel, or its consumer. */
Test(amqp_qos, an_end_before_the_turn_is_over)
{
    qos(2, true);
    uint64_t one = consume(2);
    uint64_t two = consume(2);
    deliver(one, 1);
    deliver(two, 1);
    f.fake.sink.consumer_ended(f.fake.sink.arg, one, ERR_NOT_FOUND, "");
    (void)AMQP_TAKE(&f, 1, basic_cancel);
    take_delivery(1);
    amqp_fixture_nothing(&f);
    deliver(two, 2);
    take_delivery(2);
    one = consume(2);
    deliver(two, 3);
    AMQP_GIVE(&f, 1, channel_close);
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
}

/* Nothing is delivered after Cancel-Ok. */
Test(amqp_qos, cancelled_before_the_turn_is_over)
{
    qos(2, true);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("t"));
    uint64_t one = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    (void)consume(2);
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("t"));
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    amqp_fixture_turn(&f);
    deliver(one, 1);
    f.fake.sink.reply(f.fake.sink.arg, &(struct gateway_reply){
                                           .number = f.fake.numbers[f.commands_replied++], .detail = "", .count = 1});
    (void)AMQP_TAKE(&f, 1, basic_cancel_ok);
    amqp_fixture_nothing(&f);
    expect_unseen(one, 1);
}

/* What a consumer held whose queue has gone makes room for the others. */
Test(amqp_qos, a_consumer_that_ends)
{
    qos(1, true);
    uint64_t one = consume(1);
    uint64_t two = consume(1);
    deliver(one, 1);
    take_delivery(1);
    expect_credit(two, 0);
    f.fake.sink.consumer_ended(f.fake.sink.arg, one, ERR_NOT_FOUND, "");
    (void)AMQP_TAKE(&f, 1, basic_cancel);
    expect_credit(two, 1);
    deliver(two, 1);
    take_delivery(2);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1); /* Of the one that is gone. */
    (void)AMQP_COMMAND(&f, SETTLE);
    AMQP_REPLY(&f, .error = (uint32_t)-ERR_NOT_FOUND);
    deliver(two, 2); /* Still only one. */
    amqp_fixture_nothing(&f);
}
