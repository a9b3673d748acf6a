/* A layer between a program and its files that models the loss of power, to be put before the program with LD_PRELOAD.
 *
 *   UNSYNCED_MATCH        files whose path, when they are opened, contains this; not set: the layer does nothing
 *   UNSYNCED_IGNORE_SYNC  1: fdatasync() and fsync() of those files return 0 and make nothing durable, as if the
 *                         program had been written without them
 *   UNSYNCED_NO_DIRECT    1: O_DIRECT is refused, as by file systems that do not have it
 *
 * What is written to such a file stays in memory; the program reads it back, the file gets it only when it is synced.
 * So SIGKILL takes away exactly what a loss of power may take, which it does not do otherwise: what a process has
 * written, the kernel keeps. It is also lost when the program closes the file and ends in an orderly way.
 *
 * Durable at once, unlike on a real disk, are names (open, rename, unlink) and sizes (ftruncate, fallocate); a sync is
 * all or nothing but for being killed in its middle. stdio is followed where a stream is made from a descriptor, and
 * bypasses the layer where it opens the file itself. Descriptors that are duplicated are not followed. Mappings that
 * would see, or make, what is not synced end the process; so does what else it could not be honest about.
 *
 * The state is global because the calls are. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unsynced_file.h"

#define DESCRIPTORS_MAX 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct unsynced_file *files; /* Under the lock, like all of them. */
/* Read without the lock, so that sockets never wait for files; whoever closes a descriptor while using it is wrong. */
static _Atomic(struct unsynced_file *) by_descriptor[DESCRIPTORS_MAX];

static struct unsynced_file *file_of(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS_MAX ? atomic_load(&by_descriptor[fd]) : NULL;
}

