/* The deque of messages by position, and message rows. */

#include "statemachine/message/message.h"

#include <criterion/criterion.h>
#include <string.h>

static struct message sample(struct blob *blob, uint64_t hash)
{
    return (struct message){.blob = blob_ref(blob), .data = blob->data, .hash = hash, .body_len = 4};
}

Test(message, deque_by_position)
{
    struct blob *blob = blob_new(4);
    struct messages messages;
    messages_init(&messages, 100);
    uint64_t tail = 100;
    uint64_t bytes = 0;
    for (unsigned round = 0; round < 50; round++) {
        cr_assert_eq(messages_reserve(&messages, 37), 0);
        for (unsigned i = 0; i < 37; i++) {
            struct message message = sample(blob, tail++);
            messages_push(&messages, &message);
            bytes += 4 + MESSAGE_COST;
        }
        bytes -= messages_forget(&messages, tail - 20 - round);
        cr_assert_eq(messages.base, tail - 20 - round);
        cr_assert_eq(bytes, (20 + round) * (4 + MESSAGE_COST));
        cr_assert_null(messages_at(&messages, messages.base - 1));
        for (uint64_t position = messages.base; position < tail; position++) {
            cr_assert_eq(messages_at(&messages, position)->hash, position);
        }
    }
    bytes -= messages_done(&messages);
    cr_assert_eq(bytes, 0u);
    cr_assert_eq(blob->refs, 1u);
    blob_unref(blob);
}

Test(message, settled_ones_let_go_at_once)
{
    struct blob *blob = blob_new(4);
    struct messages messages;
    messages_init(&messages, 1);
    cr_assert_eq(messages_reserve(&messages, 3), 0);
    for (uint64_t i = 0; i < 3; i++) {
        struct message message = sample(blob, i);
        messages_push(&messages, &message);
    }
    cr_assert_eq(messages_settle(&messages, 2), 4 + MESSAGE_COST);
    cr_assert_eq(blob->refs, 3u);
    cr_assert_eq(messages.base, 1u);
    cr_assert(messages_at(&messages, 2)->settled);
    cr_assert_eq(messages_settle(&messages, 1), 4 + MESSAGE_COST);
    cr_assert_eq(messages.base, 3u);
    cr_assert_eq(messages_settle(&messages, 1), 0u, "below the base there is nothing to let go of");
    messages_done(&messages);
    cr_assert_eq(blob->refs, 1u);
    blob_unref(blob);
}

/* Encodes the message with its content, "body", and tries every way to damage the row. */
static struct message round_trip(const struct message *message)
{
    struct row_key key = row_key_pair(ROW_MESSAGE, 7, 8);
    struct row_key other = row_key_pair(ROW_MESSAGE, 7, 9);
    struct message back;
    uint8_t row[128] = {0};
    size_t len = message_row_len(message);
    size_t content = message->shared_body == 0 ? 4 : 0;
    message_row_encode(&key, message, row);
    memcpy(row + len, "body", content);
    struct slice value = {.data = row, .len = len + content};
    for (size_t bit = 0; bit < 8 * len; bit++) {
        row[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_eq(message_row_decode(&key, value, &back), ERR_CORRUPT);
        row[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    cr_assert_eq(message_row_decode(&other, value, &back), ERR_CORRUPT, "a misplaced row");
    for (size_t less = 1; less <= value.len; less++) {
        cr_assert_eq(message_row_decode(&key, slice_part(value, 0, value.len - less), &back), ERR_CORRUPT);
    }
    cr_assert_eq(message_row_decode(&key, value, &back), 0);
    cr_assert(content == 0 ? back.data == NULL : memcmp(back.data, "body", content) == 0);
    return back;
}

Test(message, old_rows_round_trip_and_every_flipped_bit_of_the_head_shows)
{
    struct message message = {.hash = 11, .enqueued_ms = 12, .body_len = 4, .old = true};
    struct message back = round_trip(&message);
    cr_assert(back.old && back.hash == 11 && back.enqueued_ms == 12 && back.body_len == 4);
    cr_assert_eq(message_row_len(&message), 29u, "as it has always been");
    cr_assert_eq(message_counted_len(&back), 0u);
}

Test(message, rows_round_trip_with_all_that_a_message_has)
{
    struct message message = {.hash = 11,
                              .enqueued_ms = 12,
                              .expires_ms = 13,
                              .group = 14,
                              .bytes_before = 15,
                              .trail = (const uint8_t *)"trail",
                              .trail_len = 5,
                              .head_len = 1,
                              .body_len = 3};
    struct message back = round_trip(&message);
    cr_assert(!back.old && back.hash == 11 && back.enqueued_ms == 12 && back.expires_ms == 13 && back.group == 14);
    cr_assert(back.bytes_before == 15 && back.head_len == 1 && back.body_len == 3 && back.shared_body == 0);
    cr_assert(back.trail_len == 5 && memcmp(back.trail, "trail", 5) == 0);
    cr_assert_eq(message_counted_len(&back), 3u);
    message.shared_body = 16;
    back = round_trip(&message);
    cr_assert(back.shared_body == 16 && back.body_len == 3 && back.trail_len == 5);
}
