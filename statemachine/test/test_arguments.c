/* Arguments of bindings: their form, what it leaves out, and back. */

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "headers_fixture.h"

static struct bytes encode(const struct pairs *pairs)
{
    struct bytes bytes = {0};
    cr_assert_eq(arguments_encode(pairs_arguments(pairs), &bytes), 0);
    return bytes;
}

static bool same(const struct pairs *a, const struct pairs *b)
{
    struct bytes first = encode(a);
    struct bytes second = encode(b);
    bool equal = first.len == second.len && (first.len == 0 || memcmp(first.data, second.data, first.len) == 0);
    bytes_done(&first);
    bytes_done(&second);
    return equal;
}

Test(arguments, in_another_order_they_are_the_same)
{
    struct pairs one = {0}, two = {0}, three = {0}, none = {0};
    pairs_add(&one, "a", value_int(1));
    pairs_add(&one, "b", value_string("x"));
    pairs_add(&one, "a", value_int(2));
    pairs_add(&two, "a", value_int(2));
    pairs_add(&two, "a", value_int(1));
    pairs_add(&two, "b", value_string("x"));
    pairs_add(&three, "a", value_int(1));
    pairs_add(&three, "b", value_string("x"));
    cr_assert(same(&one, &two));
    cr_assert_not(same(&one, &three));
    cr_assert_not(same(&none, &three));
    cr_assert(same(&none, &none));
}

Test(arguments, one_value_has_one_form)
{
    struct pairs one = {0}, two = {0}, other = {0};
    pairs_add(&one, "a", value_double((double)NAN));
    pairs_add(&two, "a", value_double(-(double)NAN));
    cr_assert(same(&one, &two));
    pairs_add(&one, "b", value_double(0.0));
    pairs_add(&two, "b", value_float(-0.0f));
    cr_assert(same(&one, &two));
    pairs_add(&one, "c", value_int8(-3));
    pairs_add(&two, "c", value_int(-3));
    cr_assert(same(&one, &two));
    pairs_add(&one, "d", value_string("1"));
    pairs_add(&two, "d", value_binary("1"));
    cr_assert_not(same(&one, &two));
    pairs_add(&other, "c", value_int(3));
    cr_assert_not(same(&one, &other));
}

static void back_and_forth(const struct pairs *pairs)
{
    struct arena arena;
    struct bytes bytes = encode(pairs);
    struct bytes again = {0};
    struct arguments arguments;
    arena_init(&arena, 1 << 20);
    cr_assert_eq(arguments_decode(bytes.data, bytes.len, &arena, &arguments), 0);
    cr_assert_eq(arguments.len, pairs->len);
    cr_assert_eq(arguments_encode(arguments, &again), 0);
    cr_assert_eq(bytes.len, again.len);
    cr_assert_eq(memcmp(bytes.data, again.data, bytes.len), 0);
    for (size_t len = 0; len < bytes.len; len++) {
        int err = arguments_decode(bytes.data, len, &arena, &arguments);
        cr_assert(err == ERR_CORRUPT || (err == 0 && arguments.len < pairs->len), "cut short");
    }
    arena_done(&arena);
    bytes_done(&bytes);
    bytes_done(&again);
}

Test(arguments, back_into_what_clients_speak)
{
    struct pairs inner = {0}, plain = {0}, outer = {0};
    pairs_add(&inner, "k", value_int(-1));
    pairs_add(&inner, "", value_string(""));
    pairs_add(&plain, "void", value_void());
    pairs_add(&plain, "bool", value_bool(true));
    pairs_add(&plain, "small", value_int8(-5));
    pairs_add(&plain, "large", value_uint(UINT64_MAX));
    pairs_add(&plain, "double", value_double(0.25));
    pairs_add(&plain, "decimal", value_decimal(3, -7));
    pairs_add(&plain, "string", value_string("abc"));
    pairs_add(&plain, "time", value_timestamp(12));
    pairs_add(&outer, "binary", value_binary("xyz"));
    pairs_add(&outer, "table", value_table(&inner));
    pairs_add(&outer, "array", value_array(&inner));
    back_and_forth(&plain);
    back_and_forth(&outer);
}

Test(arguments, what_is_refused)
{
    struct bytes bytes = {0};
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    Holdfast__Header *headers[ARGUMENTS_MAX + 1];
    for (size_t i = 0; i <= ARGUMENTS_MAX; i++) {
        headers[i] = &header;
    }
    cr_assert_eq(arguments_encode((struct arguments){.items = headers, .len = 1}, &bytes), ERR_INVALID, "no value");
    Holdfast__Value value = value_int(1);
    header.value = &value;
    cr_assert_eq(arguments_encode((struct arguments){.items = headers, .len = ARGUMENTS_MAX + 1}, &bytes), ERR_INVALID);
    cr_assert_eq(bytes.len, 0u);
    cr_assert_eq(arguments_encode((struct arguments){.items = headers, .len = ARGUMENTS_MAX}, &bytes), 0);
    static char text[ARGUMENTS_LEN_MAX];
    memset(text, 'x', sizeof text - 1);
    value = value_string(text);
    bytes.len = 0;
    cr_assert_eq(arguments_encode((struct arguments){.items = headers, .len = 1}, &bytes), ERR_INVALID, "too long");
    text[ARGUMENTS_LEN_MAX / 2] = 0;
    value = value_string(text);
    cr_assert_eq(arguments_encode((struct arguments){.items = headers, .len = 2}, &bytes), ERR_INVALID, "together");
    cr_assert_eq(arguments_encode((struct arguments){.items = headers, .len = 1}, &bytes), 0);
    bytes_done(&bytes);
}

Test(arguments, no_deeper_than_that)
{
    static struct pairs tables[ARGUMENTS_DEPTH_MAX + 1];
    struct bytes bytes = {0};
    pairs_add(&tables[0], "a", value_int(1));
    for (size_t i = 1; i <= ARGUMENTS_DEPTH_MAX; i++) {
        pairs_add(&tables[i], "a", i % 2 != 0 ? value_table(&tables[i - 1]) : value_array(&tables[i - 1]));
    }
    cr_assert_eq(arguments_encode(pairs_arguments(&tables[ARGUMENTS_DEPTH_MAX - 1]), &bytes), 0);
    back_and_forth(&tables[ARGUMENTS_DEPTH_MAX - 1]);
    cr_assert_eq(arguments_encode(pairs_arguments(&tables[ARGUMENTS_DEPTH_MAX]), &bytes), ERR_INVALID);
    bytes_done(&bytes);
}