static void enter(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void leave(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static bool is_wanted(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && strcmp(value, "1") == 0;
}

static bool syncs_are_ignored(void)
{
    return is_wanted("UNSYNCED_IGNORE_SYNC");
}

static bool path_matches(int fd)
{
    const char *match = getenv("UNSYNCED_MATCH");
    if (match == NULL || match[0] == '\0') {
        return false;
    }
    char link[64];
    char path[PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (len < 0) {
        return false;
    }
    path[len] = '\0';
    return strstr(path, match) != NULL;
}

/* A removed file is forgotten when nobody has it open: only then is its inode free for another. */
static void files_sweep(void)
{
    for (struct unsynced_file **at = &files; *at != NULL;) {
        struct unsynced_file *file = *at;
        struct stat info;
        bool removed = file->fd >= 0 && syscall(SYS_fstat, file->fd, &info) == 0 && info.st_nlink == 0;
        if (file->descriptors > 0 || (file->end > 0 && !removed)) {
            at = &file->next;
            continue;
        }
        *at = file->next;
        unsynced_file_forget(file);
        free(file);
    }
}

static struct unsynced_file *file_find(const struct stat *info)
{
    struct unsynced_file *file = files;
    while (file != NULL && (file->device != info->st_dev || file->inode != info->st_ino)) {
        file = file->next;
    }
    return file;
}

static struct unsynced_file *file_take(const struct stat *info)
{
    struct unsynced_file *file = file_find(info);
    if (file == NULL) {
        file = calloc(1, sizeof *file);
        if (file == NULL) {
            unsynced_fail("out of memory");
        }
        *file = (struct unsynced_file){.device = info->st_dev, .inode = info->st_ino, .fd = -1, .next = files};
        files = file;
    }
    file->descriptors++;
    return file;
}

/* A descriptor has been opened; errno stays. */
static void descriptor_opened(int fd, int flags)
{
    int saved = errno;
    struct unsynced_file *file = NULL;
    struct stat info;
    if (path_matches(fd) && syscall(SYS_fstat, fd, &info) == 0 && S_ISREG(info.st_mode)) {
        if (fd >= DESCRIPTORS_MAX) {
            unsynced_fail("too many descriptors");
        }
        enter();
        file = file_take(&info);
        if ((flags & O_TRUNC) != 0) {
            unsynced_file_cut(file, 0);
        }
        leave();
    }
    if (fd < DESCRIPTORS_MAX) {
        atomic_store(&by_descriptor[fd], file);
    }
    errno = saved;
}

/* ---- Opening and closing ---- */

static int do_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    if ((flags & O_DIRECT) != 0 && is_wanted("UNSYNCED_NO_DIRECT")) {
        errno = EINVAL;
        return -1;
    }
    int fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    if (fd >= 0) {
        descriptor_opened(fd, flags);
    }
    return fd;
}

/* The mode is there only where a file may be made. */
static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return do_open(dir_fd, path, flags, mode);
}

int openat64(int dir_fd, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return do_open(dir_fd, path, flags, mode);
}

int close(int fd)
{
    struct unsynced_file *file = file_of(fd);
    if (file == NULL) {
        return (int)syscall(SYS_close, fd);
    }
    enter();
    atomic_store(&by_descriptor[fd], NULL);
    file->descriptors--;
    int result = (int)syscall(SYS_close, fd);
    int saved = errno;
    files_sweep();
    errno = saved;
    leave();
    return result;
}

/* ---- Writing ---- */

static ssize_t file_write(struct unsynced_file *file, int fd, const struct iovec *vectors, int count, uint64_t offset)
{
    size_t written = 0;
    for (int i = 0; i < count; i++) {
        unsynced_file_write(file, fd, vectors[i].iov_base, vectors[i].iov_len, offset + written);
        written += vectors[i].iov_len;
    }
    return (ssize_t)written;
}

static ssize_t write_at(struct unsynced_file *file, int fd, const struct iovec *vectors, int count, off_t offset)
{
    if (offset < 0) {
        errno = EINVAL;
        return -1;
    }
    enter();
    ssize_t written = file_write(file, fd, vectors, count, (uint64_t)offset);
    leave();
    return written;
}

static off_t end_of(const struct unsynced_file *file, int fd)
{
    struct stat info;
    if (syscall(SYS_fstat, fd, &info) != 0) {
        return -1;
    }
    return (off_t)unsynced_file_size(file, (uint64_t)info.st_size);
}

/* Where the descriptor is, which the system keeps also for what we keep from it. */
static ssize_t write_here(struct unsynced_file *file, int fd, const struct iovec *vectors, int count)
{
    enter();
    bool appends = (syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND) != 0;
    off_t offset = appends ? end_of(file, fd) : (off_t)syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR);
    ssize_t written = offset < 0 ? -1 : file_write(file, fd, vectors, count, (uint64_t)offset);
    if (written > 0 && syscall(SYS_lseek, fd, offset + written, SEEK_SET) < 0) {
        written = -1;
    }
    leave();
    return written;
}

/* The system only reads what it is given; its type has no const. */
static struct iovec vector_of(const void *data, size_t len)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = len};
}

ssize_t write(int fd, const void *data, size_t len)
{
    struct unsynced_file *file = file_of(fd);
    struct iovec vector = vector_of(data, len);
    return file == NULL ? syscall(SYS_write, fd, data, len) : write_here(file, fd, &vector, 1);
}

