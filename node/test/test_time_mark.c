/* What a time mark is worth, and when it is worth nothing. */

#include "node/core/time_mark.h"

#include <criterion/criterion.h>

#include "node/core/clocks.h"

#define WALL UINT64_C(1800000000000)
#define LOG (WALL - 7000)

static const struct time_mark mark = {.term = 5, .log_ms = LOG, .wall_ms = WALL};
static const struct time_mark none;

Test(time_mark, log_time_goes_on_as_the_wall_clock_does)
{
    cr_assert_eq(time_mark_now(&mark, 6, 5, LOG - 1000, WALL + 3600000), LOG + 3600000);
    cr_assert_eq(time_mark_now(&mark, 6, 5, LOG, WALL), LOG);
    cr_assert_eq(time_mark_now(&mark, 6, 0, 0, WALL - 1000), LOG - 1000);
}

Test(time_mark, log_time_that_was_ahead_does_not_leap_beyond_the_wall_clock)
{
    const struct time_mark ahead = {.term = 5, .log_ms = WALL + 60000, .wall_ms = WALL};
    cr_assert_eq(time_mark_now(&ahead, 6, 5, WALL + 60000, WALL + 3600000), WALL + 3600000);
    cr_assert_eq(time_mark_now(&ahead, 6, 5, WALL + 60000, WALL + 1000), WALL + 1000);
}

Test(time_mark, what_its_leader_stamped_later_makes_it_less)
{
    /* At most a tenth was lost meanwhile, and some more for clocks that run slow. */
    uint64_t now_ms = time_mark_now(&mark, 6, 5, LOG + 5000, WALL + 10000);
    cr_assert_leq(now_ms, LOG + 10000 - 5000 / 10);
    cr_assert_geq(now_ms, LOG + 10000 - 5000 / 5);
    cr_assert_eq(time_mark_now(&mark, 6, 5, UINT64_MAX / 2, WALL), 0u, "not below zero");
}

Test(time_mark, one_of_an_earlier_leader_than_stamped_last_is_worth_nothing)
{
    cr_assert_eq(time_mark_now(&mark, 9, 6, LOG - 5000, WALL + 1000), 0u);
    cr_assert_eq(time_mark_now(&mark, 9, 4, LOG - 5000, WALL + 1000), LOG + 1000, "its leader stamped nothing");
}

Test(time_mark, one_of_a_later_leader_than_can_be_is_worth_nothing)
{
    cr_assert_eq(time_mark_now(&mark, 4, 3, LOG - 5000, WALL + 1000), 0u);
    cr_assert_eq(time_mark_now(&none, 4, 0, LOG, WALL), 0u);
}

Test(time_mark, a_clock_before_1970_and_one_that_shows_nonsense)
{
    cr_assert_eq(time_mark_now(&mark, 6, 5, LOG, 0), 0u);
    cr_assert_eq(time_mark_now(&mark, 6, 5, LOG, UINT64_MAX), 0u);
    const struct time_mark wrong[] = {{.term = 0, .log_ms = 1, .wall_ms = 1},
                                      {.term = 1, .log_ms = CLOCKS_WALL_MS_MAX, .wall_ms = 1},
                                      {.term = 1, .log_ms = 1, .wall_ms = CLOCKS_WALL_MS_MAX}};
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_not(time_mark_valid(&wrong[i]));
        cr_assert_eq(time_mark_now(&wrong[i], 6, 0, 0, WALL), 0u);
    }
}

Test(time_mark, newer_is_of_a_later_leader_or_of_a_later_time)
{
    const struct time_mark later = {.term = 5, .log_ms = LOG + 1, .wall_ms = WALL - 5};
    const struct time_mark next = {.term = 6, .log_ms = LOG - 1, .wall_ms = WALL};
    cr_assert(time_mark_newer(&mark, &none) && time_mark_newer(&later, &mark) && time_mark_newer(&next, &later));
    cr_assert_not(time_mark_newer(&mark, &mark));
    cr_assert_not(time_mark_newer(&mark, &later));
    cr_assert_not(time_mark_newer(&later, &next));
    cr_assert_not(time_mark_newer(&none, &none));
}

Test(time_mark, distance_is_what_log_time_gained_or_lost)
{
    const struct time_mark even = {.term = 6, .log_ms = LOG + 500, .wall_ms = WALL + 500};
    const struct time_mark leans = {.term = 5, .log_ms = LOG + 550, .wall_ms = WALL + 500};
    cr_assert_eq(time_mark_distance(&mark, &even), 0u);
    cr_assert_eq(time_mark_distance(&mark, &leans), 50u);
    cr_assert_eq(time_mark_distance(&leans, &mark), 50u);
    cr_assert_eq(time_mark_distance(&none, &mark), UINT64_MAX);
}

Test(time_mark, is_read_as_it_was_written_or_not_at_all)
{
    uint8_t bytes[TIME_MARK_LEN];
    struct time_mark read = {0};
    time_mark_encode(&mark, bytes);
    cr_assert_eq(time_mark_decode(bytes, &read), 0);
    cr_assert(read.term == 5 && read.log_ms == LOG && read.wall_ms == WALL);
    for (unsigned bit = 0; bit < 8 * TIME_MARK_LEN; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(time_mark_decode(bytes, &read), ERR_CORRUPT, "bit %u", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    time_mark_encode(&none, bytes);
    cr_assert_eq(time_mark_decode(bytes, &read), ERR_CORRUPT, "whole, but none");
}
