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

/* ---- What depends on it: nothing expires early, whatever wall clocks show ---- */

#define YEAR (365 * 24 * HOUR)
#define BASE (2 * YEAR) /* So that a year back is still after 1970. */

/* Between a tenth slower and a tenth faster than real time, but for `slack`. */
static void expect_rate(uint64_t log_ms, uint64_t real_ms, uint64_t slack)
{
    cr_assert_geq(log_ms + slack, real_ms - real_ms / LOG_TIME_SLEW_PART, "%llu of %llu ms", (unsigned long long)log_ms,
                  (unsigned long long)real_ms);
    cr_assert_leq(log_ms, real_ms + real_ms / LOG_TIME_SLEW_PART + slack, "%llu of %llu ms", (unsigned long long)log_ms,
                  (unsigned long long)real_ms);
}

Test(log_time, a_leader_whose_wall_clock_leaps_by_years_expires_nothing_early)
{
    struct log_time time;
    uint32_t random = 7;
    uint64_t wall = BASE;
    uint64_t monotonic = 5;
    uint64_t lease_began = 0;
    uint64_t lease_log = 0;
    log_time_start(&time, BASE, monotonic, wall);
    for (int i = 0; i < 100000; i++) {
        random = random * 1664525u + 1013904223u;
        uint64_t step = random >> 24; /* Up to a quarter of a second. */
        monotonic += step;
        wall += step;
        if (i % 1000 == 500) { /* Now and then it leaps: forwards, back, to 1970, home. */
            const uint64_t walls[] = {BASE + YEAR, BASE - YEAR, 0, BASE + monotonic};
            wall = walls[i / 1000 % 4];
        }
        uint64_t now = log_time_stamp(&time, monotonic, wall);
        if (now >= lease_log + 30000) { /* A lease of half a minute is over; another begins. */
            if (lease_began != 0) {
                expect_rate(now - lease_log, monotonic - lease_began, 1);
            }
            lease_began = monotonic;
            lease_log = now;
        }
    }
    expect_rate(time.now_ms - BASE, monotonic - 5, 1);
}

/* A replica as far as log time goes: what its clocks show, and the last entry that it applied. */
struct replica {
    uint64_t monotonic_begin;
    uint64_t wall_begin;
    uint64_t applied_log;
    uint64_t applied_at; /* By its monotonic clock. */
};

/* Log time as it knows it, like gateway_log_time_known_ms(). */
static uint64_t replica_known(const struct replica *replica, uint64_t monotonic)
{
    return replica->applied_log + (monotonic - replica->applied_at);
}

#define REPLICAS 3u
#define LATE_MS_MAX 64u

/* Leaders change every few seconds, a year apart from each other; followers hear of an entry some time after it was made. */
Test(log_time, a_change_of_leader_between_wall_clocks_that_differ_expires_nothing_early)
{
    struct replica replicas[REPLICAS] = {
        {.monotonic_begin = 1000, .wall_begin = BASE},
        {.monotonic_begin = 5000000, .wall_begin = BASE + YEAR},
        {.monotonic_begin = 77, .wall_begin = 0},
    };
    struct log_time time;
    uint32_t random = 3;
    uint64_t real = 0;
    uint64_t last = BASE;
    unsigned changes = 0;
    for (unsigned i = 0; i < REPLICAS; i++) {
        replicas[i].applied_log = BASE;
        replicas[i].applied_at = replicas[i].monotonic_begin;
    }
    for (int term = 0; term < 3000; term++, changes++) {
        random = random * 1664525u + 1013904223u;
        const struct replica *leader = &replicas[(random >> 16) % REPLICAS];
        real +=
            LATE_MS_MAX + (random >> 23); /* Nobody leads for a while; the next one has applied everything by then. */
        log_time_start(&time, replica_known(leader, leader->monotonic_begin + real), leader->monotonic_begin + real,
                       leader->wall_begin + real);
        for (int entry = 0; entry < 20; entry++) {
            random = random * 1664525u + 1013904223u;
            real += random >> 24;
            uint64_t now = log_time_stamp(&time, leader->monotonic_begin + real, leader->wall_begin + real);
            cr_assert_geq(now, last, "it goes back");
            last = now;
            for (unsigned i = 0; i < REPLICAS; i++) {
                uint64_t late = &replicas[i] == leader ? 0 : random % LATE_MS_MAX;
                replicas[i].applied_log = now;
                replicas[i].applied_at = replicas[i].monotonic_begin + real + late;
            }
        }
        /* What is on its way counts as not having passed: once for each change, and never the other way. */
        expect_rate(last - BASE, real, (uint64_t)(changes + 1) * LATE_MS_MAX);
        cr_assert_leq(last - BASE, real + real / LOG_TIME_SLEW_PART + changes + 1);
    }
}

/* All replicas were down for a night: log time did not run, and does not catch up in one leap. */
Test(log_time, after_a_night_nothing_that_runs_is_over_at_once)
{
    struct log_time time;
    log_time_start(&time, BASE, 10, BASE + 10 * HOUR);
    cr_assert_eq(log_time_stamp(&time, 10, BASE + 10 * HOUR), BASE);
    cr_assert_eq(log_time_stamp(&time, 10 + 30000, BASE + 10 * HOUR + 30000), BASE + 33000);
}
