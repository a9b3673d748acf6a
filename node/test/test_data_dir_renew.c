/* A node that remembers nothing of its starts counts them from above all that it may have had. */

#include <criterion/criterion.h>

#include "node/data_dir.h"
#include "node/system_clock.h"
#include "proto/base/bytes.h"
#include "temp_dir.h"

static uint64_t date_s;

static uint64_t given_date(struct clock *clock)
{
    (void)clock;
    return date_s * 1000;
}

/* A date that goes back must not bring back numbers that were given out. */
Test(data_dir_renew, what_is_renewed_begins_above_all_before_by_the_date_or_without_it)
{
    static const uint64_t dates_s[] = {1700000000, 1700000000, 1600000000, 1800000000};
    static const uint64_t expected[] = {1700000000, 1700000001, 1700000002, 1800000000};
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    struct system_clock clock;
    struct temp_dir dir;
    char detail[256] = "";
    system_clock_init(&clock);
    clock.base.wall_ms = given_date;
    temp_dir_make(&dir);
    struct data_dir *renewed;
    cr_assert_eq(data_dir_open(dir.path, "test", 3, &clock.base, &renewed, detail, sizeof detail), 0, "%s", detail);
    for (unsigned i = 0; i < sizeof dates_s / sizeof *dates_s; i++) {
        date_s = dates_s[i];
        cr_assert_eq(data_dir_renew(renewed, &clock.base, detail, sizeof detail), 0, "%s", detail);
        cr_assert_eq(data_dir_history(renewed, history), 16u);
        cr_assert_eq(get_u64(history), expected[i] << 32, "%u", i);
    }
    data_dir_close(renewed);
    temp_dir_remove(&dir);
}
