/* The synchronous calls of the posix disk: files and directories below its root. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "node/posix_disk_private.h"
#include "proto/base/check.h"

#define VECTORS_AT_ONCE 256u
#define PATH_LEN_MAX POSIX_PATH_LEN_MAX
#define ZERO_LEN 65536u
#define PAGE_LEN 4096u
#define FULL_PAUSE_NS UINT64_C(10000000000)

struct posix_disk *posix_disk_of(struct disk *disk)
{
    return container_of(disk, struct posix_disk, base);
}

struct posix_file *posix_file_of(struct disk_file *file)
{
    return container_of(file, struct posix_file, base);
}

/* A full disk is met at every attempt to get more of it: the journal, which may be on it, is told now and then. */
static bool full_is_news(struct posix_disk *disk)
{
    uint64_t now_ns = uv_hrtime();
    uv_mutex_lock(&disk->lock);
    bool news = disk->full_said_ns == 0 || now_ns - disk->full_said_ns >= FULL_PAUSE_NS;
    if (news) {
        disk->full_said_ns = now_ns;
    }
    uv_mutex_unlock(&disk->lock);
    return news;
}

int posix_disk_failed(struct posix_disk *disk, const char *call, const char *path, int number)
{
    if (number == ENOENT) {
        return ERR_NOT_FOUND;
    }
    if (number == EEXIST) {
        return ERR_EXISTS;
    }
    bool full = number == ENOSPC || number == EDQUOT;
    if (!full || full_is_news(disk)) {
        journal_error(disk->journal, "disk", "%s %s/%s: %s", call, disk->root == NULL ? "" : disk->root, path,
                      strerror(number));
    }
    if (full) {
        return ERR_NO_SPACE;
    }
    /* With too many files open it is the process that is short of something, and no disk that fails. */
    return number == ENOMEM || number == EMFILE || number == ENFILE ? ERR_NOMEM : ERR_IO;
}

int posix_file_failed(struct posix_file *file, const char *call, int number)
{
    int err = posix_disk_failed(posix_disk_of(file->base.disk), call, file->path, number);
    return err == ERR_NOT_FOUND || err == ERR_EXISTS ? ERR_IO : err;
}

const char *posix_path(const char *path)
{
    CHECK(path[0] != '\0' && path[0] != '/' && strstr(path, "..") == NULL && strlen(path) < PATH_LEN_MAX);
    return path;
}

static int sync_parent(struct posix_disk *disk, const char *path)
{
    char parent[PATH_LEN_MAX];
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return posix_sync_dir(&disk->base, slash == NULL ? "." : parent);
}

/* A link to nowhere is there already, and is none: what it leads to may be a disk that is not mounted, and is not made here. */
static int make_dir_failed(struct posix_disk *disk, const char *path, int number)
{
    int err = posix_disk_failed(disk, "mkdir", path, number);
    if (err == ERR_NOT_FOUND) {
        journal_error(disk->journal, "disk", "%s/%s leads nowhere", disk->root, path);
        return ERR_IO;
    }
    return err;
}

int posix_make_dir(struct disk *base, const char *path)
{
    struct posix_disk *disk = posix_disk_of(base);
    char part[PATH_LEN_MAX];
    (void)snprintf(part, sizeof part, "%s", posix_path(path));
    size_t len = strlen(part);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        part[i] = '\0';
        if (mkdirat(disk->root_fd, part, 0750) == 0) {
            int err = sync_parent(disk, part);
            if (err != 0) {
                return err;
            }
        } else if (errno != EEXIST || faccessat(disk->root_fd, part, F_OK, 0) != 0) {
            return make_dir_failed(disk, part, errno);
        }
        part[i] = path[i];
    }
    return 0;
}

