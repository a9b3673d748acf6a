/* Little-endian integers in byte strings, and a growing byte string. Every format of ours, stored or sent, is written
 * with these. (Keys in the store are big-endian, so that they sort by number.) */

#ifndef HOLDFAST_PROTO_BASE_BYTES_H
#define HOLDFAST_PROTO_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

static inline void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, (uint16_t)v);
    put_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)v);
    put_u32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

static inline uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

static inline uint64_t get_u64(const uint8_t *p)
{
    return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--) {
        p[i] = (uint8_t)v;
        v >>= 8;
    }
}

static inline uint64_t get_be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* A byte string that grows by doubling. Zero-initialise, bytes_done() at the end. */
struct bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
};

/* Makes room for `extra` more bytes, without changing the length. ERR_NOMEM leaves it untouched. */
int bytes_reserve(struct bytes *bytes, size_t extra) NODISCARD;
/* Appends a copy. ERR_NOMEM leaves it untouched. */
int bytes_append(struct bytes *bytes, const void *data, size_t len) NODISCARD;
/* Frees the memory and zeroes the struct. */
void bytes_done(struct bytes *bytes);

/* Whether the bytes are valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool bytes_are_utf8(const void *data, size_t len);

/* Whether the bytes are a valid name: 1 to NAME_LEN_MAX bytes of UTF-8 without control characters.
 * Returns 0, ERR_NAME or ERR_UTF8. */
int name_check(const void *data, size_t len) NODISCARD;

#endif
