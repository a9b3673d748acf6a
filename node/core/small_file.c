/* Written aside, synced, renamed; then the directory is synced. What is there aside already is written over, so that its space
 * counts: on a full disk that is all there is. */

#include "node/core/small_file.h"

#include "node/core/rebuild_files.h"
#include "proto/base/fault.h"

static int file_load(struct disk *disk, const char *path, void *out, size_t size, size_t *ret_len)
{
    struct disk_file *file;
    int err = disk->ops->open(disk, path, DISK_READ_ONLY, &file);
    if (err != 0) {
        return err;
    }
    err = disk->ops->read(file, 0, out, size, ret_len);
    disk->ops->close(file);
    return err;
}

int small_file_read(struct disk *disk, const char *dir, const char *name, void *out, size_t size, size_t *ret_len)
{
    char path[REBUILD_PATH_LEN_MAX];
    size_t len = 0;
    int err = rebuild_path(path, dir, name, "");
    if (err == 0) {
        err = file_load(disk, path, out, size, &len);
    }
    if (err == 0) {
        err = disk->ops->sync_dir(disk, dir);
    }
    if (err == 0) {
        *ret_len = len;
    }
    return err;
}

int small_file_open(struct disk *disk, const char *path, struct disk_file **ret_file)
{
    int err = disk->ops->open(disk, path, DISK_CREATE, ret_file);
    if (err == ERR_CORRUPT) {
        err = disk->ops->remove(disk, path);
        err = err == 0 ? disk->ops->open(disk, path, DISK_CREATE, ret_file) : err;
    }
    return err;
}

static int file_write(struct disk *disk, const char *path, const void *bytes, size_t len)
{
    struct disk_file *file;
    int err = small_file_open(disk, path, &file);
    if (err != 0) {
        return err;
    }
    err = disk->ops->write(file, 0, bytes, len);
    if (err == 0) {
        err = disk->ops->truncate(file, len);
    }
    if (err == 0) {
        err = disk->ops->sync(file);
    }
    disk->ops->close(file);
    return err;
}

int small_file_reserve(struct disk *disk, const char *dir, const char *name, size_t len)
{
    char aside[REBUILD_PATH_LEN_MAX];
    struct disk_file *file;
    int err = rebuild_path(aside, dir, name, ".new");
    if (err == 0) {
        err = small_file_open(disk, aside, &file);
    }
    if (err != 0) {
        return err;
    }
    err = disk->ops->allocate(file, len);
    disk->ops->close(file);
    return err;
}

int small_file_replace(struct disk *disk, const char *dir, const char *name, const void *bytes, size_t len)
{
    char path[REBUILD_PATH_LEN_MAX];
    char aside[REBUILD_PATH_LEN_MAX];
    int err = rebuild_path(path, dir, name, "");
    if (err == 0) {
        err = rebuild_path(aside, dir, name, ".new");
    }
    if (err == 0) {
        err = file_write(disk, aside, bytes, len);
    }
    if (err == 0) {
        err = disk->ops->rename(disk, aside, path);
    }
    return err == 0 && !fault_fires(FAULT_SKIP_SWITCH_SYNC) ? disk->ops->sync_dir(disk, dir) : err;
}

int small_file_remove(struct disk *disk, const char *dir, const char *name)
{
    char path[REBUILD_PATH_LEN_MAX];
    int err = rebuild_path(path, dir, name, "");
    if (err == 0) {
        err = disk->ops->remove(disk, path);
    }
    return err == 0 || err == ERR_NOT_FOUND ? disk->ops->sync_dir(disk, dir) : err;
}
