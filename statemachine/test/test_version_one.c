/* What version 1 sees of a header is what a build of that time would see. */

#include "statemachine/version_one.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/wire/command.pb-c.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, 1 << 20);
}

static void teardown(void)
{
    arena_done(&arena);
}

TestSuite(version_one, .init = setup, .fini = teardown);

static struct slice seen(const void *data, size_t len)
{
    struct slice out;
    cr_assert_eq(version_one_header(&arena, (struct slice){.data = data, .len = len}, &out), 0);
    return out;
}

#define EXPECT_SEEN(in, out)                                                                                           \
    do {                                                                                                               \
        struct slice left = seen(in, sizeof(in) - 1);                                                                  \
        cr_assert_eq(left.len, sizeof(out) - 1, "%zu bytes", left.len);                                                \
        cr_assert_eq(memcmp(left.data, out, left.len), 0);                                                             \
    } while (0)

Test(version_one, leaves_alone_what_it_knows)
{
    static const char declare[] = "\x22\x03\x0a\x01q";
    struct slice got = seen(declare, sizeof declare - 1);
    cr_assert_eq((const char *)got.data, declare, "not copied");
    EXPECT_SEEN("", "");
    EXPECT_SEEN("\x80\x01\x03", "\x80\x01\x03"); /* Field 16, as a varint: refused by whoever decodes it. */
}

Test(version_one, takes_out_later_kinds_and_fields)
{
    EXPECT_SEEN("\xa2\x01\x02\x0a\x00", "");                               /* DeclareExchange alone: no kind. */
    EXPECT_SEEN("\xa2\x01\x01\xff\x22\x03\x0a\x01q", "\x22\x03\x0a\x01q"); /* Malformed, before a DeclareQueue. */
    EXPECT_SEEN("\x22\x03\x0a\x01q\xa2\x01\x01\xff", "\x22\x03\x0a\x01q"); /* And behind it. */
    EXPECT_SEEN("\x22\x07\x0a\x01q\x12\x02\xff\xff", "\x22\x03\x0a\x01q"); /* Options that are none. */
    EXPECT_SEEN("\x2a\x05\x0a\x01q\x18\x01", "\x2a\x03\x0a\x01q");         /* DeleteQueue.if_unused. */
    EXPECT_SEEN("\x3a\x05\x0a\x01q\x20\x07", "\x3a\x03\x0a\x01q");         /* Subscribe.priority. */
    EXPECT_SEEN("\x4a\x04\x08\x01\x28\x01", "\x4a\x02\x08\x01");           /* Settle.has_delay. */
}

/* A length that takes a byte less than before, and keys that are longer than they need be. */
Test(version_one, writes_lengths_anew)
{
    uint8_t whole[6 + 3 + 290] = {0x32, 0xa8, 0x02, 0x0a, 0x01, 'q', 0x32, 0xa2, 0x02};
    struct slice got = seen(whole, sizeof whole);
    cr_assert_eq(got.len, 5u);
    cr_assert_eq(memcmp(got.data, "\x32\x03\x0a\x01q", 5), 0);
    EXPECT_SEEN("\xa2\x80\x00\x03\x0a\x01q\xa8\x01\x00", "\xa2\x80\x00\x03\x0a\x01q");
}

Test(version_one, leaves_what_nobody_can_decode)
{
    EXPECT_SEEN("\x22\x07\x0a\x01q\x12\x05\xff\xff",
                "\x22\x07\x0a\x01q\x12\x05\xff\xff"); /* Cut off within the kind. */
    EXPECT_SEEN("\xa2\x01\x05\x0a", "\xa2\x01\x05\x0a");
    EXPECT_SEEN("\xa3\x01", "\xa3\x01");                                         /* A group. */
    EXPECT_SEEN("\xa2\x81\x80\x80\x80\x00\x00", "\xa2\x81\x80\x80\x80\x00\x00"); /* A key of six bytes. */
}

/* Of any bytes that the old fields stand in, the decoder sees the same with and without what is later. */
Test(version_one, any_bytes_behind_change_nothing)
{
    uint64_t state = 1;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t header[64] = {0x22, 0x03, 0x0a, 0x01, 'q'};
        size_t len = 5;
        size_t wanted = 5 + round % 40;
        while (len < wanted) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            header[len++] = (uint8_t)(state >> 56);
        }
        struct slice got = seen(header, len);
        cr_assert_leq(got.len, len);
        Holdfast__Command *command = holdfast__command__unpack(NULL, got.len, got.data);
        if (got.data != header && command != NULL) {
            cr_assert_lt((int)command->kind_case, 17);
        }
        if (command != NULL) {
            holdfast__command__free_unpacked(command, NULL);
        }
        arena_reset(&arena);
    }
}
