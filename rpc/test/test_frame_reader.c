/* What a reader of frames keeps, and what of it is counted. Without sockets. */

#include "rpc/frame_reader.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

static void on_granted(struct memory_claim *claim)
{
    (void)claim;
}

struct fixture {
    struct memory_budget budget;
    struct frame_reader reader;
};

static void fixture_open(struct fixture *f, uint64_t limit)
{
    memory_budget_init(&f->budget, limit);
    frame_reader_init(&f->reader, &framing_native, FRAME_BODY_LEN_MAX);
    frame_reader_share(&f->reader, &f->budget, on_granted);
}

static void fixture_close(struct fixture *f)
{
    frame_reader_done(&f->reader);
    cr_assert_eq(f->budget.used, 0u);
    cr_assert_eq(f->budget.holders, 0u);
}

/* One read of these bytes, as far as there is a place for them; how many that were. */
static size_t read_some(struct fixture *f, const uint8_t *data, size_t len)
{
    uint8_t *place;
    size_t room;
    cr_assert_eq(frame_reader_buffer(&f->reader, &place, &room), 0);
    cr_assert_gt(room, 0u);
    room = room < len ? room : len;
    memcpy(place, data, room);
    frame_reader_filled(&f->reader, room);
    return room;
}

/* The frames that are there now, without a look at them. */
static unsigned take_frames(struct fixture *f)
{
    unsigned frames = 0;
    bool got;
    struct frame frame;
    do {
        cr_assert_eq(frame_reader_next(&f->reader, &got, &frame), 0);
        if (got) {
            frames++;
            slice_unref(&frame.header);
            frame_reader_handed_on(&f->reader);
        }
    } while (got);
    return frames;
}

/* A prefix, and zeros. */
static void frame_write(uint8_t *out, size_t body_len)
{
    memset(out, 0, FRAME_PREFIX_LEN + body_len);
    frame_prefix_encode(&(struct frame_prefix){.type = FRAME_COMMAND, .body_len = (uint32_t)body_len}, out);
}

Test(frame_reader, what_stays_in_the_staging_buffer_is_counted)
{
    static uint8_t wire[FRAME_PREFIX_LEN + 20000];
    struct fixture f;
    fixture_open(&f, MIB);
    frame_write(wire, 20000);
    cr_assert_eq(read_some(&f, wire, 12000), 12000u);
    cr_assert_eq(take_frames(&f), 0u);
    frame_reader_trim(&f.reader);
    cr_assert_eq(f.budget.used, 12000u);
    cr_assert_eq(read_some(&f, wire + 12000, sizeof wire - 12000), sizeof wire - 12000);
    cr_assert_eq(take_frames(&f), 1u);
    frame_reader_trim(&f.reader);
    cr_assert_eq(f.budget.used, 0u, "nothing is kept, and nothing counted");
    fixture_close(&f);
}

Test(frame_reader, with_much_taken_by_others_little_is_read_at_a_time_and_small_frames_need_room_too)
{
    static uint8_t wire[FRAME_PREFIX_LEN + 20000];
    struct fixture f;
    fixture_open(&f, 100 * KIB);
    memory_budget_add(&f.budget, 60 * KIB);
    frame_write(wire, 20000);
    cr_assert_eq(read_some(&f, wire, sizeof wire), FRAME_READER_PRESSED_STAGING_LEN);
    cr_assert_eq(take_frames(&f), 0u);
    cr_assert_not(frame_reader_waits(&f.reader), "nobody else holds anything");
    frame_reader_trim(&f.reader);
    cr_assert_eq(f.budget.used, 60 * KIB + 20000, "the frame, and no staging");
    size_t at = FRAME_READER_PRESSED_STAGING_LEN;
    at += read_some(&f, wire + at, sizeof wire - at);
    cr_assert_eq(at, sizeof wire, "into its own place, all at once");
    cr_assert_eq(take_frames(&f), 1u);
    memory_budget_hold(&f.budget);
    memory_budget_add(&f.budget, 30 * KIB);
    cr_assert_eq(read_some(&f, wire, sizeof wire), FRAME_READER_PRESSED_STAGING_LEN);
    cr_assert_eq(take_frames(&f), 0u);
    cr_assert(frame_reader_waits(&f.reader), "somebody holds something, and there is no room");
    memory_budget_unhold(&f.budget);
    cr_assert_not(frame_reader_waits(&f.reader));
    memory_budget_remove(&f.budget, 90 * KIB);
    fixture_close(&f);
}

/* It was small while there was room for everybody. */
Test(frame_reader, a_frame_that_began_before_others_took_much_goes_on)
{
    static uint8_t wire[FRAME_PREFIX_LEN + 30000];
    struct fixture f;
    fixture_open(&f, 100 * KIB);
    frame_write(wire, 30000);
    cr_assert_eq(read_some(&f, wire, 25000), 25000u);
    cr_assert_eq(take_frames(&f), 0u);
    frame_reader_trim(&f.reader);
    memory_budget_add(&f.budget, 40 * KIB);
    size_t at = 25000;
    unsigned frames = 0;
    for (unsigned reads = 0; frames == 0 && reads < 10; reads++) {
        at += read_some(&f, wire + at, sizeof wire - at);
        frames = take_frames(&f);
        frame_reader_trim(&f.reader);
    }
    cr_assert_eq(frames, 1u);
    cr_assert_eq(at, sizeof wire);
    memory_budget_remove(&f.budget, 40 * KIB);
    fixture_close(&f);
}
