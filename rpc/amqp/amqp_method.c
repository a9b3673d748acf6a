/* Methods, by the list of their arguments. */

#include "rpc/amqp/amqp_method.h"

#include <stddef.h>

#include "proto/base/check.h"

enum field_type {
    FIELD_OCTET,
    FIELD_SHORT,
    FIELD_LONG,
    FIELD_LONGLONG,
    FIELD_BIT,
    FIELD_SHORTSTR,
    FIELD_LONGSTR,
    FIELD_TABLE,
    FIELD_END,
};

struct field {
    enum field_type type;
    size_t offset; /* In the method's struct. */
};

#define FIELD(method, type, name) {FIELD_##type, offsetof(struct method, name)},
#define X(name, class_id, method_id, content)                                                                          \
    static const struct field FIELDS_##name[] = {AMQP_FIELDS_##name(FIELD, amqp_##name){FIELD_END, 0}};
AMQP_METHODS(X)
#undef X

struct shape {
    uint32_t id;
    bool content;
    const char *name;
    const struct field *fields;
};

/* In order of ids. */
static const struct shape SHAPES[] = {
#define X(name, class_id, method_id, content) {AMQP_##name, content, #name, FIELDS_##name},
    AMQP_METHODS(X)
#undef X
};

static const struct shape *shape_of(uint32_t id)
{
    size_t low = 0;
    size_t high = sizeof SHAPES / sizeof SHAPES[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (SHAPES[middle].id == id) {
            return &SHAPES[middle];
        }
        if (SHAPES[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool amqp_method_has_content(uint32_t id)
{
    const struct shape *shape = shape_of(id);
    return shape != NULL && shape->content;
}

const char *amqp_method_name(uint32_t id)
{
    const struct shape *shape = shape_of(id);
    return shape == NULL ? "" : shape->name;
}

/* ---- Decoding ---- */

/* Bits that follow one another are packed into octets, lowest first (§4.2.5.2). */
struct bits {
    uint8_t octet;
    unsigned used; /* Of it; 0: none has been begun. */
};

static bool take_bit(struct amqp_cursor *cursor, struct bits *bits)
{
    if (bits->used == 0) {
        bits->octet = amqp_take_u8(cursor);
    }
    bool bit = (bits->octet >> bits->used & 1) != 0;
    bits->used = (bits->used + 1) % 8;
    return bit;
}

static void take_field(struct amqp_cursor *cursor, struct bits *bits, enum field_type type, void *ret_value)
{
    if (type == FIELD_BIT) {
        *(bool *)ret_value = take_bit(cursor, bits);
        return;
    }
    bits->used = 0;
    switch (type) {
    case FIELD_OCTET: *(uint8_t *)ret_value = amqp_take_u8(cursor); break;
    case FIELD_SHORT: *(uint16_t *)ret_value = amqp_take_u16(cursor); break;
    case FIELD_LONG: *(uint32_t *)ret_value = amqp_take_u32(cursor); break;
    case FIELD_LONGLONG: *(uint64_t *)ret_value = amqp_take_u64(cursor); break;
    case FIELD_SHORTSTR: *(struct amqp_bytes *)ret_value = amqp_take_short_string(cursor); break;
    default: *(struct amqp_bytes *)ret_value = amqp_take_long_string(cursor); break;
    }
}

int amqp_method_decode(struct amqp_bytes payload, union amqp_method *ret_method)
{
    struct amqp_cursor cursor = amqp_cursor_of(payload);
    uint32_t id = amqp_take_u32(&cursor);
    if (cursor.failed) {
        return ERR_BROKEN;
    }
    *ret_method = (union amqp_method){.id = id};
    const struct shape *shape = shape_of(id);
    if (shape == NULL) {
        return ERR_NOT_FOUND;
    }
    struct bits bits = {0};
    for (const struct field *field = shape->fields; field->type != FIELD_END; field++) {
        take_field(&cursor, &bits, field->type, (char *)ret_method + field->offset);
    }
    return cursor.failed || cursor.left > 0 ? ERR_INVALID : 0;
}

/* ---- Encoding ---- */

static int put_bit(struct bytes *bytes, struct bits *bits, bool bit)
{
    int err = bits->used == 0 ? amqp_put_u8(bytes, 0) : 0;
    if (err == 0) {
        bytes->data[bytes->len - 1] |= (uint8_t)((unsigned)bit << bits->used);
        bits->used = (bits->used + 1) % 8;
    }
    return err;
}

static int put_field(struct bytes *bytes, struct bits *bits, enum field_type type, const void *value)
{
    if (type == FIELD_BIT) {
        return put_bit(bytes, bits, *(const bool *)value);
    }
    bits->used = 0;
    switch (type) {
    case FIELD_OCTET: return amqp_put_u8(bytes, *(const uint8_t *)value);
    case FIELD_SHORT: return amqp_put_u16(bytes, *(const uint16_t *)value);
    case FIELD_LONG: return amqp_put_u32(bytes, *(const uint32_t *)value);
    case FIELD_LONGLONG: return amqp_put_u64(bytes, *(const uint64_t *)value);
    case FIELD_SHORTSTR: return amqp_put_short_string(bytes, *(const struct amqp_bytes *)value);
    default: return amqp_put_long_string(bytes, *(const struct amqp_bytes *)value);
    }
}

int amqp_method_encode(const union amqp_method *method, struct bytes *bytes)
{
    const struct shape *shape = shape_of(method->id);
    CHECK(shape != NULL);
    int err = amqp_put_u32(bytes, method->id);
    struct bits bits = {0};
    for (const struct field *field = shape->fields; err == 0 && field->type != FIELD_END; field++) {
        err = put_field(bytes, &bits, field->type, (const char *)method + field->offset);
    }
    return err;
}
