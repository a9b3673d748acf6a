/* Wall clocks are compared with the majority's, and only with what is known of it. */

#include "node/core/clocks.h"

#include <criterion/criterion.h>
#include <string.h>

#define START UINT64_C(1800000000000)
#define LIMIT 5000u
#define YEAR (INT64_C(365) * 86400 * 1000)

static struct clocks clocks;
static uint64_t now_ms;
static int64_t own_ahead_ms; /* Of the true time. */
static int64_t ahead_ms[10];
static bool silent[10];
static char text[CLOCKS_TEXT_LEN];

static void setup(void)
{
    clocks_init(&clocks, LIMIT);
    now_ms = 777;
    own_ahead_ms = 0;
    memset(ahead_ms, 0, sizeof ahead_ms);
    memset(silent, 0, sizeof silent);
}

TestSuite(clocks, .init = setup);

static uint64_t true_ms(int64_t ahead)
{
    return (uint64_t)((int64_t)(START + now_ms) + ahead);
}

static void heard(uint64_t node, int64_t late_ms)
{
    cr_assert_eq(clocks_heard(&clocks, node, true_ms(ahead_ms[node] - late_ms), "", false, now_ms), 0);
}

static int64_t look(unsigned members)
{
    return clocks_look(&clocks, members, true_ms(own_ahead_ms), now_ms);
}

/* Nodes 2 to `members` are heard of, and we look, every second. */
static void seconds(unsigned members, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        now_ms += 1000;
        for (uint64_t node = 2; node <= members; node++) {
            if (!silent[node]) {
                heard(node, 3);
            }
        }
        cr_assert_eq(look(members), 0);
    }
}

static void far(bool is, const char *says)
{
    cr_assert_eq(clocks_far(&clocks), is, "%lld ms", (long long)clocks_off_ms(&clocks));
    clocks_text(&clocks, text);
    cr_assert_str_eq(text, says);
}

Test(clocks, those_that_agree_are_right)
{
    seconds(3, 20);
    cr_assert(clocks_known(&clocks));
    cr_assert_leq(llabs(clocks_off_ms(&clocks)), 3);
    far(false, "");
    cr_assert(clocks_right(&clocks, 2) && clocks_right(&clocks, 3));
    cr_assert_not(clocks_right(&clocks, 4), "nothing is known of it");
}

Test(clocks, ours_is_off_when_the_majority_says_so)
{
    own_ahead_ms = 31200;
    seconds(3, 5);
    far(true, "the wall clock is 31.2 s ahead of the majority's");
    cr_assert(clocks_right(&clocks, 2), "they are right, we are not");
    setup();
    own_ahead_ms = -90 * 60 * 1000;
    seconds(5, 5);
    far(true, "the wall clock is 90.0 min behind the majority's");
    setup();
    own_ahead_ms = YEAR;
    seconds(3, 5);
    far(true, "the wall clock is 365.0 days ahead of the majority's");
}

Test(clocks, one_that_is_off_alone_does_not_make_others_wrong)
{
    ahead_ms[2] = YEAR;
    seconds(3, 20);
    far(false, "");
    cr_assert_not(clocks_right(&clocks, 2));
    cr_assert(clocks_right(&clocks, 3));
    ahead_ms[2] = -YEAR;
    ahead_ms[3] = YEAR;
    seconds(3, 20);
    far(false, "the wall clocks that are known are 730.0 days apart: no majority agrees");
}

Test(clocks, a_tie_makes_nobody_wrong)
{
    silent[3] = true;
    ahead_ms[2] = 60000;
    seconds(3, 20);
    cr_assert(clocks_known(&clocks));
    far(false, "the wall clocks that are known are 60.0 s apart: no majority agrees");
    cr_assert_not(clocks_right(&clocks, 2));
    setup();
    ahead_ms[2] = ahead_ms[3] = -60000; /* Two and two. */
    seconds(4, 20);
    far(false, "the wall clocks that are known are 60.0 s apart: no majority agrees");
    setup();
    ahead_ms[2] = ahead_ms[3] = ahead_ms[4] = -60000;
    seconds(4, 20);
    far(true, "the wall clock is 60.0 s ahead of the majority's");
}

