/* A disk that fails from its nth change on. */

#include "dying_disk.h"

static struct disk_ops dying_ops;
static const struct disk_ops *real_ops;
static uint64_t changes_left;
static uint64_t changes;

static int change(void)
{
    changes++;
    if (changes_left == 0) {
        return ERR_IO;
    }
    changes_left--;
    return 0;
}

static int dying_make_dir(struct disk *disk, const char *path)
{
    int err = change();
    return err != 0 ? err : real_ops->make_dir(disk, path);
}

static int dying_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file)
{
    int err = (flags & DISK_CREATE) != 0 ? change() : 0;
    return err != 0 ? err : real_ops->open(disk, path, flags, ret_file);
}

static int dying_write(struct disk_file *file, uint64_t offset, const void *data, size_t len)
{
    int err = change();
    return err != 0 ? err : real_ops->write(file, offset, data, len);
}

static int dying_sync(struct disk_file *file)
{
    int err = change();
    return err != 0 ? err : real_ops->sync(file);
}

static int dying_allocate(struct disk_file *file, uint64_t size)
{
    int err = change();
    return err != 0 ? err : real_ops->allocate(file, size);
}

static int dying_truncate(struct disk_file *file, uint64_t size)
{
    int err = change();
    return err != 0 ? err : real_ops->truncate(file, size);
}

static int dying_remove(struct disk *disk, const char *path)
{
    int err = change();
    return err != 0 ? err : real_ops->remove(disk, path);
}

static int dying_sync_dir(struct disk *disk, const char *path)
{
    int err = change();
    return err != 0 ? err : real_ops->sync_dir(disk, path);
}

void dying_disk_begin(struct disk *disk, uint64_t after)
{
    real_ops = disk->ops;
    dying_ops = *real_ops;
    dying_ops.make_dir = dying_make_dir;
    dying_ops.open = dying_open;
    dying_ops.write = dying_write;
    dying_ops.sync = dying_sync;
    dying_ops.allocate = dying_allocate;
    dying_ops.truncate = dying_truncate;
    dying_ops.remove = dying_remove;
    dying_ops.sync_dir = dying_sync_dir;
    disk->ops = &dying_ops;
    changes_left = after;
    changes = 0;
}

void dying_disk_end(struct disk *disk)
{
    disk->ops = real_ops;
}

uint64_t dying_disk_changes(void)
{
    return changes;
}
