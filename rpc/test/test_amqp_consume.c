/* basic.consume, basic.cancel, and the ends of subscriptions. */

#include <criterion/criterion.h>
#include <string.h>

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

TestSuite(amqp_consume, .init = setup, .fini = teardown);

#define IN_EXCLUSIVE_USE "the queue has a consumer, and one of the two is exclusive"

/* Consumes from queue "q" on channel 1; gives the number of the consumer. */
static uint64_t consume(const char *tag)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text(tag));
    uint64_t number = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f);
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, basic_consume_ok)->consumer_tag, tag));
    return number;
}

static void deliver(uint64_t consumer, uint64_t number)
{
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, "body");
    delivery.consumer = consumer;
    delivery.number = number;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
}

static uint64_t take_delivery(const char *tag)
{
    const struct amqp_basic_deliver *method = AMQP_TAKE(&f, 1, basic_deliver);
    cr_assert(amqp_fixture_is(method->consumer_tag, tag));
    (void)amqp_fixture_take_content(&f, 1);
    return method->delivery_tag;
}

Test(amqp_consume, what_is_asked_for)
{
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 17);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("t"), .exclusive = true,
              .arguments = amqp_fixture_table(&f, "x-priority", 'I', 5, NULL));
    const Holdfast__Subscribe *subscribe = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe;
    cr_assert_str_eq(subscribe->queue, "q");
    cr_assert_str_eq(subscribe->tag, "t");
    cr_assert_eq(subscribe->credit, 17u);
    cr_assert_eq(subscribe->priority, 5);
    cr_assert(subscribe->exclusive);
    cr_assert_not(subscribe->auto_accept);
    cr_assert_not(subscribe->fetch);
    amqp_fixture_nothing(&f);
    AMQP_REPLY(&f);
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, basic_consume_ok)->consumer_tag, "t"));
}

Test(amqp_consume, without_acknowledgements_and_limit)
{
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 17);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .no_ack = true, .no_wait = true,
              .consumer_tag = amqp_text("t"));
    const Holdfast__Subscribe *subscribe = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe;
    cr_assert_not(subscribe->auto_accept, "then it could not wait for a client that does not read");
    cr_assert_eq(subscribe->credit, 1024u);
    AMQP_REPLY(&f);
    amqp_fixture_nothing(&f);
    deliver(subscribe->consumer, 1);
    deliver(subscribe->consumer, 2);
    cr_assert_eq(take_delivery("t"), 1u);
    cr_assert_eq(take_delivery("t"), 2u);
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle; /* As they were sent. */
    cr_assert_eq(settle->consumer, subscribe->consumer);
    cr_assert_eq(settle->outcome, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    cr_assert(settle->n_first == 1 && settle->first[0] == 1 && settle->last[0] == 2);
    AMQP_REPLY(&f, .count = 2);
    amqp_fixture_no_command(&f);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_ack, "unknown delivery tag 1");
}

Test(amqp_consume, a_tag_is_made_up)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
    AMQP_REPLY(&f);
    struct amqp_bytes first = AMQP_TAKE(&f, 1, basic_consume_ok)->consumer_tag;
    cr_assert(first.len > 20 && memcmp(first.data, "amq.ctag-", 9) == 0);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
    AMQP_REPLY(&f);
    struct amqp_bytes second = AMQP_TAKE(&f, 1, basic_consume_ok)->consumer_tag;
    cr_assert(second.len == first.len && memcmp(first.data, second.data, first.len) != 0);
}

Test(amqp_consume, nothing_is_looked_at_until_it_is_answered)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("t"));
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 1);
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
    amqp_fixture_nothing(&f);
    cr_assert(f.held);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    cr_assert_not(f.held);
}

Test(amqp_consume, a_tag_that_is_taken)
{
    (void)consume("t");
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("other"), .consumer_tag = amqp_text("t"));
    amqp_fixture_connection_closes(&f, AMQP_NOT_ALLOWED, AMQP_basic_consume, "attempt to reuse consumer tag 't'");
    amqp_fixture_no_command(&f);
}

