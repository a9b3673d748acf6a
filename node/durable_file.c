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

int durable_file_write(int dir_fd, const char *name, const void *data, size_t len)
{
    char aside[256];
    int written = snprintf(aside, sizeof aside, "%s.new", name);
    if (written < 0 || (size_t)written >= sizeof aside) {
        return ERR_INVALID;
    }
    int fd = openat(dir_fd, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return error_of(errno);
    }
    int err = write_all(fd, data, len) != 0 || fsync(fd) != 0 ? error_of(errno) : 0;
    int saved = errno;
    if (close(fd) != 0 && err == 0) {
        err = error_of(errno);
        saved = errno;
    }
    if (err == 0 && (renameat(dir_fd, aside, dir_fd, name) != 0 || fsync(dir_fd) != 0)) {
        err = error_of(errno);
        saved = errno;
    }
    errno = saved;
    return err;
}

int durable_file_read(int dir_fd, const char *name, size_t len_max, char **ret_data, size_t *ret_len)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_of(errno);
    }
    struct stat info;
    char *data = NULL;
    size_t len = 0;
    int err = fstat(fd, &info) != 0 ? error_of(errno) : 0;
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
            err = error_of(errno);
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