ssize_t writev(int fd, const struct iovec *vectors, int count)
{
    struct unsynced_file *file = file_of(fd);
    return file == NULL ? syscall(SYS_writev, fd, vectors, count) : write_here(file, fd, vectors, count);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    struct unsynced_file *file = file_of(fd);
    struct iovec vector = vector_of(data, len);
    return file == NULL ? syscall(SYS_pwrite64, fd, data, len, offset) : write_at(file, fd, &vector, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return pwrite(fd, data, len, offset);
}

/* On the systems of 64 bits that this is for, the kernel takes the whole offset in its lower half. */
ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset)
{
    struct unsynced_file *file = file_of(fd);
    return file == NULL ? syscall(SYS_pwritev, fd, vectors, (long)count, offset, 0L)
                        : write_at(file, fd, vectors, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *vectors, int count, off64_t offset)
{
    return pwritev(fd, vectors, count, offset);
}

/* With RWF_DSYNC and the like, a write would be a sync as well; nothing under test writes so. */
ssize_t pwritev2(int fd, const struct iovec *vectors, int count, off_t offset, int flags)
{
    struct unsynced_file *file = file_of(fd);
    if (file == NULL) {
        return syscall(SYS_pwritev2, fd, vectors, (long)count, offset, 0L, (long)flags);
    }
    if (flags != 0) {
        unsynced_fail("pwritev2 with flags");
    }
    return offset == -1 ? write_here(file, fd, vectors, count) : write_at(file, fd, vectors, count, offset);
}

ssize_t pwritev64v2(int fd, const struct iovec *vectors, int count, off64_t offset, int flags)
{
    return pwritev2(fd, vectors, count, offset, flags);
}

/* ---- Reading ---- */

static ssize_t file_read(struct unsynced_file *file, int fd, const struct iovec *vectors, int count, uint64_t offset)
{
    size_t done = 0;
    for (int i = 0; i < count; i++) {
        ssize_t got = unsynced_file_read(file, fd, vectors[i].iov_base, vectors[i].iov_len, offset + done);
        if (got < 0) {
            return -1;
        }
        done += (size_t)got;
        if ((size_t)got < vectors[i].iov_len) {
            break;
        }
    }
    return (ssize_t)done;
}

static ssize_t read_at(struct unsynced_file *file, int fd, const struct iovec *vectors, int count, off_t offset)
{
    if (offset < 0) {
        errno = EINVAL;
        return -1;
    }
    enter();
    ssize_t got = file_read(file, fd, vectors, count, (uint64_t)offset);
    leave();
    return got;
}

static ssize_t read_here(struct unsynced_file *file, int fd, const struct iovec *vectors, int count)
{
    enter();
    off_t offset = (off_t)syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR);
    ssize_t got = offset < 0 ? -1 : file_read(file, fd, vectors, count, (uint64_t)offset);
    if (got > 0 && syscall(SYS_lseek, fd, offset + got, SEEK_SET) < 0) {
        got = -1;
    }
    leave();
    return got;
}

ssize_t read(int fd, void *data, size_t len)
{
    struct unsynced_file *file = file_of(fd);
    struct iovec vector = {.iov_base = data, .iov_len = len};
    return file == NULL ? syscall(SYS_read, fd, data, len) : read_here(file, fd, &vector, 1);
}

ssize_t readv(int fd, const struct iovec *vectors, int count)
{
    struct unsynced_file *file = file_of(fd);
    return file == NULL ? syscall(SYS_readv, fd, vectors, count) : read_here(file, fd, vectors, count);
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
    struct unsynced_file *file = file_of(fd);
    struct iovec vector = {.iov_base = data, .iov_len = len};
    return file == NULL ? syscall(SYS_pread64, fd, data, len, offset) : read_at(file, fd, &vector, 1, offset);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t offset)
{
    return pread(fd, data, len, offset);
}

ssize_t preadv(int fd, const struct iovec *vectors, int count, off_t offset)
{
    struct unsynced_file *file = file_of(fd);
    return file == NULL ? syscall(SYS_preadv, fd, vectors, (long)count, offset, 0L)
                        : read_at(file, fd, vectors, count, offset);
}

ssize_t preadv64(int fd, const struct iovec *vectors, int count, off64_t offset)
{
    return preadv(fd, vectors, count, offset);
}

off_t lseek(int fd, off_t offset, int whence)
{
    struct unsynced_file *file = file_of(fd);
    if (file == NULL || whence != SEEK_END) {
        return (off_t)syscall(SYS_lseek, fd, offset, whence);
    }
    enter();
    off_t end = end_of(file, fd);
    off_t at = end < 0 ? -1 : (off_t)syscall(SYS_lseek, fd, end + offset, SEEK_SET);
    leave();
    return at;
}

off64_t lseek64(int fd, off64_t offset, int whence)
{
    return lseek(fd, offset, whence);
}

/* A stream that reads by way of this layer: stdio's own calls do not pass here. */
static ssize_t stream_read(void *cookie, char *data, size_t len)
{
    return read((int)(intptr_t)cookie, data, len);
}

