/* ack, nack, reject, recover: what they become. */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "amqp_fixture.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"

static struct amqp_fixture f;
static uint64_t last_number;

static uint64_t consume(uint16_t channel)
{
    AMQP_GIVE(&f, channel, basic_consume, .queue = amqp_text("q"));
    uint64_t number = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, channel, basic_consume_ok);
    return number;
}

static void setup(void)
{
    amqp_fixture_open(&f);
    last_number = 0;
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_settle, .init = setup, .fini = teardown);

/* So many messages, with numbers that follow; nobody looks at them. */
static void deliver(uint64_t consumer, unsigned len)
{
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, "body");
    delivery.consumer = consumer;
    for (unsigned i = 0; i < len; i++) {
        delivery.number = ++last_number;
        cr_assert(amqp_fixture_deliver(&f, &delivery));
    }
    amqp_fixture_turn(&f);
    f.read = f.sent.len;
}

static const Holdfast__Settle *settle(Holdfast__Settle__Outcome outcome)
{
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert_eq(settle->outcome, outcome);
    cr_assert_eq(settle->n_first, settle->n_last);
    cr_assert_not(settle->all);
    return settle;
}

static void expect_range(const Holdfast__Settle *settle, size_t i, uint64_t first, uint64_t last)
{
    cr_assert_lt(i, settle->n_first);
    cr_assert(settle->first[i] == first && settle->last[i] == last, "%u to %u, not %u to %u",
              (unsigned)settle->first[i], (unsigned)settle->last[i], (unsigned)first, (unsigned)last);
}

/* Those of a turn are one command. */
Test(amqp_settle, acks_gather)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 10);
    for (uint64_t tag = 1; tag <= 4; tag++) {
        AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = tag);
    }
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 8);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 7);
    cr_assert_eq(f.fake.commands, f.commands_read, "before the turn is over");
    const Holdfast__Settle *accept = settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    cr_assert_eq(accept->consumer, consumer);
    cr_assert_eq(accept->n_first, 2u);
    expect_range(accept, 0, 1, 4);
    expect_range(accept, 1, 7, 8);
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 6);
    amqp_fixture_nothing(&f);
}

Test(amqp_settle, multiple)
{
    uint64_t first = consume(1);
    uint64_t second = consume(1);
    deliver(first, 3); /* Tags 1 to 3, numbers as well. */
    deliver(second, 2);
    deliver(first, 1);
    AMQP_GIVE(&f, 1, basic_nack, .delivery_tag = 5, .multiple = true, .requeue = true);
    const Holdfast__Settle *release = settle(HOLDFAST__SETTLE__OUTCOME__RELEASE);
    cr_assert_eq(release->consumer, first);
    cr_assert_not(release->not_counted);
    cr_assert_not(release->has_delay, "the queue's own");
    cr_assert_eq(release->n_first, 1u);
    expect_range(release, 0, 1, 3);
    release = settle(HOLDFAST__SETTLE__OUTCOME__RELEASE);
    cr_assert_eq(release->consumer, second);
    expect_range(release, 0, 4, 5);
    amqp_fixture_no_command(&f);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 0, .multiple = true);
    expect_range(settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT), 0, 6, 6);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 0, .multiple = true);
    amqp_fixture_no_command(&f);
    amqp_fixture_nothing(&f);
}

Test(amqp_settle, outcomes)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 5);
    AMQP_GIVE(&f, 1, basic_reject, .delivery_tag = 1);
    AMQP_GIVE(&f, 1, basic_reject, .delivery_tag = 2, .requeue = true);
    AMQP_GIVE(&f, 1, basic_nack, .delivery_tag = 3);
    AMQP_GIVE(&f, 1, basic_nack, .delivery_tag = 4, .requeue = true);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 5);
    const Holdfast__Settle *reject = settle(HOLDFAST__SETTLE__OUTCOME__REJECT);
    expect_range(reject, 0, 1, 1);
    expect_range(reject, 1, 3, 3);
    const Holdfast__Settle *release = settle(HOLDFAST__SETTLE__OUTCOME__RELEASE);
    expect_range(release, 0, 2, 2);
    expect_range(release, 1, 4, 4);
    expect_range(settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT), 0, 5, 5);
    amqp_fixture_no_command(&f);
}

/* What is about a queue comes to it after what was settled before. */
Test(amqp_settle, before_the_next_command)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    AMQP_GIVE(&f, 1, queue_purge, .queue = amqp_text("q"));
    expect_range(settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT), 0, 1, 1);
    (void)AMQP_COMMAND(&f, PURGE_QUEUE);
}

