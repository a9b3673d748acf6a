/* The native codec: what goes in comes out, and nothing malformed does. */

#include "rpc/native/native_frame.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

/* The frame as the other side gets it. */
static struct frame arrived(struct frame_out *out)
{
    struct blob *blob = blob_new(out->len - FRAME_PREFIX_LEN);
    cr_assert_not_null(blob);
    struct frame_prefix prefix;
    cr_assert_eq(frame_prefix_decode(out->head->data, &prefix), 0);
    cr_assert_eq(out->head->len, FRAME_PREFIX_LEN + prefix.header_len);
    memcpy(blob->data, out->head->data + FRAME_PREFIX_LEN, prefix.header_len);
    size_t at = prefix.header_len;
    for (unsigned i = 0; i < out->parts_len; i++) {
        if (out->parts[i].len > 0) {
            memcpy(blob->data + at, out->parts[i].data, out->parts[i].len);
        }
        at += out->parts[i].len;
    }
    cr_assert_eq(at, blob->len);
    cr_assert_eq(at, (size_t)prefix.header_len + prefix.body_len);
    frame_out_done(out);
    struct slice all = slice_of_blob(blob);
    return (struct frame){.type = prefix.type,
                          .header = slice_part(all, 0, prefix.header_len),
                          .body = slice_part(all, prefix.header_len, prefix.body_len)};
}

static struct frame header_of(const void *data, size_t len)
{
    struct frame frame = {.type = FRAME_COMMAND};
    cr_assert_eq(slice_copy(data, len, &frame.header), 0);
    return frame;
}

Test(native_frame, a_command_and_its_bodies_round_trip)
{
    static const uint64_t numbers[] = {1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct slice command, bodies[2];
        cr_assert_eq(slice_copy("command", 7, &command), 0);
        cr_assert_eq(slice_copy("first", 5, &bodies[0]), 0);
        cr_assert_eq(slice_copy("", 0, &bodies[1]), 0);
        struct frame_out out;
        cr_assert_eq(native_frame_encode_command(numbers[i], numbers[i] - 1, command, bodies, 2, &out), 0);
        cr_assert_eq(bodies[0].blob->refs, 2u);
        struct frame frame = arrived(&out);
        cr_assert_eq(frame.type, FRAME_COMMAND);
        struct native_command decoded;
        cr_assert_eq(native_frame_decode_command(&frame, &decoded), 0);
        cr_assert_eq(decoded.number, numbers[i]);
        cr_assert_eq(decoded.answered, numbers[i] - 1);
        cr_assert_eq(decoded.command.len, 7u);
        cr_assert_eq(memcmp(decoded.command.data, "command", 7), 0);
        cr_assert_eq(decoded.command.blob, frame.header.blob, "not copied");
        cr_assert_eq(frame.body.len, 5u);
        slice_unref(&frame.header);
        slice_unref(&command);
        slice_unref(&bodies[0]);
        slice_unref(&bodies[1]);
    }
}

Test(native_frame, the_scanner_reads_what_protobuf_writes)
{
    uint8_t command[] = {1, 2, 3, 4};
    Holdfast__CommandFrame message = HOLDFAST__COMMAND_FRAME__INIT;
    message.number = 1000000;
    message.answered = 999;
    message.command = (ProtobufCBinaryData){.len = sizeof command, .data = command};
    struct frame_out out;
    cr_assert_eq(native_frame_encode(FRAME_COMMAND, &message.base, NULL, 0, &out), 0);
    struct frame frame = arrived(&out);
    struct native_command decoded;
    cr_assert_eq(native_frame_decode_command(&frame, &decoded), 0);
    cr_assert_eq(decoded.number, 1000000u);
    cr_assert_eq(decoded.answered, 999u);
    cr_assert_eq(decoded.command.len, sizeof command);
    cr_assert_eq(memcmp(decoded.command.data, command, sizeof command), 0);
    slice_unref(&frame.header);
}

Test(native_frame, the_scanner_is_strict)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *what;
    } bad[] = {
        {"\x08", 1, "a tag alone"},
        {"\x08\x80", 2, "an unfinished varint"},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "65 bits"},
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, "eleven bytes"},
        {"\x08\x01\x08\x02", 4, "a field twice"},
        {"\x1a\x05xxxx", 6, "a length behind the end"},
        {"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "a length that would wrap"},
        {"\x1a\x00\x1a\x00", 4, "two commands"},
        {"\x20\x01", 2, "an unknown field"},
        {"\x09xxxxxxxx", 9, "a number of another wire type"},
        {"\x0a\x01x", 3, "a number as bytes"},
        {"\x18\x01", 2, "a command as number"},
        {"\x88\x01\x01", 3, "a long tag"},
        {"\x00", 1, "field zero"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct frame frame = header_of(bad[i].bytes, bad[i].len);
        struct native_command command = {.number = 77};
        cr_assert_eq(native_frame_decode_command(&frame, &command), ERR_INVALID, "%s", bad[i].what);
        cr_assert_eq(command.number, 77u, "untouched on failure");
        slice_unref(&frame.header);
    }
    struct frame frame = header_of("", 0);
    struct native_command command;
    cr_assert_eq(native_frame_decode_command(&frame, &command), 0);
    cr_assert_eq(command.number, 0u);
    cr_assert_eq(command.command.len, 0u);
    slice_unref(&frame.header);
}

