/* Memory shared by many: never over the limit, in order, nobody waits for ever. */

#include "rpc/memory_budget.h"

#include <criterion/criterion.h>

#include "proto/base/check.h"

static struct memory_claim *granted[8];
static unsigned granted_len;

static void on_granted(struct memory_claim *claim)
{
    granted[granted_len++] = claim;
}

static void claims_init(struct memory_claim *claims, unsigned len, struct memory_budget *budget)
{
    granted_len = 0;
    for (unsigned i = 0; i < len; i++) {
        memory_claim_init(&claims[i], budget, on_granted);
    }
}

Test(memory_budget, those_who_wait_are_served_in_order_within_the_limit)
{
    struct memory_budget budget;
    struct memory_claim claims[5];
    memory_budget_init(&budget, 100);
    claims_init(claims, 5, &budget);
    cr_assert(memory_claim_take(&claims[0], 60));
    cr_assert(memory_claim_take(&claims[1], 40));
    cr_assert_not(memory_claim_take(&claims[2], 70));
    cr_assert_not(memory_claim_take(&claims[2], 70), "asking again changes nothing");
    cr_assert_not(memory_claim_take(&claims[3], 10));
    cr_assert_not(memory_claim_take(&claims[4], 30));
    memory_claim_release(&claims[1]);
    cr_assert_eq(granted_len, 0u, "40 are free, but the first in line wants 70");
    memory_claim_release(&claims[0]);
    cr_assert_eq(granted_len, 2u);
    cr_assert_eq(granted[0], &claims[2]);
    cr_assert_eq(granted[1], &claims[3]);
    cr_assert(memory_claim_take(&claims[2], 70), "it holds it");
    cr_assert_eq(budget.used, 80u);
    memory_claim_release(&claims[2]);
    cr_assert_eq(granted_len, 3u);
    memory_claim_release(&claims[3]);
    memory_claim_release(&claims[4]);
    memory_claim_release(&claims[4]);
    cr_assert_eq(budget.used, 0u);
}

Test(memory_budget, a_new_claim_does_not_overtake_those_that_wait)
{
    struct memory_budget budget;
    struct memory_claim claims[3];
    memory_budget_init(&budget, 100);
    claims_init(claims, 3, &budget);
    cr_assert(memory_claim_take(&claims[0], 50));
    cr_assert_not(memory_claim_take(&claims[1], 60));
    cr_assert_not(memory_claim_take(&claims[2], 10), "it would fit");
    memory_claim_release(&claims[1]); /* The first in line gives up. */
    cr_assert_eq(granted_len, 1u);
    cr_assert_eq(granted[0], &claims[2]);
    memory_claim_release(&claims[0]);
    memory_claim_release(&claims[2]);
    cr_assert_eq(budget.used, 0u);
}

Test(memory_budget, one_over_the_limit_gets_its_turn_alone)
{
    struct memory_budget budget;
    struct memory_claim claims[3];
    memory_budget_init(&budget, 100);
    claims_init(claims, 3, &budget);
    cr_assert(memory_claim_take(&claims[0], 1));
    cr_assert_not(memory_claim_take(&claims[1], UINT64_MAX));
    cr_assert_not(memory_claim_take(&claims[2], 1));
    memory_claim_release(&claims[0]);
    cr_assert_eq(granted_len, 1u);
    cr_assert_eq(granted[0], &claims[1]);
    memory_claim_release(&claims[1]);
    cr_assert_eq(granted_len, 2u);
    memory_claim_release(&claims[2]);
    cr_assert_eq(budget.used, 0u);
}

Test(memory_budget, what_is_only_counted_may_exceed_it)
{
    struct memory_budget budget;
    memory_budget_init(&budget, 100);
    memory_budget_add(&budget, 100);
    cr_assert_not(memory_budget_over(&budget));
    memory_budget_add(&budget, 1);
    cr_assert(memory_budget_over(&budget));
    struct memory_claim claims[2];
    claims_init(claims, 2, &budget);
    cr_assert(memory_claim_take(&claims[0], 1), "one goes on, whatever is counted");
    cr_assert_not(memory_claim_take(&claims[1], 1), "but no other");
    memory_budget_remove(&budget, 3);
    cr_assert_eq(granted_len, 1u);
    memory_claim_release(&claims[0]);
    memory_claim_release(&claims[1]);
    cr_assert_eq(budget.used, 98u);
    cr_assert_eq(budget.holders, 0u);
}

Test(memory_budget, what_was_claimed_and_is_counted_now_still_keeps_others_waiting)
{
    struct memory_budget budget;
    memory_budget_init(&budget, 100);
    struct memory_claim claims[2];
    claims_init(claims, 2, &budget);
    cr_assert(memory_claim_take(&claims[0], 90));
    memory_budget_hold(&budget);
    memory_budget_add(&budget, 90);
    memory_claim_release(&claims[0]);
    cr_assert_not(memory_budget_fits(&budget, 20));
    cr_assert(memory_budget_fits(&budget, 10));
    cr_assert_not(memory_claim_take(&claims[1], 120));
    cr_assert_not(memory_budget_fits(&budget, 1), "nobody overtakes one that waits");
    memory_budget_unhold(&budget);
    cr_assert_eq(granted_len, 1u, "nobody else has a large one");
    memory_budget_remove(&budget, 90);
    memory_claim_release(&claims[1]);
    cr_assert_eq(budget.used, 0u);
}

Test(memory_budget, more_than_half_of_it_is_a_reason_to_take_less)
{
    struct memory_budget budget;
    memory_budget_init(&budget, 100);
    memory_budget_add(&budget, 50);
    cr_assert_not(memory_budget_pressed(&budget));
    memory_budget_add(&budget, 1);
    cr_assert(memory_budget_pressed(&budget));
}

Test(memory_budget, without_a_budget_everything_is_granted)
{
    struct memory_claim claim;
    claims_init(&claim, 1, NULL);
    cr_assert(memory_claim_take(&claim, UINT64_MAX));
    memory_claim_release(&claim);
}
