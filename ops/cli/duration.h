/* Times as people write them. */

#ifndef HOLDFAST_OPS_CLI_DURATION_H
#define HOLDFAST_OPS_CLI_DURATION_H

#include <stdint.h>

/* "250ms", "30s", "5m", "2h", "7d", or a number of milliseconds, up to DURATION_MS_MAX; or says that it is none and returns EXIT_USAGE. */
#define DURATION_MS_MAX (UINT64_C(10) * 366 * 24 * 3600 * 1000) /* The cluster takes no longer ones. */
int cli_duration(const char *option, const char *text, uint64_t *ret_ms);

/* "2026-03-01T08:00:00Z", after 1970, as milliseconds since then; or says that it is none and returns EXIT_USAGE. */
int cli_time(const char *option, const char *text, uint64_t *ret_ms);

/* The other way round, with milliseconds. `text` has room for CLI_TIME_LEN bytes. */
#define CLI_TIME_LEN 40u
void cli_time_text(uint64_t ms, char *text);

#endif
