/* The prefix of a frame, and what a frame owns. */

#include "proto/wire/frame.h"

#include <stdlib.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

void frame_prefix_encode(const struct frame_prefix *prefix, uint8_t out[FRAME_PREFIX_LEN])
{
    out[0] = 'H';
    out[1] = 'F';
    out[2] = FRAME_VERSION;
    out[3] = prefix->type;
    put_u32(out + 4, prefix->header_len);
    put_u32(out + 8, prefix->body_len);
    put_u32(out + 12, 0);
}

int frame_prefix_decode(const uint8_t in[FRAME_PREFIX_LEN], struct frame_prefix *ret_prefix)
{
    if (in[0] != 'H' || in[1] != 'F') {
        return ERR_BROKEN;
    }
    if (in[2] != FRAME_VERSION) {
        return ERR_VERSION;
    }
    if (get_u32(in + 12) != 0) {
        return ERR_BROKEN;
    }
    uint32_t header_len = get_u32(in + 4);
    uint32_t body_len = get_u32(in + 8);
    if (header_len > FRAME_HEADER_LEN_MAX || body_len > FRAME_BODY_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    *ret_prefix = (struct frame_prefix){.type = in[3], .header_len = header_len, .body_len = body_len};
    return 0;
}

void frame_out_done(struct frame_out *frame)
{
    blob_unref(frame->head);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        slice_unref(&frame->parts[i]);
    }
    free(frame->parts);
    *frame = (struct frame_out){0};
}
