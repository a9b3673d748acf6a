/* Strings and bytes as JSON. */

#include "json.h"

#include <stdint.h>

#include "proto/base/bytes.h"

void json_string(FILE *out, const char *text, size_t len)
{
    putc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\') {
            fprintf(out, "\\%c", byte);
        } else if (byte == '\n') {
            fputs("\\n", out);
        } else if (byte < 0x20 || byte == 0x7f) {
            fprintf(out, "\\u%04x", byte);
        } else {
            putc(byte, out);
        }
    }
    putc('"', out);
}

static void base64_print(FILE *out, const uint8_t *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        group |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
        group |= i + 2 < len ? data[i + 2] : 0;
        putc(digits[group >> 18], out);
        putc(digits[group >> 12 & 63], out);
        putc(i + 1 < len ? digits[group >> 6 & 63] : '=', out);
        putc(i + 2 < len ? digits[group & 63] : '=', out);
    }
}

void json_bytes(FILE *out, const char *name, const void *data, size_t len)
{
    if (len == 0 || bytes_are_utf8(data, len)) {
        fprintf(out, "\"%s\": ", name);
        json_string(out, data, len);
        return;
    }
    fprintf(out, "\"%s_base64\": \"", name);
    base64_print(out, data, len);
    putc('"', out);
}
