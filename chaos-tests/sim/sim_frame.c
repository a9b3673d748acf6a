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

/* A PeerRaft is its shard (left out when it is 0), its term, and then one field that says what it is. Looking at the
 * first bytes is enough, and there are very many frames. */
bool sim_frame_may_start_election(const struct frame *frame)
{
    size_t at = 1;
    if (frame->type != FRAME_PEER_RAFT || frame->header.len < 3 || frame->header.data[0] != 2u << 3) {
        return frame->type == FRAME_PEER_RAFT;
    }
    while (at < frame->header.len && (frame->header.data[at] & 0x80) != 0) {
        at++;
    }
    unsigned field = at + 1 < frame->header.len ? frame->header.data[at + 1] >> 3 : 0;
    return field == 6 || field == 8;
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
