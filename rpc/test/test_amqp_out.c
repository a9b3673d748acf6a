/* Frames on their way out: what comes of them is what a client reads. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/amqp/amqp_frame.h"
#include "rpc/amqp/amqp_out.h"
#include "rpc/body_copy.h"

static const union amqp_method deliver = {
    .basic_deliver = {.id = AMQP_basic_deliver, .consumer_tag = {(const uint8_t *)"c", 1}, .delivery_tag = 7}};

/* Everything, in one run. */
static struct bytes taken(struct amqp_out *out)
{
    struct bytes all = {0};
    bool got;
    struct frame_out frame;
    cr_assert_eq(amqp_out_take(out, &got, &frame), 0);
    cr_assert(got);
    cr_assert_eq(bytes_append(&all, frame.head->data, frame.head->len), 0);
    for (unsigned i = 0; i < frame.parts_len; i++) {
        cr_assert_gt(frame.parts[i].len, 0u);
        cr_assert_eq(bytes_append(&all, frame.parts[i].data, frame.parts[i].len), 0);
    }
    cr_assert_eq(all.len, frame.len);
    frame_out_done(&frame);
    return all;
}

/* Cuts one frame off the front, and checks its form. */
static struct amqp_bytes cut(const struct bytes *all, size_t *at, uint8_t type, uint16_t channel)
{
    struct frame_prefix prefix;
    size_t prefix_len = 0;
    cr_assert_eq(framing_amqp.measure(all->data + *at, all->len - *at, &prefix, &prefix_len), 0);
    cr_assert(prefix_len > 0 && prefix_len + prefix.body_len <= all->len - *at);
    cr_assert_eq(prefix.type, type);
    cr_assert_eq(prefix.tag, channel);
    struct amqp_bytes payload = {all->data + *at + prefix_len, prefix.body_len - 1};
    cr_assert_eq(payload.data[payload.len], AMQP_FRAME_END);
    *at += prefix_len + prefix.body_len;
    return payload;
}

static struct slice pattern(size_t len, struct blob **ret_blob)
{
    struct blob *blob = blob_new(len);
    cr_assert_not_null(blob);
    for (size_t i = 0; i < len; i++) {
        blob->data[i] = (uint8_t)(i * 7 + i / 251);
    }
    *ret_blob = blob;
    return slice_of_blob(blob);
}

/* A content behind another method, with a body of that length, comes as it should. */
static void comes_whole(size_t len, uint32_t frame_max)
{
    struct amqp_out out = {0};
    struct blob *blob;
    struct slice body = pattern(len, &blob);
    const uint8_t properties[] = {0x10, 0x00, 2};
    union amqp_method ok = {.basic_qos_ok = {.id = AMQP_basic_qos_ok}};
    cr_assert_eq(amqp_out_method(&out, 3, &ok), 0);
    cr_assert_eq(
        amqp_out_content(&out, 4, &deliver, (struct amqp_bytes){properties, sizeof properties}, body, frame_max), 0);
    cr_assert_eq(amqp_out_method(&out, 5, &ok), 0);
    struct bytes all = taken(&out);
    size_t at = 0;
    (void)cut(&all, &at, AMQP_FRAME_METHOD, 3);
    (void)cut(&all, &at, AMQP_FRAME_METHOD, 4);
    struct amqp_bytes header = cut(&all, &at, AMQP_FRAME_HEADER, 4);
    struct amqp_cursor cursor = amqp_cursor_of(header);
    cr_assert_eq(amqp_take_u16(&cursor), AMQP_CLASS_BASIC);
    cr_assert_eq(amqp_take_u16(&cursor), 0);
    cr_assert_eq(amqp_take_u64(&cursor), len);
    cr_assert(cursor.left == sizeof properties && memcmp(cursor.at, properties, sizeof properties) == 0);
    size_t come = 0;
    while (come < len) {
        size_t before = at;
        struct amqp_bytes part = cut(&all, &at, AMQP_FRAME_BODY, 4);
        cr_assert_leq(at - before, frame_max);
        cr_assert(part.len > 0 && part.len <= len - come && memcmp(part.data, blob->data + come, part.len) == 0);
        come += part.len;
    }
    (void)cut(&all, &at, AMQP_FRAME_METHOD, 5);
    cr_assert_eq(at, all.len);
    cr_assert_eq(blob->refs, 1u, "the body is still referred to");
    bytes_done(&all);
    blob_unref(blob);
    amqp_out_done(&out);
}

Test(amqp_out, contents_of_every_length_come_whole)
{
    const size_t lens[] = {0,
                           1,
                           BODY_SHORT_LEN,
                           BODY_SHORT_LEN + 1,
                           AMQP_FRAME_MIN - 9,
                           AMQP_FRAME_MIN - 8,
                           AMQP_FRAME_MIN - 7,
                           8 * 4096 + 3,
                           MIB};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        comes_whole(lens[i], AMQP_FRAME_MIN);
        comes_whole(lens[i], 131072);
    }
}

Test(amqp_out, what_is_most_of_its_blob_is_not_copied_and_a_small_part_is)
{
    struct blob *blob;
    struct slice whole = pattern(64 * KIB, &blob);
    struct amqp_out out = {0};
    cr_assert_eq(amqp_out_content(&out, 1, &deliver, (struct amqp_bytes){0}, slice_part(whole, 0, 2000), 131072), 0);
    cr_assert_eq(blob->refs, 1u);
    cr_assert_eq(amqp_out_content(&out, 1, &deliver, (struct amqp_bytes){0}, slice_part(whole, 0, 60 * KIB), 131072),
                 0);
    cr_assert_eq(blob->refs, 2u);
    amqp_out_done(&out);
    cr_assert_eq(blob->refs, 1u);
    blob_unref(blob);
}

Test(amqp_out, what_cannot_be_said_leaves_nothing)
{
    char tag[300];
    memset(tag, 't', sizeof tag);
    union amqp_method method = deliver;
    method.basic_deliver.consumer_tag = (struct amqp_bytes){(const uint8_t *)tag, sizeof tag};
    struct amqp_out out = {0};
    cr_assert_eq(amqp_out_heartbeat(&out), 0);
    size_t len = out.len;
    struct blob *blob;
    struct slice body = pattern(5000, &blob);
    cr_assert_eq(amqp_out_content(&out, 1, &method, (struct amqp_bytes){0}, body, 4096), ERR_TOO_BIG);
    cr_assert_eq(amqp_out_method(&out, 1, &method), ERR_TOO_BIG);
    cr_assert_eq(out.len, len);
    struct bytes all = taken(&out);
    cr_assert_eq(all.len, len);
    bytes_done(&all);
    bool got = true;
    struct frame_out frame;
    cr_assert(amqp_out_take(&out, &got, &frame) == 0 && !got, "it is empty once it was taken");
    cr_assert_eq(blob->refs, 1u);
    blob_unref(blob);
}
