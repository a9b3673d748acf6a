/* Encoding and decoding of native frames. */

#include "rpc/native/native_frame.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/limits.h"

/* Protobuf wire types (encoding guide, "Message Structure"). */
enum { WIRE_VARINT = 0, WIRE_LEN = 2 };

size_t native_varint_encode(uint64_t value, uint8_t out[10])
{
    size_t len = 0;
    while (value >= 0x80) {
        out[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[len++] = (uint8_t)value;
    return len;
}

/* Checks the lengths and makes a frame whose header is still to be written. */
static int frame_new(enum frame_type type, size_t header_len, const struct slice *parts, unsigned parts_len,
                     struct frame_out *ret_frame)
{
    size_t body_len = 0;
    for (unsigned i = 0; i < parts_len; i++) {
        if (parts[i].len > FRAME_BODY_LEN_MAX - body_len) {
            return ERR_TOO_BIG;
        }
        body_len += parts[i].len;
    }
    if (header_len > FRAME_HEADER_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    struct frame_out frame = {.len = FRAME_PREFIX_LEN + header_len + body_len};
    if (parts_len > 0) {
        frame.parts = malloc(parts_len * sizeof *frame.parts);
        if (frame.parts == NULL) {
            return ERR_NOMEM;
        }
    }
    frame.head = blob_new(FRAME_PREFIX_LEN + header_len);
    if (frame.head == NULL) {
        free(frame.parts);
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < parts_len; i++) {
        frame.parts[i] = slice_ref(parts[i]);
    }
    frame.parts_len = parts_len;
    frame_prefix_encode(&(struct frame_prefix){.type = (uint8_t)type,
                                               .header_len = (uint32_t)header_len,
                                               .body_len = (uint32_t)body_len},
                        frame.head->data);
    *ret_frame = frame;
    return 0;
}

int native_frame_encode(enum frame_type type, const ProtobufCMessage *header, const struct slice *parts,
                        unsigned parts_len, struct frame_out *ret_frame)
{
    struct frame_out frame;
    int err = frame_new(type, protobuf_c_message_get_packed_size(header), parts, parts_len, &frame);
    if (err != 0) {
        return err;
    }
    protobuf_c_message_pack(header, frame.head->data + FRAME_PREFIX_LEN);
    *ret_frame = frame;
    return 0;
}

int native_frame_encode_raw(enum frame_type type, const void *header, size_t header_len, const struct slice *parts,
                            unsigned parts_len, struct frame_out *ret_frame)
{
    struct frame_out frame;
    int err = frame_new(type, header_len, parts, parts_len, &frame);
    if (err != 0) {
        return err;
    }
    if (header_len > 0) {
        memcpy(frame.head->data + FRAME_PREFIX_LEN, header, header_len);
    }
    *ret_frame = frame;
    return 0;
}

static size_t varint_field_encode(unsigned field, uint64_t value, uint8_t *out)
{
    if (value == 0) {
        return 0; /* proto3 leaves defaults out. */
    }
    out[0] = (uint8_t)(field << 3 | WIRE_VARINT);
    return 1 + native_varint_encode(value, out + 1);
}

int native_frame_encode_command(uint64_t number, uint64_t answered, struct slice command, const struct slice *bodies,
                                unsigned bodies_len, struct frame_out *ret_frame)
{
    uint8_t fields[3 * 11];
    size_t fields_len = varint_field_encode(1, number, fields);
    fields_len += varint_field_encode(2, answered, fields + fields_len);
    fields[fields_len++] = (uint8_t)(3 << 3 | WIRE_LEN);
    fields_len += native_varint_encode(command.len, fields + fields_len);
    if (command.len > FRAME_HEADER_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    struct frame_out frame;
    int err = frame_new(FRAME_COMMAND, fields_len + command.len, bodies, bodies_len, &frame);
    if (err != 0) {
        return err;
    }
    memcpy(frame.head->data + FRAME_PREFIX_LEN, fields, fields_len);
    if (command.len > 0) {
        memcpy(frame.head->data + FRAME_PREFIX_LEN + fields_len, command.data, command.len);
    }
    *ret_frame = frame;
    return 0;
}

int native_frame_append(struct bytes *header, unsigned field, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    int err = bytes_reserve(header, len + 11);
    if (err != 0) {
        return err;
    }
    uint8_t *out = header->data + header->len;
    out[0] = (uint8_t)(field << 3 | WIRE_LEN);
    size_t head = 1 + native_varint_encode(len, out + 1);
    protobuf_c_message_pack(message, out + head);
    header->len += head + len;
    return 0;
}

int native_frame_decode(const struct frame *frame, const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                        ProtobufCMessage **ret_message)
{
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, &arena->protobuf, frame->header.len, frame->header.data);
    if (message == NULL) {
        return ERR_INVALID;
    }
    *ret_message = message;
    return 0;
}

static int varint_decode(struct slice in, size_t *offset, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (*offset == in.len) {
            return ERR_INVALID;
        }
        uint8_t byte = in.data[(*offset)++];
        if (shift == 63 && byte > 1) {
            return ERR_INVALID; /* The tenth byte holds the 64th bit alone. */
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return 0;
        }
    }
    return ERR_INVALID;
}

int native_frame_decode_command(const struct frame *frame, struct native_command *ret_command)
{
    struct native_command command = {0};
    struct slice in = frame->header;
    size_t offset = 0;
    unsigned seen = 0;
    while (offset < in.len) {
        uint8_t tag = in.data[offset++];
        unsigned field = tag >> 3;
        /* A field above 15 has a continued tag, which no known tag equals. */
        if ((tag != (1 << 3 | WIRE_VARINT) && tag != (2 << 3 | WIRE_VARINT) && tag != (3 << 3 | WIRE_LEN)) ||
            (seen & 1u << field) != 0) {
            return ERR_INVALID;
        }
        seen |= 1u << field;
        uint64_t value;
        int err = varint_decode(in, &offset, &value);
        if (err != 0) {
            return err;
        }
        if (field == 1) {
            command.number = value;
        } else if (field == 2) {
            command.answered = value;
        } else {
            if (value > in.len - offset) {
                return ERR_INVALID;
            }
            command.command = slice_part(in, offset, (size_t)value);
            offset += (size_t)value;
        }
    }
    *ret_command = command;
    return 0;
}

int native_frame_check_deliveries(const Holdfast__Deliveries *deliveries, struct slice body)
{
    uint64_t len = 0;
    for (size_t i = 0; i < deliveries->n_deliveries; i++) {
        const Holdfast__Delivery *delivery = deliveries->deliveries[i];
        if (delivery->consumer == 0 || delivery->number == 0 || delivery->body_len > BODY_LEN_MAX) {
            return ERR_INVALID;
        }
        len += (uint64_t)delivery->body_len + delivery->head_len + delivery->trail_len;
    }
    return len == body.len ? 0 : ERR_INVALID;
}
