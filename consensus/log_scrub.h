/* Reading the log back, to find what has been damaged while nobody looked.
 *
 * A pass notes what is stored when it begins: of each segment its head, where its last batch ends, and that batch's number
 * and checksum. Then it reads, from the disk and not from memory, piece by piece, and compares: checksums, the chain of
 * batches, its end, and the terms and lengths that the log has in memory. So it finds not only bytes that have changed, but
 * also a write that was lost or went elsewhere: what lies there is whole, and not what was written.
 *
 * The log goes on meanwhile. What is appended later is left to the next pass; what is truncated stays where it is; segments
 * that are dropped are passed over. */

#ifndef HOLDFAST_CONSENSUS_LOG_SCRUB_H
#define HOLDFAST_CONSENSUS_LOG_SCRUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/log.h"
#include "proto/base/err.h"

struct log_scrub;

/* Begins a pass, on the loop. The log must outlive it. ERR_NOMEM. */
int log_scrub_open(struct log *log, struct log_scrub **ret_scrub) NODISCARD;
/* NULL is allowed. No other thread is in log_scrub_read() any more. */
void log_scrub_close(struct log_scrub *scrub);

/* Bytes to be read in this pass, and how many of them have been. */
uint64_t log_scrub_bytes(const struct log_scrub *scrub);
uint64_t log_scrub_bytes_done(const struct log_scrub *scrub);
/* Nothing is left. */
bool log_scrub_finished(const struct log_scrub *scrub);

/* Reads the next piece and checks it by itself: about `bytes_max` bytes, but at least a batch. On any thread; it uses nothing
 * of the log but the names of its files. There is something left. */
void log_scrub_read(struct log_scrub *scrub, uint64_t bytes_max);

/* On the loop, once after each log_scrub_read(): compares what was read with what the log knows, and goes on behind it.
 * ERR_CORRUPT: it is damaged, or cannot be read; `detail` says which file, where, and what is wrong; the pass has ended.
 * ERR_NOMEM: nothing was read; to be tried again. */
int log_scrub_settle(struct log_scrub *scrub, char *detail, size_t detail_len) NODISCARD;

#endif
