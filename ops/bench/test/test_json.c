/* What is printed as JSON can be read back, whatever is in it. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static void expect(const char *bytes, size_t len, const char *expected)
{
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);
    cr_assert_not_null(out);
    json_bytes(out, "body", bytes, len);
    cr_assert_eq(fclose(out), 0);
    cr_assert_str_eq(text, expected);
    free(text);
}

Test(json, strings_and_bytes)
{
    expect("", 0, "\"body\": \"\"");
    expect("plain", 5, "\"body\": \"plain\"");
    expect("\"\\\n\t\x7f", 5, "\"body\": \"\\\"\\\\\\n\\u0009\\u007f\"");
    expect("\xc3\xa4", 2, "\"body\": \"\xc3\xa4\"");
    expect("a\0b", 3, "\"body\": \"a\\u0000b\"");
    expect("\xff", 1, "\"body_base64\": \"/w==\"");
    expect("\xff\xfe", 2, "\"body_base64\": \"//4=\"");
    expect("\xff\xfe\xfd", 3, "\"body_base64\": \"//79\"");
    expect("\xff"
           "abc",
           4, "\"body_base64\": \"/2FiYw==\"");
}