static ssize_t stream_write(void *cookie, const char *data, size_t len)
{
    return write((int)(intptr_t)cookie, data, len);
}

static int stream_seek(void *cookie, off64_t *offset, int whence)
{
    off_t at = lseek((int)(intptr_t)cookie, *offset, whence);
    if (at < 0) {
        return -1;
    }
    *offset = at;
    return 0;
}

static int stream_close(void *cookie)
{
    return close((int)(intptr_t)cookie);
}

FILE *fdopen(int fd, const char *mode)
{
    if (file_of(fd) != NULL) {
        static const cookie_io_functions_t functions = {
            .read = stream_read, .write = stream_write, .seek = stream_seek, .close = stream_close};
        return fopencookie((void *)(intptr_t)fd, mode, functions);
    }
    FILE *(*next)(int, const char *);
    void *symbol = dlsym(RTLD_NEXT, "fdopen");
    if (symbol == NULL) {
        unsynced_fail("the C library has no fdopen");
    }
    memcpy(&next, &symbol, sizeof next);
    return next(fd, mode);
}

/* ---- Syncing ---- */

static int do_sync(int fd, long number)
{
    struct unsynced_file *file = file_of(fd);
    if (file == NULL) {
        return (int)syscall(number, fd);
    }
    if (syncs_are_ignored()) {
        return 0;
    }
    enter();
    int result = unsynced_file_flush(file);
    leave();
    /* Outside of the lock, so that a sync takes its time and others go on meanwhile. */
    return result != 0 ? result : (int)syscall(number, fd);
}

int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync);
}

int fsync(int fd)
{
    return do_sync(fd, SYS_fsync);
}

/* ---- Sizes ---- */

int ftruncate(int fd, off_t size)
{
    struct unsynced_file *file = file_of(fd);
    if (file == NULL) {
        return (int)syscall(SYS_ftruncate, fd, size);
    }
    enter();
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0) {
        unsynced_file_cut(file, (uint64_t)size);
    }
    leave();
    return result;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

static void size_correct(struct stat *info)
{
    if (!S_ISREG(info->st_mode)) {
        return;
    }
    enter();
    const struct unsynced_file *file = file_find(info);
    if (file != NULL) {
        info->st_size = (off_t)unsynced_file_size(file, (uint64_t)info->st_size);
    }
    leave();
}

int fstat(int fd, struct stat *info)
{
    int result = (int)syscall(SYS_fstat, fd, info);
    if (result == 0) {
        size_correct(info);
    }
    return result;
}

int fstatat(int dir_fd, const char *path, struct stat *info, int flags)
{
    int result = (int)syscall(SYS_newfstatat, dir_fd, path, info, flags);
    if (result == 0) {
        size_correct(info);
    }
    return result;
}

int stat(const char *path, struct stat *info)
{
    return fstatat(AT_FDCWD, path, info, 0);
}

int lstat(const char *path, struct stat *info)
{
    return fstatat(AT_FDCWD, path, info, AT_SYMLINK_NOFOLLOW);
}

/* On systems of 64 bits the two structures are one. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64) && sizeof(off_t) == 8, "a system of 64 bits");

int fstat64(int fd, struct stat64 *info)
{
    return fstat(fd, (struct stat *)(void *)info);
}

int fstatat64(int dir_fd, const char *path, struct stat64 *info, int flags)
{
    return fstatat(dir_fd, path, (struct stat *)(void *)info, flags);
}

int stat64(const char *path, struct stat64 *info)
{
    return stat(path, (struct stat *)(void *)info);
}

int lstat64(const char *path, struct stat64 *info)
{
    return lstat(path, (struct stat *)(void *)info);
}

/* ---- Mappings ---- */

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    struct unsynced_file *file = (flags & MAP_ANONYMOUS) != 0 ? NULL : file_of(fd);
    if (file != NULL && (file->end > 0 || ((flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0))) {
        unsynced_fail("a file that is not synced is mapped");
    }
    return (void *)syscall(SYS_mmap, address, len, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t len, int protection, int flags, int fd, off64_t offset)
{
    return mmap(address, len, protection, flags, fd, offset);
}
