/* What becomes of deliveries that go back. */

#include <criterion/criterion.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/queue/queue.h"

#define NEVER UINT64_MAX

static const Holdfast__Settle release = {PROTOBUF_C_MESSAGE_INIT(&holdfast__settle__descriptor),
                                         .outcome = HOLDFAST__SETTLE__OUTCOME__RELEASE};

/* One message in "q", out with consumer 1. */
static void out(struct fixture *f, struct client *a, const Holdfast__QueueOptions *options)
{
    publish_fixture_init(f, a);
    leaving_declare(f, a, "q", options);
    leaving_publish(f, a, "q", "body", NEVER);
    cr_assert_eq(client_subscribe(f, a, "q", 1, 1).error, 0u);
    cr_assert_eq(fixture_count(f, EFFECT_DELIVER), 1u);
}

/* That the message waits for so long from now on, and is delivered then for the `count`th time. */
static void waits(struct fixture *f, uint64_t delay_ms, uint32_t count, bool disturb)
{
    uint64_t until_ms = machine_time_ms(f->machine) + delay_ms;
    cr_assert_eq(fixture_count(f, EFFECT_DELIVER), 0u);
    cr_assert_eq(fixture_queue(f, "q").waiting, 1u);
    cr_assert_eq(fixture_queue(f, "q").ready, 0u);
    leaving_disturb(f, disturb);
    cr_assert_eq(machine_due_ms(f->machine), until_ms);
    fixture_tick(f, until_ms - 1);
    cr_assert_eq(fixture_count(f, EFFECT_DELIVER), 0u);
    fixture_tick(f, until_ms);
    cr_assert_eq(fixture_count(f, EFFECT_DELIVER), 1u);
    cr_assert_eq(fixture_delivery(f, 0)->delivery.delivery_count, count);
    cr_assert_eq(fixture_queue(f, "q").waiting, 0u);
    leaving_disturb(f, disturb);
}

Test(came_back, waits_longer_each_time_up_to_the_longest)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
        options.redelivery_delay_ms = 100;
        options.redelivery_delay_max_ms = 500;
        out(&f, &a, &options);
        uint64_t delays[] = {100, 200, 400, 500, 500};
        for (uint32_t i = 0; i < 5; i++) {
            cr_assert_eq(leaving_settle(&f, &a, &release, 1, i + 1, i + 1).count, 1u);
            waits(&f, delays[i], i + 1, disturb);
        }
        fixture_done(&f);
    }
}

Test(came_back, waits_as_long_each_time_without_a_longest)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.redelivery_delay_ms = 100;
    out(&f, &a, &options);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(leaving_settle(&f, &a, &release, 1, i + 1, i + 1).count, 1u);
        waits(&f, 100, i + 1, false);
    }
    fixture_done(&f);
}

Test(came_back, waits_as_long_as_the_settlement_says)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__Settle settle = release;
    options.redelivery_delay_ms = 100;
    out(&f, &a, &options);
    settle.has_delay = true;
    settle.delay_ms = 7;
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 1, 1).count, 1u);
    waits(&f, 7, 1, true);
    settle.delay_ms = 0;
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 2, 2).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
    settle.delay_ms = QUEUE_TIME_MS_MAX + 1;
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 3, 3).error, E(INVALID));
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 1u);
    fixture_done(&f);
}

Test(came_back, is_ready_at_once_when_its_holder_has_ended)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.redelivery_delay_ms = 100;
    out(&f, &a, &options);
    cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 1u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 2, 1).error, 0u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 1u);
    fixture_done(&f);
}

Test(came_back, does_not_count_when_it_was_not_looked_at)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = options_dead("", "dead");
    Holdfast__Settle settle = release;
    options.max_deliveries = 2;
    out(&f, &a, &options);
    leaving_declare(&f, &a, "dead", NULL);
    settle.not_counted = true;
    for (uint64_t number = 1; number <= 4; number++) {
        cr_assert_eq(leaving_settle(&f, &a, &settle, 1, number, number).count, 1u);
        cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 0u);
    }
    cr_assert_eq(leaving_settle(&f, &a, &release, 1, 5, 5).count, 1u);
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 6, 6).count, 1u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 1u);
    cr_assert_eq(ready(&f, "dead"), 0u);
    cr_assert_eq(leaving_settle(&f, &a, &release, 1, 7, 7).count, 1u);
    cr_assert_eq(ready(&f, "dead"), 1u);
    fixture_done(&f);
}

Test(came_back, what_does_not_count_is_not_the_last_delivery_either)
{
    struct fixture f;
    struct client a;
    Holdfast__Settle settle = release;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    out(&f, &a, &options);
    cr_assert_eq(leaving_settle(&f, &a, &release, 1, 1, 1).count, 1u);
    options.max_deliveries = 1;
    change.queue = "q";
    change.options = &options;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    settle.not_counted = true;
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 2, 2).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
    cr_assert_eq(leaving_settle(&f, &a, &release, 1, 3, 3).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    fixture_done(&f);
}

