/* Frames on their way. */

#include <criterion/criterion.h>
#include <string.h>

#include "rebuild_pair_private.h"

static struct frame frame_flat(const struct frame_out *out)
{
    struct blob *blob = blob_new(out->len);
    cr_assert_not_null(blob);
    memcpy(blob->data, out->head->data, out->head->len);
    size_t at = out->head->len;
    for (unsigned i = 0; i < out->parts_len; i++) {
        memcpy(blob->data + at, out->parts[i].data, out->parts[i].len);
        at += out->parts[i].len;
    }
    struct frame_prefix prefix;
    cr_assert_eq(frame_prefix_decode(blob->data, &prefix), 0);
    return (struct frame){
        .type = prefix.type,
        .header = {.blob = blob, .data = blob->data + FRAME_PREFIX_LEN, .len = prefix.header_len},
        .body = {.blob = blob, .data = blob->data + FRAME_PREFIX_LEN + prefix.header_len, .len = prefix.body_len},
    };
}

struct frame pair_frame(const Holdfast__PeerRebuild *message, struct slice body)
{
    struct frame_out out;
    cr_assert_eq(rebuild_message_encode(message, body, &out), 0);
    struct frame frame = frame_flat(&out);
    frame_out_done(&out);
    return frame;
}

void pair_frame_done(struct frame *frame)
{
    slice_unref(&frame->header);
}

bool pair_frames_push(struct pair_frames *frames, uint64_t from, struct frame_out *out)
{
    bool room = frames->len < PAIR_FRAMES_MAX;
    if (room) {
        frames->from[frames->len] = from;
        frames->frames[frames->len++] = frame_flat(out);
    }
    frame_out_done(out);
    return room;
}

bool pair_frames_pop(struct pair_frames *frames, struct frame *ret_frame, uint64_t *ret_from)
{
    if (frames->len == 0) {
        return false;
    }
    *ret_frame = frames->frames[0];
    *ret_from = frames->from[0];
    memmove(frames->frames, frames->frames + 1, --frames->len * sizeof frames->frames[0]);
    memmove(frames->from, frames->from + 1, frames->len * sizeof frames->from[0]);
    return true;
}

void pair_frames_clear(struct pair_frames *frames)
{
    struct frame frame;
    uint64_t from;
    while (pair_frames_pop(frames, &frame, &from)) {
        pair_frame_done(&frame);
    }
}
