/* Bytes in, frames out. */

#include "rpc/frame_reader.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

/* From this size on a frame is read into its own blob; below, copying it out of the staging buffer is cheaper than
 * another read. */
#define LARGE_LEN (FRAME_READER_STAGING_LEN / 2)

void frame_reader_init(struct frame_reader *reader, size_t len_max)
{
    *reader = (struct frame_reader){.len_max = len_max};
}

void frame_reader_done(struct frame_reader *reader)
{
    blob_unref(reader->large);
    free(reader->staging);
    *reader = (struct frame_reader){0};
}

void frame_reader_set_len_max(struct frame_reader *reader, size_t len_max)
{
    reader->len_max = len_max;
}

void frame_reader_trim(struct frame_reader *reader)
{
    if (reader->begin == reader->end) {
        free(reader->staging);
        reader->staging = NULL;
        reader->begin = 0;
        reader->end = 0;
    }
}

int frame_reader_buffer(struct frame_reader *reader, uint8_t **ret_data, size_t *ret_len)
{
    if (reader->large != NULL) {
        *ret_data = reader->large->data + reader->large_filled;
        *ret_len = reader->large->len - reader->large_filled;
        return 0;
    }
    if (reader->staging == NULL) {
        reader->staging = malloc(FRAME_READER_STAGING_LEN);
        if (reader->staging == NULL) {
            return ERR_NOMEM;
        }
    }
    if (reader->begin > 0) {
        memmove(reader->staging, reader->staging + reader->begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
    }
    *ret_data = reader->staging + reader->end;
    *ret_len = FRAME_READER_STAGING_LEN - reader->end;
    return 0;
}

void frame_reader_filled(struct frame_reader *reader, size_t len)
{
    if (reader->large != NULL) {
        CHECK(len <= reader->large->len - reader->large_filled);
        reader->large_filled += len;
    } else {
        CHECK(len <= FRAME_READER_STAGING_LEN - reader->end);
        reader->end += len;
    }
}

/* Makes the frame of a blob that holds header and body. The blob's reference goes to the frame. */
static void frame_of_blob(struct blob *blob, const struct frame_prefix *prefix, struct frame *ret_frame)
{
    struct slice whole = slice_of_blob(blob);
    *ret_frame = (struct frame){
        .type = prefix->type,
        .header = slice_part(whole, 0, prefix->header_len),
        .body = slice_part(whole, prefix->header_len, prefix->body_len),
    };
}

/* Starts or copies the frame behind a checked prefix, as far as it has arrived. */
static int frame_cut(struct frame_reader *reader, const struct frame_prefix *prefix, bool *ret_got,
                     struct frame *ret_frame)
{
    size_t len = (size_t)prefix->header_len + prefix->body_len;
    size_t have = reader->end - reader->begin - FRAME_PREFIX_LEN;
    if (have < len && len < LARGE_LEN) {
        *ret_got = false;
        return 0;
    }
    struct blob *blob = blob_new(len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    size_t copied = have < len ? have : len;
    if (copied > 0) {
        memcpy(blob->data, reader->staging + reader->begin + FRAME_PREFIX_LEN, copied);
    }
    reader->begin += FRAME_PREFIX_LEN + copied;
    *ret_got = copied == len;
    if (copied == len) {
        frame_of_blob(blob, prefix, ret_frame);
    } else {
        reader->large = blob;
        reader->large_filled = copied;
        reader->large_prefix = *prefix;
    }
    return 0;
}

int frame_reader_next(struct frame_reader *reader, bool *ret_got, struct frame *ret_frame)
{
    if (reader->large != NULL) {
        *ret_got = reader->large_filled == reader->large->len;
        if (*ret_got) {
            frame_of_blob(reader->large, &reader->large_prefix, ret_frame);
            reader->large = NULL;
        }
        return 0;
    }
    if (reader->end - reader->begin < FRAME_PREFIX_LEN) {
        *ret_got = false;
        return 0;
    }
    struct frame_prefix prefix;
    int err = frame_prefix_decode(reader->staging + reader->begin, &prefix);
    if (err != 0) {
        return err;
    }
    if ((size_t)prefix.header_len + prefix.body_len > reader->len_max) {
        return ERR_TOO_BIG;
    }
    return frame_cut(reader, &prefix, ret_got, ret_frame);
}
