/* Bytes in, frames out. */

#include "rpc/frame_reader.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

void frame_reader_init(struct frame_reader *reader, const struct framing *framing, size_t len_max)
{
    *reader = (struct frame_reader){.framing = framing, .len_max = len_max};
    memory_claim_init(&reader->claim, NULL, NULL);
}

/* Counts the staging buffer in the budget, as long as it is now. */
static void staging_count(struct frame_reader *reader)
{
    struct memory_budget *budget = reader->claim.budget;
    size_t before = reader->counted;
    if (budget == NULL || reader->cap == before) {
        return;
    }
    reader->counted = reader->cap;
    if (reader->cap > before) {
        memory_budget_add(budget, reader->cap - before);
    } else {
        memory_budget_remove(budget, before - reader->cap);
    }
}

void frame_reader_done(struct frame_reader *reader)
{
    blob_unref(reader->large);
    free(reader->staging);
    memory_claim_release(&reader->claim);
    reader->cap = 0;
    staging_count(reader);
    frame_reader_init(reader, reader->framing, reader->len_max);
}

void frame_reader_share(struct frame_reader *reader, struct memory_budget *budget,
                        void (*granted)(struct memory_claim *claim))
{
    memory_claim_init(&reader->claim, budget, granted);
}

void frame_reader_set_len_max(struct frame_reader *reader, size_t len_max)
{
    reader->len_max = len_max;
}

/* Moves what is not cut yet to the front. */
static void staging_pack(struct frame_reader *reader)
{
    size_t len = reader->end - reader->begin;
    if (reader->begin > 0 && len > 0) {
        memmove(reader->staging, reader->staging + reader->begin, len);
    }
    reader->begin = 0;
    reader->end = len;
}

/* Frees what is not needed for the bytes in it. */
static void staging_shrink(struct frame_reader *reader)
{
    size_t len = reader->end - reader->begin;
    if (reader->staging == NULL || len > reader->cap / 2) {
        return;
    }
    staging_pack(reader);
    uint8_t *less = NULL;
    if (len == 0) {
        free(reader->staging);
    } else {
        less = realloc(reader->staging, len);
        if (less == NULL) {
            return; /* It stays as large as it was. */
        }
    }
    reader->staging = less;
    reader->cap = len;
}

void frame_reader_trim(struct frame_reader *reader)
{
    staging_shrink(reader);
    staging_count(reader);
}

static bool reader_pressed(const struct frame_reader *reader)
{
    return reader->claim.budget != NULL && memory_budget_pressed(reader->claim.budget);
}

/* How long the staging buffer is to be for the next read. It may hold the part of a frame that was small when it came. */
static size_t staging_len(const struct frame_reader *reader)
{
    size_t pressed = reader->end + FRAME_READER_PRESSED_STAGING_LEN;
    return reader_pressed(reader) && pressed < FRAME_READER_STAGING_LEN ? pressed : FRAME_READER_STAGING_LEN;
}

/* From which length on a frame needs room. */
static size_t large_len(const struct frame_reader *reader)
{
    return reader_pressed(reader) ? FRAME_READER_PRESSED_LARGE_LEN : FRAME_READER_LARGE_LEN;
}

int frame_reader_buffer(struct frame_reader *reader, uint8_t **ret_data, size_t *ret_len)
{
    if (reader->large != NULL) {
        *ret_data = reader->large->data + reader->large_filled;
        *ret_len = reader->large->len - reader->large_filled;
        return 0;
    }
    staging_pack(reader);
    size_t cap = staging_len(reader);
    if (reader->cap < cap) {
        uint8_t *more = realloc(reader->staging, cap);
        if (more == NULL) {
            return ERR_NOMEM;
        }
        reader->staging = more;
        reader->cap = cap;
    }
    *ret_data = reader->staging + reader->end;
    *ret_len = reader->cap - reader->end;
    return 0;
}

void frame_reader_filled(struct frame_reader *reader, size_t len)
{
    if (reader->large != NULL) {
        CHECK(len <= reader->large->len - reader->large_filled);
        reader->large_filled += len;
    } else {
        CHECK(len <= reader->cap - reader->end);
        reader->end += len;
    }
}

/* Makes the frame of a blob that holds header and body. The blob's reference goes to the frame. */
static void frame_of_blob(struct blob *blob, const struct frame_prefix *prefix, struct frame *ret_frame)
{
    struct slice whole = slice_of_blob(blob);
    *ret_frame = (struct frame){
        .type = prefix->type,
        .tag = prefix->tag,
        .header = slice_part(whole, 0, prefix->header_len),
        .body = slice_part(whole, prefix->header_len, prefix->body_len),
    };
}

/* Starts or copies the frame behind a checked prefix, as far as it has arrived. */
static int frame_cut(struct frame_reader *reader, const struct frame_prefix *prefix, size_t prefix_len, bool *ret_got,
                     struct frame *ret_frame)
{
    size_t len = (size_t)prefix->header_len + prefix->body_len;
    size_t have = reader->end - reader->begin - prefix_len;
    if (have < len && (len < large_len(reader) || !memory_claim_take(&reader->claim, len))) {
        *ret_got = false;
        return 0;
    }
    struct blob *blob = blob_new(len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    size_t copied = have < len ? have : len;
    if (copied > 0) {
        memcpy(blob->data, reader->staging + reader->begin + prefix_len, copied);
    }
    reader->begin += prefix_len + copied;
    *ret_got = copied == len;
    if (copied == len) {
        frame_of_blob(blob, prefix, ret_frame);
    } else {
        reader->large = blob;
        reader->large_filled = copied;
        reader->large_prefix = *prefix;
        reader->large_prefix_len = prefix_len;
    }
    return 0;
}

/* Of the frame at the front of the staging buffer. *ret_prefix_len stays 0 while its prefix is not complete. */
static int measure(const struct frame_reader *reader, struct frame_prefix *ret_prefix, size_t *ret_prefix_len)
{
    size_t have = reader->end - reader->begin;
    return have == 0 ? 0 : reader->framing->measure(reader->staging + reader->begin, have, ret_prefix, ret_prefix_len);
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
    struct frame_prefix prefix = {0};
    size_t prefix_len = 0;
    int err = measure(reader, &prefix, &prefix_len);
    if (err != 0) {
        return err;
    }
    if (prefix_len == 0) {
        *ret_got = false;
        return 0;
    }
    if ((size_t)prefix.header_len + prefix.body_len > reader->len_max) {
        return ERR_TOO_BIG;
    }
    return frame_cut(reader, &prefix, prefix_len, ret_got, ret_frame);
}

bool frame_reader_waits(const struct frame_reader *reader)
{
    return reader->claim.state == MEMORY_CLAIM_WAITING;
}

void frame_reader_handed_on(struct frame_reader *reader)
{
    memory_claim_release(&reader->claim);
}

size_t frame_reader_begun(const struct frame_reader *reader, size_t *ret_len)
{
    struct frame_prefix prefix = reader->large_prefix;
    size_t prefix_len = 0;
    size_t have = reader->end - reader->begin;
    if (reader->large != NULL) {
        prefix_len = reader->large_prefix_len;
        have = prefix_len + reader->large_filled;
    } else if (measure(reader, &prefix, &prefix_len) != 0 || prefix_len == 0) {
        *ret_len = 0;
        return have;
    }
    *ret_len = prefix_len + (size_t)prefix.header_len + prefix.body_len;
    return have;
}
