/* The limit of a body: what is found in an encoded command is what protobuf finds there. */

#include "rpc/native/native_limit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "proto/wire/command.pb-c.h"

static uint64_t longest(const void *data, size_t len)
{
    return native_limit_longest((struct slice){.data = data, .len = len});
}

/* Hand-made encodings: 0x32 is Command.publish, 0x12 its lengths packed, 0x10 one length by itself. */
#define LONGEST(bytes) longest(bytes, sizeof(bytes) - 1)

Test(native_limit, finds_the_longest_body)
{
    cr_assert_eq(LONGEST("\x32\x06\x0a\x01q\x12\x01\x07"), 7u);
    cr_assert_eq(LONGEST("\x32\x05\x12\x03\x07\x09\x08"), 9u);
    cr_assert_eq(LONGEST("\x32\x04\x10\x07\x10\x06"), 7u, "not packed");
    cr_assert_eq(LONGEST("\x32\x06\x12\x01\x05\x12\x01\x07"), 7u, "in pieces");
    cr_assert_eq(LONGEST("\x32\x02\x10\x07\x32\x02\x10\x05"), 7u, "a publish that is merged");
    cr_assert_eq(LONGEST("\xb2\x80\x00\x02\x10\x07"), 7u, "a tag longer than it needs to be");
    cr_assert_eq(LONGEST("\x32\x03\x10\x87\x00"), 7u, "a length longer than it needs to be");
    cr_assert_eq(LONGEST("\x32\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), UINT32_MAX, "cut to 32 bits");
    cr_assert_eq(LONGEST("\x32\x0b\x10\x87\x80\x80\x80\x80\x80\x80\x80\x80\x7f"), 7u, "more than 64 bits");
    cr_assert_eq(LONGEST("\xfd\x01zzzz\xf9\x01zzzzzzzz\xfa\x01\x02zz\xf8\x01\x05\x32\x02\x10\x07"), 7u,
                 "behind others");
}

Test(native_limit, finds_nothing_where_there_is_nothing)
{
    cr_assert_eq(LONGEST(""), 0u);
    cr_assert_eq(LONGEST("\x22\x03\x0a\x01q"), 0u, "a declare");
    cr_assert_eq(LONGEST("\x32\x00"), 0u);
    cr_assert_eq(LONGEST("\x32\x02\x28\x63"), 0u, "a sequence is no length");
    cr_assert_eq(LONGEST("\x32"), 0u, "cut off");
    cr_assert_eq(LONGEST("\x32\x80"), 0u, "cut off");
    cr_assert_eq(LONGEST("\x32\x7f\x10\x07"), 0u, "a length that does not fit");
    cr_assert_eq(LONGEST("\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x07"), 0u, "a length that does not fit");
    cr_assert_eq(LONGEST("\x33\x02\x10\x07"), 0u, "a group");
    cr_assert_eq(LONGEST("\x32\x02\x15\x07"), 0u, "cut off within four bytes");
}

Test(native_limit, every_cut_is_harmless)
{
    static const char whole[] = "\xfd\x01zzzz\xf9\x01zzzzzzzz\x32\x08\x0a\x01q\x12\x03\x07\x09\x08";
    for (size_t len = 0; len < sizeof whole; len++) {
        uint8_t *copy = malloc(len == 0 ? 1 : len); /* So that a look past the end is noticed. */
        cr_assert_not_null(copy);
        memcpy(copy, whole, len);
        cr_assert_leq(longest(copy, len), 9u);
        free(copy);
    }
}

Test(native_limit, what_stands_for_a_command_is_a_publish_of_a_body_that_is_too_long)
{
    struct slice refused = native_limit_refused();
    Holdfast__Command *command = holdfast__command__unpack(NULL, refused.len, refused.data);
    cr_assert_not_null(command);
    cr_assert_eq(command->kind_case, HOLDFAST__COMMAND__KIND_PUBLISH);
    cr_assert_eq(command->publish->n_body_len, 1u);
    cr_assert_eq(command->publish->n_body_hash, 1u);
    cr_assert_gt(command->publish->body_len[0], BODY_LEN_MAX);
    cr_assert_str_empty(command->publish->producer, "no producer moves on");
    cr_assert_eq(holdfast__command__get_packed_size(command), refused.len);
    holdfast__command__free_unpacked(command, NULL);
}

Test(native_limit, is_within_bounds)
{
    cr_assert_eq(native_limit_of(0), BODY_LEN_MAX);
    cr_assert_eq(native_limit_of(1), 1u);
    cr_assert_eq(native_limit_of(UINT64_MAX), BODY_LEN_MAX);
    struct slice publish = {.data = (const uint8_t *)"\x32\x03\x12\x01\x07", .len = 5};
    cr_assert(native_limit_exceeded(publish, 7, 6));
    cr_assert_not(native_limit_exceeded(publish, 7, 7));
    cr_assert_not(native_limit_exceeded(publish, 6, 6), "then it cannot be as long as it says");
    cr_assert(native_limit_exceeded(publish, COMMAND_BODIES_LEN_MAX + 1, BODY_LEN_MAX));
    char text[NATIVE_LIMIT_TEXT_LEN];
    native_limit_text(UINT64_MAX, text);
    cr_assert_lt(strlen(text), sizeof text - 1, "it is not cut");
}
