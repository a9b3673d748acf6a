/* The pages of a file that have been written and not been synced. The system is called directly: the functions of the C
 * library are those that this layer stands before. */

#include "unsynced_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_LEN 4096u
/* 64 GiB: an offset beyond that is no file of a test. */
#define PAGES_MAX ((size_t)1 << 24)

void unsynced_fail(const char *what)
{
    char text[256];
    int len = snprintf(text, sizeof text, "unsynced: %s\n", what);
    if (len > 0) {
        (void)syscall(SYS_write, STDERR_FILENO, text, (size_t)len);
    }
    abort();
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t unsynced_file_size(const struct unsynced_file *file, uint64_t real_size)
{
    return file->end > real_size ? file->end : real_size;
}

static void file_open(struct unsynced_file *file, int fd)
{
    if (file->fd >= 0) {
        return;
    }
    /* By way of /proc, since the program's descriptor may be for writing only, and may be closed before we are done. */
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    file->fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (file->fd < 0) {
        unsynced_fail("a file that is written cannot be opened once more");
    }
}

/* The page for writing, with what the file has there. */
static uint8_t *page_make(struct unsynced_file *file, size_t number)
{
    if (number >= PAGES_MAX) {
        unsynced_fail("a file is too large");
    }
    if (number >= file->pages_len) {
        size_t len = number + 1 > 2 * file->pages_len ? number + 1 : 2 * file->pages_len;
        uint8_t **pages = realloc(file->pages, len * sizeof *pages);
        if (pages == NULL) {
            unsynced_fail("out of memory");
        }
        for (size_t i = file->pages_len; i < len; i++) {
            pages[i] = NULL;
        }
        file->pages = pages;
        file->pages_len = len;
    }
    if (file->pages[number] == NULL) {
        uint8_t *page = calloc(1, PAGE_LEN);
        if (page == NULL) {
            unsynced_fail("out of memory");
        }
        if (syscall(SYS_pread64, file->fd, page, (size_t)PAGE_LEN, (off_t)(number * PAGE_LEN)) < 0) {
            unsynced_fail("a file that is written cannot be read");
        }
        file->pages[number] = page;
    }
    return file->pages[number];
}

void unsynced_file_write(struct unsynced_file *file, int fd, const void *data, size_t len, uint64_t offset)
{
    file_open(file, fd);
    const uint8_t *from = data;
    while (len > 0) {
        size_t at = (size_t)(offset % PAGE_LEN);
        size_t part = least(len, PAGE_LEN - at);
        memcpy(page_make(file, (size_t)(offset / PAGE_LEN)) + at, from, part);
        from += part;
        len -= part;
        offset += part;
        if (offset > file->end) {
            file->end = offset;
        }
    }
}

/* Of the real file, with zeroes for what is not there: a hole, as far as the program can see. */
static int real_read(int fd, uint8_t *to, size_t len, uint64_t offset)
{
    ssize_t got = syscall(SYS_pread64, fd, to, len, (off_t)offset);
    if (got < 0) {
        return -1;
    }
    memset(to + got, 0, len - (size_t)got);
    return 0;
}

ssize_t unsynced_file_read(const struct unsynced_file *file, int fd, void *data, size_t len, uint64_t offset)
{
    struct stat info;
    if (syscall(SYS_fstat, fd, &info) != 0) {
        return -1;
    }
    uint64_t size = unsynced_file_size(file, (uint64_t)info.st_size);
    size_t wanted = offset < size ? (size_t)least(len, size - offset) : 0;
    uint8_t *to = data;
    for (size_t done = 0; done < wanted;) {
        size_t number = (size_t)((offset + done) / PAGE_LEN);
        size_t at = (size_t)((offset + done) % PAGE_LEN);
        size_t part = least(wanted - done, PAGE_LEN - at);
        if (number < file->pages_len && file->pages[number] != NULL) {
            memcpy(to + done, file->pages[number] + at, part);
        } else if (real_read(fd, to + done, part, offset + done) != 0) {
            return -1;
        }
        done += part;
    }
    return (ssize_t)wanted;
}

static void page_forget(struct unsynced_file *file, size_t number)
{
    free(file->pages[number]);
    file->pages[number] = NULL;
}

void unsynced_file_cut(struct unsynced_file *file, uint64_t size)
{
    if (size >= file->end) {
        return;
    }
    if (size == 0) {
        unsynced_file_forget(file);
        return;
    }
    for (size_t i = (size_t)((size + PAGE_LEN - 1) / PAGE_LEN); i < file->pages_len; i++) {
        page_forget(file, i);
    }
    size_t last = (size_t)(size / PAGE_LEN);
    if (last < file->pages_len && file->pages[last] != NULL) {
        memset(file->pages[last] + size % PAGE_LEN, 0, PAGE_LEN - size % PAGE_LEN);
    }
    file->end = size;
}

static int page_flush(const struct unsynced_file *file, size_t number, uint64_t size)
{
    uint64_t offset = (uint64_t)number * PAGE_LEN;
    size_t len = size > offset ? (size_t)least(PAGE_LEN, size - offset) : 0;
    const uint8_t *page = file->pages[number];
    for (size_t done = 0; done < len;) {
        ssize_t written = syscall(SYS_pwrite64, file->fd, page + done, len - done, (off_t)(offset + done));
        if (written < 0) {
            return -1;
        }
        done += (size_t)written;
    }
    return 0;
}

int unsynced_file_flush(struct unsynced_file *file)
{
    struct stat info;
    if (file->end == 0) {
        return 0;
    }
    if (syscall(SYS_fstat, file->fd, &info) != 0) {
        return -1;
    }
    uint64_t size = unsynced_file_size(file, (uint64_t)info.st_size);
    for (size_t i = 0; i < file->pages_len; i++) {
        if (file->pages[i] != NULL && page_flush(file, i, size) != 0) {
            return -1;
        }
    }
    unsynced_file_forget(file);
    return 0;
}

void unsynced_file_forget(struct unsynced_file *file)
{
    for (size_t i = 0; i < file->pages_len; i++) {
        page_forget(file, i);
    }
    free(file->pages);
    file->pages = NULL;
    file->pages_len = 0;
    file->end = 0;
    if (file->fd >= 0) {
        (void)syscall(SYS_close, file->fd);
        file->fd = -1;
    }
}
