/* What a terminal would obey is not given to it. */

#include <criterion/criterion.h>
#include <string.h>

#include "shown.h"

static void expect(const char *text, const char *expected)
{
    struct shown room;
    cr_assert_str_eq(shown(text, &room), expected);
}

Test(shown, plain_text_as_it_is)
{
    expect("", "");
    expect("orders.eu-1 /?*#", "orders.eu-1 /?*#");
    expect("\xc3\xa4 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \xc2\xa0",
           "\xc3\xa4 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \xc2\xa0");
}

Test(shown, nothing_that_is_obeyed)
{
    expect("a\x1b[31mb", "a\\x1b[31mb");
    expect("tag\nfalse row", "tag\\x0afalse row");
    expect("\x7f", "\\x7f");
    expect("\xc2\x9b"
           "31m",
           "\\xc2\\x9b31m");
    expect("\xe2\x80\xae"
           "abc",
           "\\xe2\\x80\\xae"
           "abc");
    expect("\xe2\x81\xa6"
           "abc\xe2\x80\x8f",
           "\\xe2\\x81\\xa6"
           "abc\\xe2\\x80\\x8f");
    expect("\xe2\x80\xa6", "\xe2\x80\xa6");
}

Test(shown, not_utf8)
{
    expect("a\x9b"
           "31m",
           "a\\x9b31m");
    expect("\xe2\x80", "\\xe2\\x80");
    expect("\xc2", "\\xc2");
}

Test(shown, as_much_as_fits)
{
    char text[NAME_LEN_MAX + 1] = {0};
    struct shown room;
    memset(text, 0x1b, NAME_LEN_MAX);
    cr_assert_eq(strlen(shown(text, &room)), 4 * NAME_LEN_MAX);
    char longer[8 * NAME_LEN_MAX + 1] = {0};
    memset(longer, 0x1b, sizeof longer - 1);
    cr_assert_eq(strlen(shown(longer, &room)), 4 * NAME_LEN_MAX);
    memset(longer, 'x', sizeof longer - 1);
    cr_assert_leq(strlen(shown(longer, &room)), 4 * NAME_LEN_MAX);
}