Test(came_back, is_a_dead_letter_after_so_many_deliveries_whatever_way_they_ended)
{
    struct fixture f;
    struct client a;
    struct client b;
    Holdfast__QueueOptions options = options_dead("", "dead");
    options.max_deliveries = 3;
    options.lock_ms = 50;
    out(&f, &a, &options);
    leaving_declare(&f, &a, "dead", NULL);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    cr_assert_eq(leaving_settle(&f, &a, &release, 1, 1, 1).count, 1u);
    fixture_tick(&f, f.time_ms + 60);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 2u);
    cr_assert_eq(ready(&f, "dead"), 0u);
    cr_assert_eq(client_close(&f, &a).error, 0u);
    cr_assert_eq(ready(&f, "dead"), 1u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 0u);
    Holdfast__Trail *trail = leaving_trail(&f, "dead", 1);
    cr_assert_eq(trail->death[0]->reason, HOLDFAST__DEATH__REASON__DELIVERY_LIMIT);
    holdfast__trail__free_unpacked(trail, NULL);
    fixture_done(&f);
}

Test(came_back, expires_when_its_time_was_over_while_it_was_locked)
{
    for (int late = 0; late < 2; late++) {
        struct fixture f;
        struct client a;
        publish_fixture_init(&f, &a);
        Holdfast__QueueOptions options = options_dead("", "dead");
        leaving_declare(&f, &a, "q", &options);
        leaving_declare(&f, &a, "dead", NULL);
        cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
        uint64_t at_ms = f.time_ms;
        leaving_publish(&f, &a, "q", "body", 50);
        cr_assert_eq(machine_due_ms(f.machine), NEVER);
        fixture_tick(&f, at_ms + (late ? 50 : 48));
        cr_assert_eq(fixture_queue(&f, "q").unsettled, 1u);
        f.time_ms += !late;
        leaving_disturb(&f, true);
        cr_assert_eq(leaving_settle(&f, &a, &release, 1, 1, 1).count, 1u);
        cr_assert_eq(ready(&f, "dead"), late);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), !late);
        fixture_done(&f);
    }
}

Test(came_back, expires_while_it_waits)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        publish_fixture_init(&f, &a);
        Holdfast__QueueOptions options = options_dead("", "dead");
        options.redelivery_delay_ms = 100;
        leaving_declare(&f, &a, "q", &options);
        leaving_declare(&f, &a, "dead", NULL);
        cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
        uint64_t at_ms = f.time_ms;
        leaving_publish(&f, &a, "q", "body", 50);
        cr_assert_eq(leaving_settle(&f, &a, &release, 1, 1, 1).count, 1u);
        leaving_disturb(&f, disturb);
        cr_assert_eq(machine_due_ms(f.machine), at_ms + 50);
        fixture_tick(&f, at_ms + 50);
        cr_assert_eq(ready(&f, "dead"), 1u);
        cr_assert_eq(fixture_queue(&f, "q").waiting, 0u);
        cr_assert_eq(machine_due_ms(f.machine), NEVER);
        leaving_disturb(&f, disturb);
        fixture_done(&f);
    }
}

Test(came_back, what_expires_as_its_wait_is_over_expires)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "dead");
    Holdfast__Settle settle = release;
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "dead", NULL);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
    leaving_publish(&f, &a, "q", "body", 50);
    settle.has_delay = true;
    settle.delay_ms = 49;
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 1, 1).count, 1u);
    fixture_tick(&f, f.time_ms + 100);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    cr_assert_eq(ready(&f, "dead"), 1u);
    fixture_done(&f);
}

Test(came_back, the_order_of_a_group_holds_while_one_of_it_waits)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        publish_fixture_init(&f, &a);
        Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
        Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
        options.groups = true;
        options.redelivery_delay_ms = 100;
        options.max_deliveries = 2;
        leaving_declare(&f, &a, "q", &options);
        struct posts *posts = posts_new("q");
        head.group = "g";
        posts_add(posts, &head, "first");
        posts_add(posts, &head, "second");
        posts_add(posts, NULL, "alone");
        cr_assert_eq(posts_send_once(&f, &a, posts).count, 3u);
        cr_assert_eq(client_subscribe(&f, &a, "q", 1, 9).error, 0u);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 2u);
        cr_assert_eq(leaving_settle(&f, &a, &release, 1, 1, 1).count, 1u);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
        leaving_disturb(&f, disturb);
        fixture_tick(&f, f.time_ms + 100);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
        cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 1u);
        leaving_disturb(&f, disturb);
        cr_assert_eq(leaving_settle(&f, &a, &release, 1, 3, 3).count, 1u);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u, "the first has died");
        cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 2u);
        fixture_done(&f);
    }
}
