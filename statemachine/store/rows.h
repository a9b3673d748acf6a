/* The rows of the machine in its store: keys, and the envelope of every value.
 *
 * A key is a letter for the kind followed by its numbers as eight bytes each, big-endian, so that rows sort by number:
 *
 *   'G'                       globals: one row
 *   'Q' queue                 a queue: its name and ranges
 *   'R' queue position        a message that was delivered and came back: how often
 *   'M' queue position        a message
 *   'N' node                  a node that is present
 *   'P' name                  a producer: its last sequence; of a virtual host other than "/": 'P' 0 virtual host, name
 *   'S' session               a session and its remembered replies
 *   'C' session consumer      a consumer and its unsettled deliveries
 *
 * and of the table (table.h), all since version 2 of the machine:
 *
 *   'T' at_ms kind a b c      a timer
 *   'H' queue first           holes in a queue
 *   'W' queue position        a message that waits to come back
 *   'K' queue purges group position  a parked message
 *   'k' queue purges position the same, by position
 *   'r' queue purges position a message that came back, behind those that memory has
 *   'E' queue kind number     messages that are to be dropped bit by bit
 *   'A' queue group           an active group
 *   'D' id                    a pending message, with content
 *   'B' id                    a body that several messages share, with content
 *   'b' id                    how many refer to it
 *   'U' id number             a prepared message, with content; number 0: what is known of them together
 *   'u' virtual host, name    under which id they were prepared
 *   'I' queue hash hash       an id that was seen
 *   'V' queue position        a message kept after settling, with content
 *   'L' queue position number a step of a message's life
 *   'X' id                    an exchange
 *   'Y' id                    a binding
 *   'Z' id                    a virtual host
 *   'z' name                  a user
 *
 * A value is a version byte, little-endian fields, and an XXH3-64 of all of these, seeded with the XXH3-64 of the key, so that
 * neither a damaged nor a misplaced row is believed. A message's body follows the checksum of its row and is covered by a
 * hash of its own; how a row of the table is stored with its content stands in table.h. The fields stand beside the struct
 * that they keep, in <noun>.h.
 *
 * A row says by its version byte how its fields are to be read. Under version 1 of the machine rows are written as
 * ROW_VERSION, as ever; from version 2 on as ROW_VERSION_NEW when they are written again. Both are read at any time. */

#ifndef HOLDFAST_STATEMACHINE_STORE_ROWS_H
#define HOLDFAST_STATEMACHINE_STORE_ROWS_H

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
    ROW_TIMER = 'T',
    ROW_HOLES = 'H',
    ROW_WAITING = 'W',
    ROW_PARKED = 'K',
    ROW_PARKED_AT = 'k',
    ROW_RETURNED_FAR = 'r',
    ROW_SWEEP = 'E',
    ROW_GROUP = 'A',
    ROW_PENDING = 'D',
    ROW_BODY = 'B',
    ROW_BODY_USES = 'b',
    ROW_PREPARED = 'U',
    ROW_PREPARED_NAME = 'u',
    ROW_ID_SEEN = 'I',
    ROW_KEPT = 'V',
    ROW_LIFE = 'L',
    ROW_EXCHANGE = 'X',
    ROW_BINDING = 'Y',
    ROW_VIRTUAL_HOST = 'Z',
    ROW_USER = 'z',
};

/* 1 had no nodes, no leases and no counters; it was never released, and is refused. */
#define ROW_VERSION 2u
#define ROW_VERSION_NEW 3u
#define ROW_CHECKSUM_LEN 8u
#define ROW_KEY_LEN_MAX (1u + 1u + 8u + NAME_LEN_MAX)
#define ROW_KEY_ONE_LEN 9u
#define ROW_KEY_PAIR_LEN 17u
#define ROW_KEY_HOST_LEN 10u
#define ROW_KEY_LEN(numbers) (1u + 8u * (numbers))

struct row_key {
    uint8_t data[ROW_KEY_LEN_MAX + 1]; /* One more, for the place behind the longest one: row_key_next(). */
    size_t len;
};

struct row_key row_key_plain(enum row_kind kind);
struct row_key row_key_one(enum row_kind kind, uint64_t a);
struct row_key row_key_pair(enum row_kind kind, uint64_t a, uint64_t b);
struct row_key row_key_triple(enum row_kind kind, uint64_t a, uint64_t b, uint64_t c);
/* As many numbers as the kind has, or the first of them. */
struct row_key row_key_numbers(enum row_kind kind, const uint64_t *numbers, size_t count);
/* The name must have passed name_check(). */
struct row_key row_key_name(enum row_kind kind, const char *name, size_t name_len);
/* The same for a name that is one of a virtual host: in "/" (1) the name alone, in others a byte 0, which no name has, the host's
 * number, and the name. */
struct row_key row_key_host_name(enum row_kind kind, uint64_t virtual_host, const char *name, size_t name_len);
/* What all names of a virtual host other than "/" begin with. */
struct row_key row_key_host(enum row_kind kind, uint64_t virtual_host);
/* The first key after all that begin with `prefix`. */
struct row_key row_key_after(const struct row_key *prefix);
/* The first key after that one. */
struct row_key row_key_next(const struct row_key *key);
/* As memcmp(), the shorter one first. */
int row_key_compare(struct slice a, struct slice b);
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
/* Likewise, as ROW_VERSION_NEW: for rows that are written under version 2 of the machine. */
void row_begin_new(struct row *row, struct row_key key);
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
    uint8_t version; /* ROW_VERSION or ROW_VERSION_NEW. */
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
