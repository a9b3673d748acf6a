/* Log time goes on, follows the wall slowly, and never goes back. */

#include "node/core/log_time.h"

#include <criterion/criterion.h>

#define HOUR UINT64_C(3600000)

Test(log_time, a_new_log_begins_at_wall_time)
{
    struct log_time time;
    log_time_start(&time, 0, 5, 1000);
    cr_assert_eq(log_time_stamp(&time, 5, 1000), 1000u);
    cr_assert_eq(log_time_stamp(&time, 6, 1001), 1001u);
}

Test(log_time, continues_from_the_last_entry)
{
    struct log_time time;
    log_time_start(&time, 5000, 70, 5000);
    cr_assert_eq(log_time_stamp(&time, 80, 5010), 5010u);
}

Test(log_time, a_wall_clock_that_jumps_ahead_is_followed_slowly)
{
    struct log_time time;
    log_time_start(&time, 1000, 0, 1000);
    uint64_t year = 365 * 24 * HOUR;
    cr_assert_eq(log_time_stamp(&time, HOUR, 1000 + HOUR + year), 1000 + HOUR + HOUR / LOG_TIME_SLEW_PART);
}

Test(log_time, a_wall_clock_that_jumps_back_slows_it_down)
{
    struct log_time time;
    log_time_start(&time, 100 * HOUR, 0, 100 * HOUR);
    cr_assert_eq(log_time_stamp(&time, HOUR, 50 * HOUR), 101 * HOUR - HOUR / LOG_TIME_SLEW_PART);
}

Test(log_time, arrives_at_wall_time_and_stays)
{
    struct log_time time;
    log_time_start(&time, HOUR, 0, HOUR + 50);
    for (uint64_t at = 1; at <= 2000; at++) {
        (void)log_time_stamp(&time, at, HOUR + 50 + at);
    }
    cr_assert_eq(time.now_ms, HOUR + 50 + 2000);
    cr_assert_eq(log_time_stamp(&time, 2001, HOUR + 50 + 2001), HOUR + 50 + 2001);
}

Test(log_time, milliseconds_one_at_a_time_lean_as_much_as_all_at_once)
{
    struct log_time small;
    struct log_time large;
    log_time_start(&small, HOUR, 0, HOUR);
    log_time_start(&large, HOUR, 0, HOUR);
    for (uint64_t at = 1; at <= 1000; at++) {
        (void)log_time_stamp(&small, at, 9 * HOUR);
    }
    cr_assert_eq(small.now_ms, log_time_stamp(&large, 1000, 9 * HOUR));
}

Test(log_time, never_goes_back)
{
    struct log_time time;
    log_time_start(&time, HOUR, 1000, HOUR);
    uint64_t last = HOUR;
    uint64_t monotonic = 1000;
    uint32_t random = 1;
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525u + 1013904223u;
        monotonic += random >> 30;
        uint64_t now = log_time_stamp(&time, monotonic, random);
        cr_assert_geq(now, last);
        last = now;
    }
    cr_assert_eq(log_time_stamp(&time, 10, 0), last, "not even when the monotonic clock does");
}
