/* Messages that expire, in time or at once. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/queue/queue.h"
#include "statemachine/table/timer.h"

#define NEVER UINT64_MAX

static void two_queues(struct fixture *f, struct client *a, const Holdfast__QueueOptions *options)
{
    publish_fixture_init(f, a);
    leaving_declare(f, a, "q", options);
    leaving_declare(f, a, "dead", NULL);
}

Test(expiry, takes_the_smaller_of_the_messages_time_and_the_queues)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        Holdfast__QueueOptions options = options_dead("", "dead");
        options.has_ttl = true;
        options.ttl_ms = 100;
        two_queues(&f, &a, &options);
        uint64_t at_ms = f.time_ms;
        leaving_publish(&f, &a, "q", "as the queue says", NEVER);
        leaving_publish(&f, &a, "q", "its own", 50);
        leaving_publish(&f, &a, "q", "longer than the queue's", 200);
        leaving_disturb(&f, disturb);
        fixture_tick(&f, at_ms + 51);
        cr_assert_eq(ready(&f, "dead"), 1u);
        cr_assert_str_eq(body_at(&f, "dead", 1), "its own");
        fixture_tick(&f, at_ms + 100);
        cr_assert_eq(ready(&f, "q"), 1u);
        leaving_disturb(&f, disturb);
        fixture_tick(&f, at_ms + 102);
        cr_assert_str_eq(body_at(&f, "dead", 2), "as the queue says");
        cr_assert_str_eq(body_at(&f, "dead", 3), "longer than the queue's");
        cr_assert_eq(leaving_counters(&f, "q")->expired, 3u);
        fixture_done(&f);
    }
}

Test(expiry, comes_in_order_of_time_then_queue_then_position)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = options_dead("", "dead");
    two_queues(&f, &a, &options);
    leaving_declare(&f, &a, "another", &options);
    uint64_t at_ms = f.time_ms;
    leaving_publish(&f, &a, "another", "third", 50);
    leaving_publish(&f, &a, "q", "first", 48);
    leaving_publish(&f, &a, "q", "second", 48);
    leaving_publish(&f, &a, "another", "fourth", 47);
    fixture_tick(&f, at_ms + 1000);
    const char *order[] = {"first", "second", "third", "fourth"};
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_str_eq(body_at(&f, "dead", i + 1), order[i]);
    }
    fixture_done(&f);
}

Test(expiry, of_messages_behind_others_leaves_the_others_in_order)
{
    struct fixture f;
    struct client a;
    two_queues(&f, &a, NULL);
    for (unsigned i = 0; i < 20; i++) {
        char body[8];
        (void)snprintf(body, sizeof body, "%u", i);
        leaving_publish(&f, &a, "q", body, i % 3 == 1 ? 100 : NEVER);
        leaving_disturb(&f, i == 10);
    }
    fixture_tick(&f, f.time_ms + 200);
    cr_assert_eq(ready(&f, "q"), 13u);
    leaving_disturb(&f, true);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 100).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 13u);
    uint64_t position = 1;
    for (size_t i = 0; i < 13; i++) {
        position += position % 3 == 2;
        cr_assert_eq(fixture_delivery(&f, i)->delivery.position, position++);
    }
    fixture_done(&f);
}

Test(expiry, a_time_of_0_is_enough_for_who_waits)
{
    for (int waits = 0; waits < 2; waits++) {
        struct fixture f;
        struct client a;
        Holdfast__QueueOptions options = options_dead("", "dead");
        two_queues(&f, &a, &options);
        if (waits) {
            cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
        }
        leaving_publish(&f, &a, "q", "body", 0);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), waits);
        cr_assert_eq(fixture_queue(&f, "q").ready, 0u);
        cr_assert_eq(ready(&f, "dead"), !waits);
        cr_assert_eq(machine_due_ms(f.machine), NEVER);
        leaving_disturb(&f, true);
        if (waits) {
            cr_assert_eq(client_settle(&f, &a, 1, RELEASE, 1, 1).count, 1u);
            cr_assert_eq(ready(&f, "dead"), 1u);
            cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
        }
        fixture_done(&f);
    }
}

/* Queues "q0" and so on, each of which has its messages expire at once, as dead letters for the next one; the last keeps them. */
static void a_chain(struct fixture *f, struct client *a, unsigned len)
{
    publish_fixture_init(f, a);
    for (unsigned i = 0; i <= len; i++) {
        char name[8];
        char next[8];
        (void)snprintf(name, sizeof name, "q%u", i);
        (void)snprintf(next, sizeof next, "q%u", i + 1);
        Holdfast__QueueOptions options = options_dead("", next);
        options.has_ttl = true;
        leaving_declare(f, a, name, i < len ? &options : NULL);
    }
}

