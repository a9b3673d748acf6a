/* Whether a majority is known to share our state, and whether a voter contradicts it: what a copy of it may be given for. */

#include <criterion/criterion.h>

#include "node/core/digests.h"
#include "proto/base/check.h"

#define US 1u

static const struct digests_member three[] = {{US, true}, {2, true}, {3, true}};
static const struct digests_member with_learner[] = {{US, true}, {2, true}, {3, true}, {4, false}};

static struct digests digests;

/* Any function of the index does. */
static uint64_t right(uint64_t index)
{
    return index * 7919;
}

static uint64_t wrong(uint64_t index)
{
    return right(index) + 1;
}

static void setup(void)
{
    digests_init(&digests, US, 0, 0, 5000);
    for (uint64_t index = 1; index <= 20; index++) {
        digests_applied(&digests, index, right(index), 5000);
    }
}

TestSuite(digests_proof, .init = setup);

static bool proven(uint64_t index)
{
    return digests_proven(&digests, with_learner, ARRAY_LEN(with_learner), index);
}

static bool doubted(void)
{
    return digests_doubted(&digests, with_learner, ARRAY_LEN(with_learner));
}

Test(digests_proof, a_learner_is_no_witness_either_way)
{
    digests_heard_latest(&digests, 4, 17, right(17));
    cr_assert_not(proven(17));
    digests_heard_latest(&digests, 4, 18, wrong(18));
    cr_assert_not(doubted());
    digests_heard_latest(&digests, 2, 17, right(17));
    cr_assert(proven(17));
}

Test(digests_proof, one_that_differs_later_proves_nothing_any_more)
{
    digests_heard_latest(&digests, 2, 17, right(17));
    cr_assert(proven(17));
    digests_heard_latest(&digests, 2, 18, wrong(18));
    cr_assert_not(proven(17));
    cr_assert(doubted());
}

Test(digests_proof, only_what_agrees_later_ends_a_doubt)
{
    digests_heard(&digests, 2, 17, wrong(17));
    digests_heard(&digests, 2, 19, wrong(19));
    digests_heard(&digests, 2, 16, right(16));
    cr_assert(doubted());
    digests_heard(&digests, 2, 18, right(18));
    cr_assert(doubted());
    digests_heard(&digests, 2, 19, right(19));
    cr_assert_not(doubted());
}

Test(digests_proof, a_difference_from_before_raises_none)
{
    digests_heard(&digests, 2, 19, right(19));
    digests_heard(&digests, 2, 17, wrong(17));
    cr_assert_not(doubted());
    cr_assert(proven(19));
}

Test(digests_proof, who_may_be_wrong_proves_nothing)
{
    digests_heard_latest(&digests, 2, 17, right(17));
    digests.divided = true;
    cr_assert_not(proven(17));
    digests.divided = false;
    digests.diverged_at = 18;
    cr_assert_not(proven(17));
}

static void both_say(uint64_t index, uint64_t running)
{
    digests_heard(&digests, 2, index, running);
    digests_heard(&digests, 3, index, running);
    digests_judge(&digests, three, ARRAY_LEN(three), 5000);
}

Test(digests_proof, a_difference_before_the_last_agreement_does_not_hide_one_after_it)
{
    both_say(10, right(10));
    cr_assert_eq(digests.equal_at, 10u);
    both_say(15, wrong(15));
    cr_assert_eq(digests.diverged_at, 15u);
    both_say(5, wrong(5));
    cr_assert_eq(digests.diverged_at, 15u);
}
