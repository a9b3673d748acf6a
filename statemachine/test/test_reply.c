/* The window of remembered replies. */

#include "statemachine/reply.h"

#include <criterion/criterion.h>

#include "proto/base/limits.h"

Test(reply, the_window_moves)
{
    struct replies replies = {0};
    struct reply reply = {0};
    struct reply back;
    for (uint64_t number = 1; number <= 3 * SESSION_WINDOW_MAX; number++) {
        reply.count = 7 * number;
        cr_assert_eq(replies_push(&replies, &reply), 0);
        uint64_t oldest = number > SESSION_WINDOW_MAX ? number - SESSION_WINDOW_MAX + 1 : 1;
        cr_assert_eq(replies_get(&replies, oldest, &back), 0);
        cr_assert_eq(back.count, 7 * oldest);
        cr_assert_eq(replies_get(&replies, number, &back), 0);
        cr_assert_eq(back.count, 7 * number);
        cr_assert_eq(replies_get(&replies, oldest - 1, &back), ERR_NOT_FOUND);
        cr_assert_eq(replies_get(&replies, number + 1, &back), ERR_NOT_FOUND);
    }
    cr_assert_leq(replies.cap, SESSION_WINDOW_MAX);
    replies_forget(&replies, 3 * SESSION_WINDOW_MAX - 2);
    cr_assert_eq(replies.len, 2u);
    replies_forget(&replies, 5);
    cr_assert_eq(replies.len, 2u, "what was forgotten stays so");
    replies_forget(&replies, UINT64_MAX);
    cr_assert_eq(replies.len, 0u);
    replies_done(&replies);
}

Test(reply, texts)
{
    cr_assert_str_eq(detail_text(DETAIL_NONE), "");
    cr_assert_neq(detail_text(DETAIL_QUEUE)[0], 0);
    cr_assert_str_eq(detail_text(60000), "");
}

Test(reply, bits_are_kept_as_long_as_their_reply)
{
    struct replies replies = {0};
    struct reply back;
    const uint8_t bits[] = {1, 2, 3};
    for (uint64_t number = 1; number <= 2 * SESSION_WINDOW_MAX; number++) {
        struct reply reply = {.count = number};
        if (number % 3 == 0) {
            reply.unrouted = (struct reply_bits){.data = bits, .len = 2};
        }
        if (number % 5 == 0) {
            reply.refused = (struct reply_bits){.data = bits + 1, .len = 1};
        }
        cr_assert_eq(replies_push(&replies, &reply), 0);
    }
    for (uint64_t number = SESSION_WINDOW_MAX + 1; number <= 2 * SESSION_WINDOW_MAX; number++) {
        cr_assert_eq(replies_get(&replies, number, &back), 0);
        cr_assert_eq(back.unrouted.len, number % 3 == 0 ? 2u : 0u);
        cr_assert_eq(back.refused.len, number % 5 == 0 ? 1u : 0u);
        cr_assert(back.refused.len == 0 || back.refused.data[0] == 2);
        cr_assert(back.unrouted.len == 0 || (back.unrouted.data[0] == 1 && back.unrouted.data[1] == 2));
    }
    cr_assert_eq(replies.bits->number, SESSION_WINDOW_MAX + 1u, "the first that is a multiple of 3 or 5");
    replies_forget(&replies, 2 * SESSION_WINDOW_MAX);
    cr_assert_null(replies.bits);
    replies_done(&replies);
}
