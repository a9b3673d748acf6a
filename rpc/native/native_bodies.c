/* Bodies of messages: kept, or copied. */

#include "rpc/native/native_bodies.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "proto/wire/fields.h"
#include "rpc/body_copy.h"
#include "rpc/native/native_frame.h"

/* Copies go into pieces of so many bytes, which the allocator keeps at hand: larger ones it would ask the system for. */
#define COPIES_LEN (64 * KIB)

/* The number of MessageHead.hidden_key. */
#define HEAD_HIDDEN_KEY 4u

/* Copies a head but for its hidden keys to `out`, which may be NULL; gives the length of that. */
static size_t head_shown(struct slice head, uint8_t *out)
{
    const uint8_t *at = head.data;
    const uint8_t *end = head.data + head.len;
    size_t len = 0;
    while (at < end) {
        const uint8_t *start = at;
        struct field field;
        bool sound = field_next(&at, end, &field);
        at = sound ? at : end; /* The machine took it, so it is; but it is not for this to say. */
        if (sound && field.number == HEAD_HIDDEN_KEY) {
            continue;
        }
        if (out != NULL) {
            memcpy(out + len, start, (size_t)(at - start));
        }
        len += (size_t)(at - start);
    }
    return len;
}

/* A copy of a head with hidden keys and its body, without the keys. */
static int content_without_hidden(struct slice head, struct slice body, size_t head_len,
                                  struct native_content *ret_content)
{
    struct blob *blob = blob_new(head_len + body.len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    (void)head_shown(head, blob->data);
    if (body.len > 0) {
        memcpy(blob->data + head_len, body.data, body.len);
    }
    ret_content->content = slice_of_blob(blob);
    ret_content->head_len = (uint32_t)head_len;
    ret_content->hash = XXH3_64bits(blob->data, blob->len);
    return 0;
}

int native_content_of(bool heads, struct slice trail, struct slice head, struct slice body, uint64_t hash,
                      struct native_content *ret_content)
{
    struct native_content content = {.content = body, .hash = hash};
    if (heads) {
        content.trail = trail;
    }
    if (head.len > 0 && !heads) {
        content.hash = XXH3_64bits(body.data, body.len);
    } else if (head.len > 0) {
        CHECK(head.data + head.len == body.data && head.blob == body.blob);
        size_t shown = head_shown(head, NULL);
        if (shown < head.len) {
            int err = content_without_hidden(head, body, shown, &content);
            if (err == 0) {
                *ret_content = content;
            }
            return err;
        }
        content.content = (struct slice){.blob = head.blob, .data = head.data, .len = head.len + body.len};
        content.head_len = (uint32_t)head.len;
    }
    (void)slice_ref(content.content);
    *ret_content = content;
    return 0;
}

/* The bodies in their order, as parts of a frame, each with a reference. Several that are copied in a row are one part. */
struct parts {
    struct slice *items;
    unsigned len;
    struct blob *copies; /* What is copied goes here, as far as there is room. */
    size_t copies_len;
    size_t left; /* Bytes that are still to be copied. */
};

static size_t copied_len(const struct slice *bodies, unsigned bodies_len)
{
    size_t len = 0;
    for (unsigned i = 0; i < bodies_len; i++) {
        len += body_is_copied(bodies[i]) ? bodies[i].len : 0;
    }
    return len;
}

static int copies_begin(struct parts *parts, size_t body_len)
{
    size_t len = parts->left < COPIES_LEN ? parts->left : COPIES_LEN;
    struct blob *blob = blob_new(len > body_len ? len : body_len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    parts->copies = blob;
    parts->copies_len = 0;
    parts->items[parts->len++] = slice_part(slice_of_blob(blob), 0, 0);
    return 0;
}

static int parts_copy(struct parts *parts, struct slice body)
{
    bool fits = parts->copies != NULL && body.len <= parts->copies->len - parts->copies_len;
    if (!fits) {
        int err = copies_begin(parts, body.len);
        if (err != 0) {
            return err;
        }
    } else if (parts->items[parts->len - 1].blob != parts->copies) {
        struct slice rest = slice_part(slice_of_blob(parts->copies), parts->copies_len, 0);
        parts->items[parts->len++] = slice_ref(rest);
    }
    memcpy(parts->copies->data + parts->copies_len, body.data, body.len);
    parts->items[parts->len - 1].len += body.len;
    parts->copies_len += body.len;
    parts->left -= body.len;
    return 0;
}

static int parts_add(struct parts *parts, struct slice body)
{
    if (!body_is_copied(body)) {
        parts->items[parts->len++] = slice_ref(body);
        return 0;
    }
    return body.len > 0 ? parts_copy(parts, body) : 0;
}

static void parts_done(struct parts *parts)
{
    while (parts->len > 0) {
        slice_unref(&parts->items[--parts->len]);
    }
    free(parts->items);
}

int native_bodies_encode(enum frame_type type, const void *header, size_t header_len, const struct slice *bodies,
                         unsigned bodies_len, struct frame_out *ret_frame)
{
    if (bodies_len == 0) {
        return native_frame_encode_raw(type, header, header_len, NULL, 0, ret_frame);
    }
    struct parts parts = {.items = calloc(bodies_len, sizeof *parts.items), .left = copied_len(bodies, bodies_len)};
    int err = parts.items == NULL ? ERR_NOMEM : 0;
    for (unsigned i = 0; i < bodies_len && err == 0; i++) {
        err = parts_add(&parts, bodies[i]);
    }
    if (err == 0) {
        err = native_frame_encode_raw(type, header, header_len, parts.items, parts.len, ret_frame);
    }
    parts_done(&parts);
    return err;
}
