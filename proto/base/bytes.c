/* Growing byte strings, and the rules for names. */

#include "proto/base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/limits.h"

int bytes_reserve(struct bytes *bytes, size_t extra)
{
    if (extra <= bytes->cap - bytes->len) {
        return 0;
    }
    if (extra > SIZE_MAX / 2 - bytes->len) {
        return ERR_NOMEM;
    }
    size_t cap = bytes->cap > 0 ? bytes->cap : 64;
    while (cap < bytes->len + extra) {
        cap *= 2;
    }
    uint8_t *data = realloc(bytes->data, cap);
    if (data == NULL) {
        return ERR_NOMEM;
    }
    bytes->data = data;
    bytes->cap = cap;
    return 0;
}

int bytes_append(struct bytes *bytes, const void *data, size_t len)
{
    int err = bytes_reserve(bytes, len);
    if (err != 0) {
        return err;
    }
    if (len > 0) {
        memcpy(bytes->data + bytes->len, data, len);
    }
    bytes->len += len;
    return 0;
}

void bytes_done(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

/* The length of the UTF-8 sequence at `p`, or 0 when it is not one (RFC 3629 §4). */
static size_t utf8_sequence_len(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len;
    uint32_t point;
    uint32_t least;
    if ((p[0] & 0xe0) == 0xc0) {
        len = 2, point = p[0] & 0x1fu, least = 0x80;
    } else if ((p[0] & 0xf0) == 0xe0) {
        len = 3, point = p[0] & 0x0fu, least = 0x800;
    } else if ((p[0] & 0xf8) == 0xf0) {
        len = 4, point = p[0] & 0x07u, least = 0x10000;
    } else {
        return 0;
    }
    if (len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (p[i] & 0x3fu);
    }
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point >= least && point <= 0x10ffff && !surrogate ? len : 0;
}

bool bytes_are_utf8(const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t at = 0; at < len;) {
        size_t step = utf8_sequence_len(p + at, len - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

int name_check(const void *data, size_t len)
{
    if (len == 0 || len > NAME_LEN_MAX) {
        return ERR_NAME;
    }
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < 0x20 || p[i] == 0x7f) {
            return ERR_NAME;
        }
    }
    return bytes_are_utf8(data, len) ? 0 : ERR_UTF8;
}
