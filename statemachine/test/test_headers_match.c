/* Headers of messages against arguments of bindings. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "headers_fixture.h"
#include "statemachine/exchange/headers_match.h"

/* Whether a message with these headers has what these arguments ask for. */
static bool fits(const struct pairs *arguments, const struct pairs *headers)
{
    struct bytes encoded = {0};
    struct headers_match *match;
    struct headers_sorted sorted = {0};
    struct bytes head = {0};
    cr_assert_eq(arguments_encode(pairs_arguments(arguments), &encoded), 0);
    cr_assert_eq(headers_match_new(encoded.data, encoded.len, &match), 0);
    pairs_pack_head(headers, &head);
    cr_assert_eq(headers_sort(&sorted, (struct slice){.data = head.data, .len = head.len}), 0);
    bool fit = headers_fit(match, &sorted);
    headers_sorted_done(&sorted);
    free(match);
    bytes_done(&encoded);
    bytes_done(&head);
    return fit;
}

static bool value_fits(Holdfast__Value asked, Holdfast__Value has)
{
    struct pairs arguments = {0};
    struct pairs headers = {0};
    pairs_add(&arguments, "a", asked);
    pairs_add(&headers, "a", has);
    return fits(&arguments, &headers);
}

Test(headers_match, all_and_any)
{
    struct pairs all = {0}, any = {0}, both = {0}, one = {0}, other = {0}, none = {0};
    pairs_add(&all, "x-match", value_string("all"));
    pairs_add(&any, "x-match", value_string("any"));
    pairs_add(&both, "b", value_int(2));
    pairs_add(&both, "a", value_string("1"));
    pairs_add(&both, "c", value_bool(true));
    pairs_add(&one, "a", value_string("1"));
    pairs_add(&other, "a", value_string("2"));
    pairs_add(&all, "a", value_string("1"));
    pairs_add(&all, "b", value_int(2));
    pairs_add(&any, "a", value_string("1"));
    pairs_add(&any, "b", value_int(2));
    cr_assert(fits(&all, &both));
    cr_assert_not(fits(&all, &one));
    cr_assert_not(fits(&all, &none));
    cr_assert(fits(&any, &both));
    cr_assert(fits(&any, &one));
    cr_assert_not(fits(&any, &other));
    cr_assert_not(fits(&any, &none));
    cr_assert(fits(&one, &both), "all, unless it says otherwise");
    cr_assert_not(fits(&both, &one));
}

Test(headers_match, none_that_counts)
{
    struct pairs all = {0}, any = {0}, some = {0}, none = {0};
    pairs_add(&any, "x-match", value_string("any"));
    pairs_add(&any, "x-other", value_int(1));
    pairs_add(&some, "x-other", value_int(1));
    cr_assert(fits(&all, &some));
    cr_assert(fits(&all, &none));
    cr_assert_not(fits(&any, &some));
    pairs_add(&all, "x-other", value_int(2));
    cr_assert(fits(&all, &some), "what begins with x- does not count");
}

Test(headers_match, with_x)
{
    struct pairs all = {0}, any = {0}, has = {0}, other = {0};
    pairs_add(&all, "x-match", value_string("all-with-x"));
    pairs_add(&all, "x-a", value_int(1));
    pairs_add(&any, "x-match", value_string("any-with-x"));
    pairs_add(&any, "x-a", value_int(1));
    pairs_add(&has, "x-a", value_int(1));
    pairs_add(&other, "x-a", value_int(2));
    cr_assert(fits(&all, &has));
    cr_assert_not(fits(&all, &other));
    cr_assert(fits(&any, &has));
    cr_assert_not(fits(&any, &other));
}

Test(headers_match, a_mode_that_is_none)
{
    struct headers_match *match;
    Holdfast__Value modes[] = {value_string("ALL"), value_int(1), value_string("al"), value_void()};
    for (size_t i = 0; i < 4; i++) {
        struct pairs arguments = {0};
        struct bytes encoded = {0};
        pairs_add(&arguments, "x-match", modes[i]);
        cr_assert_eq(arguments_encode(pairs_arguments(&arguments), &encoded), 0);
        cr_assert_eq(headers_match_new(encoded.data, encoded.len, &match), ERR_INVALID);
        bytes_done(&encoded);
    }
}

