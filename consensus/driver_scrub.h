/* Reading back what consensus has on disk, term and vote and the log, to find what has been damaged while nobody looked
 * (log_scrub.h). A pass is begun on the loop; its pieces are read on another thread, and settled on the loop. */

#ifndef HOLDFAST_CONSENSUS_DRIVER_SCRUB_H
#define HOLDFAST_CONSENSUS_DRIVER_SCRUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "proto/base/err.h"

struct driver_scrub;

/* The driver must outlive the pass. ERR_NOMEM. */
int driver_scrub_open(struct driver *driver, struct driver_scrub **ret_scrub) NODISCARD;
/* NULL is allowed. No other thread is in driver_scrub_read() any more. */
void driver_scrub_close(struct driver_scrub *scrub);

/* Bytes to be read in this pass, and how many of them have been. */
uint64_t driver_scrub_bytes(const struct driver_scrub *scrub);
uint64_t driver_scrub_bytes_done(const struct driver_scrub *scrub);
bool driver_scrub_finished(const struct driver_scrub *scrub);

/* Reads and checks the next piece, about `bytes_max` bytes; on any thread. There is something left. */
void driver_scrub_read(struct driver_scrub *scrub, uint64_t bytes_max);
/* On the loop, once after each driver_scrub_read(). 0: all is well, or *ret_mended: something was damaged, and could be
 * written again from memory; `detail` says what.
 * ERR_CORRUPT: damaged, or not to be read; `detail` says which file, where, and what is wrong; the pass has ended. ERR_NOMEM:
 * nothing was read; to be tried again. When the disk fails what is to be mended, the driver's host is told that the process must
 * end, as whenever term and vote cannot be saved. */
int driver_scrub_settle(struct driver_scrub *scrub, bool *ret_mended, char *detail, size_t detail_len) NODISCARD;

#endif
