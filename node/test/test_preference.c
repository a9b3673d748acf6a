/* A preferred node gets the leadership when it is fit, and not again and again when it does not keep it. */

#include "node/core/preference.h"

#include <criterion/criterion.h>

static struct preference preference;
static uint64_t now_ms;

static void setup(void)
{
    preference = (struct preference){0};
    now_ms = 1000000;
}

TestSuite(preference, .init = setup);

/* A second passes with nodes 2 and 3 preferred. */
static uint64_t second(bool two_fit, bool three_fit)
{
    const struct preference_candidate candidates[] = {{.node = 2, .fit = two_fit}, {.node = 3, .fit = three_fit}};
    now_ms += 1000;
    return preference_look(&preference, candidates, 2, now_ms);
}

/* Seconds until node 2, fit all the time, is asked; at most `most`. */
static unsigned asked_after(unsigned most)
{
    for (unsigned i = 1; i <= most; i++) {
        if (second(true, false) == 2) {
            return i;
        }
    }
    return most + 1;
}

Test(preference, a_node_is_asked_when_it_has_been_fit_for_a_while)
{
    cr_assert_eq(asked_after(100), 11u);
    setup();
    for (unsigned i = 0; i < 9; i++) {
        cr_assert_eq(second(true, false), 0u);
    }
    cr_assert_eq(second(false, false), 0u, "not any more");
    cr_assert_eq(asked_after(100), 11u);
}

Test(preference, nobody_is_asked_who_is_not_fit)
{
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(second(false, false), 0u);
    }
    cr_assert_eq(preference_look(&preference, NULL, 0, now_ms + 1), 0u);
}

Test(preference, the_first_that_is_fit_is_asked)
{
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(second(false, true), 0u);
    }
    cr_assert_eq(second(true, true), 3u);
}

Test(preference, is_not_said_more_often_than_once_a_minute)
{
    cr_assert_eq(asked_after(100), 11u);
    cr_assert_eq(asked_after(100), 60u);
    cr_assert_eq(asked_after(100), 60u);
}

Test(preference, what_was_seen_before_a_gap_counts_for_nothing)
{
    for (unsigned i = 0; i < 9; i++) {
        cr_assert_eq(second(true, false), 0u);
    }
    now_ms += PREFERENCE_GAP_MS;
    cr_assert_eq(asked_after(100), 11u);
}

/* Node 2 leads for a while, then node 1 does. How long the others wait with giving it back. */
static unsigned pause_after(uint64_t led_ms)
{
    preference_leads(&preference, 2, true, now_ms);
    now_ms += led_ms;
    preference_leads(&preference, 2, true, now_ms); /* A new term of the same. */
    preference_leads(&preference, 1, false, now_ms);
    return asked_after(10000);
}

Test(preference, one_that_does_not_keep_it_waits_twice_as_long_each_time)
{
    const unsigned pauses[] = {60, 120, 240, 480, 600, 600};
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(pause_after(5000), pauses[i], "round %u", i);
    }
    cr_assert_eq(pause_after(PREFERENCE_PAUSE_MS_MAX), 60u, "it led for long: forgotten");
    cr_assert_eq(pause_after(5000), 120u);
}

Test(preference, another_that_loses_it_changes_nothing)
{
    preference_leads(&preference, 1, false, now_ms);
    preference_leads(&preference, 4, false, now_ms + 10);
    preference_leads(&preference, 1, false, now_ms + 20);
    cr_assert_eq(asked_after(100), 11u);
}

Test(preference, from_one_preferred_node_to_another_is_a_loss_too)
{
    preference_leads(&preference, 2, true, now_ms);
    preference_leads(&preference, 3, true, now_ms + 5000);
    preference_leads(&preference, 1, false, now_ms + 10000);
    now_ms += 10000;
    cr_assert_eq(asked_after(10000), 120u);
}
