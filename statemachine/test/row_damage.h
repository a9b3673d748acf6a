/* Stores with a row that is not as it was written: what a machine makes of them. For tests and fuzzers. */

#ifndef HOLDFAST_STATEMACHINE_TEST_ROW_DAMAGE_H
#define HOLDFAST_STATEMACHINE_TEST_ROW_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "sim/store_memory.h"
#include "statemachine/store/rows.h"

#define DAMAGE_AFTER_MAX 64u

/* A store of a random history of version 2, and entries that follow its checkpoint. */
struct damage_image {
    struct store_memory_disk *disk;
    size_t rows;
    struct slice after[DAMAGE_AFTER_MAX];
    size_t after_len;
};
/* `uses`: as log_maker_init() takes it. */
void damage_image_make(struct damage_image *image, uint64_t seed, uint64_t uses, unsigned entries, unsigned after);
void damage_image_done(struct damage_image *image);

enum damage_kind {
    DAMAGE_BITS,    /* A byte of the row is another one. */
    DAMAGE_NUMBER,  /* Eight bytes are another number. */
    DAMAGE_SHORTER, /* Bytes are missing at the end of its fields. */
    DAMAGE_LONGER,  /* There are more. */
    DAMAGE_KEY,     /* A byte of the key is another one. */
    DAMAGE_MISSING, /* The row is not there. */
    DAMAGE_KINDS,
};

/* Numbers are taken modulo what there is. */
struct damage {
    enum damage_kind kind;
    size_t row;
    size_t at;
    uint64_t value;
    bool sealed; /* With a checksum as if it had been written so. */
};

/* A copy of the image's store with that damage, to be freed; `ret_key`, if not NULL, is that of the row as it was. */
struct store_memory_disk *damage_do(const struct damage_image *image, const struct damage *damage,
                                    struct row_key *ret_key);

/* Opens a machine on the store, lets it go on with the entries, and asks it for everything. The first error; `said` is how it is
 * explained. */
int damage_try(struct store_memory_disk *disk, const struct damage_image *image, char *said, size_t said_len);

#endif
