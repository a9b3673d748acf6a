/* Subscriptions that are ended, but keep what they hold until it is settled. */

#include <criterion/criterion.h>

#include "asking.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;
static struct client b;

static void start(void)
{
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
}

static void stop(void)
{
    fixture_done(&f);
}

TestSuite(drain, .init = start, .fini = stop);

/* Consumer 1 of "q" holds the first two of three messages. */
static void two_of_three(const Holdfast__QueueOptions *options)
{
    leaving_declare(&f, &a, "q", options);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 3).count, 3u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 2).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 2u);
}

static size_t done(void)
{
    return ask_ended(&f, 1, CONSUMER_ENDED_FETCH_DONE);
}

Test(drain, keeps_what_it_holds_and_ends_when_that_is_settled)
{
    two_of_three(NULL);
    struct effect_reply reply = ask_drain(&f, &a, 1);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 2u);
    cr_assert_eq(done(), 0u);
    leaving_disturb(&f, true);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u, "it has credit, and is given nothing more");
    cr_assert_eq(client_set_credit(&f, &a, 1, 9).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    cr_assert_eq(ask_drain(&f, &a, 1).count, 1u, "once more changes nothing");
    leaving_disturb(&f, true);
    cr_assert_eq(client_settle(&f, &a, 1, RELEASE, 2, 2).count, 1u);
    cr_assert_eq(done(), 1u);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 2, 2).error, E(NOT_FOUND));
    cr_assert_str_eq(ask_bodies(&f, "q"), "m2 m3 ");
    leaving_disturb(&f, true);
}

Test(drain, leaves_the_row_of_those_who_wait)
{
    leaving_declare(&f, &a, "q", NULL);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 5).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 2).count, 2u);
    cr_assert_eq(ask_drain(&f, &a, 1).count, 2u);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 3, 1).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    leaving_disturb(&f, true);
}

Test(drain, ends_at_once_when_it_holds_nothing)
{
    leaving_declare(&f, &a, "q", NULL);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 2).error, 0u);
    struct effect_reply reply = ask_drain(&f, &a, 1);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 0u);
    cr_assert_eq(done(), 1u);
    cr_assert_eq(fixture_queue(&f, "q").consumers, 0u);
    cr_assert_eq(ask_drain(&f, &a, 1).error, E(NOT_FOUND));
}

Test(drain, ends_with_the_lock_of_what_it_holds)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.lock_ms = 100;
    two_of_three(&options);
    cr_assert_eq(ask_drain(&f, &a, 1).count, 2u);
    fixture_tick(&f, f.time_ms + 100);
    cr_assert_eq(fixture_count(&f, EFFECT_LOCK_ENDED), 2u);
    cr_assert_eq(done(), 1u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "m1 m2 m3 ");
}

Test(drain, gives_back_what_it_holds_when_it_is_ended_after_all)
{
    two_of_three(NULL);
    cr_assert_eq(ask_drain(&f, &a, 1).count, 2u);
    cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 3u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 0u);
}

Test(drain, is_no_consumer_any_more)
{
    Holdfast__Subscribe exclusive = HOLDFAST__SUBSCRIBE__INIT;
    exclusive.exclusive = true;
    leaving_declare(&f, &a, "q", NULL);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 3).count, 3u);
    cr_assert_eq(ask_subscribe(&f, &a, "q", 1, 2, &exclusive).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, E(EXCLUSIVE));
    cr_assert_eq(ask_delete(&f, &a, "q", false, true).error, E(REFUSED));
    cr_assert_eq(ask_drain(&f, &a, 1).count, 2u);
    for (uint64_t disturb = 0; disturb < 2; disturb++) {
        leaving_disturb(&f, disturb);
        cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, 0u);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
        cr_assert_eq(client_unsubscribe(&f, &b, 1).error, 0u);
    }
    cr_assert_eq(ask_delete(&f, &a, "q", false, true).error, 0u);
    cr_assert_eq(ask_ended(&f, 1, CONSUMER_ENDED_QUEUE_DELETED), 1u);
}

Test(drain, an_auto_delete_queue_goes_with_the_last_one)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.auto_delete = true;
    two_of_three(&options);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, 0u);
    cr_assert_eq(ask_drain(&f, &b, 1).count, 1u);
    cr_assert_neq(fixture_queue(&f, "q").id, 0u);
    struct effect_reply reply = ask_drain(&f, &a, 1);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 0u, "what it held has gone with the queue");
    cr_assert_eq(fixture_queue(&f, "q").id, 0u);
    leaving_disturb(&f, true);
}

Test(drain, a_queue_may_expire_while_one_holds_something)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.expires_ms = 100;
    two_of_three(&options);
    fixture_tick(&f, f.time_ms + 500);
    cr_assert_neq(fixture_queue(&f, "q").id, 0u, "it has a consumer");
    cr_assert_eq(ask_drain(&f, &a, 1).count, 2u);
    uint64_t drained_ms = machine_time_ms(f.machine);
    leaving_disturb(&f, true);
    fixture_tick(&f, drained_ms + 99);
    cr_assert_neq(fixture_queue(&f, "q").id, 0u);
    fixture_tick(&f, drained_ms + 100);
    cr_assert_eq(fixture_queue(&f, "q").id, 0u);
    cr_assert_eq(ask_ended(&f, 1, CONSUMER_ENDED_QUEUE_DELETED), 1u);
}

Test(drain, a_fetch_does_not_take_an_auto_delete_queue_with_it)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.auto_delete = true;
    leaving_declare(&f, &a, "q", &options);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 3).count, 3u);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 2).count, 2u);
    cr_assert_eq(ask_drain(&f, &a, 1).count, 2u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 1u);
}

Test(drain, of_a_single_active_queue_is_the_active_one_until_it_has_ended)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.single_active = true;
    two_of_three(&options);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 5).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "q", 2, 5).error, 0u);
    cr_assert_eq(ask_drain(&f, &b, 2).count, 0u, "one that stood by");
    cr_assert_eq(ask_ended(&f, 2, CONSUMER_ENDED_FETCH_DONE), 1u);
    cr_assert_eq(ask_drain(&f, &a, 1).count, 2u);
    leaving_disturb(&f, true);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    cr_assert_eq(client_settle(&f, &a, 1, RELEASE, 2, 2).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 2u, "the other one is given both in their order");
    cr_assert_eq(fixture_delivery(&f, 0)->session, b.session);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 2u);
    cr_assert_eq(fixture_delivery(&f, 1)->delivery.position, 3u);
    leaving_disturb(&f, true);
}

Test(drain, under_version_1_it_ends_and_gives_back)
{
    two_of_three(NULL);
    f.machine->version = 1;
    cr_assert_eq(ask_drain(&f, &a, 1).count, 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 3u);
    f.machine->version = 2;
}
