/* What version 1 of the machine sees of a command's header. */

#include "statemachine/version_one.h"

#include <stdbool.h>
#include <string.h>

#include "proto/base/check.h"

/* The kinds of Command that version 1 has, up to this number; */
#define KIND_LAST 16u
/* and of those that have got fields since, the last field that it has. */
static const struct {
    uint32_t kind;
    uint32_t field_last;
} grown[] = {
    {1, 7}, /* AttachSession */
    {4, 1}, /* DeclareQueue */
    {5, 2}, /* DeleteQueue */
    {6, 5}, /* Publish */
    {7, 3}, /* Subscribe */
    {8, 1}, /* Unsubscribe */
    {9, 4}, /* Settle */
};

static uint32_t field_last_of(uint32_t kind)
{
    for (size_t i = 0; i < ARRAY_LEN(grown); i++) {
        if (grown[i].kind == kind) {
            return grown[i].field_last;
        }
    }
    return UINT32_MAX;
}

/* ---- A field, as the decoder of all builds (protobuf-c) takes it: what one refuses or lets pass, so does the other. ---- */

enum wire { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_DELIMITED = 2, WIRE_32BIT = 5 };

#define KEY_BYTES_MAX 5u
#define LENGTH_BYTES_MAX 5u
#define VARINT_BYTES_MAX 10u

struct field {
    uint32_t number;
    enum wire wire;
    const uint8_t *data; /* If it is delimited: what is in it. */
    size_t len;
};

/* How long a varint of at most `max` bytes is; 0: it has no end. */
static size_t varint_len(const uint8_t *at, const uint8_t *end, size_t max)
{
    size_t len = 1;
    while (at < end && len <= max) {
        if ((*at++ & 0x80) == 0) {
            return len;
        }
        len++;
    }
    return 0;
}

static uint64_t varint_value(const uint8_t *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len && i < VARINT_BYTES_MAX; i++) {
        value |= (uint64_t)(at[i] & 0x7f) << (7 * i);
    }
    return value;
}

static bool field_next(const uint8_t **ret_at, const uint8_t *end, struct field *ret_field)
{
    const uint8_t *at = *ret_at;
    size_t key_len = varint_len(at, end, KEY_BYTES_MAX);
    uint64_t key = varint_value(at, key_len);
    struct field field = {.number = (uint32_t)(key >> 3), .wire = (enum wire)(key & 7)};
    size_t prefix_len = 0;
    size_t len = 0;
    at += key_len;
    switch (field.wire) {
    case WIRE_VARINT: prefix_len = varint_len(at, end, VARINT_BYTES_MAX); break;
    case WIRE_64BIT: len = 8; break;
    case WIRE_32BIT: len = 4; break;
    case WIRE_DELIMITED:
        prefix_len = varint_len(at, end, LENGTH_BYTES_MAX);
        len = varint_value(at, prefix_len);
        break;
    default: return false;
    }
    bool has_prefix = field.wire == WIRE_VARINT || field.wire == WIRE_DELIMITED;
    if (key_len == 0 || (has_prefix && prefix_len == 0) || len > (size_t)(end - at) - prefix_len) {
        return false;
    }
    field.data = at + prefix_len;
    field.len = len;
    *ret_at = field.data + len;
    *ret_field = field;
    return true;
}

/* ---- Taking out ---- */

/* What is left of the fields of a message. `*ret_later` is set when something is taken out; to `out`, if it is not NULL, go those
 * that stay. False: malformed. */
static bool known_fields(const uint8_t *data, size_t len, uint32_t field_last, uint8_t *out, size_t *ret_len,
                         bool *ret_later)
{
    const uint8_t *at = data;
    const uint8_t *end = data + len;
    size_t kept = 0;
    while (at < end) {
        const uint8_t *start = at;
        struct field field;
        if (!field_next(&at, end, &field)) {
            return false;
        }
        if (field.number > field_last) {
            *ret_later = true;
            continue;
        }
        if (out != NULL) {
            memcpy(out + kept, start, (size_t)(at - start));
        }
        kept += (size_t)(at - start);
    }
    *ret_len = kept;
    return true;
}

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) {
        out[len++] = (uint8_t)(value | 0x80);
    }
    out[len++] = (uint8_t)value;
    return len;
}

/* A field of Command, as it is or with a part of its message. Never longer than it was: key and length are written as short as
 * can be. */
static size_t put_kind(uint8_t *out, const uint8_t *start, const uint8_t *behind, const struct field *field)
{
    bool later = false;
    size_t kept;
    uint32_t last = field_last_of(field->number);
    bool message = field->wire == WIRE_DELIMITED && last != UINT32_MAX;
    if (!message || !known_fields(field->data, field->len, last, NULL, &kept, &later) || !later) {
        memcpy(out, start, (size_t)(behind - start));
        return (size_t)(behind - start);
    }
    size_t len = put_varint(out, (uint64_t)field->number << 3 | WIRE_DELIMITED);
    len += put_varint(out + len, kept);
    (void)known_fields(field->data, field->len, last, out + len, &kept, &later);
    return len + kept;
}

/* Whether there is anything to take out. */
static bool has_later(struct slice header)
{
    const uint8_t *at = header.data;
    const uint8_t *end = header.data + header.len;
    bool later = false;
    while (at < end && !later) {
        struct field field;
        size_t kept;
        if (!field_next(&at, end, &field)) {
            return false;
        }
        uint32_t last = field_last_of(field.number);
        later = field.number > KIND_LAST;
        if (!later && field.wire == WIRE_DELIMITED && last != UINT32_MAX) {
            (void)known_fields(field.data, field.len, last, NULL, &kept, &later);
        }
    }
    return later;
}

int version_one_header(struct arena *arena, struct slice header, struct slice *ret_header)
{
    *ret_header = header;
    if (header.len == 0 || !has_later(header)) {
        return 0;
    }
    uint8_t *copy = arena_alloc(arena, header.len);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    const uint8_t *at = header.data;
    const uint8_t *end = header.data + header.len;
    size_t len = 0;
    while (at < end) {
        const uint8_t *start = at;
        struct field field;
        if (!field_next(&at, end, &field)) {
            return 0; /* As it is: nobody can decode it. */
        }
        len += field.number > KIND_LAST ? 0 : put_kind(copy + len, start, at, &field);
    }
    *ret_header = (struct slice){.blob = header.blob, .data = copy, .len = len};
    return 0;
}
