/* The fields of an encoded protobuf message, one after the other. */

#include "proto/wire/fields.h"

#include "proto/base/bytes.h"

static bool varint_next(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && *at < end; i++) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

bool field_next(const uint8_t **ret_at, const uint8_t *end, struct field *ret_field)
{
    const uint8_t *at = *ret_at;
    uint64_t tag;
    uint64_t len = 0;
    if (!varint_next(&at, end, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX) {
        return false;
    }
    struct field field = {.number = (uint32_t)(tag >> 3), .wire = (enum field_wire)(tag & 7)};
    switch (field.wire) {
    case FIELD_VARINT:
        if (!varint_next(&at, end, &field.value)) {
            return false;
        }
        break;
    case FIELD_64BIT: len = 8; break;
    case FIELD_32BIT: len = 4; break;
    case FIELD_DELIMITED:
        if (!varint_next(&at, end, &len)) {
            return false;
        }
        break;
    default: return false;
    }
    if (len > (size_t)(end - at)) {
        return false;
    }
    if (field.wire == FIELD_64BIT || field.wire == FIELD_32BIT) {
        field.value = field.wire == FIELD_64BIT ? get_u64(at) : get_u32(at);
    } else if (field.wire == FIELD_DELIMITED) {
        field.data = at;
        field.len = (size_t)len;
    }
    *ret_at = at + len;
    *ret_field = field;
    return true;
}
