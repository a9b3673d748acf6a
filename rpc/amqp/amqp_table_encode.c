/* Headers to a table. */

#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_table.h"

static struct amqp_bytes bytes_of(ProtobufCBinaryData binary)
{
    return (struct amqp_bytes){binary.data, binary.len};
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t bits_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static int put_value(struct bytes *bytes, const Holdfast__Value *value);

static int put_array(struct bytes *bytes, const Holdfast__Array *array)
{
    size_t place = 0;
    int err = amqp_begin_long(bytes, &place);
    for (size_t i = 0; err == 0 && i < array->n_item; i++) {
        err = put_value(bytes, array->item[i]);
    }
    return err == 0 ? amqp_end_long(bytes, place) : err;
}

static int put_decimal(struct bytes *bytes, const Holdfast__Decimal *decimal)
{
    int err = amqp_put_u8(bytes, (uint8_t)decimal->scale);
    return err == 0 ? amqp_put_u32(bytes, (uint32_t)decimal->value) : err;
}

static char type_of(const Holdfast__Value *value)
{
    switch (value->kind_case) {
    case HOLDFAST__VALUE__KIND_BOOLEAN: return 't';
    case HOLDFAST__VALUE__KIND_INT8: return 'b';
    case HOLDFAST__VALUE__KIND_UINT8: return 'B';
    case HOLDFAST__VALUE__KIND_INT16: return 's';
    case HOLDFAST__VALUE__KIND_UINT16: return 'u';
    case HOLDFAST__VALUE__KIND_INT32: return 'I';
    case HOLDFAST__VALUE__KIND_UINT32: return 'i';
    case HOLDFAST__VALUE__KIND_INT64: return 'l';
    case HOLDFAST__VALUE__KIND_UINT64: return 'L';
    case HOLDFAST__VALUE__KIND_FLOAT32: return 'f';
    case HOLDFAST__VALUE__KIND_FLOAT64: return 'd';
    case HOLDFAST__VALUE__KIND_DECIMAL: return 'D';
    case HOLDFAST__VALUE__KIND_STRING: return 'S';
    case HOLDFAST__VALUE__KIND_BINARY: return 'x';
    case HOLDFAST__VALUE__KIND_TIMESTAMP_S: return 'T';
    case HOLDFAST__VALUE__KIND_TABLE: return 'F';
    case HOLDFAST__VALUE__KIND_ARRAY: return 'A';
    default: return 'V'; /* Also a kind that this build does not know. */
    }
}

static int put_content(struct bytes *bytes, char type, const Holdfast__Value *value)
{
    switch (type) {
    case 't': return amqp_put_u8(bytes, value->boolean ? 1 : 0);
    case 'b': return amqp_put_u8(bytes, (uint8_t)value->int8);
    case 'B': return amqp_put_u8(bytes, (uint8_t)value->uint8);
    case 's': return amqp_put_u16(bytes, (uint16_t)value->int16);
    case 'u': return amqp_put_u16(bytes, (uint16_t)value->uint16);
    case 'I': return amqp_put_u32(bytes, (uint32_t)value->int32);
    case 'i': return amqp_put_u32(bytes, (uint32_t)value->uint32);
    case 'l': return amqp_put_u64(bytes, (uint64_t)value->int64);
    case 'L': return amqp_put_u64(bytes, value->uint64);
    case 'f': return amqp_put_u32(bytes, bits_of_float(value->float32));
    case 'd': return amqp_put_u64(bytes, bits_of_double(value->float64));
    case 'D': return put_decimal(bytes, value->decimal);
    case 'S': return amqp_put_long_string(bytes, bytes_of(value->string));
    case 'x': return amqp_put_long_string(bytes, bytes_of(value->binary));
    case 'T': return amqp_put_u64(bytes, value->timestamp_s);
    case 'F': return amqp_table_encode(value->table->entry, value->table->n_entry, bytes);
    case 'A': return put_array(bytes, value->array);
    default: return 0;
    }
}

static int put_value(struct bytes *bytes, const Holdfast__Value *value)
{
    char type = value == NULL ? 'V' : type_of(value);
    int err = amqp_put_u8(bytes, (uint8_t)type);
    return err == 0 ? put_content(bytes, type, value) : err;
}

int amqp_table_encode(Holdfast__Header *const *entries, size_t len, struct bytes *bytes)
{
    size_t place = 0;
    int err = amqp_begin_long(bytes, &place);
    for (size_t i = 0; err == 0 && i < len; i++) {
        err = amqp_put_short_string(bytes, amqp_text(entries[i]->name));
        if (err == 0) {
            err = put_value(bytes, entries[i]->value);
        }
    }
    return err == 0 ? amqp_end_long(bytes, place) : err;
}
