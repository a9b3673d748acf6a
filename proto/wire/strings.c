/* A walk over an encoded message that looks at its strings. */

#include "proto/wire/strings.h"

#include <string.h>

#define DEPTH_MAX 32

/* Wire types (protobuf encoding, "Message Structure"). */
enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_DELIMITED = 2, WIRE_32BIT = 5 };

struct walk {
    const uint8_t *data;
    size_t len;
};

static bool walk_varint(struct walk *walk, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && i < walk->len; i++) {
        value |= (uint64_t)(walk->data[i] & 0x7f) << (7 * i);
        if ((walk->data[i] & 0x80) == 0) {
            walk->data += i + 1;
            walk->len -= i + 1;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool walk_skip(struct walk *walk, uint64_t len)
{
    if (len > walk->len) {
        return false;
    }
    walk->data += len;
    walk->len -= (size_t)len;
    return true;
}

static bool strings_are_whole(const ProtobufCMessageDescriptor *descriptor, struct walk walk, unsigned depth);

/* The content of one delimited field. */
static bool field_is_whole(const ProtobufCFieldDescriptor *field, struct walk content, unsigned depth)
{
    if (field != NULL && field->type == PROTOBUF_C_TYPE_STRING) {
        return memchr(content.data, 0, content.len) == NULL;
    }
    if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return depth < DEPTH_MAX && strings_are_whole(field->descriptor, content, depth + 1);
    }
    return true;
}

static bool strings_are_whole(const ProtobufCMessageDescriptor *descriptor, struct walk walk, unsigned depth)
{
    while (walk.len > 0) {
        uint64_t tag;
        uint64_t value;
        if (!walk_varint(&walk, &tag)) {
            return false;
        }
        switch (tag & 7) {
        case WIRE_VARINT:
            if (!walk_varint(&walk, &value)) {
                return false;
            }
            break;
        case WIRE_64BIT:
        case WIRE_32BIT:
            if (!walk_skip(&walk, (tag & 7) == WIRE_64BIT ? 8 : 4)) {
                return false;
            }
            break;
        case WIRE_DELIMITED: {
            if (!walk_varint(&walk, &value) || value > walk.len || tag >> 3 > UINT32_MAX) {
                return false;
            }
            const struct walk content = {.data = walk.data, .len = (size_t)value};
            const ProtobufCFieldDescriptor *field =
                protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
            if (!field_is_whole(field, content, depth) || !walk_skip(&walk, value)) {
                return false;
            }
            break;
        }
        default: return false;
        }
    }
    return true;
}

bool message_strings_are_whole(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t len)
{
    return strings_are_whole(descriptor, (struct walk){.data = data, .len = len}, 0);
}
