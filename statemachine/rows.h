/* The rows of the machine in its store: keys, and the envelope of every value.
 *
 * A key is a letter for the kind followed by its numbers as eight bytes each, big-endian, so that rows sort by number:
 *
 *   'G'                       globals: one row
 *   'Q' queue                 a queue: its name and ranges
 *   'R' queue position        a message that was delivered and came back: how often
 *   'M' queue position        a message
 *   'N' node                  a node that is present
 *   'P' name                  a producer: its last sequence
 *   'S' session               a session and its remembered replies
 *   'C' session consumer      a consumer and its unsettled deliveries
 *
 * A value is a version byte (ROW_VERSION), little-endian fields, and an XXH3-64 of all of these, seeded with the
 * XXH3-64 of the key, so that neither a damaged nor a misplaced row is believed. A message's body follows the checksum
 * of its row and is covered by a hash of its own. The fields stand beside the struct that they keep, in <noun>.h. */

#ifndef HOLDFAST_STATEMACHINE_ROWS_H
#define HOLDFAST_STATEMACHINE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"

enum row_kind {
    ROW_GLOBALS = 'G',
    ROW_QUEUE = 'Q',
    ROW_RETURNED = 'R',
    ROW_MESSAGE = 'M',
    ROW_PRESENCE = 'N',
    ROW_PRODUCER = 'P',
    ROW_SESSION = 'S',
    ROW_CONSUMER = 'C',
};

/* 1 had no nodes, no leases and no counters; it was never released, and is refused. */
#define ROW_VERSION 2u
#define ROW_CHECKSUM_LEN 8u
#define ROW_KEY_LEN_MAX (1u + NAME_LEN_MAX)
#define ROW_KEY_ONE_LEN 9u
#define ROW_KEY_PAIR_LEN 17u

struct row_key {
    uint8_t data[ROW_KEY_LEN_MAX];
    size_t len;
};

struct row_key row_key_plain(enum row_kind kind);
struct row_key row_key_one(enum row_kind kind, uint64_t a);
struct row_key row_key_pair(enum row_kind kind, uint64_t a, uint64_t b);
/* The name must have passed name_check(). */
struct row_key row_key_name(enum row_kind kind, const char *name, size_t name_len);
/* Borrows from the key. */
struct slice row_key_slice(const struct row_key *key);

/* Checksum of a value with that key. */
uint64_t row_checksum(const struct row_key *key, const uint8_t *value, size_t len);

/* A row being written. The first error sticks and is reported by row_seal(). */
struct row {
    struct row_key key;
    struct bytes value;
    int err;
};

/* Starts over with a key; keeps the memory. */
void row_begin(struct row *row, struct row_key key);
void row_put_u8(struct row *row, uint8_t value);
void row_put_u16(struct row *row, uint16_t value);
void row_put_u32(struct row *row, uint32_t value);
void row_put_u64(struct row *row, uint64_t value);
void row_put_bytes(struct row *row, const void *data, size_t len);
/* Appends the checksum. ERR_NOMEM. */
int row_seal(struct row *row) NODISCARD;
void row_done(struct row *row);

/* A row being read. Reading past the end gives zeros and is reported by row_end(). */
struct row_reader {
    const uint8_t *at;
    size_t left;
    bool overrun;
};

/* Checks version and checksum. ERR_VERSION, ERR_CORRUPT. Borrows the value. */
int row_open(struct row_reader *reader, const struct row_key *key, struct slice value) NODISCARD;
uint8_t row_get_u8(struct row_reader *reader);
uint16_t row_get_u16(struct row_reader *reader);
uint32_t row_get_u32(struct row_reader *reader);
uint64_t row_get_u64(struct row_reader *reader);
/* NULL when there are not as many. */
const uint8_t *row_get_bytes(struct row_reader *reader, size_t len);
/* ERR_CORRUPT unless the row was read exactly to its end. */
int row_end(const struct row_reader *reader) NODISCARD;

#endif