Test(clocks, one_that_was_set_right_is_not_said_to_be_off)
{
    own_ahead_ms = 60000;
    seconds(3, 5);
    far(true, "the wall clock is 60.0 s ahead of the majority's");
    cr_assert(clocks_far_now(&clocks));
    own_ahead_ms = 0;
    now_ms += 1000;
    heard(2, 3);
    heard(3, 3);
    cr_assert_neq(look(3), 0, "it leapt back");
    far(true, "the wall clock was far from the majority's until a moment ago");
    cr_assert_not(clocks_far_now(&clocks));
    seconds(3, 5);
    far(false, "");
}

Test(clocks, without_a_majority_nothing_is_known)
{
    own_ahead_ms = 60000;
    silent[4] = silent[5] = silent[3] = true;
    seconds(5, 20);
    cr_assert_not(clocks_known(&clocks));
    cr_assert_eq(clocks_off_ms(&clocks), 0);
    far(false, "");
    silent[3] = false;
    seconds(5, 20);
    far(true, "the wall clock is 60.0 s ahead of the majority's");
    silent[3] = true;
    seconds(5, 9);
    cr_assert(clocks_known(&clocks), "the last word counts for a while");
    seconds(5, 10);
    cr_assert_not(clocks_known(&clocks));
    far(false, "");
}

Test(clocks, a_clock_is_off_for_a_while_before_it_is_said_to_be)
{
    own_ahead_ms = 6000;
    seconds(3, 3);
    far(false, "");
    seconds(3, 1);
    far(true, "the wall clock is 6.0 s ahead of the majority's");
    own_ahead_ms = 4500; /* Below the limit, but by little. */
    seconds(3, 20);
    cr_assert(clocks_far(&clocks));
    own_ahead_ms = 3700;
    seconds(3, 3);
    cr_assert(clocks_far(&clocks));
    seconds(3, 1);
    far(false, "");
    own_ahead_ms = 4900;
    seconds(3, 20);
    far(false, "");
}

/* This process stood still for eight seconds: what others said meanwhile waits for it, and it looks after each message. */
Test(clocks, messages_that_waited_are_no_wrong_clocks)
{
    seconds(3, 20);
    now_ms += 8000;
    for (int64_t late_ms = 8000; late_ms >= 0; late_ms -= 1000) {
        heard(2, late_ms);
        heard(3, late_ms);
        cr_assert_eq(look(3), 0);
        cr_assert_not(clocks_far(&clocks));
        cr_assert(clocks_right(&clocks, 2) || late_ms > 1000, "late by %lld", (long long)late_ms);
    }
    now_ms += 4000;
    cr_assert_eq(look(3), 0);
    far(false, "");
}

Test(clocks, one_late_message_among_others_does_not_count)
{
    for (unsigned i = 0; i < 30; i++) {
        now_ms += 1000;
        heard(2, i % 4 == 0 ? 0 : 7000);
        heard(3, i % 4 == 1 ? 0 : 7000);
        cr_assert_eq(look(3), 0);
        cr_assert(i < 4 || llabs(clocks_off_ms(&clocks)) == 0);
    }
}

Test(clocks, a_leap_of_ours_is_noticed_at_once_and_once)
{
    seconds(3, 10);
    own_ahead_ms = 3600000;
    now_ms += 1000;
    cr_assert_eq(look(3), 3600000);
    cr_assert_eq(clocks_off_ms(&clocks), 3600000 + 3, "known without a word from others");
    seconds(3, 4);
    far(true, "the wall clock is 60.0 min ahead of the majority's");
    own_ahead_ms = -1000;
    now_ms += 1000;
    cr_assert_eq(look(3), -3601000);
    seconds(3, 4);
    far(false, "");
    own_ahead_ms += LIMIT; /* A small one is for the comparison. */
    now_ms += 1000;
    cr_assert_eq(look(3), 0);
}

Test(clocks, a_pause_is_no_leap)
{
    seconds(3, 2);
    now_ms += 3600000;
    cr_assert_eq(look(3), 0);
    cr_assert_not(clocks_known(&clocks));
}