Test(amqp_settle, an_unknown_tag)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 2);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 2); /* The channel is closed by then. */
    expect_range(settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT), 0, 1, 1);
    cr_assert_eq(AMQP_COMMAND(&f, UNSUBSCRIBE)->unsubscribe->consumer, consumer);
    amqp_fixture_no_command(&f);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_ack, "unknown delivery tag 1");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, basic_nack, .delivery_tag = 2, .requeue = true);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_nack, "unknown delivery tag 2");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, basic_reject, .delivery_tag = 0);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_reject, "unknown delivery tag 0");
}

Test(amqp_settle, tags_are_of_a_channel)
{
    amqp_fixture_channel(&f, 2);
    uint64_t one = consume(1);
    uint64_t two = consume(2);
    deliver(one, 1);
    deliver(two, 1);
    AMQP_GIVE(&f, 2, basic_ack, .delivery_tag = 1);
    cr_assert_eq(settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT)->consumer, two);
    AMQP_GIVE(&f, 2, basic_ack, .delivery_tag = 2);
    amqp_fixture_channel_closes(&f, 2, AMQP_PRECONDITION_FAILED, AMQP_basic_ack, "unknown delivery tag 2");
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    cr_assert_eq(settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT)->consumer, one);
}

/* The machine takes so many that go back with one command. */
Test(amqp_settle, many_are_several_commands)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 5000);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 10); /* That ranges are cut in the middle. */
    expect_range(settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT), 0, 10, 10);
    AMQP_GIVE(&f, 1, basic_nack, .delivery_tag = 5000, .multiple = true, .requeue = true);
    const Holdfast__Settle *release = settle(HOLDFAST__SETTLE__OUTCOME__RELEASE);
    expect_range(release, 0, 1, 9);
    expect_range(release, 1, 11, 2049);
    cr_assert_eq(release->n_first, 2u);
    release = settle(HOLDFAST__SETTLE__OUTCOME__RELEASE);
    expect_range(release, 0, 2050, 4097);
    release = settle(HOLDFAST__SETTLE__OUTCOME__RELEASE);
    expect_range(release, 0, 4098, 5000);
    amqp_fixture_no_command(&f);
}

/* Each a range of its own. */
Test(amqp_settle, many_ranges_are_several_commands)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 5000);
    for (uint64_t tag = 1; tag <= 5000; tag += 2) {
        AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = tag);
    }
    const Holdfast__Settle *first = settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    const Holdfast__Settle *second = settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    amqp_fixture_no_command(&f);
    cr_assert_leq(first->n_first, SETTLE_RANGES_MAX);
    cr_assert_eq(first->n_first + second->n_first, 2500u);
    for (size_t i = 0; i < 2500; i++) {
        const Holdfast__Settle *part = i < first->n_first ? first : second;
        expect_range(part, i < first->n_first ? i : i - first->n_first, 2 * i + 1, 2 * i + 1);
    }
}

/* In any order, over turns: each exactly once, and with the outcome that was asked for. */
Test(amqp_settle, each_once)
{
    enum { LEN = 300 };
    static Holdfast__Settle__Outcome asked[LEN + 1];
    static bool seen[LEN + 1];
    unsigned random = 7;
    uint64_t consumer = consume(1);
    deliver(consumer, LEN);
    uint64_t order[LEN];
    for (unsigned i = 0; i < LEN; i++) {
        order[i] = i + 1;
    }
    for (unsigned i = LEN - 1; i > 0; i--) {
        unsigned j = (unsigned)rand_r(&random) % (i + 1);
        uint64_t other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    for (unsigned i = 0; i < LEN; i++) {
        asked[order[i]] = (Holdfast__Settle__Outcome)(rand_r(&random) % 3);
        if (asked[order[i]] == HOLDFAST__SETTLE__OUTCOME__ACCEPT) {
            AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = order[i]);
        } else {
            AMQP_GIVE(&f, 1, basic_reject, .delivery_tag = order[i],
                      .requeue = asked[order[i]] == HOLDFAST__SETTLE__OUTCOME__RELEASE);
        }
        if (rand_r(&random) % 20 == 0) {
            amqp_fixture_turn(&f);
        }
    }
    amqp_fixture_turn(&f);
    while (f.commands_read < f.fake.commands) {
        const Holdfast__Settle *part = AMQP_COMMAND(&f, SETTLE)->settle;
        for (size_t i = 0; i < part->n_first; i++) {
            for (uint64_t number = part->first[i]; number <= part->last[i]; number++) {
                cr_assert_not(seen[number]);
                cr_assert_eq(part->outcome, asked[number]);
                seen[number] = true;
            }
        }
    }
    for (unsigned i = 1; i <= LEN; i++) {
        cr_assert(seen[i]);
    }
}

