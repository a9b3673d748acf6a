/* Fields of an encoded message. */

#include "rpc/native/native_scan.h"

bool native_scan_varint(struct slice *in, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && i < in->len; i++) {
        value |= (uint64_t)(in->data[i] & 0x7f) << (7 * i);
        if ((in->data[i] & 0x80) == 0) {
            *in = slice_part(*in, i + 1, in->len - i - 1);
            *ret_value = value;
            return true;
        }
    }
    return false;
}

bool native_scan_field(struct slice *in, struct native_field *ret_field)
{
    uint64_t tag;
    uint64_t len = 0;
    if (!native_scan_varint(in, &tag)) {
        return false;
    }
    struct native_field field = {.number = tag >> 3, .wire = (unsigned)(tag & 7)};
    switch (field.wire) {
    case SCAN_VARINT:
        if (!native_scan_varint(in, &field.value)) {
            return false;
        }
        break;
    case SCAN_64: len = 8; break;
    case SCAN_32: len = 4; break;
    case SCAN_LEN:
        if (!native_scan_varint(in, &len)) {
            return false;
        }
        break;
    default: return false;
    }
    if (len > in->len) {
        return false;
    }
    field.part = slice_part(*in, 0, (size_t)len);
    *in = slice_part(*in, (size_t)len, in->len - (size_t)len);
    *ret_field = field;
    return true;
}
