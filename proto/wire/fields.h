/* The fields of an encoded protobuf message, one after the other: for those who look at a few of them and do not want to decode
 * all. Nothing is copied nor allocated. */

#ifndef HOLDFAST_PROTO_WIRE_FIELDS_H
#define HOLDFAST_PROTO_WIRE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Wire types (protobuf encoding, "Message Structure"). */
enum field_wire { FIELD_VARINT = 0, FIELD_64BIT = 1, FIELD_DELIMITED = 2, FIELD_32BIT = 5 };

struct field {
    uint32_t number;
    enum field_wire wire;
    uint64_t value;      /* Unless it is delimited. */
    const uint8_t *data; /* If it is; borrows. */
    size_t len;
};

/* Reads the field at `*at` and moves that behind it. False: it is malformed; nothing is moved. */
bool field_next(const uint8_t **at, const uint8_t *end, struct field *ret_field);

/* What a varint stands for in a field of type sint32 or sint64. */
static inline int64_t field_signed(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

#endif
