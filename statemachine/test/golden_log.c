/* Recorded logs: entries as they were applied, and what a machine's digests were on the way. */

#include "golden_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/bytes.h"

#define RECORD_HEAD_LEN 12u
#define PATH_LEN_MAX 512u

int golden_file_read(const char *path, struct slice *ret_file)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return ERR_IO;
    }
    struct bytes bytes = {0};
    uint8_t part[4096];
    size_t len;
    int err = 0;
    while (err == 0 && (len = fread(part, 1, sizeof part, file)) > 0) {
        err = bytes_append(&bytes, part, len);
    }
    if (err == 0 && ferror(file)) {
        err = ERR_IO;
    }
    (void)fclose(file);
    if (err == 0) {
        err = slice_copy(bytes.data, bytes.len, ret_file);
    }
    bytes_done(&bytes);
    return err;
}

static int log_index(struct golden_log *log)
{
    for (size_t at = 0; at < log->file.len;) {
        if (log->file.len - at < RECORD_HEAD_LEN || get_u64(log->file.data + at) != log->len + 1) {
            return ERR_CORRUPT;
        }
        size_t len = get_u32(log->file.data + at + 8);
        at += RECORD_HEAD_LEN;
        if (len > log->file.len - at) {
            return ERR_CORRUPT;
        }
        struct slice *entries = realloc(log->entries, (log->len + 1) * sizeof *entries);
        if (entries == NULL) {
            return ERR_NOMEM;
        }
        log->entries = entries;
        log->entries[log->len++] = slice_part(log->file, at, len);
        at += len;
    }
    return 0;
}

static int digests_parse(struct golden_log *log, const char *text)
{
    struct golden_digests line;
    int len;
    while (sscanf(text, "%" SCNu64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %n", &line.index, &line.running, &line.machine,
                  &line.texts, &len) == 4) {
        struct golden_digests *digests = realloc(log->digests, (log->digests_len + 1) * sizeof *digests);
        if (digests == NULL) {
            return ERR_NOMEM;
        }
        log->digests = digests;
        log->digests[log->digests_len++] = line;
        text += len;
    }
    return *text == '\0' && log->digests_len > 0 ? 0 : ERR_CORRUPT;
}

static int digests_read(struct golden_log *log, const char *path)
{
    struct slice file;
    int err = golden_file_read(path, &file);
    if (err != 0) {
        return err;
    }
    char *text = calloc(1, file.len + 1);
    if (text != NULL) {
        memcpy(text, file.data, file.len);
        err = digests_parse(log, text);
    }
    slice_unref(&file);
    err = text == NULL ? ERR_NOMEM : err;
    free(text);
    return err;
}

int golden_log_read(struct golden_log *log, const char *dir, const char *name)
{
    char path[PATH_LEN_MAX];
    *log = (struct golden_log){0};
    (void)snprintf(path, sizeof path, "%s/%s.log", dir, name);
    int err = golden_file_read(path, &log->file);
    if (err == 0) {
        err = log_index(log);
    }
    if (err == 0) {
        (void)snprintf(path, sizeof path, "%s/%s.digests", dir, name);
        err = digests_read(log, path);
    }
    if (err != 0) {
        golden_log_done(log);
    }
    return err;
}

void golden_log_done(struct golden_log *log)
{
    slice_unref(&log->file);
    free(log->entries);
    free(log->digests);
    *log = (struct golden_log){0};
}

uint64_t golden_texts(uint64_t digest, const struct effects *effects)
{
    for (size_t i = 0; i < effects->len; i++) {
        if (effects->items[i].kind == EFFECT_REPLY) {
            const char *detail = effects->items[i].reply.detail;
            digest = XXH3_64bits_withSeed(detail, strlen(detail), digest + 1);
        }
    }
    return digest;
}
