/* Opening files of the posix disk, and closing them.
 *
 * What has the name of a file and is none (a directory, a pipe, a link to nowhere) is damage: it is never waited for, and never read. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/durable_file.h"
#include "node/posix_disk_private.h"

static int not_a_file(struct posix_disk *disk, const char *path)
{
    journal_error(disk->journal, "disk", "open %s/%s: it is %s", disk->root, path,
                  durable_file_leads_nowhere(disk->root_fd, path) ? "a link that leads nowhere" : "not a file");
    return ERR_CORRUPT;
}

/* To make a file is to write: only one that is there can be damaged. */
static int open_failed(struct posix_disk *disk, const char *path, unsigned flags, int number)
{
    bool gone = number == ENOENT && durable_file_leads_nowhere(disk->root_fd, path);
    if (number == EISDIR || number == ENXIO || number == ELOOP || gone) {
        return not_a_file(disk, path);
    }
    int err = posix_disk_failed(disk, "open", path, number);
    return number == EIO && (flags & DISK_CREATE) == 0 ? ERR_CORRUPT : err;
}

static int open_fd(struct posix_disk *disk, const char *path, unsigned flags, int *ret_fd)
{
    int mode = O_CLOEXEC | O_NONBLOCK | ((flags & DISK_READ_ONLY) != 0 ? O_RDONLY : O_RDWR);
    mode |= (flags & DISK_CREATE) != 0 ? O_CREAT : 0;
    mode |= (flags & DISK_EXCLUSIVE) != 0 ? O_EXCL : 0;
    struct stat info;
    int fd = openat(disk->root_fd, path, mode, 0640);
    if (fd < 0) {
        return open_failed(disk, path, flags, errno);
    }
    int err = fstat(fd, &info) != 0 ? posix_disk_failed(disk, "stat", path, errno) : 0;
    if (err == 0 && !S_ISREG(info.st_mode)) {
        err = not_a_file(disk, path);
    }
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

int posix_open(struct disk *base, const char *path, unsigned flags, struct disk_file **ret_file)
{
    struct posix_disk *disk = posix_disk_of(base);
    struct posix_file *file = calloc(1, sizeof *file);
    char *copy = strdup(posix_path(path));
    int err = file == NULL || copy == NULL ? ERR_NOMEM : open_fd(disk, path, flags, &file->fd);
    if (err != 0) {
        free(copy);
        free(file);
        return err;
    }
    file->base.disk = base;
    file->path = copy;
    file->read_only = (flags & DISK_READ_ONLY) != 0;
    file->uncached = (flags & DISK_UNCACHED) != 0;
    file->direct_fd = -1;
    *ret_file = &file->base;
    return 0;
}

void posix_close(struct disk_file *base)
{
    if (base == NULL) {
        return;
    }
    struct posix_file *file = posix_file_of(base);
    /* What had to be durable has been synced before, so that nothing is lost if this fails. */
    (void)close(file->fd);
    if (file->direct_fd >= 0) {
        (void)close(file->direct_fd);
    }
    free(file->path);
    free(file);
}