Test(amqp_consume, tags_are_of_a_channel)
{
    (void)consume("t");
    amqp_fixture_channel(&f, 2);
    AMQP_GIVE(&f, 2, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("t"));
    cr_assert_eq(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer, 2u);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 2, basic_consume_ok);
}

/* ---- Refused ---- */

static void refuse(int err, const char *detail)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("t"));
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
    amqp_fixture_reply(&f, (struct gateway_reply){.error = (uint32_t)-err, .detail = detail});
}

Test(amqp_consume, no_such_queue)
{
    refuse(ERR_NOT_FOUND, "no such queue");
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_consume, "no queue 'q' in vhost '/'");
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    AMQP_REPLY(&f);
    amqp_fixture_channel(&f, 1); /* The connection goes on. */
    (void)consume("t");
}

Test(amqp_consume, in_exclusive_use)
{
    refuse(ERR_EXCLUSIVE, IN_EXCLUSIVE_USE);
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_basic_consume,
                                "queue 'q' in vhost '/' in exclusive use");
}

Test(amqp_consume, of_another_connection)
{
    refuse(ERR_EXCLUSIVE, "the queue belongs to another session");
    amqp_fixture_channel_closes(
        &f, 1, AMQP_RESOURCE_LOCKED, AMQP_basic_consume,
        "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally "
        "declared on another connection or the exclusive property value does not match that of "
        "the original declaration.");
}

Test(amqp_consume, arguments_that_are_none)
{
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"),
              .arguments = amqp_fixture_table(&f, "x-priority", 'S', "high", NULL));
    amqp_fixture_channel_closes(
        &f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_consume,
        "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"),
              .arguments = amqp_fixture_table(&f, "x-cancel-on-ha-failover", 'l', (int64_t)1, NULL));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_consume,
                                "invalid arg 'x-cancel-on-ha-failover' for queue 'q' in vhost '/': "
                                "{unacceptable_type,long}");
    amqp_fixture_no_command(&f);
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"),
              .arguments = amqp_fixture_table(&f, "x-cancel-on-ha-failover", 't', 1, NULL));
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
}

/* There are no streams; of a queue that is not there nothing else is said than that. */
Test(amqp_consume, where_to_begin_in_a_stream)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    struct gateway_queue queue = {.name = "q", .options = &options};
    char quorum[] = "AMQP: durable, quorum";
    f.fake.queue_is = &queue;
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"),
              .arguments = amqp_fixture_table(&f, "x-stream-offset", 'S', "first", NULL));
    amqp_fixture_channel_closes(
        &f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_consume,
        "invalid arg 'x-stream-offset' for queue 'q' in vhost '/' of queue type rabbit_classic_queue");
    options.note = quorum;
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"),
              .arguments = amqp_fixture_table(&f, "x-stream-offset", 'l', (int64_t)7, NULL));
    amqp_fixture_channel_closes(
        &f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_consume,
        "invalid arg 'x-stream-offset' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue");
    amqp_fixture_no_command(&f);
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("p"),
              .arguments = amqp_fixture_table(&f, "x-stream-offset", 'l', (int64_t)7, NULL));
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_consume, "no queue 'p' in vhost '/'");
}

Test(amqp_consume, priorities_of_all_integers)
{
    const struct {
        char type;
        int value;
    } priorities[] = {{'b', -1}, {'s', -300}, {'I', -70000}, {'B', 200}, {'u', 60000}, {'i', 70000}};
    for (size_t i = 0; i < sizeof priorities / sizeof priorities[0]; i++) {
        AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"),
                  .arguments = amqp_fixture_table(&f, "x-priority", priorities[i].type, priorities[i].value, NULL));
        cr_assert_eq(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->priority, priorities[i].value);
        AMQP_REPLY(&f);
        (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    }
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"),
              .arguments = amqp_fixture_table(&f, "x-priority", 'l', INT64_MAX, NULL));
    cr_assert_eq(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->priority, INT32_MAX);
}

