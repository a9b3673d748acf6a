/* A layer between a program and its disk, to be put before the program with LD_PRELOAD: files whose paths contain what is in the
 * file that UNREADABLE names cannot be read, as with bad sectors. What is written to them is written. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The first line of what UNREADABLE names; false: there is none. */
static bool part_of_paths(char out[PATH_MAX])
{
    const char *name = getenv("UNREADABLE");
    int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    long len = syscall(SYS_read, fd, out, PATH_MAX - 1);
    (void)close(fd);
    out[len < 0 ? 0 : len] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return out[0] != '\0';
}

static bool is_unreadable(int fd)
{
    char part[PATH_MAX];
    char link[64];
    char path[PATH_MAX];
    if (!part_of_paths(part)) {
        return false;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    return strstr(path, part) != NULL;
}

static ssize_t fail(void)
{
    errno = EIO;
    return -1;
}

ssize_t read(int fd, void *data, size_t len)
{
    return is_unreadable(fd) ? fail() : (ssize_t)syscall(SYS_read, fd, data, len);
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
    return is_unreadable(fd) ? fail() : (ssize_t)syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t offset)
{
    return pread(fd, data, len, offset);
}

/* RocksDB reads its manifest with this one. */
#undef fread_unlocked
size_t fread_unlocked(void *data, size_t size, size_t count, FILE *file)
{
    size_t (*next)(void *, size_t, size_t, FILE *) =
        (size_t(*)(void *, size_t, size_t, FILE *))dlsym(RTLD_NEXT, "fread_unlocked");
    if (is_unreadable(fileno(file))) {
        (void)fail();
        return 0;
    }
    return next(data, size, count, file);
}
