/* The turn of a consumer that is the only one that waits: as if it had left its place and queued up again. */

#include <criterion/criterion.h>

#include "fixture.h"
#include "statemachine/session/consumer.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;
static struct client b;

static void start(void)
{
    fixture_init(&f);
    f.machine->version = 2;
    client_attach(&f, &a, 1, false);
    client_attach(&f, &b, 2, false);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 100).error, 0u);
}

static void stop(void)
{
    fixture_done(&f);
}

TestSuite(waits_alone, .init = start, .fini = stop);

static struct queue *queue(void)
{
    return queue_by_name(f.machine, VIRTUAL_HOST_ROOT, "q");
}

static uint64_t deliveries_to(const struct client *client)
{
    uint64_t count = 0;
    for (size_t i = 0; i < fixture_count(&f, EFFECT_DELIVER); i++) {
        count += fixture_delivery(&f, i)->session == client->session;
    }
    return count;
}

Test(waits_alone, each_delivery_takes_a_turn)
{
    uint64_t turns = queue()->turns;
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 7).error, 0u);
    cr_assert_eq(deliveries_to(&a), 7u);
    cr_assert_eq(queue()->turns, turns + 7);
    cr_assert_eq(RB_MIN(queue_waiting, &queue()->waiting)->turn, turns + 7);
    uint64_t digest = fixture_digest(&f);
    fixture_checkpoint(&f);
    fixture_crash(&f);
    cr_assert_eq(fixture_digest(&f), digest, "the row has the turn");
    cr_assert_eq(RB_MIN(queue_waiting, &queue()->waiting)->turn, turns + 7);
}

/* One that comes later is behind it, and from then on they take turns. */
Test(waits_alone, then_it_takes_turns_with_another)
{
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 3).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 100).error, 0u);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(client_publish(&f, &a, "q", "", 4 + i, 1).error, 0u);
        cr_assert_eq(deliveries_to(i % 2 == 0 ? &a : &b), 1u, "%u", i);
    }
}

/* The last of its credit takes it out of the row. */
Test(waits_alone, without_credit_it_does_not_wait)
{
    cr_assert_eq(client_set_credit(&f, &a, 1, 2).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 3).error, 0u);
    cr_assert_eq(deliveries_to(&a), 2u);
    cr_assert(RB_EMPTY(&queue()->waiting));
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 100).error, 0u);
    cr_assert_eq(deliveries_to(&b), 1u);
}
