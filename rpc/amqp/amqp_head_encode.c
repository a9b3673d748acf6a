/* Encoding heads. Of the thirty fields of a head most messages have four: protobuf-c looks at each of them twice, and asks their
 * descriptors. */

#include "rpc/amqp/amqp_head_encode.h"

#include <stddef.h>
#include <string.h>

#include "proto/base/check.h"

/* Of an integer. */
#define VARINT_LEN_MAX 10u
/* A tag and a length, or an integer. */
#define FIELD_COST_MAX (5u + VARINT_LEN_MAX)

enum kind { STRING, STRINGS, U32, U64, BOOLEAN, BINARY, HEADERS };

struct head_field {
    uint8_t number; /* In message.proto. */
    uint8_t kind;
    uint16_t offset; /* In the struct. */
    uint16_t count;  /* Likewise, of a repeated one. */
};

#define AT(member) (uint16_t) offsetof(Holdfast__MessageHead, member)

/* By number, as protobuf-c encodes them. */
static const struct head_field fields[] = {
    {1, STRING, AT(exchange), 0},
    {2, STRING, AT(routing_key), 0},
    {3, STRINGS, AT(also_key), AT(n_also_key)},
    {4, STRINGS, AT(hidden_key), AT(n_hidden_key)},
    {5, U32, AT(priority), 0},
    {6, U64, AT(ttl_ms), 0},
    {7, BOOLEAN, AT(has_ttl), 0},
    {8, U64, AT(delay_ms), 0},
    {9, U64, AT(deliver_at_ms), 0},
    {10, STRING, AT(group), 0},
    {11, STRING, AT(message_id), 0},
    {12, BOOLEAN, AT(mandatory), 0},
    {13, HEADERS, AT(header), AT(n_header)},
    {20, STRING, AT(content_type), 0},
    {21, STRING, AT(content_encoding), 0},
    {22, U32, AT(delivery_mode), 0},
    {23, STRING, AT(correlation_id), 0},
    {24, STRING, AT(reply_to), 0},
    {25, STRING, AT(type), 0},
    {26, STRING, AT(user_id), 0},
    {27, STRING, AT(app_id), 0},
    {28, STRING, AT(cluster_id), 0},
    {29, U64, AT(timestamp_s), 0},
    {30, BOOLEAN, AT(has_timestamp), 0},
    {31, STRING, AT(expiration), 0},
    {32, BOOLEAN, AT(has_headers), 0},
    {33, U32, AT(present), 0},
    {34, U32, AT(wire_priority), 0},
    {35, BINARY, AT(extra), 0},
};

struct encoder {
    struct bytes *bytes;
    size_t begin;
    size_t len_max;
};

/* Where `len` bytes and a field's tag can be written; NULL, and an error. */
static int encoder_room(const struct encoder *encoder, size_t len, uint8_t **ret_out)
{
    if (len > encoder->len_max || encoder->bytes->len - encoder->begin > encoder->len_max - len) {
        return ERR_TOO_BIG;
    }
    int err = bytes_reserve(encoder->bytes, len + FIELD_COST_MAX);
    if (err == 0) {
        *ret_out = encoder->bytes->data + encoder->bytes->len;
    }
    return err;
}

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

static uint8_t *put_tag(uint8_t *out, uint8_t number, unsigned wire)
{
    return put_varint(out, (uint64_t)number << 3 | wire);
}

static int put_integer(const struct encoder *encoder, uint8_t number, uint64_t value)
{
    uint8_t *out;
    int err = value != 0 ? encoder_room(encoder, 0, &out) : 0;
    if (err == 0 && value != 0) {
        out = put_varint(put_tag(out, number, 0), value);
        encoder->bytes->len = (size_t)(out - encoder->bytes->data);
    }
    return err;
}

static int put_delimited(const struct encoder *encoder, uint8_t number, const void *data, size_t len)
{
    uint8_t *out;
    int err = encoder_room(encoder, len, &out);
    if (err == 0) {
        out = put_varint(put_tag(out, number, 2), len);
        if (len > 0) {
            memcpy(out, data, len);
        }
        encoder->bytes->len = (size_t)(out - encoder->bytes->data) + len;
    }
    return err;
}

static int put_headers(const struct encoder *encoder, uint8_t number, Holdfast__Header *const *headers, size_t count)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        size_t len = holdfast__header__get_packed_size(headers[i]);
        uint8_t *out;
        err = encoder_room(encoder, len, &out);
        if (err == 0) {
            out = put_varint(put_tag(out, number, 2), len);
            CHECK(holdfast__header__pack(headers[i], out) == len);
            encoder->bytes->len = (size_t)(out - encoder->bytes->data) + len;
        }
    }
    return err;
}

static int put_strings(const struct encoder *encoder, uint8_t number, char *const *strings, size_t count)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = put_delimited(encoder, number, strings[i], strlen(strings[i]));
    }
    return err;
}

static int put_field(const struct encoder *encoder, const struct head_field *field, const void *head)
{
    const void *member = (const uint8_t *)head + field->offset;
    const void *count = (const uint8_t *)head + field->count;
    switch ((enum kind)field->kind) {
    case STRING: {
        const char *string = *(char *const *)member;
        return string[0] != '\0' ? put_delimited(encoder, field->number, string, strlen(string)) : 0;
    }
    case STRINGS: return put_strings(encoder, field->number, *(char **const *)member, *(const size_t *)count);
    case U32: return put_integer(encoder, field->number, *(const uint32_t *)member);
    case U64: return put_integer(encoder, field->number, *(const uint64_t *)member);
    case BOOLEAN: return put_integer(encoder, field->number, *(const protobuf_c_boolean *)member != 0);
    case BINARY: {
        const ProtobufCBinaryData *binary = member;
        return binary->len > 0 ? put_delimited(encoder, field->number, binary->data, binary->len) : 0;
    }
    case HEADERS:
        return put_headers(encoder, field->number, *(Holdfast__Header * *const *)member, *(const size_t *)count);
    }
    return ERR_INVALID;
}

int amqp_head_encode(const Holdfast__MessageHead *head, size_t len_max, struct bytes *bytes)
{
    const struct encoder encoder = {.bytes = bytes, .begin = bytes->len, .len_max = len_max};
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof fields / sizeof fields[0]; i++) {
        err = put_field(&encoder, &fields[i], head);
    }
    if (err == 0 && bytes->len - encoder.begin > len_max) {
        err = ERR_TOO_BIG;
    }
    if (err != 0) {
        bytes->len = encoder.begin;
    }
    return err;
}
