/* The limit of a message body. */

#include "rpc/native/native_limit.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

/* Protobuf wire types (encoding guide, "Message Structure"), and the fields of command.proto that matter here. */
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };
enum { COMMAND_PUBLISH = 6, PUBLISH_BODY_LEN = 2 };

/* Command{publish{body_len: [2^32 - 1], body_hash: [0]}}. */
static const uint8_t refused_command[] = {0x32, 17, 0x12, 5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a,
                                          8,    0,  0,    0, 0,    0,    0,    0,    0};

uint64_t native_limit_of(uint64_t limit)
{
    return limit == 0 || limit > BODY_LEN_MAX ? BODY_LEN_MAX : limit;
}

struct slice native_limit_refused(void)
{
    return (struct slice){.data = refused_command, .len = sizeof refused_command};
}

void native_limit_text(uint64_t limit, char out[NATIVE_LIMIT_TEXT_LEN])
{
    (void)snprintf(out, NATIVE_LIMIT_TEXT_LEN,
                   "over the limit: a message body has at most %" PRIu64
                   " bytes, those of one command together at most "
                   "%" PRIu64,
                   native_limit_of(limit), (uint64_t)COMMAND_BODIES_LEN_MAX);
}

/* Takes a varint off the front. As protobuf does, and unlike the strict scanner of frames, it takes one that is longer
 * than it needs to be, and lets go of bits above the 64th: nothing may be seen by the machine and missed here. */
static bool varint_take(struct slice *in, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && i < in->len; i++) {
        value |= (uint64_t)(in->data[i] & 0x7f) << (7 * i);
        if ((in->data[i] & 0x80) == 0) {
            *in = slice_part(*in, i + 1, in->len - i - 1);
            *ret_value = value;
            return true;
        }
    }
    return false;
}

struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value;    /* Of a varint. */
    struct slice part; /* Of one with a length. */
};

/* Takes a field off the front. False: there is none, or it is malformed. */
static bool field_take(struct slice *in, struct field *ret_field)
{
    uint64_t tag;
    uint64_t len = 0;
    if (!varint_take(in, &tag)) {
        return false;
    }
    struct field field = {.number = tag >> 3, .wire = (unsigned)(tag & 7)};
    switch (field.wire) {
    case WIRE_VARINT:
        if (!varint_take(in, &field.value)) {
            return false;
        }
        break;
    case WIRE_64: len = 8; break;
    case WIRE_32: len = 4; break;
    case WIRE_LEN:
        if (!varint_take(in, &len)) {
            return false;
        }
        break;
    default: return false;
    }
    if (len > in->len) {
        return false;
    }
    field.part = slice_part(*in, 0, (size_t)len);
    *in = slice_part(*in, (size_t)len, in->len - (size_t)len);
    *ret_field = field;
    return true;
}

static uint64_t longest_of(uint64_t longest, uint64_t len)
{
    len &= UINT32_MAX; /* The field has 32 bits: protobuf lets go of the others. */
    return len > longest ? len : longest;
}

static uint64_t longest_in_publish(struct slice publish, uint64_t longest)
{
    struct field field;
    while (field_take(&publish, &field)) {
        if (field.number != PUBLISH_BODY_LEN) {
            continue;
        }
        uint64_t len;
        if (field.wire == WIRE_VARINT) {
            longest = longest_of(longest, field.value);
        }
        while (field.wire == WIRE_LEN && varint_take(&field.part, &len)) {
            longest = longest_of(longest, len);
        }
    }
    return longest;
}

uint64_t native_limit_longest(struct slice command)
{
    uint64_t longest = 0;
    struct field field;
    while (field_take(&command, &field)) {
        if (field.number == COMMAND_PUBLISH && field.wire == WIRE_LEN) {
            longest = longest_in_publish(field.part, longest);
        }
    }
    return longest;
}

bool native_limit_exceeded(struct slice command, size_t bodies_len, uint64_t limit)
{
    if (bodies_len > COMMAND_BODIES_LEN_MAX) {
        return true;
    }
    /* The machine refuses bodies that are not as long together as announced: none is longer than all. */
    return bodies_len > limit && native_limit_longest(command) > limit;
}
