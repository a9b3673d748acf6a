/* Recorded logs: entries as they were applied, and what a machine's digests were on the way.
 *
 * A log file is a run of records: u64 index, u32 length of the payload, payload, all little-endian. A digests file has a line
 * of text for every 50th entry and for the last one: index, running digest, machine digest, digest of the replies' texts, in
 * hexadecimal but for the index. A rows file, of what a checkpoint in the middle left in the store, is a run of records:
 * u32 length of the key, u32 length of the value, key, value. */

#ifndef HOLDFAST_STATEMACHINE_TEST_GOLDEN_LOG_H
#define HOLDFAST_STATEMACHINE_TEST_GOLDEN_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "statemachine/machine.h"

/* Digests are noted after as many entries. */
#define GOLDEN_EVERY 50u

struct golden_digests {
    uint64_t index;
    uint64_t running;
    uint64_t machine;
    uint64_t texts;
};

struct golden_log {
    struct slice *entries; /* entries[i] is that of index i + 1; borrows from `file`. */
    size_t len;
    struct golden_digests *digests; /* In order of index. */
    size_t digests_len;
    struct slice file;
};

/* Reads <dir>/<name>.log and <dir>/<name>.digests. ERR_IO, ERR_CORRUPT, ERR_NOMEM: then nothing needs to be freed. */
int golden_log_read(struct golden_log *log, const char *dir, const char *name) NODISCARD;
void golden_log_done(struct golden_log *log);

/* A whole file; the caller owns the reference. ERR_IO, ERR_NOMEM. */
int golden_file_read(const char *path, struct slice *ret_file) NODISCARD;

/* Goes on with the digest of the texts of replies over the effects of one entry. */
uint64_t golden_texts(uint64_t digest, const struct effects *effects);

#endif
