/* What has been written to a file and not been synced: whole pages in memory, over a file that does not have them.
 *
 * A file is an inode, not a descriptor: what was written through one descriptor is read through another, and stays when
 * all are closed. The caller locks. Sizes and offsets are bytes. What fails sets errno, as the calls do that it stands
 * for; running out of memory ends the process. */

#ifndef HOLDFAST_UNSYNCED_FILE_H
#define HOLDFAST_UNSYNCED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct unsynced_file {
    dev_t device;
    ino_t inode;
    unsigned descriptors; /* Open ones of the program. */
    int fd;               /* Our own while there are pages, or -1: keeps the inode from being reused. */
    uint8_t **pages;      /* By number; NULL: as in the file. */
    size_t pages_len;
    uint64_t end; /* Of the last byte written and not synced; 0: nothing is. */
    struct unsynced_file *next;
};

/* Ends the process with a message: the layer would no longer tell the truth. */
_Noreturn void unsynced_fail(const char *what);

/* The size as the program sees it, given that of the real file. */
uint64_t unsynced_file_size(const struct unsynced_file *file, uint64_t real_size);
/* `fd` is a descriptor of the program for this file, in whatever mode. Never fails. */
void unsynced_file_write(struct unsynced_file *file, int fd, const void *data, size_t len, uint64_t offset);
/* Returns what was read, 0 at the end, or -1. */
ssize_t unsynced_file_read(const struct unsynced_file *file, int fd, void *data, size_t len, uint64_t offset);
/* Forgets what is beyond `size`; the real file is the caller's. */
void unsynced_file_cut(struct unsynced_file *file, uint64_t size);
/* Gives everything to the real file. Returns 0 or -1; on failure everything is kept. */
int unsynced_file_flush(struct unsynced_file *file);
/* Forgets everything. */
void unsynced_file_forget(struct unsynced_file *file);

#endif
