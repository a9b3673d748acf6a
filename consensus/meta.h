/* Term and vote on disk: the two things that a server must never forget (Raft Figure 3.1, persistent state).
 *
 * They are in two slots of one file, each with a version, a counter and a checksum. One is written and synced before anything
 * else happens, the other after that; a torn write of one leaves the other, and so does damage, soon after the write. */

#ifndef HOLDFAST_CONSENSUS_META_H
#define HOLDFAST_CONSENSUS_META_H

#include <stdbool.h>
#include <stddef.h>
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

/* Reads what meta_open() would give, and changes nothing. ERR_NOT_FOUND: it was never saved; otherwise as there. */
int meta_peek(struct disk *disk, const char *dir, struct meta_value *ret_value, char *detail,
              size_t detail_len) NODISCARD;

/* Writes and syncs. On any error the process must end: what is on disk is unknown. */
int meta_save(struct meta *meta, const struct meta_value *value) NODISCARD;

void meta_close(struct meta *meta);

/* Reading the file back, to find what has been damaged while nobody looked: begun on the loop, read on any thread, and
 * settled on the loop. */
#define META_SLOT_LEN 512u
struct meta_scrub {
    uint64_t counter; /* Of the last write when it was begun. */
    uint8_t slots[2 * META_SLOT_LEN];
};
void meta_scrub_begin(const struct meta *meta, struct meta_scrub *scrub);
/* Uses nothing but the file: DIR/meta. What cannot be read counts as damaged. ERR_NOMEM. */
int meta_scrub_read(struct disk *disk, const char *dir, struct meta_scrub *scrub) NODISCARD;
/* Writes a slot that is damaged anew, from memory, and syncs it: then *ret_mended is true. Where the other slot is whole and
 * says something older it gets the present term and vote too, so that damage to either costs nothing. Does nothing when
 * something was saved since it was begun.
 * ERR_CORRUPT: both slots are damaged. ERR_IO: a slot could not be written; the process must end, as after meta_save(). */
int meta_scrub_settle(struct meta *meta, const struct meta_scrub *scrub, bool *ret_mended) NODISCARD;

#endif
