/* Bodies in frames: in order, whole, and without the rest of what they are a part of. */

#include "rpc/body_copy.h"
#include "rpc/native/native_bodies.h"

#include <criterion/criterion.h>
#include <string.h>
#include <xxhash.h>

#include "net_fixture.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/wire/message.pb-c.h"

#define BIG_LEN (512u * 1024u)

static struct blob *big_new(void)
{
    struct blob *blob = blob_new(BIG_LEN);
    cr_assert_not_null(blob);
    for (size_t i = 0; i < blob->len; i++) {
        blob->data[i] = (uint8_t)(i * 7 + i / 256);
    }
    return blob;
}

static struct frame_out encode(const struct slice *bodies, unsigned bodies_len)
{
    struct frame_out frame;
    cr_assert_eq(native_bodies_encode(FRAME_DELIVERIES, "h", 1, bodies, bodies_len, &frame), 0);
    return frame;
}

/* Memory that the frame keeps for its parts. */
static size_t kept_len(const struct frame_out *frame)
{
    size_t len = 0;
    for (unsigned i = 0; i < frame->parts_len; i++) {
        len += frame->parts[i].blob->len;
    }
    return len;
}

Test(native_bodies, a_short_body_does_not_keep_what_it_is_a_part_of)
{
    const size_t lens[] = {1, 8, BODY_SHORT_LEN, 20000, BIG_LEN / BODY_PART - 1};
    for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
        struct blob *blob = big_new();
        struct slice body = slice_part(slice_of_blob(blob), 100, lens[i]);
        struct frame_out frame = encode(&body, 1);
        cr_assert_eq(frame.parts_len, 1u);
        cr_assert_eq(kept_len(&frame), lens[i]);
        cr_assert_eq(blob->refs, 1u, "nothing of the large one is kept");
        cr_assert_eq(memcmp(frame.parts[0].data, blob->data + 100, lens[i]), 0);
        blob_unref(blob);
        frame_out_done(&frame);
    }
}

Test(native_bodies, a_body_that_is_most_of_its_blob_is_not_copied)
{
    struct blob *blob = big_new();
    struct slice body = slice_part(slice_of_blob(blob), 64, BIG_LEN / 2);
    struct frame_out frame = encode(&body, 1);
    cr_assert_eq(frame.parts[0].blob, blob);
    cr_assert_eq(blob->refs, 2u);
    frame_out_done(&frame);
    cr_assert_eq(blob->refs, 1u);
    blob_unref(blob);
}

Test(native_bodies, bodies_of_all_kinds_stay_in_order)
{
    struct blob *blob = big_new();
    struct blob *own = big_new();
    struct slice whole = slice_of_blob(blob);
    /* Empty, short, short, whole, short, empty, short, whole, whole. */
    struct slice bodies[] = {
        slice_part(whole, 5, 0),     slice_part(whole, 10, 10), slice_part(whole, 1000, 3000),
        slice_of_blob(own),          slice_part(whole, 7, 1),   slice_part(whole, 8, 0),
        slice_part(whole, 20000, 5), slice_of_blob(own),        slice_of_blob(own),
    };
    struct bytes expected = {0};
    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++) {
        cr_assert_eq(bytes_append(&expected, bodies[i].data, bodies[i].len), 0);
    }
    struct frame_out frame = encode(bodies, ARRAY_LEN(bodies));
    cr_assert_eq(frame.parts_len, 5u, "what is copied in a row is one part");
    cr_assert_eq(blob->refs, 1u);
    struct bytes flat = {0};
    frame_flatten(&frame, &flat);
    cr_assert_eq(flat.len, FRAME_PREFIX_LEN + 1 + expected.len);
    cr_assert_eq(memcmp(flat.data + FRAME_PREFIX_LEN + 1, expected.data, expected.len), 0);
    bytes_done(&flat);
    bytes_done(&expected);
    blob_unref(blob);
    blob_unref(own);
}

#define MANY 200u
#define MANY_LEN 1000u
#define PIECE_LEN 65536u

/* One large piece the allocator would ask the system for, and give back, each time. */
Test(native_bodies, many_copies_go_into_pieces_no_longer_than_they_must_be)
{
    struct blob *blob = big_new();
    struct slice bodies[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        bodies[i] = slice_part(slice_of_blob(blob), i * MANY_LEN, MANY_LEN);
    }
    struct frame_out frame = encode(bodies, MANY);
    cr_assert_eq(frame.parts_len, 4u, "65, 65, 65 and 5 of them");
    cr_assert_lt(kept_len(&frame), MANY * MANY_LEN + 3 * MANY_LEN);
    for (unsigned i = 0; i < frame.parts_len; i++) {
        cr_assert_leq(frame.parts[i].blob->len, PIECE_LEN);
        cr_assert_eq(frame.parts[i].blob->refs, 1u);
    }
    struct bytes flat = {0};
    frame_flatten(&frame, &flat);
    cr_assert_eq(flat.len, FRAME_PREFIX_LEN + 1 + MANY * MANY_LEN);
    cr_assert_eq(memcmp(flat.data + FRAME_PREFIX_LEN + 1, blob->data, MANY * MANY_LEN), 0);
    bytes_done(&flat);
    blob_unref(blob);
}

