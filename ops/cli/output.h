/* Standard output that gathers, and that can be given up: a reader that has stopped reading does not hold us for ever. */

#ifndef HOLDFAST_OPS_CLI_OUTPUT_H
#define HOLDFAST_OPS_CLI_OUTPUT_H

#include <stdbool.h>

#include "proto/base/bytes.h"

struct output {
    struct bytes bytes; /* Not written yet, from `done` on. */
    size_t done;
};

/* Gathers; ERR_NOMEM. */
int output_add(struct output *output, const void *data, size_t len) NODISCARD;

/* Writes what has gathered. ERR_IO: it cannot be written, errno says why. ERR_CLOSED: it takes nothing, and `interrupted`
 * says that it is not to be waited for. */
int output_flush(struct output *output, bool (*interrupted)(void)) NODISCARD;

/* Forgets what has gathered. */
void output_drop(struct output *output);

void output_done(struct output *output);

#endif
