/* The deque of unsettled deliveries stays short, whatever is settled in whatever order. */

#include "statemachine/session/delivery.h"

#include <criterion/criterion.h>

static void push(struct deliveries *deliveries, uint64_t first, uint64_t last)
{
    for (uint64_t number = first; number <= last; number++) {
        struct delivery delivery = {.number = number, .position = 1000 + number};
        cr_assert_eq(deliveries_push(deliveries, &delivery), 0);
    }
}

static size_t drop(struct deliveries *deliveries, uint64_t first, uint64_t last)
{
    size_t dropped = 0;
    struct delivery *delivery = deliveries_find(deliveries, first, last);
    while (delivery != NULL) {
        deliveries_drop(deliveries, delivery);
        dropped++;
        delivery = deliveries_next(deliveries, delivery, last);
    }
    deliveries_tidy(deliveries);
    return dropped;
}

Test(delivery, finds_numbers_across_holes)
{
    struct deliveries deliveries = {0};
    push(&deliveries, 1, 100);
    cr_assert_eq(drop(&deliveries, 10, 90), 81u);
    cr_assert_eq(drop(&deliveries, 10, 90), 0u);
    cr_assert_eq(deliveries_find(&deliveries, 5, 5)->position, 1005u);
    cr_assert_eq(deliveries_find(&deliveries, 10, 100)->number, 91u);
    cr_assert_null(deliveries_find(&deliveries, 10, 90));
    cr_assert_eq(deliveries_find(&deliveries, 100, UINT64_MAX)->number, 100u);
    cr_assert_null(deliveries_find(&deliveries, 101, UINT64_MAX));
    push(&deliveries, 101, 101);
    cr_assert_eq(deliveries_find(&deliveries, 101, 101)->number, 101u);
    cr_assert_eq(deliveries.held, 20u);
    deliveries_done(&deliveries);
}

Test(delivery, one_held_for_ever_costs_nothing_more)
{
    struct deliveries deliveries = {0};
    push(&deliveries, 1, 1);
    for (uint64_t number = 2; number < 100000; number++) {
        push(&deliveries, number, number);
        cr_assert_eq(drop(&deliveries, number, number), 1u);
    }
    cr_assert_lt(deliveries.cap, 65u);
    cr_assert_eq(deliveries_find(&deliveries, 0, UINT64_MAX)->number, 1u);
    deliveries_done(&deliveries);
}
