/* The frame prefix refuses what it must. */

#include "proto/wire/frame.h"

#include <criterion/criterion.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

static void good_prefix(uint8_t out[FRAME_PREFIX_LEN])
{
    frame_prefix_encode(&(struct frame_prefix){.type = FRAME_HELLO, .header_len = 7, .body_len = 9}, out);
}

Test(frame, prefix_round_trip)
{
    uint8_t p[FRAME_PREFIX_LEN];
    struct frame_prefix prefix;
    good_prefix(p);
    cr_assert_eq(frame_prefix_decode(p, &prefix), 0);
    cr_assert_eq(prefix.type, FRAME_HELLO);
    cr_assert_eq(prefix.header_len, 7u);
    cr_assert_eq(prefix.body_len, 9u);
}

Test(frame, prefix_refuses_other_protocols_versions_and_lengths)
{
    uint8_t p[FRAME_PREFIX_LEN];
    struct frame_prefix prefix;
    good_prefix(p);
    p[0] = 'G';
    cr_assert_eq(frame_prefix_decode(p, &prefix), ERR_BROKEN);
    good_prefix(p);
    p[2] = FRAME_VERSION + 1;
    cr_assert_eq(frame_prefix_decode(p, &prefix), ERR_VERSION);
    good_prefix(p);
    p[15] = 1;
    cr_assert_eq(frame_prefix_decode(p, &prefix), ERR_BROKEN);
    good_prefix(p);
    put_u32(p + 4, (uint32_t)FRAME_HEADER_LEN_MAX + 1);
    cr_assert_eq(frame_prefix_decode(p, &prefix), ERR_TOO_BIG);
    good_prefix(p);
    put_u32(p + 8, (uint32_t)FRAME_BODY_LEN_MAX + 1);
    cr_assert_eq(frame_prefix_decode(p, &prefix), ERR_TOO_BIG);
}
