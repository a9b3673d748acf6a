/* Settlements that are all or nothing, and what version 1 makes of them. */

#include <criterion/criterion.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/queue/queue.h"
#include "statemachine/state.h"

static void settle_init(Holdfast__Settle *settle, Holdfast__Settle__Outcome outcome)
{
    holdfast__settle__init(settle);
    settle->outcome = outcome;
}

static void three_out(struct fixture *f, struct client *a)
{
    publish_fixture_init(f, a);
    leaving_declare(f, a, "q", NULL);
    cr_assert_eq(client_subscribe(f, a, "q", 1, 3).error, 0u);
    cr_assert_eq(client_publish(f, a, "q", NULL, 1, 3).count, 3u);
}

Test(settle, of_all_or_nothing_is_nothing_when_one_is_not_held)
{
    struct fixture f;
    struct client a;
    Holdfast__Settle settle;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t first[] = {1, 3};
    uint64_t last[] = {2, 3};
    three_out(&f, &a);
    settle_init(&settle, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    settle.all = true;
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 2, 2).count, 1u);
    settle.consumer = 1;
    settle.n_first = settle.n_last = 2;
    settle.first = first;
    settle.last = last;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    refused_without_a_trace(&f, &a, &command, NULL, 0, E(STALE));
    first[0] = last[0] = 3;
    refused_without_a_trace(&f, &a, &command, NULL, 0, E(STALE));
    first[0] = last[0] = 1;
    struct effect_reply reply = client_command(&f, &a, &command, NULL, 0);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 2u);
    cr_assert_eq(reply.repeated_count, 0u);
    fixture_done(&f);
}

Test(settle, without_that_the_stale_ones_are_counted)
{
    struct fixture f;
    struct client a;
    Holdfast__Settle settle;
    three_out(&f, &a);
    settle_init(&settle, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 2, 2).count, 1u);
    struct effect_reply reply = leaving_settle(&f, &a, &settle, 1, 1, 3);
    cr_assert_eq(reply.count, 2u);
    cr_assert_eq(reply.repeated_count, 1u);
    cr_assert_eq(leaving_counters(&f, "q")->settled, 3u);
    fixture_done(&f);
}

/* What bounds a command is how many there are, not how often they are named. */
Test(settle, the_same_ones_may_be_named_again_and_again)
{
    enum { RANGES = 4096 };
    static uint64_t first[RANGES];
    static uint64_t last[RANGES];
    struct fixture f;
    struct client a;
    Holdfast__Settle settle;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    three_out(&f, &a);
    settle_init(&settle, HOLDFAST__SETTLE__OUTCOME__RELEASE);
    for (size_t i = 0; i < RANGES; i++) {
        first[i] = 1;
        last[i] = 3;
    }
    settle.consumer = 1;
    settle.n_first = settle.n_last = RANGES;
    settle.first = first;
    settle.last = last;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    struct effect_reply reply = client_command(&f, &a, &command, NULL, 0);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 3u);
    cr_assert_eq(reply.repeated_count, 3u * (RANGES - 1));
    fixture_done(&f);
}

Test(settle, under_version_1_what_is_new_is_without_meaning)
{
    struct fixture f;
    struct client a;
    Holdfast__Settle settle;
    fixture_init(&f);
    cr_assert_eq(client_attach(&f, &a, 1, false).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 1).count, 1u);
    settle_init(&settle, HOLDFAST__SETTLE__OUTCOME__RELEASE);
    settle.has_delay = settle.not_counted = settle.all = true;
    settle.delay_ms = UINT64_MAX;
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 1, 1).count, 1u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 1u);
    cr_assert_eq(leaving_settle(&f, &a, &settle, 1, 1, 2).repeated_count, 1u);
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Redrive redrive = HOLDFAST__REDRIVE__INIT;
    redrive.queue = "q";
    command.kind_case = HOLDFAST__COMMAND__KIND_REDRIVE;
    command.redrive = &redrive;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, E(INVALID));
    fixture_done(&f);
}

/* One that is malformed is refused as a whole, whatever it could have settled. */
Test(settle, under_version_1_ranges_have_two_ends)
{
    struct fixture f;
    struct client a;
    Holdfast__Settle settle;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t first[] = {1, 2};
    uint64_t last[] = {1, 2};
    fixture_init(&f);
    cr_assert_eq(client_attach(&f, &a, 1, false).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 2).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 2).count, 2u);
    settle_init(&settle, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    settle.consumer = 1;
    settle.first = first;
    settle.last = last;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    const size_t lens[][2] = {{1, 2}, {2, 1}, {0, 0}, {0, 1}};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        settle.n_first = lens[i][0];
        settle.n_last = lens[i][1];
        cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, E(INVALID), "%zu", i);
        cr_assert_eq(fixture_queue(&f, "q").unsettled, 2u);
    }
    settle.n_first = settle.n_last = 2;
    first[0] = 2;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, E(INVALID), "its end is before its beginning");
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 2u);
    first[0] = 1;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).count, 2u);
    fixture_done(&f);
}
