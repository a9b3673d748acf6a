/* Deleting queues, and asking what they have: what counts, and what becomes of it. */

#include <criterion/criterion.h>
#include <string.h>

#include "asking.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;

static void start(void)
{
    publish_fixture_init(&f, &a);
}

static void stop(void)
{
    fixture_done(&f);
}

TestSuite(queue_delete, .init = start, .fini = stop);

Test(queue_delete, a_queue_is_not_empty_while_it_has_a_message_in_any_state)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.groups = true;
    leaving_declare(&f, &a, "q", &options);
    cr_assert_eq(ask_delete(&f, &a, "r", true, true).error, E(NOT_FOUND));
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.group = "g";
    for (int i = 0; i < 2; i++) {
        struct posts *posts = posts_new("q");
        posts_add(posts, &head, i == 0 ? "1" : "2");
        cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    }
    cr_assert_eq(ask_delete(&f, &a, "q", true, false).error, E(REFUSED), "ready");
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 5).error, 0u);
    cr_assert_eq(fixture_queue(&f, "q").parked, 1u);
    Holdfast__Settle release = HOLDFAST__SETTLE__INIT;
    release.outcome = RELEASE;
    release.has_delay = true;
    release.delay_ms = 1000;
    cr_assert_eq(leaving_settle(&f, &a, &release, 1, 1, 1).count, 1u);
    leaving_disturb(&f, true);
    cr_assert_eq(ask_delete(&f, &a, "q", true, false).error, E(REFUSED), "waiting, and parked behind it");
    cr_assert_eq(client_purge(&f, &a, "q").count, 1u);
    cr_assert_eq(ask_delete(&f, &a, "q", true, false).error, E(REFUSED), "waiting");
    fixture_tick(&f, f.time_ms + 1000);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
    cr_assert_eq(ask_delete(&f, &a, "q", true, false).error, E(REFUSED), "out");
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 2, 2).count, 1u);
    struct effect_reply reply = ask_delete(&f, &a, "q", true, false);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 0u);
    cr_assert_eq(ask_ended(&f, 1, CONSUMER_ENDED_QUEUE_DELETED), 1u);
}

Test(queue_delete, messages_are_dropped_and_are_no_dead_letters)
{
    Holdfast__QueueOptions options = options_dead("", "dead");
    leaving_declare(&f, &a, "dead", NULL);
    leaving_declare(&f, &a, "q", &options);
    exchange_bind(&f, &a, "amq.fanout", "q", "");
    client_publish(&f, &a, "q", NULL, 1, 3);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
    cr_assert_eq(client_purge(&f, &a, "q").count, 2u);
    client_publish(&f, &a, "q", NULL, 4, 2);
    cr_assert_eq(ask_delete(&f, &a, "q", false, false).count, 3u);
    leaving_disturb(&f, true);
    fixture_tick(&f, f.time_ms + 1000);
    cr_assert_eq(fixture_queue(&f, "dead").ready, 0u);
    leaving_declare(&f, &a, "q", NULL);
    struct posts *posts = posts_new(NULL);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.exchange = "amq.fanout";
    head.mandatory = true;
    posts_add(posts, &head, "x");
    cr_assert_eq(posts_send_once(&f, &a, posts).unrouted_len, 1u, "its bindings have gone with it");
}

Test(queue_delete, declaring_one_that_is_there_tells_what_it_has)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    struct effect_reply reply = options_declare(&f, &a, "q", &options);
    cr_assert_eq(reply.count + reply.repeated_count, 0u);
    client_publish(&f, &a, "q", NULL, 1, 5);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).count, 1u);
    reply = ask_passive(&f, &a, "q");
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 4u);
    cr_assert_eq(reply.repeated_count, 0u, "a fetch is no consumer");
    cr_assert_eq(client_subscribe(&f, &a, "q", 2, 1).error, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 3, 1).error, 0u);
    leaving_disturb(&f, true);
    reply = options_declare(&f, &a, "q", &options);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 2u);
    cr_assert_eq(reply.repeated_count, 2u);
    options.has_ttl = true;
    reply = options_declare(&f, &a, "q", &options);
    cr_assert_eq(reply.error, E(EXISTS));
    cr_assert_eq(reply.count + reply.repeated_count, 0u);
    cr_assert_eq(ask_passive(&f, &a, "r").error, E(NOT_FOUND));
    f.machine->version = 1;
    cr_assert_eq(client_declare(&f, &a, "q").count, 0u, "version 1 does not say it");
    f.machine->version = 2;
}
