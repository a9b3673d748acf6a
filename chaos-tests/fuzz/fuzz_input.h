/* Feeding a fuzzer's bytes to a frame reader, in pieces as a network would. */

#ifndef HOLDFAST_CHAOS_TESTS_FUZZ_INPUT_H
#define HOLDFAST_CHAOS_TESTS_FUZZ_INPUT_H

#include <string.h>

#include "proto/base/check.h"
#include "rpc/frame_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Cuts the bytes into frames, at most `piece` bytes at a time, and gives each to `take`, which owns its reference. Stops
 * at the first breach. */
static inline void fuzz_frames(const struct framing *framing, const uint8_t *data, size_t len, size_t piece,
                               size_t len_max, void (*take)(void *arg, struct frame *frame), void *arg)
{
    struct frame_reader reader;
    frame_reader_init(&reader, framing, len_max);
    int err = 0;
    while (err == 0 && len > 0) {
        uint8_t *room;
        size_t room_len;
        err = frame_reader_buffer(&reader, &room, &room_len);
        if (err != 0) {
            break;
        }
        CHECK(room_len > 0);
        size_t part = len < piece ? len : piece;
        part = part < room_len ? part : room_len;
        memcpy(room, data, part);
        data += part;
        len -= part;
        frame_reader_filled(&reader, part);
        bool got = true;
        while (err == 0 && got) {
            struct frame frame;
            err = frame_reader_next(&reader, &got, &frame);
            if (err == 0 && got) {
                CHECK(frame.header.len + frame.body.len <= len_max);
                take(arg, &frame);
            }
        }
    }
    frame_reader_done(&reader);
}

#endif
