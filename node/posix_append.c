/* What append() writes: past the system's cache where the file system can do that (O_DIRECT), and through it elsewhere.
 *
 * Past the cache a batch of 64 KiB costs the processor a third of what it costs through it: no pages are found for it,
 * locked, marked and written back. What is appended is rarely read again soon: who does read it, does so through
 * the cache, which the system keeps consistent. The system asks of such a write that its memory, offset and length are
 * multiples of what the device writes at once. So the vectors are copied into a buffer of the writing thread, and what
 * does not fit these rules is written through the cache. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/posix_disk_private.h"
#include "proto/base/limits.h"

#define STAGING_LEN (1 * MIB)
#define STAGING_ALIGN 4096u
/* The least that any device writes at once. One that writes more refuses what is no multiple of that. */
#define SECTOR_LEN 512u

/* The file that this is tried with has no name. */
static bool takes_direct_writes(int root_fd)
{
    int fd = openat(root_fd, ".", O_TMPFILE | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

int posix_staging_init(struct posix_staging *staging, int root_fd)
{
    void *data = NULL;
    if (!takes_direct_writes(root_fd)) {
        return 0;
    }
    if (posix_memalign(&data, STAGING_ALIGN, STAGING_LEN) != 0) {
        return ERR_NOMEM;
    }
    *staging = (struct posix_staging){.data = data};
    return 0;
}

void posix_staging_done(struct posix_staging *staging)
{
    free(staging->data);
    staging->data = NULL;
}

/* Writes what has been gathered. The system's number of the error, or 0. */
static int staging_write(struct posix_staging *staging, int fd, uint64_t *offset)
{
    for (size_t done = 0; done < staging->len;) {
        ssize_t written = pwrite(fd, staging->data + done, staging->len - done, (off_t)*offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? errno : EIO;
        }
        done += (size_t)written;
        *offset += (uint64_t)written;
    }
    staging->len = 0;
    return 0;
}

static int write_direct(struct posix_staging *staging, int fd, const struct disk_append *append)
{
    uint64_t offset = append->offset;
    staging->len = 0;
    for (unsigned i = 0; i < append->vectors_len; i++) {
        const uint8_t *data = append->vectors[i].data;
        for (size_t left = append->vectors[i].len; left > 0;) {
            size_t room = STAGING_LEN - staging->len;
            size_t part = left < room ? left : room;
            memcpy(staging->data + staging->len, data, part);
            staging->len += part;
            data += part;
            left -= part;
            int number = staging->len == STAGING_LEN ? staging_write(staging, fd, &offset) : 0;
            if (number != 0) {
                return number;
            }
        }
    }
    return staging_write(staging, fd, &offset);
}

static bool fits_sectors(const struct disk_append *append)
{
    uint64_t len = 0;
    for (unsigned i = 0; i < append->vectors_len; i++) {
        len += append->vectors[i].len;
    }
    return append->offset % SECTOR_LEN == 0 && len % SECTOR_LEN == 0;
}

/* The file once more, for writing past the cache; -1 where that cannot be had. */
static int direct_fd(struct posix_disk *disk, struct posix_file *file)
{
    if (disk->staging.data == NULL || disk->staging.refused || file->read_only) {
        return -1;
    }
    if (file->direct_fd < 0) {
        file->direct_fd = openat(disk->root_fd, file->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
    }
    return file->direct_fd;
}

/* Where zeroes cannot be written past the cache there are none: the cache would hold all of them. */
static int write_zeroes(struct posix_disk *disk, const struct disk_append *append)
{
    struct posix_file *file = posix_file_of(append->file);
    struct posix_staging *staging = &disk->staging;
    uint64_t offset = append->offset;
    if (direct_fd(disk, file) < 0) {
        return 0;
    }
    memset(staging->data, 0, append->zeroes_len < STAGING_LEN ? (size_t)append->zeroes_len : STAGING_LEN);
    for (uint64_t left = append->zeroes_len; left > 0; left = append->offset + append->zeroes_len - offset) {
        staging->len = left < STAGING_LEN ? (size_t)left : STAGING_LEN;
        int number = staging_write(staging, file->direct_fd, &offset);
        if (number == EINVAL || number == ENOSPC) {
            return 0; /* Another time, or never: nothing depends on it. */
        }
        if (number != 0) {
            return posix_file_failed(file, "write", number);
        }
    }
    return 0;
}

int posix_append_write(struct posix_disk *disk, const struct disk_append *append)
{
    struct posix_file *file = posix_file_of(append->file);
    if (append->zeroes_len > 0) {
        return write_zeroes(disk, append);
    }
    int fd = fits_sectors(append) ? direct_fd(disk, file) : -1;
    if (fd >= 0) {
        int number = write_direct(&disk->staging, fd, append);
        if (number != EINVAL) {
            return number == 0 ? 0 : posix_file_failed(file, "write", number);
        }
        disk->staging.refused = true;
    }
    return posix_write_vectors(file, append->offset, append->vectors, append->vectors_len);
}
