/* The kinds of rows in the table, and what of a row can be checked without knowing its noun. Uses no machine, and may run on
 * any thread. */

#ifndef HOLDFAST_STATEMACHINE_TABLE_TABLE_KIND_H
#define HOLDFAST_STATEMACHINE_TABLE_TABLE_KIND_H

#include <stdbool.h>
#include <stddef.h>

#include "statemachine/store/rows.h"

struct table_kind {
    const char *what; /* For people: what the row is of. */
    size_t key_len;   /* 0: the kind and a name. */
    bool content;     /* Its rows may have content. */
    bool grouped;     /* Its first number says whose row it is. */
};

/* By the first byte of a key; NULL: none of the table. */
const struct table_kind *table_kind(uint8_t letter);

/* Of a row with content: what its last fields say. */
#define TABLE_TAIL_LEN (8u + 4u)
struct table_tail {
    uint64_t hash;
    uint32_t len;
};
/* Appends them, as the last fields before row_seal(). */
void table_put_tail(struct row *row, uint64_t hash, uint32_t len);
/* Of a sealed row, whose checksum is not looked at. ERR_CORRUPT: it is too short. */
int table_tail(struct slice row, struct table_tail *ret_tail) NODISCARD;

/* The length of the row before a row with content, in the store. */
#define TABLE_PREFIX_LEN 4u

/* Takes apart what the store has under a key of the table, and checks the row's checksum and the content's length, not its
 * hash. Both borrow from the value. ERR_CORRUPT, ERR_VERSION. */
int table_row_split(const struct row_key *key, struct slice value, struct slice *ret_row,
                    struct slice *ret_content) NODISCARD;

#endif
