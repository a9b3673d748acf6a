/* The state of a stopped node, written anew without what is damaged in it, for one that is to be the only voter: RocksDB reads old
 * rows again when it merges files, and the scrub reads all of them; a node without others would end each time. What is missing then
 * is met only by who asks for it. */

#ifndef HOLDFAST_NODE_RECOVER_REWRITE_H
#define HOLDFAST_NODE_RECOVER_REWRITE_H

#include <stddef.h>

#include "node/core/state_dir.h"
#include "proto/base/disk.h"
#include "proto/base/err.h"

/* Where it is: in the directory `name` of that of the shard, `dir`, which is below `root`. */
struct recover_rewrite {
    struct disk *disk; /* Of `root`. */
    const char *root;
    const char *dir;
    char name[STATE_DIR_NAME_LEN_MAX];
};

/* Writes all rows of the store at `from` that are sound into a new one, where there is nothing yet, durably, and reads that again. It
 * counts for nothing yet. On error nothing is left; `detail` gets one line. */
int recover_rewrite(const struct recover_rewrite *rewrite, const char *from, char *detail, size_t detail_len) NODISCARD;

/* From now on that is the state, durably, and what was is removed. After an error or a crash state_dir_settle() is to be called, if
 * it is fresh. */
int recover_rewrite_switch(const struct recover_rewrite *rewrite, char *detail, size_t detail_len) NODISCARD;

#endif
