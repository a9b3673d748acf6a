/* Bodies of messages: kept, or copied. */

#include "rpc/native/native_bodies.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/native/native_frame.h"

static bool is_copied(struct slice body)
{
    return body.len <= NATIVE_BODY_SHORT_LEN ||
           (body.blob != NULL && body.len < (body.blob->len + NATIVE_BODY_PART - 1) / NATIVE_BODY_PART);
}

/* Bytes of all that are copied. */
static size_t copied_len(const struct slice *bodies, unsigned bodies_len)
{
    size_t len = 0;
    for (unsigned i = 0; i < bodies_len; i++) {
        len += is_copied(bodies[i]) ? bodies[i].len : 0;
    }
    return len;
}

/* Fills `parts` with the bodies in their order. Those that are copied go to `copies`, one after the other, and several in
 * a row make one part. Borrows. Returns how many parts there are. */
static unsigned parts_fill(const struct slice *bodies, unsigned bodies_len, struct blob *copies, struct slice *parts)
{
    unsigned parts_len = 0;
    size_t at = 0;
    for (unsigned i = 0; i < bodies_len; i++) {
        if (!is_copied(bodies[i])) {
            parts[parts_len++] = bodies[i];
        } else if (bodies[i].len > 0) {
            if (parts_len == 0 || parts[parts_len - 1].blob != copies) {
                parts[parts_len++] = slice_part(slice_of_blob(copies), at, 0);
            }
            memcpy(copies->data + at, bodies[i].data, bodies[i].len);
            parts[parts_len - 1].len += bodies[i].len;
            at += bodies[i].len;
        }
    }
    CHECK(at == (copies != NULL ? copies->len : 0));
    return parts_len;
}

int native_bodies_encode(enum frame_type type, const void *header, size_t header_len, const struct slice *bodies,
                         unsigned bodies_len, struct frame_out *ret_frame)
{
    if (bodies_len == 0) {
        return native_frame_encode_raw(type, header, header_len, NULL, 0, ret_frame);
    }
    size_t len = copied_len(bodies, bodies_len);
    struct blob *copies = len > 0 ? blob_new(len) : NULL;
    struct slice *parts = calloc(bodies_len, sizeof *parts);
    int err = ERR_NOMEM;
    if ((len == 0 || copies != NULL) && parts != NULL) {
        unsigned parts_len = parts_fill(bodies, bodies_len, copies, parts);
        err = native_frame_encode_raw(type, header, header_len, parts, parts_len, ret_frame);
    }
    free(parts);
    blob_unref(copies);
    return err;
}
