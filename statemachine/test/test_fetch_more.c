/* Fetching again and again as one consumer, which holds everything that it was given until that is settled. */

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

TestSuite(fetch_more, .init = start, .fini = stop);

static struct effect_reply more(const char *queue, uint64_t consumer, uint32_t credit)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.fetch = true;
    subscribe.more = true;
    return ask_subscribe(&f, &a, queue, consumer, credit, &subscribe);
}

static void declare_with(const Holdfast__QueueOptions *options, size_t messages)
{
    leaving_declare(&f, &a, "q", options);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, messages).count, messages);
}

static size_t ended(void)
{
    return ask_ended(&f, 1, CONSUMER_ENDED_FETCH_DONE);
}

Test(fetch_more, all_is_of_one_consumer)
{
    declare_with(NULL, 5);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).count, 1u);
    struct effect_reply reply = more("q", 1, 1);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 1u);
    cr_assert_eq(reply.repeated_count, 3u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.consumer, 1u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.number, 2u);
    leaving_disturb(&f, true);
    cr_assert_eq(more("q", 1, 2).count, 2u, "more than it began with");
    cr_assert_eq(fixture_delivery(&f, 1)->delivery.number, 4u);
    cr_assert_eq(fixture_queue(&f, "q").consumers, 1u);
    leaving_disturb(&f, true);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 3).count, 3u);
    cr_assert_eq(ended(), 0u);
    cr_assert_eq(client_settle(&f, &a, 1, RELEASE, 4, 4).count, 1u);
    cr_assert_eq(ended(), 1u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "m4 m5 ");
}

Test(fetch_more, with_nothing_ready_it_stays)
{
    declare_with(NULL, 1);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).count, 1u);
    struct effect_reply reply = more("q", 1, 1);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 0u);
    cr_assert_eq(ended(), 0u);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 2, 1).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u, "it does not wait for what comes later");
    cr_assert_eq(more("q", 1, 1).count, 1u);
    leaving_disturb(&f, true);
}

Test(fetch_more, of_one_that_has_ended_there_is_none)
{
    declare_with(NULL, 3);
    cr_assert_eq(more("q", 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(ask_fetch(&f, &b, "q", 1, 1).count, 1u);
    cr_assert_eq(more("q", 1, 1).error, E(NOT_FOUND), "another session has one of that number");
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).count, 1u);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(more("q", 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(more("nowhere", 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(fixture_queue(&f, "q").ready, 1u);
}

Test(fetch_more, what_cannot_be)
{
    declare_with(NULL, 3);
    leaving_declare(&f, &a, "p", NULL);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).count, 1u);
    cr_assert_eq(client_subscribe(&f, &a, "p", 2, 1).error, 0u);
    cr_assert_eq(more("p", 1, 1).error, E(INVALID), "another queue");
    cr_assert_eq(more("p", 2, 1).error, E(INVALID), "no fetch");
    cr_assert_eq(more("q", 0, 1).error, E(INVALID));
    cr_assert_eq(more("q", 1, 0).error, E(INVALID));
    cr_assert_eq(more("q", 1, CREDIT_MAX + 1).error, E(INVALID));
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).error, E(EXISTS), "who does not ask for more");
    cr_assert_eq(fixture_queue(&f, "q").ready, 2u);
}

Test(fetch_more, it_holds_at_most_65535)
{
    leaving_declare(&f, &a, "q", NULL);
    for (uint64_t first = 1; first <= CREDIT_MAX + 1; first += PUBLISH_MESSAGES_MAX) {
        cr_assert_eq(client_publish(&f, &a, "q", NULL, first, PUBLISH_MESSAGES_MAX).count, PUBLISH_MESSAGES_MAX);
    }
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, CREDIT_MAX).count, 16384u);
    cr_assert_eq(more("q", 1, CREDIT_MAX - 16384 + 1).error, E(LIMIT));
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(more("q", 1, i < 2 ? 16384 : 16383).error, 0u);
    }
    cr_assert_eq(fixture_queue(&f, "q").unsettled, CREDIT_MAX);
    cr_assert_eq(more("q", 1, 1).error, E(LIMIT));
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(more("q", 1, 1).count, 1u);
    leaving_disturb(&f, true);
}

Test(fetch_more, others_keep_it_out_as_they_do_a_new_one)
{
    Holdfast__Subscribe exclusive = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    exclusive.exclusive = true;
    options.single_active = true;
    declare_with(NULL, 3);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).count, 1u);
    cr_assert_eq(ask_subscribe(&f, &b, "q", 1, 1, &exclusive).error, 0u);
    cr_assert_eq(more("q", 1, 1).error, E(EXCLUSIVE));
    leaving_declare(&f, &a, "single", &options);
    cr_assert_eq(client_publish(&f, &a, "single", NULL, 1, 3).count, 3u);
    cr_assert_eq(ask_fetch(&f, &a, "single", 2, 1).count, 1u);
    cr_assert_eq(client_subscribe(&f, &b, "single", 2, 1).error, 0u);
    cr_assert_eq(more("single", 2, 1).error, E(EXCLUSIVE));
}

Test(fetch_more, a_drained_consumer_may_as_well)
{
    declare_with(NULL, 3);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
    cr_assert_eq(ask_drain(&f, &a, 1).count, 1u);
    cr_assert_eq(more("q", 1, 1).count, 1u);
    leaving_disturb(&f, true);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 2).count, 2u);
    cr_assert_eq(ended(), 1u);
}

Test(fetch_more, each_delivery_has_its_own_time)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.lock_ms = 100;
    declare_with(&options, 2);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).count, 1u);
    uint64_t begun_ms = machine_time_ms(f.machine);
    fixture_tick(&f, begun_ms + 60);
    cr_assert_eq(more("q", 1, 1).count, 1u);
    uint64_t later_ms = machine_time_ms(f.machine);
    fixture_tick(&f, begun_ms + 100);
    cr_assert_eq(fixture_count(&f, EFFECT_LOCK_ENDED), 1u);
    cr_assert_eq(ended(), 0u);
    fixture_tick(&f, later_ms + 100);
    cr_assert_eq(fixture_count(&f, EFFECT_LOCK_ENDED), 1u);
    cr_assert_eq(ended(), 1u);
}

Test(fetch_more, means_nothing_without_fetch_and_under_version_1)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.more = true;
    declare_with(NULL, 3);
    cr_assert_eq(ask_subscribe(&f, &a, "q", 1, 1, &subscribe).error, 0u);
    cr_assert_eq(ask_subscribe(&f, &a, "q", 1, 1, &subscribe).error, E(EXISTS));
    f.machine->version = 1;
    cr_assert_eq(more("q", 2, 1).error, 0u, "it is a subscription like others");
    cr_assert_eq(more("q", 2, 1).error, E(EXISTS));
    f.machine->version = 2;
}
