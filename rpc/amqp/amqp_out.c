/* Frames on their way out. */

#include "rpc/amqp/amqp_out.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_frame.h"
#include "rpc/body_copy.h"

/* Class, weight, length of the body. */
#define CONTENT_HEADER_LEN 12u

static int parts_reserve(struct amqp_out *out)
{
    if (out->parts_len < out->parts_cap) {
        return 0;
    }
    unsigned cap = out->parts_cap > 0 ? out->parts_cap * 2 : 8;
    struct amqp_out_part *parts = realloc(out->parts, cap * sizeof *parts);
    if (parts == NULL) {
        return ERR_NOMEM;
    }
    out->parts = parts;
    out->parts_cap = cap;
    return 0;
}

static void parts_drop(struct amqp_out *out, unsigned from)
{
    while (out->parts_len > from) {
        slice_unref(&out->parts[--out->parts_len].slice);
    }
}

int amqp_out_method(struct amqp_out *out, uint16_t channel, const union amqp_method *method)
{
    size_t before = out->bytes.len;
    int err = amqp_frame_method(&out->bytes, channel, method);
    out->len += out->bytes.len - before;
    return err;
}

static int put_content_header(struct amqp_out *out, uint16_t channel, struct amqp_bytes properties, size_t body_len)
{
    struct bytes *bytes = &out->bytes;
    size_t place = 0;
    int err = amqp_frame_begin(bytes, AMQP_FRAME_HEADER, channel, &place);
    if (err == 0) {
        err = bytes_reserve(bytes, CONTENT_HEADER_LEN + properties.len + 1);
    }
    if (err == 0) {
        err = amqp_put_u16(bytes, AMQP_CLASS_BASIC);
    }
    if (err == 0) {
        err = amqp_put_u16(bytes, 0);
    }
    if (err == 0) {
        err = amqp_put_u64(bytes, body_len);
    }
    if (err == 0) {
        err = bytes_append(bytes, properties.data, properties.len);
    }
    return err == 0 ? amqp_frame_end(bytes, place) : err;
}

/* One body frame. */
static int put_body(struct amqp_out *out, uint16_t channel, struct slice part, bool copy)
{
    int err = amqp_frame_body_prefix(&out->bytes, channel, (uint32_t)part.len);
    if (err == 0 && copy) {
        err = bytes_append(&out->bytes, part.data, part.len);
    } else if (err == 0) {
        err = parts_reserve(out);
        if (err == 0) {
            out->parts[out->parts_len++] = (struct amqp_out_part){.at = out->bytes.len, .slice = slice_ref(part)};
        }
    }
    return err == 0 ? amqp_put_u8(&out->bytes, AMQP_FRAME_END) : err;
}

int amqp_out_content(struct amqp_out *out, uint16_t channel, const union amqp_method *method,
                     struct amqp_bytes properties, struct slice body, uint32_t frame_max)
{
    CHECK(frame_max >= AMQP_FRAME_MIN);
    size_t bytes_before = out->bytes.len;
    unsigned parts_before = out->parts_len;
    bool copy = body_is_copied(body);
    int err = amqp_frame_method(&out->bytes, channel, method);
    if (err == 0) {
        err = put_content_header(out, channel, properties, body.len);
    }
    for (size_t at = 0; err == 0 && at < body.len;) {
        size_t rest = body.len - at;
        size_t len = rest < frame_max - AMQP_FRAME_COST ? rest : frame_max - AMQP_FRAME_COST;
        err = put_body(out, channel, slice_part(body, at, len), copy);
        at += len;
    }
    if (err != 0) {
        out->bytes.len = bytes_before;
        parts_drop(out, parts_before);
        return err;
    }
    out->len += out->bytes.len - bytes_before + (copy ? 0 : body.len);
    return 0;
}

int amqp_out_heartbeat(struct amqp_out *out)
{
    static const uint8_t heartbeat[] = {AMQP_FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, AMQP_FRAME_END};
    return amqp_out_raw(out, heartbeat, sizeof heartbeat);
}

int amqp_out_raw(struct amqp_out *out, const void *data, size_t len)
{
    int err = bytes_append(&out->bytes, data, len);
    if (err == 0) {
        out->len += len;
    }
    return err;
}

/* The bytes before, between and behind the parts are slices of `rest`, which holds what is not in the head. */
static void parts_fill(const struct amqp_out *out, struct blob *rest, struct slice *ret_slices, unsigned *ret_len)
{
    unsigned n = 0;
    size_t from = out->parts[0].at;
    size_t offset = from;
    for (unsigned i = 0; i < out->parts_len; i++) {
        size_t at = out->parts[i].at;
        if (at > from) {
            ret_slices[n++] = slice_ref(slice_part(slice_of_blob(rest), from - offset, at - from));
        }
        ret_slices[n++] = out->parts[i].slice; /* With its reference. */
        from = at;
    }
    if (out->bytes.len > from) {
        ret_slices[n++] = slice_ref(slice_part(slice_of_blob(rest), from - offset, out->bytes.len - from));
    }
    *ret_len = n;
}

int amqp_out_take(struct amqp_out *out, bool *ret_got, struct frame_out *ret_frame)
{
    *ret_got = out->len > 0;
    if (!*ret_got) {
        return 0;
    }
    size_t head_len = out->parts_len > 0 ? out->parts[0].at : out->bytes.len;
    struct frame_out frame = {.len = out->len, .head = blob_new(head_len)};
    struct blob *rest = NULL;
    if (frame.head == NULL) {
        return ERR_NOMEM;
    }
    memcpy(frame.head->data, out->bytes.data, head_len);
    if (out->parts_len > 0) {
        rest = blob_new(out->bytes.len - head_len); /* Not empty: the end of a frame follows each part. */
        frame.parts = malloc((2 * (size_t)out->parts_len + 1) * sizeof *frame.parts);
        if (rest == NULL || frame.parts == NULL) {
            blob_unref(rest);
            frame_out_done(&frame);
            return ERR_NOMEM;
        }
        memcpy(rest->data, out->bytes.data + head_len, out->bytes.len - head_len);
        parts_fill(out, rest, frame.parts, &frame.parts_len);
        blob_unref(rest);
        out->parts_len = 0; /* Their references have moved. */
    }
    amqp_out_done(out);
    *ret_frame = frame;
    return 0;
}

void amqp_out_done(struct amqp_out *out)
{
    parts_drop(out, 0);
    free(out->parts);
    bytes_done(&out->bytes);
    *out = (struct amqp_out){0};
}