/* ---- Cancelling ---- */

Test(amqp_consume, cancel_of_an_idle_one)
{
    uint64_t number = consume("t");
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("t"));
    const Holdfast__Unsubscribe *unsubscribe = AMQP_COMMAND(&f, UNSUBSCRIBE)->unsubscribe;
    cr_assert_eq(unsubscribe->consumer, number);
    cr_assert(unsubscribe->drain);
    amqp_fixture_nothing(&f);
    f.fake.sink.consumer_ended(f.fake.sink.arg, number, 0, "");
    AMQP_REPLY(&f, .count = 0);
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, basic_cancel_ok)->consumer_tag, "t"));
    amqp_fixture_nothing(&f);
    cr_assert_neq(consume("t"), number, "the tag can be had again");
}

/* It is over with the reply: whatever comes for it is nobody's. */
Test(amqp_consume, cancel_of_one_that_holds_nothing)
{
    uint64_t number = consume("t");
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("t"));
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    AMQP_REPLY(&f, .count = 0);
    (void)AMQP_TAKE(&f, 1, basic_cancel_ok);
    deliver(number, 1);
    amqp_fixture_no_command(&f);
    amqp_fixture_nothing(&f);
}

Test(amqp_consume, cancel_keeps_what_is_out)
{
    uint64_t number = consume("t");
    deliver(number, 1);
    cr_assert_eq(take_delivery("t"), 1u);
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("t"));
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    deliver(number, 2); /* On its way still. */
    AMQP_REPLY(&f, .count = 3);
    cr_assert_eq(take_delivery("t"), 2u);
    (void)AMQP_TAKE(&f, 1, basic_cancel_ok);
    deliver(number, 3); /* Too late: it goes back as if nobody had seen it. */
    amqp_fixture_nothing(&f);
    const Holdfast__Settle *unseen = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert_eq(unseen->outcome, HOLDFAST__SETTLE__OUTCOME__RELEASE);
    cr_assert(unseen->not_counted && unseen->has_delay && unseen->delay_ms == 0);
    cr_assert_eq(unseen->first[0], 3u);
    AMQP_REPLY(&f, .count = 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 2, .multiple = true);
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert_eq(settle->consumer, number);
    cr_assert(settle->n_first == 1 && settle->first[0] == 1 && settle->last[0] == 2);
    f.fake.sink.consumer_ended(f.fake.sink.arg, number, 0, "");
    AMQP_REPLY(&f, .count = 2);
    amqp_fixture_nothing(&f);
}

Test(amqp_consume, cancel_without_waiting)
{
    (void)consume("t");
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("t"), .no_wait = true);
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("t"));
    (void)AMQP_COMMAND(&f, SUBSCRIBE);
    AMQP_REPLY(&f);
    amqp_fixture_nothing(&f);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
}

Test(amqp_consume, cancel_of_an_unknown_one)
{
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("what"));
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, basic_cancel_ok)->consumer_tag, "what"));
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("what"), .no_wait = true);
    amqp_fixture_nothing(&f);
    amqp_fixture_no_command(&f);
}

/* ---- Ends ---- */

Test(amqp_consume, the_queue_goes)
{
    uint64_t number = consume("t");
    deliver(number, 1);
    (void)take_delivery("t");
    f.fake.sink.consumer_ended(f.fake.sink.arg, number, ERR_NOT_FOUND, "its queue was deleted");
    const struct amqp_basic_cancel *cancel = AMQP_TAKE(&f, 1, basic_cancel);
    cr_assert(amqp_fixture_is(cancel->consumer_tag, "t"));
    cr_assert(cancel->no_wait);
    AMQP_GIVE(&f, 1, basic_cancel_ok, .consumer_tag = amqp_text("t"));
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1); /* Too late, and no error. */
    (void)AMQP_COMMAND(&f, SETTLE);
    AMQP_REPLY(&f, .error = (uint32_t)-ERR_NOT_FOUND);
    amqp_fixture_nothing(&f);
    (void)consume("t");
}

