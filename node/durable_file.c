/* Write aside, sync, rename, sync the directory. */

#include "node/durable_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int error_of(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT: return ERR_NO_SPACE;
    case ENOENT: return ERR_NOT_FOUND;
    case ENOMEM: return ERR_NOMEM;
    default: return ERR_IO;
    }
}

/* What the device cannot give back is damage of what is stored. */
static int read_error_of(int number)
{
    return number == EIO ? ERR_CORRUPT : error_of(number);
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return -1;
        }
        data += written;
        len -= (size_t)written;
    }
    return 0;
}

bool durable_file_leads_nowhere(int dir_fd, const char *name)
{
    struct stat link;
    struct stat target;
    return fstatat(dir_fd, name, &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode) &&
           fstatat(dir_fd, name, &target, 0) != 0 && (errno == ENOENT || errno == ELOOP);
}

/* ERR_INVALID: what has the name is no file. */
static int open_failed(int dir_fd, const char *name, int number)
{
    bool unfit = number == EISDIR || number == ENXIO || number == ELOOP ||
                 (number == ENOENT && durable_file_leads_nowhere(dir_fd, name));
    errno = number;
    return unfit ? ERR_INVALID : error_of(number);
}

static int open_file(int dir_fd, const char *name, int flags, int *ret_fd)
{
    struct stat info;
    int fd = openat(dir_fd, name, flags | O_NONBLOCK | O_CLOEXEC, 0640);
    if (fd < 0) {
        return open_failed(dir_fd, name, errno);
    }
    int err = fstat(fd, &info) != 0 ? error_of(errno) : S_ISREG(info.st_mode) ? 0 : ERR_INVALID;
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

int durable_file_make_way(int dir_fd, const char *name)
{
    int number = unlinkat(dir_fd, name, 0) == 0 ? 0 : errno;
    if (number == EISDIR) {
        number = unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 ? 0 : errno;
    }
    errno = number;
    return number == 0 || number == ENOENT ? 0 : error_of(number);
}

int durable_file_open(int dir_fd, const char *name, int flags, int *ret_fd)
{
    int err = open_file(dir_fd, name, flags, ret_fd);
    if (err == ERR_INVALID) {
        err = durable_file_make_way(dir_fd, name);
        err = err == 0 ? open_file(dir_fd, name, flags, ret_fd) : err;
    }
    return err;
}

static int put_in_place(int dir_fd, const char *aside, const char *name)
{
    int number = renameat(dir_fd, aside, dir_fd, name) == 0 ? 0 : errno;
    if (number == EISDIR && unlinkat(dir_fd, name, AT_REMOVEDIR) == 0) {
        number = renameat(dir_fd, aside, dir_fd, name) == 0 ? 0 : errno;
    } else if (number == EISDIR) {
        number = errno;
    }
    if (number == 0 && fsync(dir_fd) != 0) {
        number = errno;
    }
    errno = number;
    return number == 0 ? 0 : error_of(number);
}

int durable_file_write(int dir_fd, const char *name, const void *data, size_t len)
{
    char aside[256];
    int written = snprintf(aside, sizeof aside, "%s.new", name);
    if (written < 0 || (size_t)written >= sizeof aside) {
        return ERR_INVALID;
    }
    int fd;
    int err = durable_file_open(dir_fd, aside, O_WRONLY | O_CREAT | O_TRUNC, &fd);
    if (err != 0) {
        return err;
    }
    err = write_all(fd, data, len) != 0 || fsync(fd) != 0 ? error_of(errno) : 0;
    int saved = errno;
    if (close(fd) != 0 && err == 0) {
        err = error_of(errno);
        saved = errno;
    }
    if (err == 0) {
        err = put_in_place(dir_fd, aside, name);
        saved = errno;
    }
    errno = saved;
    return err;
}

int durable_file_read(int dir_fd, const char *name, size_t len_max, char **ret_data, size_t *ret_len)
{
    int fd;
    int err = open_file(dir_fd, name, O_RDONLY, &fd);
    if (err != 0) {
        return err;
    }
    struct stat info;
    char *data = NULL;
    size_t len = 0;
    err = fstat(fd, &info) != 0 ? error_of(errno) : 0;
    if (err == 0 && (uint64_t)info.st_size > len_max) {
        err = ERR_TOO_BIG;
    }
    if (err == 0) {
        data = malloc((size_t)info.st_size + 1);
        err = data == NULL ? ERR_NOMEM : 0;
    }
    while (err == 0 && len < (size_t)info.st_size) {
        ssize_t got = read(fd, data + len, (size_t)info.st_size - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            err = read_error_of(errno);
        }
        if (got == 0) {
            break;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    if (err != 0) {
        free(data);
        return err;
    }
    data[len] = '\0';
    *ret_data = data;
    *ret_len = len;
    return 0;
}
