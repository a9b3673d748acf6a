/* The text files of a data directory: lines for people, with a first one that says what it is and a checksum at the end. */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "node/data_dir_private.h"
#include "node/durable_file.h"
#include "proto/base/check.h"

/* The last line. */
#define CHECKSUM_FORMAT "checksum %016" PRIx64 "\n"
#define CHECKSUM_LEN 26u

int data_dir_explain(char *detail, size_t detail_len, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail, detail_len, format, args);
    va_end(args);
    return err;
}

/* Where the last line begins, if it is the checksum of all before it: whoever appends to a file has changed it. */
static char *text_checksum(char *text, size_t len)
{
    char line[CHECKSUM_LEN + 1];
    char *last = len > CHECKSUM_LEN ? text + len - CHECKSUM_LEN : NULL;
    if (last == NULL || last[-1] != '\n') {
        return NULL;
    }
    (void)snprintf(line, sizeof line, CHECKSUM_FORMAT, (uint64_t)XXH3_64bits(text, (size_t)(last - text)));
    return memcmp(last, line, CHECKSUM_LEN) == 0 ? last : NULL;
}

/* Checks first line and checksum, and cuts the checksum off. */
static int text_check(const struct data_dir *dir, const char *name, const char *kind, char *text, size_t len,
                      char *detail, size_t detail_len)
{
    char format[64];
    (void)snprintf(format, sizeof format, "holdfast-%s ", kind);
    bool ours = strncmp(text, format, strlen(format)) == 0;
    char *end = text;
    unsigned long version = ours ? strtoul(text + strlen(format), &end, 10) : 0;
    if (version == 0 || *end != '\n') {
        return data_dir_explain(detail, detail_len, ERR_CORRUPT, "%s/%s: the first line is not one of ours", dir->path,
                                name);
    }
    if (version > DATA_DIR_VERSION) {
        return data_dir_explain(detail, detail_len, ERR_VERSION,
                                "%s/%s: format version %lu was written by a newer program; this one knows up to %u",
                                dir->path, name, version, DATA_DIR_VERSION);
    }
    char *last = text_checksum(text, len);
    if (last == NULL) {
        return data_dir_explain(detail, detail_len, ERR_CORRUPT,
                                "%s/%s: the checksum does not match: the file is damaged", dir->path, name);
    }
    *last = '\0';
    return 0;
}

int data_dir_text_read(const struct data_dir *dir, const char *name, const char *kind, char **ret_text, char *detail,
                       size_t detail_len)
{
    char *text;
    size_t len;
    int err = durable_file_read(dir->fd, name, DATA_DIR_TEXT_LEN_MAX, &text, &len);
    if (err == ERR_NOT_FOUND) {
        return data_dir_explain(detail, detail_len, err, "%s/%s: not there", dir->path, name);
    }
    if (err != 0) {
        bool unfit = err == ERR_TOO_BIG || err == ERR_INVALID;
        return data_dir_explain(detail, detail_len, unfit ? ERR_CORRUPT : err, "%s/%s: %s", dir->path, name,
                                err == ERR_TOO_BIG   ? "far too long"
                                : err == ERR_INVALID ? "it is not a file"
                                                     : strerror(errno));
    }
    err = text_check(dir, name, kind, text, len, detail, detail_len);
    if (err != 0) {
        free(text);
        return err;
    }
    *ret_text = text;
    return 0;
}

int data_dir_text_add(char *text, size_t *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int written = vsnprintf(text + *at, DATA_DIR_TEXT_LEN_MAX - *at, format, args);
    va_end(args);
    if (written < 0 || (size_t)written >= DATA_DIR_TEXT_LEN_MAX - *at) {
        return ERR_LIMIT;
    }
    *at += (size_t)written;
    return 0;
}

int data_dir_text_write(const struct data_dir *dir, const char *name, char *text, size_t len, char *detail,
                        size_t detail_len)
{
    int err = data_dir_text_add(text, &len, CHECKSUM_FORMAT, (uint64_t)XXH3_64bits(text, len));
    if (err != 0) {
        return data_dir_explain(detail, detail_len, err, "%s/%s: too long", dir->path, name);
    }
    err = durable_file_write(dir->fd, name, text, len);
    return err == 0 ? 0 : data_dir_explain(detail, detail_len, err, "%s/%s: %s", dir->path, name, strerror(errno));
}

const char *data_dir_text_value(const char *text, const char *key, char *out, size_t out_len)
{
    const char *line = strstr(text, key);
    size_t len = line == NULL ? 0 : strcspn(line + strlen(key), "\n");
    if (line == NULL || len >= out_len) {
        return NULL;
    }
    memcpy(out, line + strlen(key), len);
    out[len] = '\0';
    return out;
}

void data_dir_text_line(char *out, size_t out_len, const char *text)
{
    size_t len = 0;
    CHECK(out_len > 0);
    for (; len + 1 < out_len && text[len] != '\0'; len++) {
        unsigned char byte = (unsigned char)text[len];
        out[len] = byte < 0x20 || byte == 0x7f ? ' ' : text[len];
    }
    out[len] = '\0';
}