Test(amqp_consume, the_queue_goes_while_it_is_cancelled)
{
    uint64_t number = consume("t");
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("t"));
    (void)AMQP_COMMAND(&f, UNSUBSCRIBE);
    f.fake.sink.consumer_ended(f.fake.sink.arg, number, ERR_NOT_FOUND, "its queue was deleted");
    AMQP_REPLY(&f, .error = (uint32_t)-ERR_NOT_FOUND);
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, basic_cancel_ok)->consumer_tag, "t"));
    amqp_fixture_nothing(&f);
}

Test(amqp_consume, a_lock_that_is_over)
{
    uint64_t number = consume("t");
    deliver(number, 1);
    deliver(number, 2);
    (void)take_delivery("t");
    (void)take_delivery("t");
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    (void)AMQP_COMMAND(&f, SETTLE);
    AMQP_REPLY(&f, .count = 1);
    f.fake.sink.lock_ended(f.fake.sink.arg, number, 1);
    f.fake.sink.lock_ended(f.fake.sink.arg, number, 3);
    amqp_fixture_nothing(&f); /* It has been settled; the client has never had it. */
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.lock_ms = 1500;
    f.fake.queue_is = &(struct gateway_queue){.name = "q", .options = &options};
    f.fake.sink.lock_ended(f.fake.sink.arg, number, 2);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, 0,
                                "delivery acknowledgement on channel 1 timed out. Timeout value used: 1500 ms. This "
                                "timeout value can be configured, see consumers doc guide to learn more");
    cr_assert_not(AMQP_COMMAND(&f, UNSUBSCRIBE)->unsubscribe->drain);
}

Test(amqp_consume, with_its_channel)
{
    uint64_t number = consume("t");
    deliver(number, 1);
    (void)take_delivery("t");
    AMQP_GIVE(&f, 1, channel_close);
    const Holdfast__Unsubscribe *unsubscribe = AMQP_COMMAND(&f, UNSUBSCRIBE)->unsubscribe;
    cr_assert_eq(unsubscribe->consumer, number);
    cr_assert_not(unsubscribe->drain, "what it holds goes back at once");
    deliver(number, 2);
    f.fake.sink.consumer_ended(f.fake.sink.arg, number, ERR_NOT_FOUND, "");
    AMQP_REPLY(&f);
    amqp_fixture_turn(&f);
    (void)amqp_fixture_command(&f, HOLDFAST__COMMAND__KIND_SET_CREDIT); /* That nothing is left unanswered. */
    AMQP_REPLY(&f, .error = (uint32_t)-ERR_NOT_FOUND);
    (void)AMQP_TAKE(&f, 1, channel_close_ok);
    amqp_fixture_nothing(&f);
}

Test(amqp_consume, with_the_connection)
{
    uint64_t number = consume("t");
    deliver(number, 1);
    (void)take_delivery("t");
    amqp_fixture_leave(&f);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    deliver(number, 2);
    f.fake.sink.consumer_ended(f.fake.sink.arg, number, 0, "");
    f.fake.sink.lock_ended(f.fake.sink.arg, number, 1);
}

/* A client that has not said that it knows what Cancel from here means. */
Test(amqp_consume_unaware, the_queue_goes, .init = NULL, .fini = teardown)
{
    amqp_fixture_new(&f, NULL);
    amqp_fixture_shake_hands(&f, amqp_fixture_table(&f, "product", 'S', "old", NULL));
    amqp_fixture_channel(&f, 1);
    uint64_t number = consume("t");
    f.fake.sink.consumer_ended(f.fake.sink.arg, number, ERR_NOT_FOUND, "its queue was deleted");
    amqp_fixture_nothing(&f);
    (void)consume("t");
}
