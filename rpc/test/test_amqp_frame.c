/* The outside of AMQP frames, byte by byte. */

#include "rpc/amqp/amqp_frame.h"

#include <criterion/criterion.h>
#include <string.h>

#include "rpc/frame_reader.h"

static struct frame_reader reader;

static void setup(void)
{
    frame_reader_init(&reader, &framing_amqp, 4096);
}

static void teardown(void)
{
    frame_reader_done(&reader);
}

TestSuite(amqp_frame, .init = setup, .fini = teardown);

static void feed(const void *data, size_t len)
{
    uint8_t *buffer;
    size_t room;
    cr_assert_eq(frame_reader_buffer(&reader, &buffer, &room), 0);
    cr_assert_leq(len, room);
    memcpy(buffer, data, len);
    frame_reader_filled(&reader, len);
}

static int next(bool *got, struct frame *frame)
{
    return frame_reader_next(&reader, got, frame);
}

Test(amqp_frame, a_greeting_and_a_method_one_byte_at_a_time)
{
    struct bytes wire = {0};
    const union amqp_method method = {.id = AMQP_channel_close_ok};
    cr_assert_eq(bytes_append(&wire, AMQP_GREETING, AMQP_GREETING_LEN), 0);
    cr_assert_eq(amqp_frame_method(&wire, 0x0102, &method), 0);
    unsigned frames = 0;
    for (size_t i = 0; i < wire.len; i++) {
        bool got = false;
        struct frame frame;
        feed(wire.data + i, 1);
        cr_assert_eq(next(&got, &frame), 0);
        if (!got) {
            continue;
        }
        frames++;
        if (frames == 1) {
            cr_assert_eq(i, AMQP_GREETING_LEN - 1);
            cr_assert_eq(frame.type, AMQP_FRAME_GREETING);
        } else {
            struct amqp_bytes payload;
            union amqp_method back;
            cr_assert_eq(frame.type, AMQP_FRAME_METHOD);
            cr_assert_eq(frame.tag, 0x0102u);
            cr_assert_eq(amqp_frame_payload(&frame, &payload), 0);
            cr_assert_eq(amqp_method_decode(payload, &back), 0);
            cr_assert_eq(back.id, (uint32_t)AMQP_channel_close_ok);
        }
        slice_unref(&frame.header);
    }
    cr_assert_eq(frames, 2u);
    bytes_done(&wire);
}

static int first(const void *data, size_t len)
{
    bool got;
    struct frame frame;
    frame_reader_done(&reader);
    feed(data, len);
    int err = next(&got, &frame);
    if (err == 0 && got) {
        slice_unref(&frame.header);
    }
    return err;
}

Test(amqp_frame, other_protocols_are_told_apart)
{
    cr_assert_eq(first("GET / HTTP/1.1\r\n", 16), ERR_VERSION);
    cr_assert_eq(first("AMQP\0\0\x09\x00", 8), ERR_VERSION, "0-9");
    cr_assert_eq(first("AMQP\x03\x01\0\0", 8), ERR_VERSION, "SASL of 1.0");
    cr_assert_eq(first("AX", 2), ERR_VERSION);
    cr_assert_eq(first("\x16\x03\x01", 3), ERR_BROKEN, "TLS");
    cr_assert_eq(first("\x05", 1), ERR_BROKEN);
    cr_assert_eq(first("A", 1), 0);
}

Test(amqp_frame, lengths_are_not_believed)
{
    cr_assert_eq(first("\x01\0\0\xff\xff\xff\xff", 7), ERR_TOO_BIG);
    cr_assert_eq(first("\x01\0\0\0\0\x10\x00", 7), ERR_TOO_BIG, "4096 and its end are over the reader's limit");
    cr_assert_eq(first("\x01\0\0\0\0\x0f\xff", 7), 0);
}

Test(amqp_frame, a_frame_must_end_as_it_should)
{
    bool got;
    struct frame frame;
    struct amqp_bytes payload;
    feed("\x08\0\0\0\0\0\0\xcd", 8);
    cr_assert_eq(next(&got, &frame), 0);
    cr_assert(got);
    cr_assert_eq(amqp_frame_payload(&frame, &payload), ERR_BROKEN);
    slice_unref(&frame.header);
}

Test(amqp_frame, what_cannot_be_written_leaves_nothing)
{
    static const uint8_t many[256] = {0};
    struct bytes wire = {0};
    const union amqp_method method = {.basic_cancel_ok = {.id = AMQP_basic_cancel_ok, .consumer_tag = {many, 256}}};
    cr_assert_eq(amqp_frame_method(&wire, 1, &method), ERR_TOO_BIG);
    cr_assert_eq(wire.len, 0u);
    bytes_done(&wire);
}