Test(native_bodies, a_failed_allocation_leaves_nothing_behind)
{
    struct blob *blob = big_new();
    struct slice body = slice_part(slice_of_blob(blob), 0, 10);
    for (uint64_t nth = 0; nth < 2; nth++) {
        struct frame_out frame;
        fault_set_nth(FAULT_ALLOCATION, nth);
        int err = native_bodies_encode(FRAME_DELIVERIES, "h", 1, &body, 1, &frame);
        fault_reset();
        cr_assert_eq(err, ERR_NOMEM, "allocation %llu", (unsigned long long)nth);
        cr_assert_eq(blob->refs, 1u);
    }
    struct frame_out frame;
    cr_assert_eq(native_bodies_encode(FRAME_DELIVERIES, NULL, 0, NULL, 0, &frame), 0);
    cr_assert_eq(frame.len, FRAME_PREFIX_LEN);
    frame_out_done(&frame);
    blob_unref(blob);
}

/* ---- What of a message is shown ---- */

/* A head and the body "body" behind it, in one blob. */
static struct blob *message_new(const Holdfast__MessageHead *head, struct slice *ret_head, struct slice *ret_body)
{
    size_t head_len = holdfast__message_head__get_packed_size(head);
    struct blob *blob = blob_new(head_len + 4);
    cr_assert_not_null(blob);
    holdfast__message_head__pack(head, blob->data);
    memcpy(blob->data + head_len, "body", 4);
    *ret_head = slice_part(slice_of_blob(blob), 0, head_len);
    *ret_body = slice_part(slice_of_blob(blob), head_len, 4);
    return blob;
}

Test(native_bodies, hidden_keys_are_shown_to_nobody)
{
    char *hidden[] = {"secret one", "secret two"};
    char *also[] = {"open"};
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    struct native_content content;
    struct slice encoded;
    struct slice body;
    head.routing_key = "key";
    head.also_key = also;
    head.n_also_key = 1;
    head.hidden_key = hidden;
    head.n_hidden_key = 2;
    head.content_type = "text/plain";
    struct blob *blob = message_new(&head, &encoded, &body);
    cr_assert_eq(native_content_of(true, (struct slice){0}, encoded, body, 7, &content), 0);
    Holdfast__MessageHead *shown = holdfast__message_head__unpack(NULL, content.head_len, content.content.data);
    cr_assert_not_null(shown);
    cr_assert_eq(shown->n_hidden_key, 0u);
    cr_assert_eq(shown->n_also_key, 1u);
    cr_assert_str_eq(shown->routing_key, "key");
    cr_assert_str_eq(shown->content_type, "text/plain");
    cr_assert_eq(content.content.len, content.head_len + 4u);
    cr_assert_eq(memcmp(content.content.data + content.head_len, "body", 4), 0);
    cr_assert_eq(content.hash, XXH3_64bits(content.content.data, content.content.len));
    cr_assert_null(memmem(content.content.data, content.content.len, "secret", 6));
    holdfast__message_head__free_unpacked(shown, NULL);
    slice_unref(&content.content);
    blob_unref(blob);
}

Test(native_bodies, a_head_without_hidden_keys_is_shown_as_it_is)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    struct native_content content;
    struct slice encoded;
    struct slice body;
    head.routing_key = "key";
    struct blob *blob = message_new(&head, &encoded, &body);
    cr_assert_eq(native_content_of(true, (struct slice){0}, encoded, body, 7, &content), 0);
    cr_assert_eq(content.content.data, blob->data, "it is no copy");
    cr_assert_eq(content.content.len, blob->len);
    cr_assert_eq(content.hash, 7u);
    slice_unref(&content.content);
    cr_assert_eq(native_content_of(false, encoded, encoded, body, 7, &content), 0);
    cr_assert_eq(content.head_len + content.trail.len, 0u, "who does not know heads sees the body");
    cr_assert_eq(content.content.len, 4u);
    cr_assert_eq(content.hash, XXH3_64bits("body", 4));
    slice_unref(&content.content);
    cr_assert_eq(blob->refs, 1u);
    blob_unref(blob);
}