Test(expiry, what_a_time_of_0_brings_to_other_queues_is_delivered_in_the_same_entry)
{
    struct fixture f;
    struct client a;
    a_chain(&f, &a, 5);
    cr_assert_eq(client_subscribe(&f, &a, "q5", 1, 9).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q0", NULL, 1, 2).count, 2u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 2u);
    cr_assert_eq(machine_due_ms(f.machine), NEVER);
    fixture_done(&f);
}

/* More queues in a row than there are rounds: the way goes on with the next entry. */
Test(expiry, a_long_way_goes_on_with_the_next_entry)
{
    struct fixture f;
    struct client a;
    a_chain(&f, &a, 40);
    leaving_publish(&f, &a, "q0", "body", NEVER);
    cr_assert_eq(ready(&f, "q40"), 0u);
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    leaving_disturb(&f, true);
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    fixture_tick(&f, f.time_ms);
    cr_assert_eq(ready(&f, "q40"), 1u);
    cr_assert_eq(machine_due_ms(f.machine), NEVER);
    fixture_done(&f);
}

Test(expiry, a_dead_letter_that_comes_at_the_beginning_of_an_entry_can_be_delivered_in_it)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "at-once");
    leaving_declare(&f, &a, "q", &options);
    options = options_dead("", "dead");
    options.has_ttl = true;
    leaving_declare(&f, &a, "at-once", &options);
    leaving_declare(&f, &a, "dead", NULL);
    cr_assert_eq(client_subscribe(&f, &a, "at-once", 1, 1).error, 0u);
    leaving_publish(&f, &a, "q", "one", 10);
    leaving_publish(&f, &a, "q", "two", 10);
    fixture_tick(&f, f.time_ms + 100);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
    cr_assert_eq(ready(&f, "dead"), 1u);
    cr_assert_str_eq(body_at(&f, "dead", 1), "two");
    fixture_done(&f);
}

Test(expiry, many_at_a_time_are_spread_over_entries)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_ttl = true;
    options.ttl_ms = 10000;
    two_queues(&f, &a, &options);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 1000).count, 1000u);
    }
    fixture_reopen(&f);
    fixture_tick(&f, f.time_ms + 20000);
    cr_assert_eq(ready(&f, "q"), 6000u - TIMERS_PER_ENTRY_MAX);
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    leaving_disturb(&f, true);
    for (unsigned i = 1; i <= 6000u / TIMERS_PER_ENTRY_MAX; i++) {
        cr_assert_eq(machine_due_ms(f.machine), 0u);
        fixture_tick(&f, f.time_ms);
    }
    cr_assert_eq(ready(&f, "q"), 0u);
    cr_assert_eq(machine_due_ms(f.machine), NEVER);
    fixture_done(&f);
}

Test(expiry, a_purge_leaves_nothing_that_could_expire)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = options_dead("", "dead");
    two_queues(&f, &a, &options);
    leaving_publish(&f, &a, "q", "body", 50);
    cr_assert_eq(client_purge(&f, &a, "q").count, 1u);
    leaving_publish(&f, &a, "q", "body", 100);
    fixture_tick(&f, f.time_ms + 60);
    cr_assert_eq(ready(&f, "dead"), 0u);
    cr_assert_eq(ready(&f, "q"), 1u);
    fixture_done(&f);
}

Test(expiry, a_parked_message_expires_and_its_group_goes_on)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = options_dead("", "dead");
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    options.groups = true;
    two_queues(&f, &a, &options);
    struct posts *posts = posts_new("q");
    head.group = "g";
    posts_add(posts, &head, "first");
    head.has_ttl = true;
    head.ttl_ms = 20;
    posts_add(posts, &head, "second");
    head.has_ttl = false;
    head.ttl_ms = 0;
    posts_add(posts, &head, "third");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 3u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 9).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
    leaving_disturb(&f, true);
    fixture_tick(&f, f.time_ms + 100);
    cr_assert_str_eq(body_at(&f, "dead", 1), "second");
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 3u);
    fixture_done(&f);
}
