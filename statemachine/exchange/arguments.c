/* Typed values that are compared by value: into their form. */

#include "statemachine/exchange/arguments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/wire/fields.h"

#define LENGTH_LEN sizeof(uint32_t)

/* Numbers of fields. */
enum { HEADER_NAME = 1, HEADER_VALUE = 2, TABLE_ENTRY = 1, ARRAY_ITEM = 1, DECIMAL_SCALE = 1, DECIMAL_VALUE = 2 };

/* The kinds of values: how they are encoded, and how they are put. */
static int put_value(struct bytes *bytes, struct slice value, unsigned depth);

static struct slice field_content(const struct field *field)
{
    return (struct slice){.data = field->data, .len = field->len};
}

/* ---- Plain values ---- */

static int put_type(struct bytes *bytes, char type)
{
    return bytes_append(bytes, &type, 1);
}

static int put_number(struct bytes *bytes, char type, uint64_t value)
{
    uint8_t data[9] = {(uint8_t)type};
    put_u64(data + 1, value);
    return bytes_append(bytes, data, sizeof data);
}

static int put_unsigned(struct bytes *bytes, uint64_t value)
{
    return put_number(bytes, value <= INT64_MAX ? 'i' : 'u', value);
}

static int put_float(struct bytes *bytes, double value)
{
    if (isnan(value)) {
        value = (double)NAN;
    } else if (value == 0) {
        value = 0; /* And not minus zero. */
    }
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_number(bytes, 'f', bits);
}

static int put_float_bits(struct bytes *bytes, const struct field *field)
{
    double wide;
    float narrow;
    uint32_t bits = (uint32_t)field->value;
    memcpy(&wide, &field->value, sizeof wide);
    memcpy(&narrow, &bits, sizeof narrow);
    return put_float(bytes, field->wire == FIELD_32BIT ? (double)narrow : wide);
}

static int put_decimal(struct bytes *bytes, struct slice decimal)
{
    const uint8_t *end = decimal.data + decimal.len;
    uint8_t data[9] = {'d'};
    while (decimal.data < end) {
        struct field field;
        if (!field_next(&decimal.data, end, &field)) {
            return ERR_INVALID;
        }
        if (field.number == DECIMAL_SCALE && field.wire == FIELD_VARINT) {
            put_u32(data + 1, (uint32_t)field.value);
        } else if (field.number == DECIMAL_VALUE && field.wire == FIELD_VARINT) {
            put_u32(data + 5, (uint32_t)field_signed((uint32_t)field.value));
        }
    }
    return bytes_append(bytes, data, sizeof data);
}

static int put_string(struct bytes *bytes, struct slice string)
{
    uint8_t length[LENGTH_LEN];
    put_u32(length, (uint32_t)string.len);
    int err = bytes_append(bytes, length, sizeof length);
    return err != 0 ? err : bytes_append(bytes, string.data, string.len);
}

/* ---- Values that hold others ---- */

/* The value of a header that is alone of its number counts; of several, as in any oneof, the last one. */
static int header_read(struct slice header, struct slice *ret_name, struct slice *ret_value)
{
    const uint8_t *end = header.data + header.len;
    struct slice name = {.data = header.data};
    struct slice value = {0};
    while (header.data < end) {
        struct field field;
        if (!field_next(&header.data, end, &field)) {
            return ERR_INVALID;
        }
        if (field.number == HEADER_NAME && field.wire == FIELD_DELIMITED) {
            name = field_content(&field);
        } else if (field.number == HEADER_VALUE && field.wire == FIELD_DELIMITED) {
            value = field_content(&field);
        }
    }
    *ret_name = name;
    *ret_value = value;
    return value.data != NULL ? 0 : ERR_INVALID;
}

static int put_header(struct bytes *bytes, struct slice header, unsigned depth)
{
    struct slice name;
    struct slice value;
    int err = header_read(header, &name, &value);
    if (err == 0) {
        err = put_string(bytes, name);
    }
    return err != 0 ? err : put_value(bytes, value, depth);
}

/* A table's entries or an array's items: the fields of number 1, behind their length. */
static int put_items(struct bytes *bytes, struct slice items, unsigned depth,
                     int (*put)(struct bytes *bytes, struct slice item, unsigned depth))
{
    const uint8_t *end = items.data + items.len;
    size_t at = bytes->len;
    int err = put_string(bytes, (struct slice){0});
    while (err == 0 && items.data < end) {
        struct field field;
        if (!field_next(&items.data, end, &field)) {
            return ERR_INVALID;
        }
        if (field.number == TABLE_ENTRY && field.wire == FIELD_DELIMITED) {
            err = put(bytes, field_content(&field), depth);
        }
    }
    if (err == 0) {
        put_u32(bytes->data + at, (uint32_t)(bytes->len - at - LENGTH_LEN));
    }
    return err;
}

_Static_assert((int)TABLE_ENTRY == (int)ARRAY_ITEM, "put_items() knows one number");

static int put_delimited(struct bytes *bytes, const struct field *field, unsigned depth)
{
    static const char types[] = {[14] = 'S', [15] = 'x', [17] = 'F', [18] = 'A'};
    struct slice content = field_content(field);
    if (field->number == HOLDFAST__VALUE__KIND_DECIMAL) {
        return put_decimal(bytes, content);
    }
    int err = put_type(bytes, types[field->number]);
    if (err != 0) {
        return err;
    }
    switch (field->number) {
    case HOLDFAST__VALUE__KIND_TABLE: return put_items(bytes, content, depth + 1, put_header);
    case HOLDFAST__VALUE__KIND_ARRAY: return put_items(bytes, content, depth + 1, put_value);
    default: return put_string(bytes, content);
    }
}

