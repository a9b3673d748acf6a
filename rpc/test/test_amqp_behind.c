/* What is answered without asking the cluster is answered behind what was published before it. */

#include "amqp_publish_fixture.h"

static struct amqp_fixture f;

static void setup(void)
{
    amqp_fixture_open(&f);
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_behind, .init = setup, .fini = teardown);

static void confirm_select(uint16_t channel)
{
    AMQP_GIVE(&f, channel, confirm_select);
    (void)AMQP_TAKE(&f, channel, confirm_select_ok);
}

/* The one message that was published on channel 1 comes back, and is confirmed. */
static void comes_back(bool confirmed)
{
    amqp_fixture_nothing(&f);
    cr_assert(f.held, "nothing more is read until then");
    (void)take_publish(&f);
    AMQP_REPLY(&f, .count = 1, .unrouted = {.data = (const uint8_t *)"\x01", .len = 1});
    (void)AMQP_TAKE(&f, 1, basic_return);
    (void)amqp_fixture_take_content(&f, 1);
    if (confirmed) {
        cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 1u);
    }
}

static void ends(void)
{
    amqp_fixture_nothing(&f);
    amqp_fixture_no_command(&f);
    cr_assert_not(f.held);
}

Test(amqp_behind, qos)
{
    confirm_select(1);
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 7);
    comes_back(true);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    ends();
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"));
    cr_assert_eq(AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->credit, 7u);
}

Test(amqp_behind, flow)
{
    confirm_select(1);
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, channel_flow, .active = true);
    comes_back(true);
    cr_assert(AMQP_TAKE(&f, 1, channel_flow_ok)->active);
    ends();
}

Test(amqp_behind, confirm_select)
{
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, confirm_select);
    comes_back(false);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
    ends();
}

Test(amqp_behind, tx_select_and_its_error)
{
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, tx_select);
    comes_back(false);
    (void)AMQP_TAKE(&f, 1, tx_select_ok);
    ends();
    amqp_fixture_channel(&f, 2);
    confirm_select(2);
    give_message(&f, 2, "", "q", NULL, "one");
    AMQP_GIVE(&f, 2, tx_select);
    amqp_fixture_nothing(&f);
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 2, basic_ack)->delivery_tag, 1u);
    amqp_fixture_channel_closes(&f, 2, AMQP_PRECONDITION_FAILED, AMQP_tx_select,
                                "cannot switch from confirm to tx mode");
}

Test(amqp_behind, recover_of_nothing)
{
    confirm_select(1);
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, basic_recover, .requeue = true);
    comes_back(true);
    (void)AMQP_TAKE(&f, 1, basic_recover_ok);
    ends();
}

Test(amqp_behind, cancel_of_nobody)
{
    confirm_select(1);
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, basic_cancel, .consumer_tag = amqp_text("nobody"));
    comes_back(true);
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, basic_cancel_ok)->consumer_tag, "nobody"));
    ends();
}

/* What was sent behind them has its turn after them. */
Test(amqp_behind, order_is_kept)
{
    amqp_fixture_channel(&f, 2);
    confirm_select(1);
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 1);
    AMQP_GIVE(&f, 2, basic_qos, .prefetch_count = 1);
    AMQP_GIVE(&f, 1, channel_flow, .active = true);
    give_message(&f, 1, "", "q", NULL, "two");
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 2);
    AMQP_GIVE(&f, 2, channel_flow, .active = true);
    comes_back(true);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    (void)AMQP_TAKE(&f, 2, basic_qos_ok);
    (void)AMQP_TAKE(&f, 1, channel_flow_ok);
    amqp_fixture_nothing(&f);
    cr_assert(published_is(&f, take_publish(&f), 0, "two"));
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 2u);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    (void)AMQP_TAKE(&f, 2, channel_flow_ok);
    ends();
}

Test(amqp_behind, other_channels_do_not_wait)
{
    amqp_fixture_channel(&f, 2);
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 2, basic_qos, .prefetch_count = 1);
    (void)AMQP_TAKE(&f, 2, basic_qos_ok);
    AMQP_GIVE(&f, 2, tx_select);
    (void)AMQP_TAKE(&f, 2, tx_select_ok);
    cr_assert_not(f.held);
}

/* A message that waits until the cluster takes some is waited for as well. */
Test(amqp_behind, what_the_cluster_has_no_room_for_is_waited_for)
{
    confirm_select(1);
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 1);
    (void)take_publish(&f);
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    comes_back(true);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    ends();
}

Test(amqp_behind, who_leaves_meanwhile_is_told_nothing)
{
    give_mandatory(&f, 1, "nowhere", "one");
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 1);
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 2);
    (void)take_publish(&f);
    amqp_fixture_leave(&f);
    (void)AMQP_COMMAND(&f, CLOSE_SESSION);
    AMQP_REPLY(&f, .count = 1);
    amqp_fixture_nothing(&f);
}