static int names_only(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int names_compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int posix_list(struct disk *base, const char *path, void (*each)(void *arg, const char *name), void *arg)
{
    struct posix_disk *disk = posix_disk_of(base);
    struct dirent **names;
    int count = scandirat(disk->root_fd, posix_path(path), &names, names_only, names_compare);
    if (count < 0) {
        return posix_disk_failed(disk, "list", path, errno);
    }
    for (int i = 0; i < count; i++) {
        each(arg, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return 0;
}

int posix_size(struct disk_file *base, uint64_t *ret_size)
{
    struct posix_file *file = posix_file_of(base);
    struct stat info;
    if (fstat(file->fd, &info) != 0) {
        return posix_file_failed(file, "stat", errno);
    }
    *ret_size = (uint64_t)info.st_size;
    return 0;
}

/* What the system's cache has of it goes, but for pages that are still to be written. Where it cannot, the cache is read. */
static void drop_cached(const struct posix_file *file, uint64_t offset, size_t len)
{
    if (file->uncached) {
        uint64_t from = offset / PAGE_LEN * PAGE_LEN; /* Pages that are named in part stay. */
        uint64_t end = (offset + len + PAGE_LEN - 1) / PAGE_LEN * PAGE_LEN;
        (void)posix_fadvise(file->fd, (off_t)from, (off_t)(end - from), POSIX_FADV_DONTNEED);
    }
}

/* What the device cannot give back is damage of what is stored, as a wrong checksum is. */
static int read_failed(struct posix_file *file, int number)
{
    int err = posix_file_failed(file, "read", number);
    return number == EIO ? ERR_CORRUPT : err;
}

int posix_read(struct disk_file *base, uint64_t offset, void *data, size_t len, size_t *ret_read)
{
    struct posix_file *file = posix_file_of(base);
    size_t done = 0;
    drop_cached(file, offset, len);
    while (done < len) {
        ssize_t got = pread(file->fd, (uint8_t *)data + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return read_failed(file, errno);
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    drop_cached(file, offset, len);
    *ret_read = done;
    return 0;
}

int posix_write(struct disk_file *base, uint64_t offset, const void *data, size_t len)
{
    struct disk_vector vector = {.data = data, .len = len};
    return posix_write_vectors(posix_file_of(base), offset, &vector, 1);
}

/* Writes a few vectors fully; changes them on the way. */
static int write_some(struct posix_file *file, uint64_t *offset, struct iovec *vectors, unsigned count)
{
    while (count > 0) {
        if (vectors->iov_len == 0) {
            vectors++;
            count--;
            continue;
        }
        ssize_t written = pwritev(file->fd, vectors, (int)count, (off_t)*offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return posix_file_failed(file, "write", written < 0 ? errno : EIO);
        }
        *offset += (uint64_t)written;
        size_t left = (size_t)written;
        while (left > 0) {
            size_t part = left < vectors->iov_len ? left : vectors->iov_len;
            vectors->iov_base = (uint8_t *)vectors->iov_base + part;
            vectors->iov_len -= part;
            left -= part;
            if (vectors->iov_len == 0) {
                vectors++;
                count--;
            }
        }
    }
    return 0;
}

int posix_write_vectors(struct posix_file *file, uint64_t offset, const struct disk_vector *vectors, unsigned count)
{
    struct iovec some[VECTORS_AT_ONCE];
    for (unsigned at = 0; at < count;) {
        unsigned len = 0;
        while (len < VECTORS_AT_ONCE && at < count) {
            /* The system only reads what it is given; its type has no const. */
            some[len++] = (struct iovec){.iov_base = (void *)(uintptr_t)vectors[at].data, .iov_len = vectors[at].len};
            at++;
        }
        int err = write_some(file, &offset, some, len);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* Never ERR_NO_SPACE, which callers may outlive: after a failed sync nobody knows what is on disk, whatever the reason. */
static int sync_failed(struct posix_disk *disk, const char *path, int number)
{
    (void)posix_disk_failed(disk, "sync", path, number);
    return ERR_IO;
}

int posix_sync(struct disk_file *base)
{
    struct posix_file *file = posix_file_of(base);
    return fdatasync(file->fd) == 0 ? 0 : sync_failed(posix_disk_of(base->disk), file->path, errno);
}

/* For file systems that cannot reserve: zeroes behind the present end. */
static int write_zeroes(struct posix_file *file, uint64_t from, uint64_t to)
{
    static const uint8_t zeroes[ZERO_LEN];
    while (from < to) {
        size_t len = to - from < sizeof zeroes ? (size_t)(to - from) : sizeof zeroes;
        int err = posix_write(&file->base, from, zeroes, len);
        if (err != 0) {
            return err;
        }
        from += len;
    }
    return 0;
}

static int reserve(struct posix_file *file, uint64_t from, uint64_t to)
{
    int result;
    do {
        result = fallocate(file->fd, 0, (off_t)from, (off_t)(to - from)) == 0 ? 0 : errno;
    } while (result == EINTR);
    if (result == EOPNOTSUPP) {
        return write_zeroes(file, from, to);
    }
    return result == 0 ? 0 : posix_file_failed(file, "allocate", result);
}

int posix_allocate(struct disk_file *base, uint64_t size)
{
    struct posix_file *file = posix_file_of(base);
    uint64_t present;
    int err = posix_size(base, &present);
    if (err != 0 || present >= size) {
        return err;
    }
    err = reserve(file, present, size);
    if (err != 0) {
        /* Some file systems keep what they got before there was no more, even behind the end of the file. */
        int back_err = posix_truncate(base, present);
        return back_err == 0 ? err : back_err;
    }
    return fsync(file->fd) == 0 ? 0 : sync_failed(posix_disk_of(base->disk), file->path, errno);
}

int posix_truncate(struct disk_file *base, uint64_t size)
{
    struct posix_file *file = posix_file_of(base);
    return ftruncate(file->fd, (off_t)size) == 0 ? 0 : posix_file_failed(file, "truncate", errno);
}

/* An empty directory in the place of a file is no more than a damaged one: it makes way. */
int posix_rename(struct disk *base, const char *from, const char *to)
{
    struct posix_disk *disk = posix_disk_of(base);
    int fd = disk->root_fd;
    int number = renameat(fd, posix_path(from), fd, posix_path(to)) == 0 ? 0 : errno;
    if (number == EISDIR && unlinkat(fd, to, AT_REMOVEDIR) != 0) {
        return posix_disk_failed(disk, "replace", to, errno);
    }
    if (number == EISDIR) {
        number = renameat(fd, from, fd, to) == 0 ? 0 : errno;
    }
    return number == 0 ? 0 : posix_disk_failed(disk, "rename", from, number);
}

int posix_remove(struct disk *base, const char *path)
{
    struct posix_disk *disk = posix_disk_of(base);
    int number = unlinkat(disk->root_fd, posix_path(path), 0) == 0 ? 0 : errno;
    if (number == EISDIR) {
        number = unlinkat(disk->root_fd, path, AT_REMOVEDIR) == 0 ? 0 : errno;
    }
    return number == 0 ? 0 : posix_disk_failed(disk, "remove", path, number);
}

int posix_remove_dir(struct disk *base, const char *path)
{
    struct posix_disk *disk = posix_disk_of(base);
    if (unlinkat(disk->root_fd, posix_path(path), AT_REMOVEDIR) == 0) {
        return 0;
    }
    /* Some file systems say of one that is not empty that it exists. */
    return posix_disk_failed(disk, "remove", path, errno == EEXIST ? ENOTEMPTY : errno);
}

int posix_sync_dir(struct disk *base, const char *path)
{
    struct posix_disk *disk = posix_disk_of(base);
    int fd = openat(disk->root_fd, posix_path(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return posix_disk_failed(disk, "open", path, errno);
    }
    int err = fsync(fd) == 0 ? 0 : sync_failed(disk, path, errno);
    (void)close(fd);
    return err;
}

int posix_free_space(struct disk *base, uint64_t *ret_free)
{
    struct posix_disk *disk = posix_disk_of(base);
    struct statvfs info;
    if (fstatvfs(disk->root_fd, &info) != 0) {
        (void)posix_disk_failed(disk, "statvfs", ".", errno);
        return ERR_IO;
    }
    /* What the file system keeps for root is not ours to count on. */
    *ret_free = (uint64_t)info.f_bavail * info.f_frsize;
    return 0;
}
