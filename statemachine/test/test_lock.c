/* Deliveries that are held for a limited time. */

#include <criterion/criterion.h>
#include <string.h>

#include "leaving_fixture.h"
#include "proto/base/limits.h"
#include "statemachine/state.h"

#define NEVER UINT64_MAX

static size_t locks_ended(const struct fixture *f)
{
    return fixture_count(f, EFFECT_LOCK_ENDED);
}

/* A message out with consumer 1 of "q", for 100 ms by the queue. */
static void out(struct fixture *f, struct client *a, uint64_t messages)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    publish_fixture_init(f, a);
    options.lock_ms = 100;
    leaving_declare(f, a, "q", &options);
    cr_assert_eq(client_subscribe(f, a, "q", 1, 10).error, 0u);
    cr_assert_eq(client_publish(f, a, "q", NULL, 1, messages).count, messages);
    cr_assert_eq(fixture_count(f, EFFECT_DELIVER), messages);
}

Test(lock, ends_and_the_consumer_is_told)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        out(&f, &a, 1);
        uint64_t until_ms = machine_time_ms(f.machine) + 100;
        leaving_disturb(&f, disturb);
        cr_assert_eq(machine_due_ms(f.machine), until_ms);
        fixture_tick(&f, until_ms - 1);
        cr_assert_eq(locks_ended(&f), 0u);
        fixture_tick(&f, until_ms);
        cr_assert_eq(locks_ended(&f), 1u);
        cr_assert_eq(f.effects.items[0].kind, EFFECT_LOCK_ENDED);
        cr_assert_eq(f.effects.items[0].session, a.session);
        cr_assert_eq(f.effects.items[0].lock_ended.consumer, 1u);
        cr_assert_eq(f.effects.items[0].lock_ended.number, 1u);
        cr_assert_eq(fixture_delivery(&f, 0)->delivery.number, 2u);
        cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 1u);
        cr_assert_eq(leaving_counters(&f, "q")->lock_ended, 1u);
        leaving_disturb(&f, disturb);
        struct effect_reply reply = client_settle(&f, &a, 1, ACCEPT, 1, 1);
        cr_assert_eq(reply.count, 0u);
        cr_assert_eq(reply.repeated_count, 1u);
        cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 2, 2).count, 1u);
        cr_assert_eq(machine_due_ms(f.machine), NEVER);
        fixture_done(&f);
    }
}

Test(lock, does_not_end_when_the_delivery_was_settled_or_its_holder_has_ended)
{
    struct fixture f;
    struct client a;
    out(&f, &a, 3);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 2, 2).count, 1u);
    cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
    cr_assert_eq(machine_due_ms(f.machine), NEVER);
    fixture_tick(&f, f.time_ms + 1000);
    cr_assert_eq(f.effects.len, 0u);
    fixture_done(&f);
}

Test(lock, of_the_consumer_goes_before_the_queues)
{
    struct fixture f;
    struct client a;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    out(&f, &a, 1);
    cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
    subscribe.queue = "q";
    subscribe.consumer = 2;
    subscribe.credit = 1;
    subscribe.lock_ms = 30;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    cr_assert_eq(machine_due_ms(f.machine), machine_time_ms(f.machine) + 30);
    fixture_done(&f);
}

Test(lock, is_extended)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        out(&f, &a, 3);
        fixture_tick(&f, f.time_ms + 50);
        cr_assert_eq(leaving_extend(&f, &a, 1, 2, 2, 0).count, 1u);
        uint64_t second_ms = machine_time_ms(f.machine) + 100;
        cr_assert_eq(leaving_extend(&f, &a, 1, 3, 3, 1000).count, 1u);
        uint64_t third_ms = machine_time_ms(f.machine) + 1000;
        leaving_disturb(&f, disturb);
        fixture_tick(&f, second_ms - 1);
        cr_assert_eq(locks_ended(&f), 1u);
        cr_assert_eq(f.effects.items[0].lock_ended.number, 1u);
        cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 4, 4).count, 1u);
        leaving_disturb(&f, disturb);
        cr_assert_eq(machine_due_ms(f.machine), second_ms);
        fixture_tick(&f, second_ms);
        cr_assert_eq(f.effects.items[0].lock_ended.number, 2u);
        cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 5, 5).count, 1u);
        cr_assert_eq(machine_due_ms(f.machine), third_ms);
        cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 3, 3).count, 1u);
        cr_assert_eq(machine_due_ms(f.machine), NEVER);
        fixture_done(&f);
    }
}

Test(lock, that_was_extended_has_one_end)
{
    struct fixture f;
    struct client a;
    out(&f, &a, 1);
    cr_assert_eq(leaving_extend(&f, &a, 1, 1, 1, 500).count, 1u);
    cr_assert_eq(machine_due_ms(f.machine), machine_time_ms(f.machine) + 500);
    fixture_done(&f);
}

Test(lock, an_extension_counts_what_is_not_held_and_checks_what_it_says)
{
    struct fixture f;
    struct client a;
    out(&f, &a, 3);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 2, 2).count, 1u);
    struct effect_reply reply = leaving_extend(&f, &a, 1, 1, 3, 0);
    cr_assert_eq(reply.count, 2u);
    cr_assert_eq(reply.repeated_count, 1u);
    cr_assert_eq(leaving_extend(&f, &a, 2, 1, 1, 0).error, E(NOT_FOUND));
    cr_assert_eq(leaving_extend(&f, &a, 1, 0, 1, 0).error, E(INVALID));
    cr_assert_eq(leaving_extend(&f, &a, 1, 2, 1, 0).error, E(INVALID));
    cr_assert_eq(leaving_extend(&f, &a, 1, 1, 4, 0).error, E(INVALID));
    cr_assert_eq(leaving_extend(&f, &a, 1, 1, 3, QUEUE_TIME_MS_MAX + 1).error, E(INVALID));
    fixture_done(&f);
}

Test(lock, a_delivery_without_one_is_extended_to_no_effect)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    leaving_declare(&f, &a, "q", NULL);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 10).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 1).count, 1u);
    cr_assert_eq(leaving_extend(&f, &a, 1, 1, 1, 10).count, 1u);
    cr_assert_eq(machine_due_ms(f.machine), NEVER);
    fixture_done(&f);
}

Test(lock, the_end_gives_its_credit_back)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    publish_fixture_init(&f, &a);
    options.lock_ms = 100;
    options.redelivery_delay_ms = 1000;
    leaving_declare(&f, &a, "q", &options);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 2).count, 2u);
    fixture_tick(&f, f.time_ms + 100);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 2u);
    cr_assert_eq(fixture_queue(&f, "q").waiting, 1u);
    fixture_done(&f);
}

Test(lock, an_extension_has_ranges_and_not_too_many)
{
    static uint64_t ends[SETTLE_RANGES_MAX + 1];
    struct fixture f;
    struct client a;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Extend extend = HOLDFAST__EXTEND__INIT;
    out(&f, &a, 1);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        ends[i] = 1;
    }
    extend.consumer = 1;
    extend.lock_ms = 1000;
    extend.first = extend.last = ends;
    command.kind_case = HOLDFAST__COMMAND__KIND_EXTEND;
    command.extend = &extend;
    const size_t lens[][2] = {{0, 0}, {1, 0}, {1, 2}, {ARRAY_LEN(ends), ARRAY_LEN(ends)}};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        extend.n_first = lens[i][0];
        extend.n_last = lens[i][1];
        refused_without_a_trace(&f, &a, &command, NULL, 0, E(INVALID));
    }
    extend.n_first = extend.n_last = SETTLE_RANGES_MAX;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    fixture_done(&f);
}
