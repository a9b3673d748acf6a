/* What basic.get has taken of a queue and is not settled is one consumer's. */

#include <criterion/criterion.h>
#include <xxhash.h>

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

TestSuite(amqp_get_more, .init = setup, .fini = teardown);

static const Holdfast__Subscribe *get(uint16_t channel, const char *queue)
{
    AMQP_GIVE(&f, channel, basic_get, .queue = amqp_text(queue));
    return AMQP_COMMAND(&f, SUBSCRIBE)->subscribe;
}

static void deliver(uint64_t consumer, uint64_t number)
{
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, "body");
    delivery.consumer = consumer;
    delivery.number = number;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
}

static void given(uint16_t channel, uint64_t consumer, uint64_t number, uint64_t tag)
{
    AMQP_REPLY(&f, .count = 1);
    deliver(consumer, number);
    cr_assert_eq(AMQP_TAKE(&f, channel, basic_get_ok)->delivery_tag, tag);
    (void)amqp_fixture_take_content(&f, channel);
}

static void ended(uint64_t consumer)
{
    f.fake.sink.consumer_ended(f.fake.sink.arg, consumer, 0, "");
}

static void is_more(const Holdfast__Subscribe *subscribe, uint64_t consumer)
{
    cr_assert(subscribe->fetch);
    cr_assert(subscribe->more);
    cr_assert_eq(subscribe->consumer, consumer);
    cr_assert_eq(subscribe->credit, 1u);
}

static void is_new(const Holdfast__Subscribe *subscribe, uint64_t consumer)
{
    cr_assert(subscribe->fetch);
    cr_assert_not(subscribe->more);
    cr_assert_eq(subscribe->consumer, consumer);
}

/* Ten of "q", as consumer 1. */
static void ten(void)
{
    is_new(get(1, "q"), 1);
    given(1, 1, 1, 1);
    for (uint64_t i = 2; i <= 10; i++) {
        is_more(get(1, "q"), 1);
        given(1, 1, i, i);
    }
}

Test(amqp_get_more, all_are_settled_with_one_command)
{
    ten();
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 10, .multiple = true);
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert_eq(settle->consumer, 1u);
    cr_assert_eq(settle->n_first, 1u);
    cr_assert(settle->first[0] == 1 && settle->last[0] == 10);
    AMQP_REPLY(&f, .count = 10);
    ended(1);
    is_new(get(1, "q"), 2);
}

/* It ends with what was settled, although that is not known here yet. */
Test(amqp_get_more, one_that_holds_nothing_more_is_not_asked)
{
    ten();
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 9, .multiple = true);
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, SETTLE);
    is_more(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe, 1);
    AMQP_REPLY(&f, .count = 9);
    given(1, 1, 11, 11);
    AMQP_GIVE(&f, 1, basic_reject, .delivery_tag = 10);
    AMQP_GIVE(&f, 1, basic_nack, .delivery_tag = 11, .requeue = false);
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"));
    (void)AMQP_COMMAND(&f, SETTLE);
    AMQP_REPLY(&f, .count = 2);
    amqp_fixture_turn(&f);
    is_new(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe, 2);
    ended(1);
    given(1, 2, 1, 12);
}

Test(amqp_get_more, each_queue_and_channel_has_its_own)
{
    amqp_fixture_channel(&f, 2);
    is_new(get(1, "q"), 1);
    given(1, 1, 1, 1);
    is_new(get(1, "p"), 2);
    given(1, 2, 1, 2);
    is_new(get(2, "q"), 3);
    given(2, 3, 1, 1);
    is_more(get(1, "q"), 1);
    given(1, 1, 2, 3);
    is_more(get(1, "p"), 2);
    given(1, 2, 2, 4);
    AMQP_GIVE(&f, 1, channel_close);
    cr_assert_eq(AMQP_COMMAND(&f, UNSUBSCRIBE)->unsubscribe->consumer, 1u);
    cr_assert_eq(AMQP_COMMAND(&f, UNSUBSCRIBE)->unsubscribe->consumer, 2u);
}

Test(amqp_get_more, what_is_not_acknowledged_is_apart)
{
    ten();
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"), .no_ack = true);
    const Holdfast__Subscribe *subscribe = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe;
    is_new(subscribe, 2);
    cr_assert(subscribe->auto_accept);
    deliver(2, 1);
    ended(2);
    AMQP_REPLY(&f, .count = 1);
    (void)AMQP_TAKE(&f, 1, basic_get_ok);
    (void)amqp_fixture_take_content(&f, 1);
    is_more(get(1, "q"), 1);
}

Test(amqp_get_more, an_empty_queue_does_not_end_it)
{
    ten();
    is_more(get(1, "q"), 1);
    AMQP_REPLY(&f, .count = 0);
    (void)AMQP_TAKE(&f, 1, basic_get_empty);
    cr_assert_not(f.held);
    is_more(get(1, "q"), 1);
    given(1, 1, 11, 11);
}

/* All that it held went back before the command was carried out. */
Test(amqp_get_more, when_it_has_ended_another_one_is_asked)
{
    for (unsigned told = 0; told < 2; told++) {
        uint64_t consumer = 1 + 2 * told;
        is_new(get(1, "q"), consumer);
        given(1, consumer, 1, 1 + 2 * told);
        is_more(get(1, "q"), consumer);
        if (told > 0) {
            ended(consumer);
        }
        AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
        amqp_fixture_turn(&f);
        is_new(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe, consumer + 1);
        amqp_fixture_nothing(&f);
        given(1, consumer + 1, 1, 2 + 2 * told);
        AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 2 + 2 * told, .multiple = true);
        amqp_fixture_turn(&f);
        (void)AMQP_COMMAND(&f, SETTLE);
        AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
        (void)AMQP_COMMAND(&f, SETTLE);
        AMQP_REPLY(&f, .count = 1);
    }
}

