/* The small file `repair` in the directory of a shard: this node may not count on what it has (it is a patient, patient.h), or
 * it could not, has been repaired, and wants its vote back. What is done at a start follows from this mark and from `current`
 * (state_dir.h): see repair.h.
 *
 * Replaced in one step. Synchronous; before the shard is opened, after it is closed, or, for clearing it, from the loop. */

#ifndef HOLDFAST_NODE_CORE_REPAIR_MARK_H
#define HOLDFAST_NODE_CORE_REPAIR_MARK_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/disk.h"
#include "proto/base/err.h"

#define REPAIR_REASON_LEN_MAX 255u

enum repair_state {
    REPAIR_NONE,
    REPAIR_NEEDED,    /* A patient. */
    REPAIR_RETURNING, /* It follows with the state of a copy, and is to vote again when it has caught up. */
};

struct repair_mark {
    enum repair_state state;
    bool voter;                             /* It had a vote, as far as is known: it is to get it back. */
    bool told;                              /* The leader has said so, or that it had none: it is not asked again. */
    bool ordered;                           /* An operator wants it so: as far as is known, what is there is sound. */
    bool damaged;                           /* The file was: the rest is what is safe to assume. */
    char reason[REPAIR_REASON_LEN_MAX + 1]; /* One line of UTF-8; "": nothing is wrong, the node is new. */
};

/* One line of it: what is no printable UTF-8 is replaced, what is too long is cut. */
void repair_reason(char out[REPAIR_REASON_LEN_MAX + 1], const char *text);

/* REPAIR_NONE when there is no file. A damaged file counts as NEEDED, with a vote that it had by the leader's word, who may have
 * taken it away by now: if it said less, that costs the time of a copy, and no data. Errors of the disk. */
int repair_mark_read(struct disk *disk, const char *dir, struct repair_mark *ret_mark) NODISCARD;

/* Durable when it returns 0; REPAIR_NONE removes the file. Errors of the disk: the old mark is there, or the new one. */
int repair_mark_write(struct disk *disk, const char *dir, const struct repair_mark *mark) NODISCARD;
int repair_mark_clear(struct disk *disk, const char *dir) NODISCARD;

/* Makes sure that the next mark can be written though the disk is full. Errors of the disk. */
int repair_mark_reserve(struct disk *disk, const char *dir) NODISCARD;

#endif
