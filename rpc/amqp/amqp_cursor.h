/* Reading and writing the integers and strings of AMQP 0-9-1: network byte order, strings behind their lengths (§4.2.5). */

#ifndef HOLDFAST_RPC_AMQP_AMQP_CURSOR_H
#define HOLDFAST_RPC_AMQP_AMQP_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

/* Bytes that are borrowed: a string of any content, an encoded table. */
struct amqp_bytes {
    const uint8_t *data;
    size_t len;
};

/* Reads from the front. When something is not there the cursor has failed, gives zeroes and empty strings from then on, and its
 * reader looks once, at the end. */
struct amqp_cursor {
    const uint8_t *at;
    size_t left;
    bool failed;
};

struct amqp_cursor amqp_cursor_of(struct amqp_bytes bytes);

uint8_t amqp_take_u8(struct amqp_cursor *cursor);
uint16_t amqp_take_u16(struct amqp_cursor *cursor);
uint32_t amqp_take_u32(struct amqp_cursor *cursor);
uint64_t amqp_take_u64(struct amqp_cursor *cursor);
struct amqp_bytes amqp_take_bytes(struct amqp_cursor *cursor, size_t len);
/* Behind a length of one byte, and of four. */
struct amqp_bytes amqp_take_short_string(struct amqp_cursor *cursor);
struct amqp_bytes amqp_take_long_string(struct amqp_cursor *cursor);

/* Appending. ERR_NOMEM; ERR_TOO_BIG: a string longer than its length can say. Nothing has been appended then. */
int amqp_put_u8(struct bytes *bytes, uint8_t value) NODISCARD;
int amqp_put_u16(struct bytes *bytes, uint16_t value) NODISCARD;
int amqp_put_u32(struct bytes *bytes, uint32_t value) NODISCARD;
int amqp_put_u64(struct bytes *bytes, uint64_t value) NODISCARD;
int amqp_put_short_string(struct bytes *bytes, struct amqp_bytes string) NODISCARD;
int amqp_put_long_string(struct bytes *bytes, struct amqp_bytes string) NODISCARD;

/* A length that is known only when what follows is written: its place, and filling it in. */
int amqp_begin_long(struct bytes *bytes, size_t *ret_place) NODISCARD;
int amqp_end_long(struct bytes *bytes, size_t place) NODISCARD;

/* Of a C string; borrows. */
struct amqp_bytes amqp_text(const char *text);

#endif
