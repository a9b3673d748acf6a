/* Every operation is counted; those of a file go through a file of our own. */

#include "stopping_disk.h"

#include <stdlib.h>

#include "proto/base/check.h"

struct stopping_file {
    struct disk_file base;
    struct disk_file *inner;
};

static struct stopping_disk *stopping_of(struct disk *disk)
{
    return container_of(disk, struct stopping_disk, base);
}

static struct disk_file *inner_of(struct disk_file *file)
{
    return container_of(file, struct stopping_file, base)->inner;
}

/* Whether the operation is carried out. */
static bool goes_on(struct disk *disk)
{
    struct stopping_disk *stopping = stopping_of(disk);
    stopping->stopped = stopping->stopped || stopping->left == 0;
    stopping->left -= !stopping->stopped;
    return !stopping->stopped;
}

static int stopping_make_dir(struct disk *disk, const char *path)
{
    struct disk *inner = stopping_of(disk)->inner;
    return goes_on(disk) ? inner->ops->make_dir(inner, path) : ERR_IO;
}

static int stopping_list(struct disk *disk, const char *path, void (*each)(void *arg, const char *name), void *arg)
{
    struct disk *inner = stopping_of(disk)->inner;
    return goes_on(disk) ? inner->ops->list(inner, path, each, arg) : ERR_IO;
}

static int stopping_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file)
{
    struct disk *inner = stopping_of(disk)->inner;
    struct disk_file *inner_file;
    int err = goes_on(disk) ? inner->ops->open(inner, path, flags, &inner_file) : ERR_IO;
    if (err != 0) {
        return err;
    }
    struct stopping_file *file = calloc(1, sizeof *file);
    CHECK(file != NULL);
    *file = (struct stopping_file){.base = {.disk = disk}, .inner = inner_file};
    *ret_file = &file->base;
    return 0;
}

static void stopping_close(struct disk_file *file)
{
    struct disk_file *inner = inner_of(file);
    inner->disk->ops->close(inner);
    free(container_of(file, struct stopping_file, base));
}

static int stopping_size(struct disk_file *file, uint64_t *ret_size)
{
    struct disk_file *inner = inner_of(file);
    return goes_on(file->disk) ? inner->disk->ops->size(inner, ret_size) : ERR_IO;
}

static int stopping_read(struct disk_file *file, uint64_t offset, void *data, size_t len, size_t *ret_read)
{
    struct disk_file *inner = inner_of(file);
    return goes_on(file->disk) ? inner->disk->ops->read(inner, offset, data, len, ret_read) : ERR_IO;
}

static int stopping_write(struct disk_file *file, uint64_t offset, const void *data, size_t len)
{
    struct disk_file *inner = inner_of(file);
    return goes_on(file->disk) ? inner->disk->ops->write(inner, offset, data, len) : ERR_IO;
}

static int stopping_sync(struct disk_file *file)
{
    struct disk_file *inner = inner_of(file);
    return goes_on(file->disk) ? inner->disk->ops->sync(inner) : ERR_IO;
}

static int stopping_allocate(struct disk_file *file, uint64_t size)
{
    struct disk_file *inner = inner_of(file);
    return goes_on(file->disk) ? inner->disk->ops->allocate(inner, size) : ERR_IO;
}

static int stopping_truncate(struct disk_file *file, uint64_t size)
{
    struct disk_file *inner = inner_of(file);
    return goes_on(file->disk) ? inner->disk->ops->truncate(inner, size) : ERR_IO;
}

static int stopping_rename(struct disk *disk, const char *from, const char *to)
{
    struct disk *inner = stopping_of(disk)->inner;
    return goes_on(disk) ? inner->ops->rename(inner, from, to) : ERR_IO;
}

static int stopping_remove(struct disk *disk, const char *path)
{
    struct disk *inner = stopping_of(disk)->inner;
    return goes_on(disk) ? inner->ops->remove(inner, path) : ERR_IO;
}

static int stopping_remove_dir(struct disk *disk, const char *path)
{
    struct disk *inner = stopping_of(disk)->inner;
    return goes_on(disk) ? inner->ops->remove_dir(inner, path) : ERR_IO;
}

static int stopping_sync_dir(struct disk *disk, const char *path)
{
    struct disk *inner = stopping_of(disk)->inner;
    return goes_on(disk) ? inner->ops->sync_dir(inner, path) : ERR_IO;
}

static int stopping_free_space(struct disk *disk, uint64_t *ret_free)
{
    struct disk *inner = stopping_of(disk)->inner;
    return goes_on(disk) ? inner->ops->free_space(inner, ret_free) : ERR_IO;
}

static void stopping_offload(struct disk *disk, struct disk_task *task)
{
    struct disk *inner = stopping_of(disk)->inner;
    inner->ops->offload(inner, task);
}

static const struct disk_ops stopping_ops = {
    .make_dir = stopping_make_dir,
    .list = stopping_list,
    .open = stopping_open,
    .close = stopping_close,
    .size = stopping_size,
    .read = stopping_read,
    .write = stopping_write,
    .sync = stopping_sync,
    .allocate = stopping_allocate,
    .truncate = stopping_truncate,
    .rename = stopping_rename,
    .remove = stopping_remove,
    .remove_dir = stopping_remove_dir,
    .sync_dir = stopping_sync_dir,
    .free_space = stopping_free_space,
    .offload = stopping_offload,
};

void stopping_disk_init(struct stopping_disk *disk, struct disk *inner, uint64_t left)
{
    *disk = (struct stopping_disk){.base = {.ops = &stopping_ops}, .inner = inner, .left = left};
}
