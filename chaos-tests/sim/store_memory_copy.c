/* Writes and reads the file that a copy of the store in memory consists of. */

#include "store_memory_copy.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"

#define PIECE_LEN (64 * KIB)
#define COUNT_LEN 8u
#define ROW_HEAD_LEN 8u
#define CHECKSUM_LEN 8u

struct store_memory_copy {
    struct disk *disk;
    struct disk_file *file;
    char path[STORE_MEMORY_COPY_PATH_MAX]; /* Of the directory. */
    uint64_t rows;                         /* Still to come. */
    uint64_t offset;                       /* Of the piece that gathers. */
    size_t len;                            /* Of it. */
    int err;                               /* The first; nothing is written after it. */
    XXH3_state_t *hash;
    uint8_t piece[PIECE_LEN];
};

/* A piece at a time, as one writes who does not hold all of it in memory. */
static void copy_flush(struct store_memory_copy *copy)
{
    if (copy->err == 0 && copy->len > 0) {
        copy->err = copy->disk->ops->write(copy->file, copy->offset, copy->piece, copy->len);
    }
    copy->offset += copy->len;
    copy->len = 0;
}

static void copy_put(struct store_memory_copy *copy, const void *data, size_t len)
{
    const uint8_t *from = data;
    while (len > 0) {
        size_t room = sizeof copy->piece - copy->len;
        size_t part = len < room ? len : room;
        memcpy(copy->piece + copy->len, from, part);
        CHECK(XXH3_64bits_update(copy->hash, from, part) == XXH_OK);
        copy->len += part;
        from += part;
        len -= part;
        if (copy->len == sizeof copy->piece) {
            copy_flush(copy);
        }
    }
}

static void copy_free(struct store_memory_copy *copy)
{
    if (copy != NULL) {
        if (copy->file != NULL) {
            copy->disk->ops->close(copy->file);
        }
        (void)XXH3_freeState(copy->hash);
        free(copy);
    }
}

static void copy_ignore_name(void *arg, const char *name)
{
    (void)arg;
    (void)name;
}

static void copy_file_path(const char *path, char ret_path[STORE_MEMORY_COPY_PATH_MAX])
{
    int len = snprintf(ret_path, STORE_MEMORY_COPY_PATH_MAX, "%s/" STORE_MEMORY_COPY_NAME, path);
    CHECK(len > 0 && (unsigned)len < STORE_MEMORY_COPY_PATH_MAX);
}

static int copy_open(struct store_memory_copy *copy)
{
    char path[STORE_MEMORY_COPY_PATH_MAX];
    int err = copy->disk->ops->list(copy->disk, copy->path, copy_ignore_name, NULL);
    if (err != ERR_NOT_FOUND) {
        return err == 0 ? ERR_EXISTS : err;
    }
    err = copy->disk->ops->make_dir(copy->disk, copy->path);
    if (err != 0) {
        return err;
    }
    copy_file_path(copy->path, path);
    return copy->disk->ops->open(copy->disk, path, DISK_CREATE | DISK_EXCLUSIVE, &copy->file);
}

int store_memory_copy_new(struct disk *disk, const char *path, uint64_t rows, struct store_memory_copy **ret_copy)
{
    struct store_memory_copy *copy = calloc(1, sizeof *copy);
    XXH3_state_t *hash = XXH3_createState();
    if (copy == NULL || hash == NULL) {
        free(copy);
        (void)XXH3_freeState(hash);
        return ERR_NOMEM;
    }
    copy->disk = disk;
    copy->hash = hash;
    copy->rows = rows;
    CHECK(XXH3_64bits_reset(hash) == XXH_OK && strlen(path) < sizeof copy->path);
    memcpy(copy->path, path, strlen(path));
    int err = copy_open(copy);
    if (err != 0) {
        copy_free(copy);
        return err;
    }
    uint8_t count[COUNT_LEN];
    put_u64(count, rows);
    copy_put(copy, count, sizeof count);
    *ret_copy = copy;
    return 0;
}

void store_memory_copy_add(struct store_memory_copy *copy, struct slice key, struct slice value)
{
    uint8_t head[ROW_HEAD_LEN];
    CHECK(copy->rows > 0 && key.len <= UINT32_MAX && value.len <= UINT32_MAX);
    copy->rows--;
    put_u32(head, (uint32_t)key.len);
    put_u32(head + 4, (uint32_t)value.len);
    copy_put(copy, head, sizeof head);
    copy_put(copy, key.data, key.len);
    copy_put(copy, value.data, value.len);
}

int store_memory_copy_finish(struct store_memory_copy *copy)
{
    uint8_t checksum[CHECKSUM_LEN];
    CHECK(copy->rows == 0);
    put_u64(checksum, XXH3_64bits_digest(copy->hash));
    copy_put(copy, checksum, sizeof checksum);
    copy_flush(copy);
    int err = copy->err;
    if (err == 0) {
        err = copy->disk->ops->sync(copy->file);
    }
    if (err == 0) {
        err = copy->disk->ops->sync_dir(copy->disk, copy->path);
    }
    copy_free(copy);
    return err;
}

/* The whole file, in new memory. */
static int copy_load(struct disk *disk, const char *path, uint8_t **ret_data, size_t *ret_len)
{
    char file_path[STORE_MEMORY_COPY_PATH_MAX];
    struct disk_file *file;
    uint64_t size = 0;
    size_t len = 0;
    copy_file_path(path, file_path);
    int err = disk->ops->open(disk, file_path, DISK_READ_ONLY, &file);
    if (err != 0) {
        return err;
    }
    err = disk->ops->size(file, &size);
    uint8_t *data = err == 0 && size < SIZE_MAX ? malloc((size_t)size + 1) : NULL;
    if (err == 0) {
        err = data == NULL ? ERR_NOMEM : disk->ops->read(file, 0, data, (size_t)size, &len);
    }
    disk->ops->close(file);
    if (err != 0) {
        free(data);
        return err;
    }
    *ret_data = data;
    *ret_len = len;
    return 0;
}

static bool copy_is_sound(const uint8_t *data, size_t len)
{
    return len >= COUNT_LEN + CHECKSUM_LEN &&
           get_u64(data + len - CHECKSUM_LEN) == XXH3_64bits(data, len - CHECKSUM_LEN);
}

/* The rows in the `len` bytes behind their number. */
static int copy_each(const uint8_t *data, size_t len, uint64_t rows,
                     int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    for (; rows > 0; rows--) {
        if (len < ROW_HEAD_LEN) {
            return ERR_CORRUPT;
        }
        struct slice key = {.data = data + ROW_HEAD_LEN, .len = get_u32(data)};
        struct slice value = {.len = get_u32(data + 4)};
        len -= ROW_HEAD_LEN;
        if (key.len > len || value.len > len - key.len) {
            return ERR_CORRUPT;
        }
        value.data = key.data + key.len;
        int err = each(arg, key, value);
        if (err != 0) {
            return err;
        }
        len -= key.len + value.len;
        data = value.data + value.len;
    }
    return len == 0 ? 0 : ERR_CORRUPT;
}

int store_memory_copy_read(struct disk *disk, const char *path,
                           int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    uint8_t *data;
    size_t len;
    int err = copy_load(disk, path, &data, &len);
    if (err != 0) {
        return err;
    }
    err = copy_is_sound(data, len)
              ? copy_each(data + COUNT_LEN, len - COUNT_LEN - CHECKSUM_LEN, get_u64(data), each, arg)
              : ERR_CORRUPT;
    free(data);
    return err;
}
