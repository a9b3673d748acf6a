/* Reading the rows of the machine again, to find what has been damaged while nobody looked: what the machine itself checks of
 * a row, whatever store it is in. Uses no machine, and may run on any thread. */

#ifndef HOLDFAST_STATEMACHINE_STORE_SCRUB_H
#define HOLDFAST_STATEMACHINE_STORE_SCRUB_H

#include <stddef.h>
#include <stdint.h>

#include "statemachine/store/store.h"

/* Checks a row by itself: its key, its checksum, the body of a message, the content of a row of the table. ERR_CORRUPT, ERR_VERSION: `detail` gets one line that
 * names the row. */
int scrub_row(struct slice key, struct slice value, char *detail, size_t detail_len) NODISCARD;

/* Writes a line that names the row of that key, and says `what` of it. */
void scrub_blame(struct slice key, const char *what, char *detail, size_t detail_len);

/* A step of store_ops.scrub with scrub_row() for its rows: the caller has filled `from` and `bytes_max`. On error there is a
 * line in `detail`. */
int scrub_rows(struct store *store, struct store_scrub *scrub) NODISCARD;

#endif
