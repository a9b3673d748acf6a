/* Times as people write them: what is none is refused, rather than taken for another. */

#include <criterion/criterion.h>
#include <stdint.h>

#include "cli.h"
#include "duration.h"

Test(duration, units)
{
    uint64_t ms = 0;
    cr_assert_eq(cli_duration("--ttl", "250ms", &ms), 0);
    cr_assert_eq(ms, 250);
    cr_assert_eq(cli_duration("--ttl", "2h", &ms), 0);
    cr_assert_eq(ms, 7200000);
    cr_assert_eq(cli_duration("--ttl", "0", &ms), 0);
    cr_assert_eq(ms, 0);
    cr_assert_eq(cli_duration("--ttl", "3660d", &ms), 0);
    cr_assert_eq(ms, DURATION_MS_MAX);
    static const char *const bad[] = {
        "", "s", "-1s", "1 s", "1y", "1.5s", "99999999999999999999", "999999999999999999d", "3661d", "316224000001"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(cli_duration("--ttl", bad[i], &ms), EXIT_USAGE, "%s", bad[i]);
    }
}

Test(duration, a_time_that_is_there)
{
    uint64_t ms = 0;
    cr_assert_eq(cli_time("--deliver-at", "2026-03-01T08:00:00Z", &ms), 0);
    cr_assert_eq(ms, UINT64_C(1772352000000));
    cr_assert_eq(cli_time("--deliver-at", "2028-02-29T23:59:59Z", &ms), 0);
    static const char *const bad[] = {
        "2027-02-29T00:00:00Z", "2027-02-30T00:00:00Z", "2027-04-31T00:00:00Z", "2027-01-01T24:00:00Z",
        "2027-01-01T00:00:60Z", "2027-13-01T00:00:00Z", "2027-01-01T00:00:00",  "tomorrow",
        "1960-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(cli_time("--deliver-at", bad[i], &ms), EXIT_USAGE, "%s", bad[i]);
    }
}
