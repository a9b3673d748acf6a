/* Tables of AMQP 0-9-1: every type there and back, and what no client should send. */

#include "rpc/amqp/amqp_table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct arena arena;
static struct bytes out;

static void setup(void)
{
    arena_init(&arena, 1 << 20);
}

static void teardown(void)
{
    arena_done(&arena);
    bytes_done(&out);
}

TestSuite(amqp_table, .init = setup, .fini = teardown);

static int decode(const void *data, size_t len, struct amqp_headers *headers)
{
    return amqp_table_decode((struct amqp_bytes){data, len}, &arena, headers);
}

/* One of each type, as RabbitMQ writes them. */
static const uint8_t ALL[] = {
    1,    'a',  't',  1,                      /* */
    1,    'b',  'b',  0xff,                   /* */
    1,    'c',  'B',  0xff,                   /* */
    1,    'd',  's',  0xff, 0xfe,             /* */
    1,    'e',  'u',  0xff, 0xfe,             /* */
    1,    'f',  'I',  0xff, 0xff, 0xff, 0xfd, /* */
    1,    'g',  'i',  0xff, 0xff, 0xff, 0xfd, /* */
    1,    'h',  'l',  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 1,    'i',  'L',  0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 1,    'j',  'f',  0x3f, 0xc0, 0x00, 0x00, /* 1.5 */
    1,    'k',  'd',  0xc0, 0x04, 0,    0,    0,    0,    0,    0,                      /* -2.5 */
    1,    'l',  'D',  2,    0xff, 0xff, 0xff, 0x85,                                     /* -1.23 */
    1,    'm',  'S',  0,    0,    0,    2,    0,    'x',                                /* With a zero byte. */
    1,    'n',  'x',  0,    0,    0,    1,    0x80,                                     /* */
    1,    'o',  'T',  0,    0,    0,    0,    0x5f, 0x5e, 0x10, 0x00,                   /* */
    1,    'p',  'F',  0,    0,    0,    4,    1,    'q',  't',  0,                      /* */
    1,    'r',  'A',  0,    0,    0,    3,    'V',  'b',  5,                            /* */
    1,    's',  'V',                                                                    /* */
};

Test(amqp_table, every_type_comes_back_as_it_was)
{
    struct amqp_headers headers;
    cr_assert_eq(decode(ALL, sizeof ALL, &headers), 0);
    cr_assert_eq(headers.len, 18u);
    cr_assert_eq(amqp_headers_find(&headers, "b")->int8, -1);
    cr_assert_eq(amqp_headers_find(&headers, "c")->uint8, 255u);
    cr_assert_eq(amqp_headers_find(&headers, "d")->int16, -2);
    cr_assert_eq(amqp_headers_find(&headers, "e")->uint16, 65534u);
    cr_assert_eq(amqp_headers_find(&headers, "f")->int32, -3);
    cr_assert_eq(amqp_headers_find(&headers, "g")->uint32, UINT32_MAX - 2);
    cr_assert_eq(amqp_headers_find(&headers, "h")->int64, -4);
    cr_assert_eq(amqp_headers_find(&headers, "i")->uint64, UINT64_MAX - 3);
    cr_assert(amqp_headers_find(&headers, "j")->float32 == 1.5F);
    cr_assert(amqp_headers_find(&headers, "k")->float64 == -2.5);
    cr_assert_eq(amqp_headers_find(&headers, "l")->decimal->value, -123);
    cr_assert_eq(amqp_headers_find(&headers, "m")->string.len, 2u);
    cr_assert_eq(amqp_headers_find(&headers, "o")->timestamp_s, 1600000000u);
    cr_assert_eq(amqp_headers_find(&headers, "p")->table->n_entry, 1u);
    cr_assert_eq(amqp_headers_find(&headers, "r")->array->n_item, 2u);
    cr_assert_null(amqp_headers_find(&headers, "z"));
    cr_assert_eq(amqp_table_encode(headers.entries, headers.len, &out), 0);
    cr_assert_eq(out.len, 4 + sizeof ALL);
    cr_assert_arr_eq(out.data + 4, ALL, sizeof ALL);
    cr_assert(out.data[3] == sizeof ALL && out.data[2] == 0);
}