Test(native_frame, no_truncation_of_a_command_decodes_as_the_whole)
{
    struct slice command;
    cr_assert_eq(slice_copy("0123456789", 10, &command), 0);
    struct frame_out out;
    cr_assert_eq(native_frame_encode_command(5000, 4000, command, NULL, 0, &out), 0);
    struct frame frame = arrived(&out);
    for (size_t len = 0; len < frame.header.len; len++) {
        struct frame part = header_of(frame.header.data, len);
        struct native_command decoded;
        if (native_frame_decode_command(&part, &decoded) == 0) {
            cr_assert_eq(decoded.command.len, 0u, "only where the fields before it end");
        }
        slice_unref(&part.header);
    }
    slice_unref(&frame.header);
    slice_unref(&command);
}

Test(native_frame, appended_messages_are_a_repeated_field)
{
    struct bytes header = {0};
    for (unsigned i = 1; i <= 300; i++) {
        Holdfast__Reply reply = HOLDFAST__REPLY__INIT;
        char detail[200];
        memset(detail, 'x', sizeof detail);
        detail[i % 199] = '\0';
        reply.number = i;
        reply.detail = detail;
        cr_assert_eq(native_frame_append(&header, 1, &reply.base), 0);
    }
    struct frame_out out;
    cr_assert_eq(native_frame_encode_raw(FRAME_REPLIES, header.data, header.len, NULL, 0, &out), 0);
    struct frame frame = arrived(&out);
    struct arena arena;
    arena_init(&arena, MIB);
    ProtobufCMessage *base;
    cr_assert_eq(native_frame_decode(&frame, &holdfast__replies__descriptor, &arena, &base), 0);
    const Holdfast__Replies *replies = (const void *)base;
    cr_assert_eq(replies->n_replies, 300u);
    for (unsigned i = 1; i <= 300; i++) {
        cr_assert_eq(replies->replies[i - 1]->number, i);
        cr_assert_eq(strlen(replies->replies[i - 1]->detail), i % 199);
    }
    slice_unref(&frame.header);
    arena_done(&arena);
    bytes_done(&header);
}

Test(native_frame, limits_are_kept)
{
    struct slice big = {.data = (const uint8_t *)"", .len = FRAME_HEADER_LEN_MAX + 1};
    struct frame_out out;
    cr_assert_eq(native_frame_encode_command(1, 0, big, NULL, 0, &out), ERR_TOO_BIG);
    cr_assert_eq(native_frame_encode_raw(FRAME_REPLIES, big.data, big.len, NULL, 0, &out), ERR_TOO_BIG);
    struct slice bodies[3] = {{.len = FRAME_BODY_LEN_MAX}, {.len = 1}, {.len = SIZE_MAX}};
    cr_assert_eq(native_frame_encode_raw(FRAME_DELIVERIES, "", 0, bodies, 2, &out), ERR_TOO_BIG);
    cr_assert_eq(native_frame_encode_raw(FRAME_DELIVERIES, "", 0, bodies, 3, &out), ERR_TOO_BIG);
}

Test(native_frame, a_small_header_cannot_claim_much_memory)
{
    /* Ten thousand empty replies in twenty thousand bytes. */
    struct bytes header = {0};
    for (unsigned i = 0; i < 10000; i++) {
        cr_assert_eq(bytes_append(&header, "\x0a\x00", 2), 0);
    }
    struct frame frame = header_of(header.data, header.len);
    struct arena arena;
    arena_init(&arena, 100 * KIB);
    ProtobufCMessage *base;
    cr_assert_eq(native_frame_decode(&frame, &holdfast__replies__descriptor, &arena, &base), ERR_INVALID);
    arena_done(&arena);
    bytes_done(&header);
    slice_unref(&frame.header);
}

Test(native_frame, deliveries_must_match_their_bodies)
{
    Holdfast__Delivery a = HOLDFAST__DELIVERY__INIT, b = HOLDFAST__DELIVERY__INIT;
    Holdfast__Delivery *list[] = {&a, &b};
    Holdfast__Deliveries deliveries = HOLDFAST__DELIVERIES__INIT;
    deliveries.deliveries = list;
    deliveries.n_deliveries = 2;
    a.consumer = b.consumer = a.number = 1;
    b.number = 2;
    a.body_len = 3;
    b.body_len = 4;
    cr_assert_eq(native_frame_check_deliveries(&deliveries, (struct slice){.len = 7}), 0);
    cr_assert_eq(native_frame_check_deliveries(&deliveries, (struct slice){.len = 8}), ERR_INVALID);
    cr_assert_eq(native_frame_check_deliveries(&deliveries, (struct slice){.len = 6}), ERR_INVALID);
    b.number = 0;
    cr_assert_eq(native_frame_check_deliveries(&deliveries, (struct slice){.len = 7}), ERR_INVALID);
    b.number = 2;
    b.body_len = UINT32_MAX;
    cr_assert_eq(native_frame_check_deliveries(&deliveries, (struct slice){.len = 2}), ERR_INVALID);
}
