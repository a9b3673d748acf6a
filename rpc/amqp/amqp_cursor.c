/* Integers and strings of AMQP 0-9-1. */

#include "rpc/amqp/amqp_cursor.h"

#include <string.h>

struct amqp_cursor amqp_cursor_of(struct amqp_bytes bytes)
{
    return (struct amqp_cursor){.at = bytes.data, .left = bytes.len};
}

/* ---- Reading ---- */

/* The next `len` bytes; NULL when there are not so many. */
static const uint8_t *take(struct amqp_cursor *cursor, size_t len)
{
    if (cursor->failed || cursor->left < len) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *at = cursor->at;
    cursor->at += len;
    cursor->left -= len;
    return at;
}

static uint64_t take_number(struct amqp_cursor *cursor, size_t len)
{
    const uint8_t *at = take(cursor, len);
    uint64_t number = 0;
    for (size_t i = 0; at != NULL && i < len; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

uint8_t amqp_take_u8(struct amqp_cursor *cursor)
{
    return (uint8_t)take_number(cursor, 1);
}

uint16_t amqp_take_u16(struct amqp_cursor *cursor)
{
    return (uint16_t)take_number(cursor, 2);
}

uint32_t amqp_take_u32(struct amqp_cursor *cursor)
{
    return (uint32_t)take_number(cursor, 4);
}

uint64_t amqp_take_u64(struct amqp_cursor *cursor)
{
    return take_number(cursor, 8);
}

struct amqp_bytes amqp_take_bytes(struct amqp_cursor *cursor, size_t len)
{
    const uint8_t *at = take(cursor, len);
    return at == NULL ? (struct amqp_bytes){0} : (struct amqp_bytes){at, len};
}

struct amqp_bytes amqp_take_short_string(struct amqp_cursor *cursor)
{
    return amqp_take_bytes(cursor, amqp_take_u8(cursor));
}

struct amqp_bytes amqp_take_long_string(struct amqp_cursor *cursor)
{
    return amqp_take_bytes(cursor, amqp_take_u32(cursor));
}

/* ---- Writing ---- */

static int put_number(struct bytes *bytes, uint64_t value, unsigned len)
{
    uint8_t out[8];
    for (unsigned i = 0; i < len; i++) {
        out[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
    }
    return bytes_append(bytes, out, len);
}

int amqp_put_u8(struct bytes *bytes, uint8_t value)
{
    return put_number(bytes, value, 1);
}

int amqp_put_u16(struct bytes *bytes, uint16_t value)
{
    return put_number(bytes, value, 2);
}

int amqp_put_u32(struct bytes *bytes, uint32_t value)
{
    return put_number(bytes, value, 4);
}

int amqp_put_u64(struct bytes *bytes, uint64_t value)
{
    return put_number(bytes, value, 8);
}

static int put_string(struct bytes *bytes, struct amqp_bytes string, unsigned length_len)
{
    int err = bytes_reserve(bytes, length_len + string.len);
    if (err == 0) {
        err = put_number(bytes, string.len, length_len);
    }
    if (err == 0 && string.len > 0) {
        err = bytes_append(bytes, string.data, string.len);
    }
    return err;
}

int amqp_put_short_string(struct bytes *bytes, struct amqp_bytes string)
{
    return string.len > UINT8_MAX ? ERR_TOO_BIG : put_string(bytes, string, 1);
}

int amqp_put_long_string(struct bytes *bytes, struct amqp_bytes string)
{
    return string.len > UINT32_MAX ? ERR_TOO_BIG : put_string(bytes, string, 4);
}

int amqp_begin_long(struct bytes *bytes, size_t *ret_place)
{
    size_t place = bytes->len;
    int err = put_number(bytes, 0, 4);
    if (err == 0) {
        *ret_place = place;
    }
    return err;
}

int amqp_end_long(struct bytes *bytes, size_t place)
{
    size_t len = bytes->len - place - 4;
    if (len > UINT32_MAX) {
        return ERR_TOO_BIG;
    }
    for (unsigned i = 0; i < 4; i++) {
        bytes->data[place + i] = (uint8_t)(len >> (8 * (3 - i)));
    }
    return 0;
}

struct amqp_bytes amqp_text(const char *text)
{
    return (struct amqp_bytes){(const uint8_t *)text, strlen(text)};
}