/* Through protobuf, as it lies in the log. */
Test(amqp_table, every_type_survives_the_log)
{
    struct amqp_headers headers;
    cr_assert_eq(decode(ALL, sizeof ALL, &headers), 0);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = headers.entries;
    head.n_header = headers.len;
    static uint8_t packed[1024];
    cr_assert_lt(holdfast__message_head__get_packed_size(&head), sizeof packed);
    size_t len = holdfast__message_head__pack(&head, packed);
    Holdfast__MessageHead *back = holdfast__message_head__unpack(&arena.protobuf, len, packed);
    cr_assert_not_null(back);
    cr_assert_eq(amqp_table_encode(back->header, back->n_header, &out), 0);
    cr_assert_arr_eq(out.data + 4, ALL, sizeof ALL);
}

Test(amqp_table, of_several_with_one_name_the_last_counts)
{
    static const uint8_t twice[] = {1, 'a', 'b', 1, 1, 'a', 'b', 2};
    struct amqp_headers headers;
    cr_assert_eq(decode(twice, sizeof twice, &headers), 0);
    cr_assert_eq(amqp_headers_find(&headers, "a")->int8, 2);
}

Test(amqp_table, what_is_cut_short_is_refused_wherever)
{
    struct amqp_headers headers;
    unsigned whole = 0;
    for (size_t len = 0; len < sizeof ALL; len++) {
        arena_reset(&arena);
        int err = decode(ALL, len, &headers);
        cr_assert(err == 0 || err == ERR_INVALID, "%zu", len);
        whole += err == 0;
    }
    cr_assert_eq(whole, 18u, "only between two entries, and with none");
}

Test(amqp_table, malformed_ones_are_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x01"
         "aQ",
         3}, /* Unknown type. */
        {"\x02"
         "a\0t\x01",
         5}, /* A zero byte in a name. */
        {"\x01"
         "aS\xff\xff\xff\xff",
         7}, /* A length that lies. */
        {"\x01"
         "aF\0\0\0\x02\x01"
         "b",
         9}, /* The table within is cut short. */
        {"\x01"
         "aA\0\0\0\x01S",
         8}, /* The array likewise. */
    };
    struct amqp_headers headers;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(decode(bad[i].bytes, bad[i].len, &headers), ERR_INVALID, "%zu", i);
    }
}

/* n arrays within one another, the innermost empty. */
static size_t nest(uint8_t *data, unsigned depth)
{
    size_t at = 0;
    data[at++] = 1;
    data[at++] = 'a';
    for (unsigned i = 0; i < depth; i++) {
        uint32_t inside = (depth - 1 - i) * 5;
        data[at++] = 'A';
        data[at++] = 0;
        data[at++] = 0;
        data[at++] = (uint8_t)(inside >> 8);
        data[at++] = (uint8_t)inside;
    }
    return at;
}

Test(amqp_table, nesting_has_an_end)
{
    static uint8_t data[8192];
    struct amqp_headers headers;
    cr_assert_eq(decode(data, nest(data, AMQP_DEPTH_MAX), &headers), 0);
    cr_assert_eq(decode(data, nest(data, AMQP_DEPTH_MAX + 1), &headers), ERR_TOO_BIG);
    cr_assert_eq(decode(data, nest(data, 1000), &headers), ERR_TOO_BIG);
}

Test(amqp_table, values_have_a_limit)
{
    static uint8_t data[7 + AMQP_VALUES_MAX + 1];
    struct amqp_headers headers;
    for (unsigned more = 0; more < 2; more++) {
        uint32_t items = AMQP_VALUES_MAX - 1 + more;
        memset(data, 'V', sizeof data);
        memcpy(data,
               "\x01"
               "aA\0\0",
               5);
        data[5] = (uint8_t)(items >> 8);
        data[6] = (uint8_t)items;
        arena_reset(&arena);
        arena.used_max = 16 << 20;
        cr_assert_eq(decode(data, 7 + items, &headers), more == 0 ? 0 : ERR_TOO_BIG);
    }
    arena_reset(&arena);
    arena.used_max = 1000;
    cr_assert_eq(decode(data, 7 + AMQP_VALUES_MAX - 1, &headers), ERR_INVALID, "one byte short of what it says");
}

Test(amqp_table, memory_has_a_limit)
{
    struct amqp_headers headers;
    arena_reset(&arena);
    arena.used_max = 500;
    cr_assert_eq(decode(ALL, sizeof ALL, &headers), ERR_NOMEM);
}
