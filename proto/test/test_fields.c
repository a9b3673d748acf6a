/* Fields of encoded messages. */

#include <criterion/criterion.h>

#include "proto/wire/fields.h"

Test(fields, each_kind)
{
    const uint8_t data[] = {0x08, 0x96, 0x01,                     /* 1: 150 */
                            0x11, 1,    0,    0,   0, 0, 0, 0, 2, /* 2: 64 bits */
                            0x1a, 2,    'a',  'b',                /* 3: "ab" */
                            0xa5, 0x01, 3,    0,   0, 4,          /* 20: 32 bits */
                            0x22, 0};                             /* 4: "" */
    const uint8_t *at = data;
    const uint8_t *end = data + sizeof data;
    struct field field;
    cr_assert(field_next(&at, end, &field));
    cr_assert(field.number == 1 && field.wire == FIELD_VARINT && field.value == 150);
    cr_assert(field_next(&at, end, &field));
    cr_assert(field.number == 2 && field.wire == FIELD_64BIT && field.value == (UINT64_C(2) << 56) + 1);
    cr_assert(field_next(&at, end, &field));
    cr_assert(field.number == 3 && field.wire == FIELD_DELIMITED && field.len == 2 && field.data[1] == 'b');
    cr_assert(field_next(&at, end, &field));
    cr_assert(field.number == 20 && field.wire == FIELD_32BIT && field.value == (4u << 24) + 3);
    cr_assert(field_next(&at, end, &field));
    cr_assert(field.number == 4 && field.data != NULL && field.len == 0);
    cr_assert_eq(at, end);
    cr_assert_not(field_next(&at, end, &field));
}

Test(fields, what_is_malformed_moves_nothing)
{
    static const struct {
        uint8_t data[12];
        size_t len;
    } bad[] = {
        {{0x08}, 1},                                                                 /* No value. */
        {{0x08, 0x80}, 2},                                                           /* A value cut short. */
        {{0x1a, 3, 'a', 'b'}, 4},                                                    /* Content cut short. */
        {{0x11, 0, 0, 0, 0, 0, 0}, 7},                                               /* 64 bits cut short. */
        {{0x15, 0, 0, 0}, 4},                                                        /* 32 bits cut short. */
        {{0x00, 0}, 2},                                                              /* No number. */
        {{0x0b, 0x0c}, 2},                                                           /* A group. */
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0}, 12}, /* A tag without an end. */
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0}, 7},                                /* A number above 32 bits. */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const uint8_t *at = bad[i].data;
        struct field field;
        cr_assert_not(field_next(&at, at + bad[i].len, &field), "%zu", i);
        cr_assert_eq(at, bad[i].data);
    }
}

Test(fields, signed_numbers)
{
    cr_assert_eq(field_signed(0), 0);
    cr_assert_eq(field_signed(1), -1);
    cr_assert_eq(field_signed(2), 1);
    cr_assert_eq(field_signed(UINT64_MAX), INT64_MIN);
    cr_assert_eq(field_signed(UINT64_MAX - 1), INT64_MAX);
}