Test(headers_match, values_are_compared_by_value)
{
    cr_assert(value_fits(value_int8(7), value_int(7)));
    cr_assert(value_fits(value_uint(7), value_int(7)));
    cr_assert_not(value_fits(value_uint(UINT64_MAX), value_int(-1)));
    cr_assert(value_fits(value_uint(UINT64_MAX), value_uint(UINT64_MAX)));
    cr_assert(value_fits(value_int8(-1), value_int(-1)));
    cr_assert(value_fits(value_float(1.5f), value_double(1.5)));
    cr_assert_not(value_fits(value_float(0.1f), value_double(0.1)));
    cr_assert(value_fits(value_double(0.0), value_double(-0.0)));
    cr_assert_not(value_fits(value_int(1), value_double(1)));
    cr_assert_not(value_fits(value_int(1), value_bool(true)));
    cr_assert_not(value_fits(value_int(1), value_timestamp(1)));
    cr_assert(value_fits(value_timestamp(1), value_timestamp(1)));
    cr_assert(value_fits(value_bool(false), value_bool(false)));
    cr_assert_not(value_fits(value_bool(false), value_bool(true)));
    cr_assert(value_fits(value_string("ab"), value_string("ab")));
    cr_assert_not(value_fits(value_string("ab"), value_string("a")));
    cr_assert_not(value_fits(value_string("ab"), value_binary("ab")));
    cr_assert(value_fits(value_binary("ab"), value_binary("ab")));
    cr_assert(value_fits(value_string(""), value_string("")));
    cr_assert(value_fits(value_decimal(2, -314), value_decimal(2, -314)));
    cr_assert_not(value_fits(value_decimal(2, -314), value_decimal(2, 314)));
}

Test(headers_match, no_value_is_any_value)
{
    struct pairs other = {0}, arguments = {0};
    cr_assert(value_fits(value_void(), value_string("x")));
    cr_assert(value_fits(value_void(), value_void()));
    cr_assert_not(value_fits(value_string("x"), value_void()));
    pairs_add(&other, "b", value_int(1));
    pairs_add(&arguments, "a", value_void());
    cr_assert_not(fits(&arguments, &other), "but there has to be one");
}

Test(headers_match, tables_and_arrays)
{
    struct pairs one = {0}, two = {0};
    pairs_add(&one, "k", value_int8(1));
    pairs_add(&two, "k", value_int(1));
    cr_assert(value_fits(value_table(&one), value_table(&two)));
    cr_assert(value_fits(value_array(&one), value_array(&two)));
    cr_assert_not(value_fits(value_array(&one), value_table(&two)));
    pairs_add(&two, "l", value_int(1));
    cr_assert_not(value_fits(value_table(&one), value_table(&two)));
    cr_assert_not(value_fits(value_array(&one), value_array(&two)));
}

Test(headers_match, of_several_headers_of_a_name_one_has_to_fit)
{
    struct pairs arguments = {0}, headers = {0};
    pairs_add(&arguments, "b", value_int(2));
    pairs_add(&headers, "a", value_int(2));
    pairs_add(&headers, "b", value_int(3));
    pairs_add(&headers, "b", value_int(2));
    pairs_add(&headers, "bb", value_int(1));
    cr_assert(fits(&arguments, &headers));
    headers.values[2] = value_int(4);
    cr_assert_not(fits(&arguments, &headers));
}

Test(headers_match, what_is_malformed_is_left_out)
{
    struct headers_sorted sorted = {0};
    const uint8_t head[] = {
        0x6a, 6, 0x0a, 1, 'a', 0x12, 2, 0x48,             /* Its value is cut short. */
        0x6a, 3, 0x0a, 1, 'b',                            /* It has none, */
        0x6a, 8, 0x0a, 1, 'c', 0x12, 3, 0x98, 0x01, 0x02, /* or one of an unknown kind. */
        0x6a, 7, 0x0a, 1, 'd', 0x12, 2, 0x48, 0x02,       /* It is good. */
        0x6a,                                             /* The end is cut short. */
    };
    cr_assert_eq(headers_sort(&sorted, (struct slice){.data = head, .len = sizeof head}), 0);
    cr_assert_eq(sorted.len, 1u);
    cr_assert_eq(sorted.entries[0].name[0], 'd');
    headers_sorted_done(&sorted);
}
