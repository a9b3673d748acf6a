/* Times as people write them. */

#include "duration.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

static int within_years(const char *option, const char *text, uint64_t ms)
{
    if (ms > DURATION_MS_MAX) {
        fprintf(stderr, "holdfast: %s takes ten years (3660d) at most, not \"%s\"\n", option, text);
        return EXIT_USAGE;
    }
    return 0;
}

int cli_duration(const char *option, const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text[0] >= '0' && text[0] <= '9' && errno == 0 && strcmp(end, units[i].unit) == 0 &&
            number <= UINT64_MAX / units[i].ms) {
            *ret_ms = number * units[i].ms;
            return within_years(option, text, *ret_ms);
        }
    }
    fprintf(stderr, "holdfast: %s takes a time such as 250ms, 30s, 5m, 2h or 7d, not \"%s\"\n", option, text);
    return EXIT_USAGE;
}

/* timegm() takes the 30th of February for the 2nd of March, and changes what it was given. */
static time_t seconds_of(const struct tm *utc)
{
    struct tm same = *utc;
    time_t seconds = timegm(&same);
    bool is_there = same.tm_mon == utc->tm_mon && same.tm_mday == utc->tm_mday && same.tm_hour == utc->tm_hour &&
                    same.tm_min == utc->tm_min && same.tm_sec == utc->tm_sec;
    return is_there ? seconds : -1;
}

int cli_time(const char *option, const char *text, uint64_t *ret_ms)
{
    struct tm utc = {.tm_year = 0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    time_t seconds = end == NULL || *end != '\0' ? -1 : seconds_of(&utc);
    if (seconds <= 0) {
        fprintf(stderr, "holdfast: %s takes a time in UTC such as 2026-03-01T08:00:00Z, not \"%s\"\n", option, text);
        return EXIT_USAGE;
    }
    *ret_ms = (uint64_t)seconds * 1000;
    return 0;
}

void cli_time_text(uint64_t ms, char *text)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL) {
        snprintf(text, CLI_TIME_LEN, "-");
        return;
    }
    size_t len = strftime(text, CLI_TIME_LEN, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, CLI_TIME_LEN - len, ".%03uZ", (unsigned)(ms % 1000));
}
