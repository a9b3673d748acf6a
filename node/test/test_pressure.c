/* Watermarks: below at once, and over again only with some distance. */

#include "node/core/pressure.h"

#include <criterion/criterion.h>

static const struct pressure_limits limits = {.disk_free_min = 800, .memory_max = 800};

static bool update(struct pressure *pressure, uint64_t disk_free, uint64_t memory_used, bool log_short)
{
    struct pressure_sample sample = {.disk_free = disk_free, .memory_used = memory_used, .log_short = log_short};
    return pressure_update(pressure, &limits, &sample);
}

Test(pressure, the_disk_is_low_below_its_watermark_and_enough_with_a_distance)
{
    struct pressure pressure = {0};
    cr_assert_not(update(&pressure, 800, 0, false));
    cr_assert(update(&pressure, 799, 0, false));
    cr_assert(pressure.disk_low);
    cr_assert_not(update(&pressure, 899, 0, false));
    cr_assert(pressure.disk_low);
    cr_assert(update(&pressure, 900, 0, false));
    cr_assert_not(pressure.disk_low);
    cr_assert_not(update(&pressure, 800, 0, false));
}

Test(pressure, memory_is_low_above_its_watermark_and_enough_with_a_distance)
{
    struct pressure pressure = {0};
    cr_assert_not(update(&pressure, UINT64_MAX, 800, false));
    cr_assert(update(&pressure, UINT64_MAX, 801, false));
    cr_assert(pressure.memory_low && !pressure.disk_low);
    cr_assert_not(update(&pressure, UINT64_MAX, 701, false));
    cr_assert(update(&pressure, UINT64_MAX, 700, false));
    cr_assert_not(pressure.memory_low);
}

Test(pressure, a_log_that_gets_no_more_disk_is_low_whatever_the_disk_says)
{
    struct pressure pressure = {0};
    cr_assert(update(&pressure, UINT64_MAX, 0, true));
    cr_assert(pressure.disk_low);
    cr_assert(update(&pressure, UINT64_MAX, 0, false));
    cr_assert_not(pressure.disk_low);
}

Test(pressure, without_watermarks_nothing_is_low_but_a_log_without_disk)
{
    struct pressure pressure = {0};
    struct pressure_limits none = {0};
    struct pressure_sample sample = {.disk_free = 0, .memory_used = UINT64_MAX};
    cr_assert_not(pressure_update(&pressure, &none, &sample));
    sample.log_short = true;
    cr_assert(pressure_update(&pressure, &none, &sample));
}
