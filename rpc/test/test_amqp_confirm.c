/* Confirms: which numbers are told, and in how few methods. */

#include "amqp_publish_fixture.h"

static void open_confirming(struct amqp_fixture *f)
{
    amqp_fixture_open(f);
    AMQP_GIVE(f, 1, confirm_select);
    (void)AMQP_TAKE(f, 1, confirm_select_ok);
}

static void publish(struct amqp_fixture *f, uint16_t channel, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        give_message(f, channel, "", "q", NULL, "message");
    }
    amqp_fixture_turn(f);
}

static void acks(struct amqp_fixture *f, uint64_t tag, bool multiple)
{
    const struct amqp_basic_ack *ack = AMQP_TAKE(f, 1, basic_ack);
    cr_assert_eq(ack->delivery_tag, tag);
    cr_assert_eq(ack->multiple, multiple);
}

static void nacks(struct amqp_fixture *f, uint64_t tag, bool multiple)
{
    const struct amqp_basic_nack *nack = AMQP_TAKE(f, 1, basic_nack);
    cr_assert_eq(nack->delivery_tag, tag);
    cr_assert_eq(nack->multiple, multiple);
    cr_assert_not(nack->requeue);
}

Test(amqp_confirm, one_method_for_many)
{
    struct amqp_fixture f;
    open_confirming(&f);
    publish(&f, 1, 1);
    AMQP_REPLY(&f, .count = 1);
    acks(&f, 1, false);
    publish(&f, 1, 300);
    AMQP_REPLY(&f, .count = 256);
    f.fake.sink.reply(f.fake.sink.arg, &(struct gateway_reply){.number = f.fake.numbers[2], .count = 44});
    acks(&f, 301, true);
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

Test(amqp_confirm, without_being_selected_there_are_none)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    publish(&f, 1, 2);
    AMQP_REPLY(&f, .count = 2);
    amqp_fixture_nothing(&f);
    AMQP_GIVE(&f, 1, confirm_select, .no_wait = true);
    publish(&f, 1, 1);
    AMQP_REPLY(&f, .count = 1);
    acks(&f, 1, false);
    amqp_fixture_close(&f);
}

Test(amqp_confirm, what_was_refused_is_told_in_between)
{
    struct amqp_fixture f;
    open_confirming(&f);
    publish(&f, 1, 10);
    /* 3, 4, 5 and 10. */
    AMQP_REPLY(&f, .count = 6, .refused = {.data = (const uint8_t *)"\x1c\x02", .len = 2});
    acks(&f, 2, true);
    nacks(&f, 5, true);
    acks(&f, 9, true);
    nacks(&f, 10, false);
    amqp_fixture_close(&f);
}

/* Those that were refused together are tried again behind what was published after them. */
Test(amqp_confirm, what_is_answered_out_of_order_is_told_one_by_one)
{
    struct amqp_fixture f;
    open_confirming(&f);
    publish(&f, 1, 2);
    publish(&f, 1, 3);
    AMQP_REPLY(&f, .error = -ERR_LIMIT);
    AMQP_REPLY(&f, .count = 3);
    acks(&f, 3, false);
    acks(&f, 4, false);
    acks(&f, 5, false);
    publish(&f, 1, 1);
    AMQP_REPLY(&f, .count = 1);
    acks(&f, 1, false);
    AMQP_REPLY(&f, .count = 1);
    acks(&f, 2, false);
    AMQP_REPLY(&f, .count = 1);
    acks(&f, 6, false);
    publish(&f, 1, 2);
    AMQP_REPLY(&f, .count = 2);
    acks(&f, 8, true);
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

Test(amqp_confirm, each_channel_counts_its_own)
{
    struct amqp_fixture f;
    open_confirming(&f);
    amqp_fixture_channel(&f, 2);
    AMQP_GIVE(&f, 2, confirm_select);
    (void)AMQP_TAKE(&f, 2, confirm_select_ok);
    for (unsigned i = 0; i < 3; i++) {
        give_message(&f, 1, "", "q", NULL, "message");
        give_message(&f, 2, "", "q", NULL, "message");
    }
    amqp_fixture_turn(&f);
    AMQP_REPLY(&f, .count = 6);
    acks(&f, 3, true);
    const struct amqp_basic_ack *ack = AMQP_TAKE(&f, 2, basic_ack);
    cr_assert_eq(ack->delivery_tag, 3u);
    cr_assert(ack->multiple);
    amqp_fixture_close(&f);
}

Test(amqp_confirm, a_channel_that_is_closed_is_told_nothing)
{
    struct amqp_fixture f;
    open_confirming(&f);
    publish(&f, 1, 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 7);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_ack, "unknown delivery tag 7");
    amqp_fixture_channel(&f, 1);
    AMQP_REPLY(&f, .count = 1);
    amqp_fixture_nothing(&f);
    amqp_fixture_close(&f);
}

Test(amqp_confirm, what_was_confirmed_is_said_before_a_channel_closes)
{
    struct amqp_fixture f;
    open_confirming(&f);
    publish(&f, 1, 2);
    f.fake.sink.reply(f.fake.sink.arg, &(struct gateway_reply){.number = f.fake.numbers[0], .count = 2});
    AMQP_GIVE(&f, 1, tx_select);
    acks(&f, 2, true);
    (void)AMQP_TAKE(&f, 1, channel_close);
    amqp_fixture_close(&f);
}
