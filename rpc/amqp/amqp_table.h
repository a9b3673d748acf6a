/* Tables of AMQP 0-9-1 (§4.2.5.5) with the types of values that RabbitMQ and its clients use, to the headers of a message
 * (message.proto) and back. Every type comes back as what it was.
 *
 *   t boolean    b int8     B uint8    s int16   u uint16   I int32   i uint32   l int64   L uint64
 *   f float32    d float64  D decimal  S string  x binary   T time    F table    A array   V void */

#ifndef HOLDFAST_RPC_AMQP_AMQP_TABLE_H
#define HOLDFAST_RPC_AMQP_AMQP_TABLE_H

#include "proto/base/arena.h"
#include "proto/wire/message.pb-c.h"
#include "rpc/amqp/amqp_cursor.h"

/* Tables and arrays within one another. */
#define AMQP_DEPTH_MAX 8u

/* Entries of a table or array, with all in it. */
#define AMQP_VALUES_MAX 16384u

struct amqp_headers {
    Holdfast__Header **entries; /* In the arena, as everything behind it. */
    size_t len;
};

/* The content of a table, without its length. ERR_INVALID: malformed, a name with a zero byte, or an unknown type. ERR_TOO_BIG:
 * nested more than AMQP_DEPTH_MAX deep, or more than AMQP_VALUES_MAX values. ERR_NOMEM: likewise of the arena's bound. Strings and
 * binaries refer to `table`. */
int amqp_table_decode(struct amqp_bytes table, struct arena *arena, struct amqp_headers *ret_headers) NODISCARD;

/* Appends the table with its length. ERR_NOMEM; ERR_TOO_BIG: a name longer than 255 bytes. What was appended before an error stays. */
int amqp_table_encode(Holdfast__Header *const *entries, size_t len, struct bytes *bytes) NODISCARD;

/* The entry of that name; NULL: there is none. Of several the last counts, as in RabbitMQ. */
const Holdfast__Value *amqp_headers_find(const struct amqp_headers *headers, const char *name);

#endif
