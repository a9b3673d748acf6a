/* The deque of messages by position, and message rows. */

#include "statemachine/message.h"

#include <criterion/criterion.h>
#include <string.h>

static struct message sample(struct blob *blob, uint64_t hash)
{
    return (struct message){.blob = blob_ref(blob), .data = blob->data, .hash = hash, .len = 4};
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
            messages_push(&messages, sample(blob, tail++));
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
        messages_push(&messages, sample(blob, i));
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

Test(message, rows_round_trip_and_every_flipped_bit_of_the_head_shows)
{
    struct row_key key = row_key_pair(ROW_MESSAGE, 7, 8);
    struct row_key other = row_key_pair(ROW_MESSAGE, 7, 9);
    struct message message = {.hash = 11, .enqueued_ms = 12, .len = 4};
    struct message back;
    uint8_t row[MESSAGE_ROW_LEN + 4] = {0};
    message_row_encode(&key, &message, row);
    memcpy(row + MESSAGE_ROW_LEN, "body", 4);
    struct slice value = {.data = row, .len = sizeof row};
    cr_assert_eq(message_row_decode(&key, value, &back), 0);
    cr_assert_eq(back.hash, 11u);
    cr_assert_eq(back.enqueued_ms, 12u);
    cr_assert_eq(memcmp(back.data, "body", 4), 0);
    cr_assert_eq(message_row_decode(&other, value, &back), ERR_CORRUPT, "a misplaced row");
    cr_assert_eq(message_row_decode(&key, (struct slice){.data = row, .len = sizeof row - 1}, &back), ERR_CORRUPT);
    for (size_t bit = 0; bit < 8 * MESSAGE_ROW_LEN; bit++) {
        row[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_eq(message_row_decode(&key, value, &back), ERR_CORRUPT);
        row[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}