Test(amqp_get_more, when_the_queue_has_gone_the_channel_closes)
{
    ten();
    is_more(get(1, "q"), 1);
    ended(1);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    amqp_fixture_turn(&f);
    is_new(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe, 2);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_get, "no queue 'q' in vhost '/'");
}

Test(amqp_get_more, another_error_closes_the_channel)
{
    ten();
    is_more(get(1, "q"), 1);
    amqp_fixture_reply(&f,
                       (struct gateway_reply){.error = (uint32_t)-ERR_EXCLUSIVE,
                                              .detail = "the queue has a consumer, and one of the two is exclusive"});
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_basic_get, "queue 'q' in vhost '/' in exclusive use");
    cr_assert_eq(AMQP_COMMAND(&f, UNSUBSCRIBE)->unsubscribe->consumer, 1u);
}

/* It went back before the client could be given it, while others are held: nothing else says so. */
Test(amqp_get_more, a_message_whose_time_is_over_does_not_come)
{
    ten();
    is_more(get(1, "q"), 1);
    AMQP_REPLY(&f, .count = 1);
    f.fake.sink.lock_ended(f.fake.sink.arg, 1, 7 + 100);
    amqp_fixture_nothing(&f);
    cr_assert(f.held);
    f.fake.sink.lock_ended(f.fake.sink.arg, 1, 11);
    (void)AMQP_TAKE(&f, 1, basic_get_empty);
    cr_assert_not(f.held);
    is_more(get(1, "q"), 1);
    given(1, 1, 12, 11);
}

/* What a transaction settles is held until that is committed. */
Test(amqp_get_more, a_transaction_holds_until_it_is_committed)
{
    AMQP_GIVE(&f, 1, tx_select);
    (void)AMQP_TAKE(&f, 1, tx_select_ok);
    ten();
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 0, .multiple = true);
    is_more(get(1, "q"), 1);
    given(1, 1, 11, 11);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 11);
    AMQP_GIVE(&f, 1, tx_commit);
    const Holdfast__Transact *transact = AMQP_COMMAND(&f, TRANSACT)->transact;
    cr_assert_eq(transact->n_settle, 1u);
    cr_assert_eq(transact->settle[0]->n_first, 1u);
    AMQP_REPLY(&f, .count = 11);
    (void)AMQP_TAKE(&f, 1, tx_commit_ok);
    is_new(get(1, "q"), 2);
}

/* The limit that consumers share is not about what was got. */
Test(amqp_get_more, what_was_got_does_not_count_for_qos)
{
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 1, .global = true);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("c"));
    uint64_t consumer = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    is_new(get(1, "q"), 2);
    given(1, 2, 1, 1);
    is_more(get(1, "q"), 2);
    given(1, 2, 2, 2);
    deliver(consumer, 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_deliver)->delivery_tag, 3u);
    (void)amqp_fixture_take_content(&f, 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    AMQP_REPLY(&f, .count = 1);
    (void)AMQP_COMMAND(&f, SETTLE);
    ended(2); /* Its queue was deleted. */
    deliver(consumer, 2);
    cr_assert_eq(AMQP_COMMAND(&f, SET_CREDIT)->set_credit->credit, 0u);
    cr_assert_eq(AMQP_COMMAND(&f, SETTLE)->settle->consumer, consumer, "it is full, and this one goes back");
    amqp_fixture_nothing(&f);
}

/* A get whose command is looked at only when `look`. */
static void get_quickly(uint64_t consumer, uint64_t number, bool look)
{
    AMQP_GIVE(&f, 1, basic_get, .queue = amqp_text("q"));
    amqp_fixture_turn(&f);
    if (look && number == 1) {
        is_new(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe, consumer);
    } else if (look) {
        is_more(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe, consumer);
    } else {
        f.commands_read++;
    }
    AMQP_REPLY(&f, .count = 1);
    f.fake.sink.delivery(f.fake.sink.arg, &(struct gateway_delivery){
                                              .consumer = consumer, .number = number, .body_hash = XXH3_64bits("", 0)});
    amqp_fixture_turn(&f);
    cr_assert_gt(f.sent.len, f.read, "nothing was sent");
    f.read = f.sent.len;
}

/* As many as one consumer may hold, and then as another one. */
Test(amqp_get_more, sixty_five_thousand_and_more)
{
    for (uint64_t number = 1; number <= CREDIT_MAX; number++) {
        get_quickly(1, number, number <= 2 || number == CREDIT_MAX);
    }
    get_quickly(2, 1, true);
    get_quickly(2, 2, true);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = CREDIT_MAX + 2, .multiple = true);
    uint64_t settled = 0;
    unsigned commands = 0;
    while (settled < CREDIT_MAX) {
        const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
        cr_assert_eq(settle->consumer, 1u);
        cr_assert_eq(settle->n_first, 1u);
        cr_assert_eq(settle->first[0], settled + 1);
        settled = settle->last[0];
        commands++;
    }
    cr_assert_leq(commands, 40u);
    const Holdfast__Settle *settle = AMQP_COMMAND(&f, SETTLE)->settle;
    cr_assert(settle->consumer == 2 && settle->first[0] == 1 && settle->last[0] == 2);
}
