/* Times as people write them. */

#include "duration.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

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
            return 0;
        }
    }
    fprintf(stderr, "holdfast: %s takes a time such as 250ms, 30s, 5m, 2h or 7d, not \"%s\"\n", option, text);
    return EXIT_USAGE;
}
