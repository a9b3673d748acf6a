/* Names and UTF-8. */

#include "proto/base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

Test(bytes, utf8_accepts_what_is_valid_and_nothing_else)
{
    cr_assert(bytes_are_utf8("Zürich €𐍈", strlen("Zürich €𐍈")));
    cr_assert_not(bytes_are_utf8("\xc0\xaf", 2), "overlong");
    cr_assert_not(bytes_are_utf8("\xed\xa0\x80", 3), "surrogate");
    cr_assert_not(bytes_are_utf8("\xf4\x90\x80\x80", 4), "beyond U+10FFFF");
    cr_assert_not(bytes_are_utf8("\xe2\x82", 2), "cut off");
    cr_assert_not(bytes_are_utf8("\x80", 1), "stray continuation");
}

Test(bytes, names)
{
    char long_name[256];
    memset(long_name, 'a', sizeof long_name);
    cr_assert_eq(name_check("orders.eu", 9), 0);
    cr_assert_eq(name_check("", 0), ERR_NAME);
    cr_assert_eq(name_check(long_name, 255), 0);
    cr_assert_eq(name_check(long_name, 256), ERR_NAME);
    cr_assert_eq(name_check("a\nb", 3), ERR_NAME);
    cr_assert_eq(name_check("a\0b", 3), ERR_NAME);
    cr_assert_eq(name_check("\xff", 1), ERR_UTF8);
}

Test(bytes, integers_survive_the_round_trip)
{
    uint8_t p[8];
    put_u64(p, 0x0123456789abcdefu);
    cr_assert_eq(p[0], 0xef);
    cr_assert_eq(get_u64(p), 0x0123456789abcdefu);
    put_be64(p, 0x0123456789abcdefu);
    cr_assert_eq(p[0], 0x01);
    cr_assert_eq(get_be64(p), 0x0123456789abcdefu);
}
