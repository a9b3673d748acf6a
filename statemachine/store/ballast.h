/* Space of the disk that is kept for the checkpoint that makes room.
 *
 * A disk that the log has filled gets room when a checkpoint lets the log before it go. That checkpoint is small, because
 * what has been consumed is not in it, but it needs some space itself: a file of zeroes holds it, and is given up for it. */

#ifndef HOLDFAST_STATEMACHINE_STORE_BALLAST_H
#define HOLDFAST_STATEMACHINE_STORE_BALLAST_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

#define BALLAST_LEN (8 * MIB)

struct ballast {
    char *dir;
    char *path;
    bool there;
};

/* `dir` is copied; it need not exist yet. Finds what an earlier process has left. ERR_NOMEM. */
int ballast_init(struct ballast *ballast, const char *dir) NODISCARD;

/* Frees what is in memory. */
void ballast_done(struct ballast *ballast);

/* Takes the space, where there is plenty. What cannot be had is done without. */
void ballast_take(struct ballast *ballast);

/* Whether the disk has room for that much, if need be by giving up the ballast; it is not given up for nothing. */
bool ballast_make_room(struct ballast *ballast, uint64_t len) NODISCARD;

#endif
