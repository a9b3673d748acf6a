/* The outside of frames. */

#include "rpc/amqp/amqp_frame.h"

#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

/* No length beyond this is believed, whatever was negotiated. */
#define LENGTH_MAX (128u * 1024u * 1024u)

/* "AMQP" 0 0 9, of which at least the first byte is here. */
static int measure_greeting(const uint8_t *data, size_t len, struct frame_prefix *ret_prefix, size_t *ret_prefix_len)
{
    size_t have = len < AMQP_GREETING_LEN ? len : AMQP_GREETING_LEN;
    if (memcmp(data, AMQP_GREETING, have) != 0) {
        return ERR_VERSION;
    }
    *ret_prefix_len = len < AMQP_PREFIX_LEN ? 0 : AMQP_PREFIX_LEN;
    *ret_prefix = (struct frame_prefix){.type = AMQP_FRAME_GREETING, .body_len = 1};
    return 0;
}

static bool is_type(uint8_t type)
{
    return type == AMQP_FRAME_METHOD || type == AMQP_FRAME_HEADER || type == AMQP_FRAME_BODY ||
           type == AMQP_FRAME_HEARTBEAT;
}

static int measure(const uint8_t *data, size_t len, struct frame_prefix *ret_prefix, size_t *ret_prefix_len)
{
    if (data[0] == AMQP_FRAME_GREETING) {
        return measure_greeting(data, len, ret_prefix, ret_prefix_len);
    }
    if (!is_type(data[0])) {
        return data[0] < ' ' ? ERR_BROKEN : ERR_VERSION; /* Text is another protocol. */
    }
    if (len < AMQP_PREFIX_LEN) {
        *ret_prefix_len = 0;
        return 0;
    }
    struct amqp_cursor cursor = amqp_cursor_of((struct amqp_bytes){data, len});
    struct frame_prefix prefix = {.type = amqp_take_u8(&cursor)};
    prefix.tag = amqp_take_u16(&cursor);
    uint32_t payload_len = amqp_take_u32(&cursor);
    if (payload_len > LENGTH_MAX) {
        return ERR_TOO_BIG;
    }
    prefix.body_len = payload_len + 1;
    *ret_prefix = prefix;
    *ret_prefix_len = AMQP_PREFIX_LEN;
    return 0;
}

const struct framing framing_amqp = {.measure = measure};

int amqp_frame_payload(const struct frame *frame, struct amqp_bytes *ret_payload)
{
    const struct slice *body = &frame->body;
    CHECK(body->len > 0);
    if (body->data[body->len - 1] != AMQP_FRAME_END) {
        return ERR_BROKEN;
    }
    *ret_payload = (struct amqp_bytes){body->data, body->len - 1};
    return 0;
}

int amqp_frame_begin(struct bytes *bytes, enum amqp_frame_type type, uint16_t channel, size_t *ret_place)
{
    int err = bytes_reserve(bytes, AMQP_FRAME_COST);
    if (err == 0) {
        err = amqp_put_u8(bytes, (uint8_t)type);
    }
    if (err == 0) {
        err = amqp_put_u16(bytes, channel);
    }
    return err == 0 ? amqp_begin_long(bytes, ret_place) : err;
}

int amqp_frame_end(struct bytes *bytes, size_t place)
{
    int err = amqp_end_long(bytes, place);
    return err == 0 ? amqp_put_u8(bytes, AMQP_FRAME_END) : err;
}

int amqp_frame_method(struct bytes *bytes, uint16_t channel, const union amqp_method *method)
{
    size_t len = bytes->len;
    size_t place = 0;
    int err = amqp_frame_begin(bytes, AMQP_FRAME_METHOD, channel, &place);
    if (err == 0) {
        err = amqp_method_encode(method, bytes);
    }
    if (err == 0) {
        err = amqp_frame_end(bytes, place);
    }
    if (err != 0) {
        bytes->len = len;
    }
    return err;
}

int amqp_frame_body_prefix(struct bytes *bytes, uint16_t channel, uint32_t len)
{
    int err = bytes_reserve(bytes, AMQP_PREFIX_LEN);
    if (err == 0) {
        err = amqp_put_u8(bytes, AMQP_FRAME_BODY);
    }
    if (err == 0) {
        err = amqp_put_u16(bytes, channel);
    }
    return err == 0 ? amqp_put_u32(bytes, len) : err;
}