static int put_field(struct bytes *bytes, const struct field *field, unsigned depth)
{
    switch (field->number) {
    case HOLDFAST__VALUE__KIND_VOID: return put_type(bytes, 'v');
    case HOLDFAST__VALUE__KIND_BOOLEAN: return bytes_append(bytes, field->value != 0 ? "t\1" : "t\0", 2);
    case HOLDFAST__VALUE__KIND_INT8:
    case HOLDFAST__VALUE__KIND_INT16:
    case HOLDFAST__VALUE__KIND_INT32:
    case HOLDFAST__VALUE__KIND_INT64: return put_number(bytes, 'i', (uint64_t)field_signed(field->value));
    case HOLDFAST__VALUE__KIND_UINT8:
    case HOLDFAST__VALUE__KIND_UINT16:
    case HOLDFAST__VALUE__KIND_UINT32:
    case HOLDFAST__VALUE__KIND_UINT64: return put_unsigned(bytes, field->value);
    case HOLDFAST__VALUE__KIND_FLOAT32:
    case HOLDFAST__VALUE__KIND_FLOAT64: return put_float_bits(bytes, field);
    case HOLDFAST__VALUE__KIND_TIMESTAMP_S: return put_number(bytes, 'T', field->value);
    default: return put_delimited(bytes, field, depth);
    }
}

/* How a kind of value is encoded; -1: there is no such kind. */
static int wire_of_kind(uint32_t number)
{
    switch (number) {
    case HOLDFAST__VALUE__KIND_FLOAT32: return FIELD_32BIT;
    case HOLDFAST__VALUE__KIND_FLOAT64: return FIELD_64BIT;
    case HOLDFAST__VALUE__KIND_DECIMAL:
    case HOLDFAST__VALUE__KIND_STRING:
    case HOLDFAST__VALUE__KIND_BINARY:
    case HOLDFAST__VALUE__KIND_TABLE:
    case HOLDFAST__VALUE__KIND_ARRAY: return FIELD_DELIMITED;
    default:
        return number >= HOLDFAST__VALUE__KIND_VOID && number <= HOLDFAST__VALUE__KIND_TIMESTAMP_S ? FIELD_VARINT : -1;
    }
}

static int put_value(struct bytes *bytes, struct slice value, unsigned depth)
{
    const uint8_t *end = value.data + value.len;
    struct field kind = {0};
    while (value.data < end) {
        struct field field;
        if (depth == ARGUMENTS_DEPTH_MAX || !field_next(&value.data, end, &field)) {
            return ERR_INVALID;
        }
        if ((int)field.wire == wire_of_kind(field.number)) {
            kind = field;
        }
    }
    return kind.number != 0 ? put_field(bytes, &kind, depth) : ERR_INVALID;
}

int header_encode(struct slice header, struct bytes *bytes, struct slice *ret_name)
{
    size_t len = bytes->len;
    struct slice name;
    struct slice value;
    int err = header_read(header, &name, &value);
    if (err == 0) {
        err = put_value(bytes, value, 0);
    }
    if (err != 0) {
        bytes->len = len;
        return err;
    }
    *ret_name = name;
    return 0;
}

/* ---- Arguments ---- */

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int argument_compare(const void *a, const void *b)
{
    const struct argument *first = a;
    const struct argument *second = b;
    int order = compare_bytes(first->name, first->name_len, second->name, second->name_len);
    return order != 0 ? order : compare_bytes(first->value, first->value_len, second->value, second->value_len);
}

/* Appends entries that are in their form, in order. */
static int put_sorted(const struct bytes *entries, size_t len, struct bytes *bytes)
{
    struct argument sorted[ARGUMENTS_MAX];
    const uint8_t *at = entries->data;
    for (size_t i = 0; i < len; i++) {
        int err = argument_next(&at, entries->data + entries->len, &sorted[i]);
        CHECK(err == 0);
    }
    qsort(sorted, len, sizeof sorted[0], argument_compare);
    int err = bytes_reserve(bytes, entries->len);
    for (size_t i = 0; err == 0 && i < len; i++) {
        err = put_string(bytes, (struct slice){.data = sorted[i].name, .len = sorted[i].name_len});
        if (err == 0) {
            err = bytes_append(bytes, sorted[i].value, sorted[i].value_len);
        }
    }
    return err;
}

/* By way of its encoding, which is what messages' headers are in. */
static int put_argument(struct bytes *bytes, const Holdfast__Header *argument, struct bytes *scratch)
{
    size_t len = holdfast__header__get_packed_size(argument);
    if (len > ARGUMENTS_LEN_MAX) {
        return ERR_INVALID;
    }
    scratch->len = 0;
    int err = bytes_reserve(scratch, len);
    if (err != 0) {
        return err;
    }
    holdfast__header__pack(argument, scratch->data);
    return put_header(bytes, (struct slice){.data = scratch->data, .len = len}, 0);
}

int arguments_encode(struct arguments arguments, struct bytes *bytes)
{
    struct bytes entries = {0};
    struct bytes scratch = {0};
    if (arguments.len > ARGUMENTS_MAX) {
        return ERR_INVALID;
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < arguments.len; i++) {
        err = put_argument(&entries, arguments.items[i], &scratch);
    }
    if (err == 0 && entries.len > ARGUMENTS_LEN_MAX) {
        err = ERR_INVALID;
    }
    if (err == 0 && arguments.len > 0) {
        err = put_sorted(&entries, arguments.len, bytes);
    }
    bytes_done(&entries);
    bytes_done(&scratch);
    return err;
}
