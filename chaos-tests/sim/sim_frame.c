/* Frames to bytes and back. */

#include "sim_frame.h"

#include <string.h>

#include "proto/base/check.h"

struct blob *sim_frame_pack(struct frame_out *frame)
{
    struct blob *blob = blob_new(frame->len);
    CHECK(blob != NULL);
    size_t at = frame->head->len;
    CHECK(at <= frame->len);
    memcpy(blob->data, frame->head->data, at);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        CHECK(frame->parts[i].len <= frame->len - at);
        if (frame->parts[i].len > 0) {
            memcpy(blob->data + at, frame->parts[i].data, frame->parts[i].len);
        }
        at += frame->parts[i].len;
    }
    CHECK(at == frame->len);
    frame_out_done(frame);
    return blob;
}

int sim_frame_unpack(struct blob *blob, struct frame *ret_frame)
{
    struct frame_prefix prefix;
    if (blob->len < FRAME_PREFIX_LEN) {
        return ERR_BROKEN;
    }
    int err = frame_prefix_decode(blob->data, &prefix);
    if (err != 0) {
        return err;
    }
    if ((uint64_t)FRAME_PREFIX_LEN + prefix.header_len + prefix.body_len != blob->len) {
        return ERR_BROKEN;
    }
    struct slice all = slice_of_blob(blob);
    *ret_frame = (struct frame){.type = prefix.type,
                                .header = slice_part(all, FRAME_PREFIX_LEN, prefix.header_len),
                                .body = slice_part(all, FRAME_PREFIX_LEN + prefix.header_len, prefix.body_len)};
    return 0;
}
