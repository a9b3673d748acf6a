/* Files below a directory, for reading only. */

#include "read_only_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/check.h"

struct read_only_file {
    struct disk_file file;
    int fd;
};

/* As of the disk of a node: what the device cannot give back is damage. */
static int error_of(int error)
{
    if (error == EIO || error == ELOOP) {
        return ERR_CORRUPT;
    }
    return error == ENOENT || error == ENOTDIR ? ERR_NOT_FOUND : error == ENOMEM ? ERR_NOMEM : ERR_IO;
}

static int root_of(struct disk *disk)
{
    return container_of(disk, struct read_only_disk, disk)->root_fd;
}

static int fd_of(struct disk_file *file)
{
    return container_of(file, struct read_only_file, file)->fd;
}

static int disk_list(struct disk *disk, const char *path, void (*each)(void *arg, const char *name), void *arg)
{
    struct dirent **names = NULL;
    int count = scandirat(root_of(disk), path, &names, NULL, alphasort);
    if (count < 0) {
        return error_of(errno);
    }
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            each(arg, names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    return 0;
}

static int disk_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file)
{
    if (flags != DISK_READ_ONLY) {
        return ERR_REFUSED;
    }
    struct read_only_file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return ERR_NOMEM;
    }
    file->file.disk = disk;
    struct stat status;
    file->fd = openat(root_of(disk), path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int err = file->fd < 0 || fstat(file->fd, &status) != 0 ? error_of(errno) : 0;
    if (err == 0 && !S_ISREG(status.st_mode)) {
        err = ERR_CORRUPT;
    }
    if (err != 0) {
        if (file->fd >= 0) {
            close(file->fd);
        }
        free(file);
        return err;
    }
    *ret_file = &file->file;
    return 0;
}

static void disk_close(struct disk_file *disk_file)
{
    struct read_only_file *file = container_of(disk_file, struct read_only_file, file);
    close(file->fd);
    free(file);
}

static int disk_size(struct disk_file *file, uint64_t *ret_size)
{
    struct stat status;
    if (fstat(fd_of(file), &status) != 0) {
        return error_of(errno);
    }
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

static int disk_read(struct disk_file *file, uint64_t offset, void *data, size_t len, size_t *ret_read)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got = pread(fd_of(file), (char *)data + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_of(errno);
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *ret_read = done;
    return 0;
}

static int refuse_path(struct disk *disk, const char *path)
{
    (void)disk;
    (void)path;
    return ERR_REFUSED;
}

static int refuse_rename(struct disk *disk, const char *from, const char *to)
{
    (void)to;
    return refuse_path(disk, from);
}

static int refuse_sync(struct disk_file *file)
{
    (void)file;
    return ERR_REFUSED;
}

static int refuse_size(struct disk_file *file, uint64_t size)
{
    (void)size;
    return refuse_sync(file);
}

static int refuse_write(struct disk_file *file, uint64_t offset, const void *data, size_t len)
{
    (void)offset;
    (void)data;
    (void)len;
    return refuse_sync(file);
}

static void refuse_append(struct disk *disk, struct disk_append *append)
{
    (void)disk;
    append->done(append, ERR_REFUSED);
}

static void refuse_offload(struct disk *disk, struct disk_task *task)
{
    (void)disk;
    task->done(task, ERR_REFUSED);
}

static const struct disk_ops read_only_ops = {
    .make_dir = refuse_path,
    .list = disk_list,
    .open = disk_open,
    .close = disk_close,
    .size = disk_size,
    .read = disk_read,
    .write = refuse_write,
    .sync = refuse_sync,
    .allocate = refuse_size,
    .truncate = refuse_size,
    .rename = refuse_rename,
    .remove = refuse_path,
    .remove_dir = refuse_path,
    .sync_dir = refuse_path,
    .append = refuse_append,
    .offload = refuse_offload,
};

int read_only_disk_init(struct read_only_disk *disk, const char *root)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_of(errno);
    }
    *disk = (struct read_only_disk){.disk = {.ops = &read_only_ops}, .root_fd = fd};
    return 0;
}

void read_only_disk_done(struct read_only_disk *disk)
{
    close(disk->root_fd);
}