/* ---- Recover ---- */

Test(amqp_settle, recover)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 3);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 2);
    AMQP_GIVE(&f, 1, basic_recover, .requeue = true);
    expect_range(settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT), 0, 2, 2);
    const Holdfast__Settle *release = settle(HOLDFAST__SETTLE__OUTCOME__RELEASE);
    expect_range(release, 0, 1, 1);
    expect_range(release, 1, 3, 3);
    cr_assert_not(release->not_counted);
    AMQP_REPLY(&f, .count = 1);
    amqp_fixture_nothing(&f);
    AMQP_REPLY(&f, .count = 2);
    (void)AMQP_TAKE(&f, 1, basic_recover_ok);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_ack, "unknown delivery tag 1");
}

/* Only when the last of them is answered. */
Test(amqp_settle, recover_of_many)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 5000);
    AMQP_GIVE(&f, 1, basic_recover, .requeue = true);
    for (unsigned i = 0; i < 3; i++) {
        (void)settle(HOLDFAST__SETTLE__OUTCOME__RELEASE);
        amqp_fixture_nothing(&f);
        AMQP_REPLY(&f);
    }
    (void)AMQP_TAKE(&f, 1, basic_recover_ok);
    amqp_fixture_no_command(&f);
}

Test(amqp_settle, recover_of_none)
{
    AMQP_GIVE(&f, 1, basic_recover, .requeue = true);
    (void)AMQP_TAKE(&f, 1, basic_recover_ok);
    AMQP_GIVE(&f, 1, basic_recover_async, .requeue = true);
    amqp_fixture_nothing(&f);
    uint64_t consumer = consume(1);
    deliver(consumer, 1);
    AMQP_GIVE(&f, 1, basic_recover_async, .requeue = true);
    expect_range(settle(HOLDFAST__SETTLE__OUTCOME__RELEASE), 0, 1, 1);
    AMQP_REPLY(&f);
    amqp_fixture_nothing(&f);
}

Test(amqp_settle, recover_without_requeueing)
{
    AMQP_GIVE(&f, 1, basic_recover, .requeue = false);
    amqp_fixture_connection_closes(&f, AMQP_NOT_IMPLEMENTED, AMQP_basic_recover, "requeue=false");
}

/* That cannot be: but when it is refused, the client must not think that it was done. */
Test(amqp_settle, a_settlement_that_is_refused)
{
    uint64_t consumer = consume(1);
    deliver(consumer, 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    (void)settle(HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    AMQP_REPLY(&f, .error = (uint32_t)-ERR_INVALID);
    amqp_fixture_connection_closes(&f, AMQP_INTERNAL_ERROR, 0, "malformed");
}

/* ---- Without memory ---- */

/* Whether all was done although an allocation failed, the nth from the first delivery on; else the client is told. */
static bool lives_without(uint64_t nth)
{
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 1, .global = true);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    uint64_t one = consume(1);
    uint64_t two = consume(1);
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, "body");
    delivery.number = 1;
    fault_set_nth(FAULT_ALLOCATION, nth);
    delivery.consumer = one;
    (void)amqp_fixture_deliver(&f, &delivery);
    delivery.consumer = two;
    (void)amqp_fixture_deliver(&f, &delivery); /* One too many: it goes back, */
    amqp_fixture_turn(&f);
    f.fake.sink.lock_ended(f.fake.sink.arg, one, 1); /* as do both, with their channel. */
    amqp_fixture_turn(&f);
    fault_reset();
    amqp_fixture_turn(&f);
    bool all = f.fake.commands == f.commands_read + 4;
    if (!all && f.closes == 0) {
        f.read = f.sent.len - AMQP_FRAME_COST - 4; /* What was said last: */
        while (f.read > 0 && f.sent.data[f.read - 1] != AMQP_FRAME_END) {
            f.read--;
        }
        cr_assert_eq(AMQP_TAKE(&f, 0, connection_close)->reply_code, AMQP_RESOURCE_ERROR);
    }
    amqp_fixture_close(&f);
    return all;
}

Test(amqp_settle_memory, an_allocation_that_fails)
{
    unsigned failed = 0;
    bool lives = false;
    for (uint64_t nth = 0; nth < 20 && !lives; nth++) {
        lives = lives_without(nth);
        failed += !lives;
    }
    cr_assert(lives);
    cr_assert_geq(failed, 4u, "%u", failed);
}
