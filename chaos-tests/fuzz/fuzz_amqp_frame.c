/* Fuzzes the framing and every decoder of AMQP 0-9-1. The first byte is the size of the pieces. What is decoded is encoded again, and
 * has to be decoded to the same. */

#include "fuzz_input.h"
#include "proto/base/limits.h"
#include "rpc/amqp/amqp_frame.h"
#include "rpc/amqp/amqp_properties.h"
#include "rpc/amqp/amqp_table.h"

struct codec {
    struct arena arena;
    struct bytes out;
};

static struct amqp_bytes written(const struct codec *codec)
{
    return (struct amqp_bytes){codec->out.data, codec->out.len};
}

/* Bits that mean nothing, and truths other than 1, do not come back: after one round all is settled. */
static void check_method(struct codec *codec, struct amqp_bytes payload)
{
    union amqp_method method;
    union amqp_method again;
    if (amqp_method_decode(payload, &method) != 0) {
        return;
    }
    codec->out.len = 0;
    CHECK(amqp_method_encode(&method, &codec->out) == 0);
    CHECK(codec->out.len == payload.len);
    CHECK(amqp_method_decode(written(codec), &again) == 0);
    CHECK(again.id == method.id && amqp_method_name(method.id)[0] != '\0');
}

static void check_table(struct codec *codec, struct amqp_bytes payload)
{
    struct amqp_headers headers;
    if (amqp_table_decode(payload, &codec->arena, &headers) != 0) {
        return;
    }
    codec->out.len = 0;
    CHECK(amqp_table_encode(headers.entries, headers.len, &codec->out) == 0);
    CHECK(codec->out.len == payload.len + 4);
}

/* As it goes through the log. */
static void check_content(struct codec *codec, struct amqp_bytes payload)
{
    struct amqp_content content;
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    if (amqp_content_decode(payload, &content) != 0 ||
        amqp_properties_decode(content.properties, &codec->arena, &head) != 0) {
        return;
    }
    struct bytes packed = {0};
    size_t len = holdfast__message_head__get_packed_size(&head);
    CHECK(bytes_reserve(&packed, len + 1) == 0);
    CHECK(holdfast__message_head__pack(&head, packed.data) == len);
    Holdfast__MessageHead *back = holdfast__message_head__unpack(&codec->arena.protobuf, len, packed.data);
    if (back != NULL) { /* Else the arena is full. */
        codec->out.len = 0;
        CHECK(amqp_properties_encode(back, back->header, back->n_header, &codec->out) == 0);
        CHECK(codec->out.len == content.properties.len);
    }
    bytes_done(&packed);
}

static void take(void *arg, struct frame *frame)
{
    struct codec *codec = arg;
    struct amqp_bytes payload;
    if (frame->type != AMQP_FRAME_GREETING && amqp_frame_payload(frame, &payload) == 0) {
        arena_reset(&codec->arena);
        check_method(codec, payload);
        check_table(codec, payload);
        arena_reset(&codec->arena);
        check_content(codec, payload);
    }
    slice_unref(&frame->header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    struct codec codec = {0};
    arena_init(&codec.arena, 4 * MIB);
    fuzz_frames(&framing_amqp, data + 1, len - 1, (size_t)data[0] + 1, 256 * KIB, take, &codec);
    arena_done(&codec.arena);
    bytes_done(&codec.out);
    return 0;
}
