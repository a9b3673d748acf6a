/* What is damaged in the state of a stopped node, all of it, so that an operator who has no other copy can decide: a node that is
 * the only voter ends when it meets damage, and has nobody to have it repaired from. */

#ifndef HOLDFAST_NODE_RECOVER_DAMAGE_H
#define HOLDFAST_NODE_RECOVER_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

#define RECOVER_DAMAGES_MAX 16u
#define RECOVER_DAMAGE_LEN 700u

struct recover_damage {
    uint64_t found;
    bool content; /* Nothing but messages and bodies is damaged: recover_rewrite() leaves them out. */
    char lines[RECOVER_DAMAGES_MAX][RECOVER_DAMAGE_LEN]; /* Of the first ones. */
};

/* Reads every row, body and content of the store at `path`, which can be opened, and changes nothing. Where standard error is a
 * terminal it says how far it is when that takes a while. 0, whatever is found; else the store could not be read at all: `detail`
 * gets one line. */
int recover_damage_read(const char *path, struct recover_damage *ret_damage, char *detail, size_t detail_len) NODISCARD;

#endif
