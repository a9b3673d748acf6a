/* Appends and tasks wait in two queues until blocking_disk_run() does them with the synchronous calls of the real disk. */

#include "consensus/blocking_disk.h"

#include <stddef.h>

#include "proto/base/check.h"

/* The next one in the queue is where an implementation of the disk may keep what it likes. */
#define NEXT(waiting) ((waiting)->private_data[0])

static struct disk *base_of(struct disk *disk)
{
    return container_of(disk, struct blocking_disk, disk)->base;
}

static int blocking_make_dir(struct disk *disk, const char *path)
{
    return base_of(disk)->ops->make_dir(base_of(disk), path);
}

static int blocking_list(struct disk *disk, const char *path, void (*each)(void *arg, const char *name), void *arg)
{
    return base_of(disk)->ops->list(base_of(disk), path, each, arg);
}

/* The file is the real disk's, and so is what is done with it. */
static int blocking_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file)
{
    return base_of(disk)->ops->open(base_of(disk), path, flags, ret_file);
}

static void blocking_close(struct disk_file *file)
{
    file->disk->ops->close(file);
}

static int blocking_size(struct disk_file *file, uint64_t *ret_size)
{
    return file->disk->ops->size(file, ret_size);
}

static int blocking_read(struct disk_file *file, uint64_t offset, void *data, size_t len, size_t *ret_read)
{
    return file->disk->ops->read(file, offset, data, len, ret_read);
}

static int blocking_write(struct disk_file *file, uint64_t offset, const void *data, size_t len)
{
    return file->disk->ops->write(file, offset, data, len);
}

static int blocking_sync(struct disk_file *file)
{
    return file->disk->ops->sync(file);
}

static int blocking_allocate(struct disk_file *file, uint64_t size)
{
    return file->disk->ops->allocate(file, size);
}

static int blocking_truncate(struct disk_file *file, uint64_t size)
{
    return file->disk->ops->truncate(file, size);
}

static int blocking_rename(struct disk *disk, const char *from, const char *to)
{
    return base_of(disk)->ops->rename(base_of(disk), from, to);
}

static int blocking_remove(struct disk *disk, const char *path)
{
    return base_of(disk)->ops->remove(base_of(disk), path);
}

static int blocking_remove_dir(struct disk *disk, const char *path)
{
    return base_of(disk)->ops->remove_dir(base_of(disk), path);
}

static int blocking_sync_dir(struct disk *disk, const char *path)
{
    return base_of(disk)->ops->sync_dir(base_of(disk), path);
}

static int blocking_free_space(struct disk *disk, uint64_t *ret_free)
{
    return base_of(disk)->ops->free_space(base_of(disk), ret_free);
}

static void blocking_append(struct disk *disk, struct disk_append *append)
{
    struct blocking_disk *blocking = container_of(disk, struct blocking_disk, disk);
    NEXT(append) = NULL;
    *blocking->appends_end = append;
    blocking->appends_end = (struct disk_append **)&NEXT(append);
}

static void blocking_offload(struct disk *disk, struct disk_task *task)
{
    struct blocking_disk *blocking = container_of(disk, struct blocking_disk, disk);
    NEXT(task) = NULL;
    *blocking->tasks_end = task;
    blocking->tasks_end = (struct disk_task **)&NEXT(task);
}

static const struct disk_ops blocking_ops = {
    .make_dir = blocking_make_dir,
    .list = blocking_list,
    .open = blocking_open,
    .close = blocking_close,
    .size = blocking_size,
    .read = blocking_read,
    .write = blocking_write,
    .sync = blocking_sync,
    .allocate = blocking_allocate,
    .truncate = blocking_truncate,
    .rename = blocking_rename,
    .remove = blocking_remove,
    .remove_dir = blocking_remove_dir,
    .sync_dir = blocking_sync_dir,
    .free_space = blocking_free_space,
    .append = blocking_append,
    .offload = blocking_offload,
};

void blocking_disk_init(struct blocking_disk *disk, struct disk *base)
{
    *disk = (struct blocking_disk){.disk = {.ops = &blocking_ops}, .base = base};
    disk->appends_end = &disk->appends;
    disk->tasks_end = &disk->tasks;
}

/* Zeroes ahead of need make no difference to what is read. */
static int append_write(const struct disk_append *append)
{
    const struct disk_ops *ops = append->file->disk->ops;
    uint64_t offset = append->offset;
    int err = 0;
    for (unsigned i = 0; i < append->vectors_len && err == 0; i++) {
        err = ops->write(append->file, offset, append->vectors[i].data, append->vectors[i].len);
        offset += append->vectors[i].len;
    }
    return err == 0 && !append->skip_sync ? ops->sync(append->file) : err;
}

bool blocking_disk_run(struct blocking_disk *disk)
{
    struct disk_task *task = disk->tasks;
    struct disk_append *append = disk->appends;
    if (task != NULL) {
        disk->tasks = NEXT(task);
        disk->tasks_end = disk->tasks == NULL ? &disk->tasks : disk->tasks_end;
        task->done(task, task->run(task));
        return true;
    }
    if (append != NULL) {
        disk->appends = NEXT(append);
        disk->appends_end = disk->appends == NULL ? &disk->appends : disk->appends_end;
        append->done(append, append_write(append));
        return true;
    }
    return false;
}