Test(clocks, may_be_left_alone)
{
    clocks_init(&clocks, 0);
    own_ahead_ms = YEAR;
    seconds(3, 10);
    own_ahead_ms = 0;
    now_ms += 1000;
    cr_assert_eq(look(3), 0);
    far(false, "");
    cr_assert(clocks_right(&clocks, 2) && clocks_right(&clocks, 9));
}

Test(clocks, zones_and_preferences_are_kept)
{
    cr_assert_eq(clocks_heard(&clocks, 2, START, "rack-2.b_C", true, 5), 0);
    cr_assert_eq(clocks_heard(&clocks, 3, START, "", false, 5), 0);
    cr_assert_eq(clocks_heard(&clocks, 2, START, "a b", false, 6), ERR_INVALID);
    cr_assert_eq(clocks_heard(&clocks, 2, START, "0123456789012345678901234567890123", false, 6), ERR_INVALID);
    cr_assert_eq(clocks_heard(&clocks, 2, CLOCKS_WALL_MS_MAX, "", false, 6), ERR_INVALID);
    cr_assert_eq(clocks_heard(&clocks, 2, UINT64_MAX, "", false, 6), ERR_INVALID);
    now_ms += 3600000;
    cr_assert_eq(look(3), 0);
    cr_assert_str_eq(clocks_zone(&clocks, 2), "rack-2.b_C");
    cr_assert(clocks_preferred(&clocks, 2));
    cr_assert_str_eq(clocks_zone(&clocks, 3), "");
    cr_assert_not(clocks_preferred(&clocks, 3));
    cr_assert_str_eq(clocks_zone(&clocks, 4), "");
    cr_assert_not(clocks_preferred(&clocks, 4));
    cr_assert_eq(clocks_heard(&clocks, 2, START, "else", false, 7), 0);
    cr_assert_str_eq(clocks_zone(&clocks, 2), "else");
    cr_assert_not(clocks_preferred(&clocks, 2));
}

/* As many as have ever been members, and more: the one that has been silent for longest is forgotten. */
Test(clocks, the_table_is_bounded)
{
    for (uint64_t node = 2; node < 2 + 3 * CLOCKS_NODES_MAX; node++) {
        cr_assert_eq(clocks_heard(&clocks, node, START, "z", false, ++now_ms), 0);
        cr_assert_eq(clocks_heard(&clocks, 2, START, "mine", true, ++now_ms), 0);
    }
    cr_assert_str_eq(clocks_zone(&clocks, 2), "mine");
    cr_assert_str_eq(clocks_zone(&clocks, 1 + 3 * CLOCKS_NODES_MAX), "z");
    cr_assert_str_eq(clocks_zone(&clocks, 3), "");
    cr_assert_eq(look(3), 0);
}

/* Whatever clocks say, sums do not overflow (seen by the sanitizers). */
Test(clocks, extremes)
{
    const uint64_t walls[] = {0, 1, START, CLOCKS_WALL_MS_MAX - 1};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++) {
            setup();
            for (unsigned k = 0; k < 6; k++) {
                now_ms += 1000;
                cr_assert_eq(clocks_heard(&clocks, 2, walls[i], "", false, now_ms), 0);
                cr_assert_eq(clocks_heard(&clocks, 3, walls[i], "", false, now_ms), 0);
                (void)clocks_look(&clocks, 3, walls[j], now_ms);
            }
            cr_assert_eq(clocks_far(&clocks), i != j && (i > 1 || j > 1));
            (void)clocks_look(&clocks, 3, UINT64_MAX, UINT64_MAX / 4);
            clocks_text(&clocks, text);
        }
    }
}

Test(clocks, spans_are_text)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0.0 s"},        {-31234, "31.2 s"}, {119000, "119.0 s"},
                 {120000, "2.0 min"}, {7200000, "2.0 h"}, {-YEAR, "365.0 days"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clocks_span_text(cases[i].ms, text);
        cr_assert_str_eq(text, cases[i].text);
    }
}
