/* Whether the wall clocks of a majority agree, and what they show then. */

#include <criterion/criterion.h>
#include <string.h>

#include "node/core/clocks.h"

#define START UINT64_C(1800000000000)
#define LIMIT 5000u
#define YEAR (INT64_C(365) * 86400 * 1000)

static struct clocks clocks;
static uint64_t now_ms;
static int64_t own_ahead_ms; /* Of the true time. */
static int64_t ahead_ms[10];
static bool silent[10];

static void setup(void)
{
    clocks_init(&clocks, LIMIT);
    now_ms = 777;
    own_ahead_ms = 0;
    memset(ahead_ms, 0, sizeof ahead_ms);
    memset(silent, 0, sizeof silent);
}

TestSuite(clocks_agree, .init = setup);

static uint64_t true_ms(int64_t ahead)
{
    return (uint64_t)((int64_t)(START + now_ms) + ahead);
}

static uint64_t earliest_ms;
static uint64_t latest_ms;

static enum clocks_agreement agreement(unsigned members)
{
    static const uint64_t ids[] = {2, 3, 4, 5, 6, 7, 8, 9};
    earliest_ms = latest_ms = 0;
    return clocks_agree(&clocks, ids, members - 1, true_ms(own_ahead_ms), now_ms, &earliest_ms, &latest_ms);
}

static void expect_agreed(unsigned members, int64_t early_ms, int64_t late_ms)
{
    cr_assert_eq(agreement(members), CLOCKS_AGREE);
    cr_assert_eq(earliest_ms, true_ms(early_ms));
    cr_assert_eq(latest_ms, true_ms(late_ms));
}

/* Each is heard of once, without delay. */
static void hear(unsigned members)
{
    for (uint64_t node = 2; node <= members; node++) {
        if (!silent[node]) {
            cr_assert_eq(clocks_heard(&clocks, node, true_ms(ahead_ms[node]), "", false, now_ms), 0);
        }
    }
}

Test(clocks_agree, one_alone_agrees_with_itself)
{
    expect_agreed(1, 0, 0);
    clocks_init(&clocks, 0);
    own_ahead_ms = YEAR;
    expect_agreed(1, YEAR, YEAR);
}

Test(clocks_agree, those_that_agree_are_a_majority_and_ours_need_not_be_among_them)
{
    ahead_ms[2] = -700;
    ahead_ms[3] = 4000;
    hear(3);
    expect_agreed(3, -700, 4000);
    own_ahead_ms = YEAR;
    expect_agreed(3, -700, 4000);
    own_ahead_ms = -YEAR;
    expect_agreed(3, -700, 4000);
}

Test(clocks_agree, what_is_off_alone_is_left_out)
{
    ahead_ms[3] = YEAR;
    ahead_ms[2] = 20;
    hear(3);
    expect_agreed(3, 0, 20);
    setup();
    ahead_ms[2] = -YEAR;
    ahead_ms[3] = YEAR;
    hear(3);
    cr_assert_eq(agreement(3), CLOCKS_DIFFER);
}

/* Each with some other, and not all with one another: the whole span counts. */
Test(clocks_agree, agreement_is_wide_when_clocks_are_strewn)
{
    ahead_ms[2] = -(int64_t)LIMIT;
    ahead_ms[3] = LIMIT;
    hear(3);
    expect_agreed(3, -(int64_t)LIMIT, LIMIT);
    setup();
    ahead_ms[2] = -(int64_t)LIMIT - 1;
    ahead_ms[3] = LIMIT + 1;
    hear(3);
    cr_assert_eq(agreement(3), CLOCKS_DIFFER);
}

Test(clocks_agree, agreement_needs_more_than_half)
{
    ahead_ms[3] = ahead_ms[4] = YEAR;
    hear(4);
    cr_assert_eq(agreement(4), CLOCKS_DIFFER, "two and two");
    setup();
    silent[4] = silent[5] = true;
    ahead_ms[3] = YEAR;
    hear(5);
    cr_assert_eq(agreement(5), CLOCKS_UNKNOWN, "two of five, and two that may agree with them");
    silent[5] = false;
    ahead_ms[5] = -YEAR;
    hear(5);
    cr_assert_eq(agreement(5), CLOCKS_UNKNOWN);
    silent[4] = false;
    hear(5);
    expect_agreed(5, 0, 0);
}

Test(clocks_agree, agreement_is_of_the_members_alone)
{
    hear(5);
    static const uint64_t strangers[] = {8, 9};
    uint64_t ms;
    cr_assert_eq(clocks_agree(&clocks, strangers, 2, true_ms(0), now_ms, &ms, &ms), CLOCKS_UNKNOWN);
}

Test(clocks_agree, agreement_is_of_what_was_heard_lately)
{
    cr_assert_eq(agreement(3), CLOCKS_UNKNOWN);
    silent[3] = true;
    hear(3);
    expect_agreed(3, 0, 0);
    now_ms += CLOCKS_FRESH_MS;
    cr_assert_eq(agreement(3), CLOCKS_UNKNOWN);
}

Test(clocks_agree, there_is_no_agreement_when_clocks_are_not_compared)
{
    clocks_init(&clocks, 0);
    hear(3);
    cr_assert_eq(agreement(3), CLOCKS_DIFFER);
}
