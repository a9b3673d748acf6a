/* Term and vote on disk: the two things that a server must never forget (Raft Figure 3.1, persistent state).
 *
 * They are written alternately to two slots of one file, each with a version, a counter and a checksum, and synced
 * before anything else happens; a torn write of one slot leaves the other. */

#ifndef HOLDFAST_CONSENSUS_META_H
#define HOLDFAST_CONSENSUS_META_H

#include <stdint.h>

#include "proto/base/disk.h"
#include "proto/base/err.h"

struct meta;

struct meta_value {
    uint64_t term;
    uint64_t voted_for;
};

/* Opens or creates DIR/meta (`dir` is relative to the disk's root and exists). A new file gives zeroes.
 * ERR_CORRUPT: no slot is whole although a write was once completed; `detail` says where. ERR_VERSION. */
int meta_open(struct disk *disk, const char *dir, struct meta **ret_meta, struct meta_value *ret_value, char *detail,
              size_t detail_len) NODISCARD;

/* Writes and syncs. On any error the process must end: what is on disk is unknown. */
int meta_save(struct meta *meta, const struct meta_value *value) NODISCARD;

void meta_close(struct meta *meta);

#endif
