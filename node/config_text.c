/* Finds keys in the text of a configuration file. */

#include "node/config_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

static int text_fill(FILE *file, const char *path, char *text, size_t *ret_len, char *detail, size_t detail_len)
{
    size_t len = fread(text, 1, CONFIG_TEXT_LEN_MAX + 1, file);
    if (ferror(file)) {
        snprintf(detail, detail_len, "%s: cannot be read: %s", path, strerror(errno));
        return ERR_IO;
    }
    if (len > CONFIG_TEXT_LEN_MAX) {
        snprintf(detail, detail_len, "%s:1: is longer than %zu bytes: not a configuration", path, CONFIG_TEXT_LEN_MAX);
        return ERR_INVALID;
    }
    if (memchr(text, 0, len) != NULL) {
        snprintf(detail, detail_len, "%s:1: holds a NUL byte: not a configuration", path);
        return ERR_INVALID;
    }
    text[len] = 0;
    *ret_len = len;
    return 0;
}

int config_text_read(const char *path, char **ret_text, size_t *ret_len, char *detail, size_t detail_len)
{
    int err;
    char *text = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        err = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
        snprintf(detail, detail_len, "%s: cannot be opened: %s", path, strerror(errno));
        return err;
    }
    text = malloc(CONFIG_TEXT_LEN_MAX + 2);
    if (text == NULL) {
        snprintf(detail, detail_len, "%s: %s", path, err_text(ERR_NOMEM));
        err = ERR_NOMEM;
        goto out_file;
    }
    err = text_fill(file, path, text, ret_len, detail, detail_len);
    if (err != 0) {
        goto out_text;
    }
    *ret_text = text;
    goto out_file;
out_text:
    free(text);
out_file:
    fclose(file);
    return err;
}

static bool is_key_end(const char *p)
{
    if (*p == '"' || *p == '\'') {
        p++;
    }
    p += strspn(p, " \t");
    return *p == ':';
}

/* Whether a key may begin at `p`: after white space or one of the marks that come before a key. */
static bool is_key_start(const char *text, const char *p)
{
    return p == text || strchr(" \t\n{,-\"'?", p[-1]) != NULL;
}

/* The first place at or after `from` where `key` stands as a key and not in a comment. NULL: nowhere. */
static const char *key_find(const char *text, const char *from, const char *key)
{
    bool comment = false;
    size_t len = strlen(key);
    for (const char *p = from; *p != 0; p++) {
        if (*p == '\n') {
            comment = false;
        } else if (*p == '#' && (p == text || strchr(" \t\n", p[-1]) != NULL)) {
            comment = true;
        } else if (!comment && strncmp(p, key, len) == 0 && is_key_start(text, p) && is_key_end(p + len)) {
            return p;
        }
    }
    return NULL;
}

static unsigned line_of(const char *text, const char *place)
{
    unsigned line = 1;
    for (const char *p = text; p < place; p++) {
        line += *p == '\n';
    }
    return line;
}

/* A key of the outermost mapping stands at the beginning of its line, or follows the brace of a flow mapping; the
 * second is rare enough that any place will do. */
static const char *top_key_find(const char *text, const char *key)
{
    const char *first = key_find(text, text, key);
    for (const char *p = first; p != NULL; p = key_find(text, p + 1, key)) {
        if (p == text || p[-1] == '\n') {
            return p;
        }
    }
    return first;
}

unsigned config_text_line(const char *text, const char *key)
{
    const char *place = top_key_find(text, key);
    return place == NULL ? 0 : line_of(text, place);
}

unsigned config_text_member_line(const char *text, unsigned member, const char *key)
{
    const char *members = top_key_find(text, "members");
    if (members == NULL) {
        return 1;
    }
    const char *place = members;
    for (unsigned i = 0; i <= member; i++) {
        place = key_find(text, place + 1, key);
        if (place == NULL) {
            return line_of(text, members);
        }
    }
    return line_of(text, place);
}
