/* The properties of a message of AMQP 0-9-1: all that a client sets comes back, and nothing else. */

#include "rpc/amqp/amqp_properties.h"

#include <criterion/criterion.h>
#include <string.h>

#include "rpc/amqp/amqp_method.h"

static struct arena arena;
static struct bytes out;
static Holdfast__MessageHead head;

static void setup(void)
{
    arena_init(&arena, 1 << 20);
    holdfast__message_head__init(&head);
}

static void teardown(void)
{
    arena_done(&arena);
    bytes_done(&out);
}

TestSuite(amqp_properties, .init = setup, .fini = teardown);

static int decode(const void *data, size_t len)
{
    holdfast__message_head__init(&head);
    return amqp_properties_decode((struct amqp_bytes){data, len}, &arena, &head);
}

/* Through protobuf, as in the log. */
static void expect_back(const void *data, size_t len)
{
    static uint8_t packed[1024];
    cr_assert_lt(holdfast__message_head__get_packed_size(&head), sizeof packed);
    size_t packed_len = holdfast__message_head__pack(&head, packed);
    Holdfast__MessageHead *back = holdfast__message_head__unpack(&arena.protobuf, packed_len, packed);
    cr_assert_not_null(back);
    out.len = 0;
    cr_assert_eq(amqp_properties_encode(back, back->header, back->n_header, &out), 0);
    cr_assert_eq(out.len, len);
    cr_assert_arr_eq(out.data, data, len);
}

static const uint8_t ALL[] = {
    0xff, 0xfc,                                                       /* */
    2,    't',  'p', 1,   'e', 0,   0,    0,    4,    1, 'h', 't', 1, /* Content type and encoding, headers. */
    2,    9,    1,   'c', 1,   'r', 2,    '6',  '0', /* Delivery mode, priority, correlation id, reply to, expiration. */
    1,    'm',  0,   0,   0,   0,   0x5f, 0x5e, 0x10, 0, /* Message id, timestamp. */
    1,    'y',  1,   'u', 1,   'a', 1,    'k',           /* Type, user, application, cluster. */
};

Test(amqp_properties, all_of_them)
{
    cr_assert_eq(decode(ALL, sizeof ALL), 0);
    cr_assert_str_eq(head.content_type, "tp");
    cr_assert_str_eq(head.content_encoding, "e");
    cr_assert(head.has_headers && head.n_header == 1);
    cr_assert_eq(head.delivery_mode, 2u);
    cr_assert_eq(head.wire_priority, 9u);
    cr_assert_str_eq(head.correlation_id, "c");
    cr_assert_str_eq(head.reply_to, "r");
    cr_assert_str_eq(head.expiration, "60");
    cr_assert_str_eq(head.message_id, "m");
    cr_assert(head.has_timestamp && head.timestamp_s == 1600000000u);
    cr_assert_str_eq(head.type, "y");
    cr_assert_str_eq(head.user_id, "u");
    cr_assert_str_eq(head.app_id, "a");
    cr_assert_str_eq(head.cluster_id, "k");
    expect_back(ALL, sizeof ALL);
}

Test(amqp_properties, none)
{
    static const uint8_t none[] = {0, 0};
    cr_assert_eq(decode(none, sizeof none), 0);
    cr_assert_not(head.has_headers);
    expect_back(none, sizeof none);
}

/* A property that is there, and empty, is another thing than one that is not. */
Test(amqp_properties, empty_ones_are_there)
{
    static const uint8_t empty[] = {0xff, 0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    cr_assert_eq(decode(empty, sizeof empty), 0);
    cr_assert(head.has_headers && head.n_header == 0);
    expect_back(empty, sizeof empty);
}

Test(amqp_properties, each_alone)
{
    for (unsigned flag = AMQP_CLUSTER_ID; flag <= AMQP_CONTENT_TYPE; flag++) {
        uint8_t one[16] = {0};
        size_t value_len = flag == AMQP_TIMESTAMP                                ? 8
                           : flag == AMQP_HEADERS                                ? 4
                           : flag == AMQP_DELIVERY_MODE || flag == AMQP_PRIORITY ? 1
                                                                                 : 3;
        one[0] = (uint8_t)(1u << flag >> 8);
        one[1] = (uint8_t)(1u << flag);
        if (value_len == 3) {
            memcpy(one + 2, "\x02zz", 3);
        } else if (value_len != 4) {
            memset(one + 2, 7, value_len);
        }
        cr_assert_eq(decode(one, 2 + value_len), 0, "%u", flag);
        expect_back(one, 2 + value_len);
        cr_assert_eq(decode(one, 1 + value_len), ERR_INVALID, "%u", flag);
        cr_assert_eq(decode(one, 3 + value_len), ERR_INVALID, "%u", flag);
    }
}

/* Protobuf's strings end at a zero byte; AMQP's do not. */
Test(amqp_properties, strings_with_zero_bytes_come_back)
{
    static const uint8_t zeroes[] = {0x84, 0x84, 3, 'a', 0, 'b', 2, 0, 0, 1, 'm', 1, 0};
    cr_assert_eq(decode(zeroes, sizeof zeroes), 0);
    cr_assert_str_eq(head.content_type, "");
    cr_assert_str_eq(head.message_id, "m");
    expect_back(zeroes, sizeof zeroes);
}

Test(amqp_properties, unknown_flags_are_refused)
{
    static const uint8_t more[] = {0, 1, 0, 0};
    static const uint8_t unused[] = {0, 2};
    cr_assert_eq(decode(more, sizeof more), ERR_INVALID);
    cr_assert_eq(decode(unused, sizeof unused), ERR_INVALID);
    cr_assert_eq(decode(more, 1), ERR_INVALID);
}

/* What another protocol has put there. */
Test(amqp_properties, foreign_heads_are_written_or_refused)
{
    static char many[300];
    memset(many, 'x', sizeof many - 1);
    static const uint8_t broken[] = {AMQP_TYPE, 200, 'x'};
    head.extra = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)broken, .len = sizeof broken};
    cr_assert_eq(amqp_properties_encode(&head, NULL, 0, &out), 0);
    cr_assert_eq(out.len, 2u);
    head.reply_to = many;
    cr_assert_eq(amqp_properties_encode(&head, NULL, 0, &out), ERR_TOO_BIG);
}

Test(amqp_properties, the_content_header)
{
    static const uint8_t payload[] = {0, 60, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0x10, 0, 2};
    struct amqp_content content;
    cr_assert_eq(amqp_content_decode((struct amqp_bytes){payload, sizeof payload}, &content), 0);
    cr_assert_eq(content.class_id, AMQP_CLASS_BASIC);
    cr_assert_eq(content.body_len, 65538u);
    cr_assert_eq(decode(content.properties.data, content.properties.len), 0);
    cr_assert_eq(head.delivery_mode, 2u);
    for (size_t len = 0; len < 14; len++) {
        cr_assert_eq(amqp_content_decode((struct amqp_bytes){payload, len}, &content), ERR_INVALID);
    }
}
