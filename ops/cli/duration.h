/* Times as people write them. */

#ifndef HOLDFAST_OPS_CLI_DURATION_H
#define HOLDFAST_OPS_CLI_DURATION_H

#include <stdint.h>

/* "250ms", "30s", "5m", "2h", "7d", or a number of milliseconds; or says that it is none and returns EXIT_USAGE. */
int cli_duration(const char *option, const char *text, uint64_t *ret_ms);

#endif
