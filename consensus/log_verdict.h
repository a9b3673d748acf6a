/* What the bytes of a segment say: whether the batch at a place is whole, and what lies behind one that is not. Pure:
 * recovery has read the bytes, and decides what follows from the verdict. */

#ifndef HOLDFAST_CONSENSUS_LOG_VERDICT_H
#define HOLDFAST_CONSENSUS_LOG_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/log_format.h"

/* `err` is 0 for a batch that is whole, ERR_NOT_FOUND for zeroes, ERR_CHECKSUM for what a torn write can look like,
 * ERR_CORRUPT for what it cannot, and ERR_VERSION for a batch of a newer version. Only with 0 is there a head; otherwise
 * `offset` and `what`, for people. */
struct log_verdict {
    int err;
    uint64_t offset;
    const char *what;
    struct log_batch_head head;
};

/* `what` is borrowed for as long as the verdict. */
struct log_verdict log_verdict_of(int err, uint64_t offset, const char *what);
/* On the batch at `at`, which must have this number and epoch, and name this checksum as that of the batch before it.
 * `data` is the whole segment, `size` bytes. */
struct log_verdict log_verdict_batch(const uint8_t *data, uint64_t size, uint64_t at, uint64_t number,
                                     uint64_t previous, uint64_t epoch);
/* Whether something in what follows damage, from `at` on, was begun after batch `number` was synced. */
bool log_verdict_proves(const uint8_t *data, uint64_t size, uint64_t at, uint64_t number);
/* Bytes from `at` to the last one that is not zero. */
uint64_t log_verdict_bytes_left(const uint8_t *data, uint64_t size, uint64_t at);

#endif
