/* The values of arguments and headers. */

#include "rpc/amqp/amqp_value.h"

#include <string.h>

#include "proto/base/limits.h"

const char *amqp_value_type(const Holdfast__Value *value)
{
    switch (value->kind_case) {
    case HOLDFAST__VALUE__KIND_BOOLEAN: return "bool";
    case HOLDFAST__VALUE__KIND_INT8: return "byte";
    case HOLDFAST__VALUE__KIND_UINT8: return "unsignedbyte";
    case HOLDFAST__VALUE__KIND_INT16: return "short";
    case HOLDFAST__VALUE__KIND_UINT16: return "unsignedshort";
    case HOLDFAST__VALUE__KIND_INT32: return "signedint";
    case HOLDFAST__VALUE__KIND_UINT32: return "unsignedint";
    case HOLDFAST__VALUE__KIND_INT64: return "long";
    case HOLDFAST__VALUE__KIND_UINT64: return "unsignedlong";
    case HOLDFAST__VALUE__KIND_FLOAT32: return "float";
    case HOLDFAST__VALUE__KIND_FLOAT64: return "double";
    case HOLDFAST__VALUE__KIND_DECIMAL: return "decimal";
    case HOLDFAST__VALUE__KIND_STRING: return "longstr";
    case HOLDFAST__VALUE__KIND_BINARY: return "binary";
    case HOLDFAST__VALUE__KIND_TIMESTAMP_S: return "timestamp";
    case HOLDFAST__VALUE__KIND_TABLE: return "table";
    case HOLDFAST__VALUE__KIND_ARRAY: return "array";
    default: return "void";
    }
}

char *amqp_value_copy(struct arena *arena, const ProtobufCBinaryData *bytes)
{
    char *text = arena_alloc(arena, bytes->len + 1);
    if (text != NULL) {
        if (bytes->len > 0) {
            memcpy(text, bytes->data, bytes->len);
        }
        text[bytes->len] = '\0';
    }
    return text;
}

char *amqp_value_text(struct arena *arena, const Holdfast__Value *value)
{
    const ProtobufCBinaryData *string = &value->string;
    if (string->len > NAME_LEN_MAX || (string->len > 0 && memchr(string->data, '\0', string->len) != NULL)) {
        return NULL;
    }
    return amqp_value_copy(arena, string);
}

bool amqp_value_integer(const Holdfast__Value *value, int64_t *ret_integer)
{
    switch (value->kind_case) {
    case HOLDFAST__VALUE__KIND_INT8: *ret_integer = value->int8; return true;
    case HOLDFAST__VALUE__KIND_UINT8: *ret_integer = (int64_t)value->uint8; return true;
    case HOLDFAST__VALUE__KIND_INT16: *ret_integer = value->int16; return true;
    case HOLDFAST__VALUE__KIND_UINT16: *ret_integer = (int64_t)value->uint16; return true;
    case HOLDFAST__VALUE__KIND_INT32: *ret_integer = value->int32; return true;
    case HOLDFAST__VALUE__KIND_UINT32: *ret_integer = (int64_t)value->uint32; return true;
    case HOLDFAST__VALUE__KIND_INT64: *ret_integer = value->int64; return true;
    case HOLDFAST__VALUE__KIND_UINT64:
        *ret_integer = value->uint64 > INT64_MAX ? INT64_MAX : (int64_t)value->uint64;
        return true;
    default: return false;
    }
}
