/* The disk, as the log and the files of a node see it. node/ implements it with files and threads; the simulator with
 * memory that forgets, in a crash, what was not synced.
 *
 * Paths are relative to the disk's root, with '/' between parts, and never contain "..". Offsets and lengths are bytes.
 * Errors: ERR_IO, ERR_NO_SPACE, ERR_NOT_FOUND, ERR_NOMEM, ERR_LOCKED; of open() and read() also ERR_CORRUPT: what is stored
 * cannot be read, or what has the name is no file: damage, as a wrong checksum is. A write or sync that fails is not that. */

#ifndef HOLDFAST_PROTO_BASE_DISK_H
#define HOLDFAST_PROTO_BASE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct disk;
struct disk_file;
struct disk_append;
struct disk_task;

enum disk_open_flag {
    DISK_READ_ONLY = 1,
    DISK_CREATE = 2,    /* Create when missing; the directory entry is durable after sync_dir(). */
    DISK_EXCLUSIVE = 4, /* With DISK_CREATE: ERR_EXISTS when it is there. */
    /* With DISK_READ_ONLY: what is read comes from the device and not from the system's cache, as far as that can be had, and
     * does not stay there. */
    DISK_UNCACHED = 8,
};

struct disk_vector {
    const void *data;
    size_t len;
};

struct disk_ops {
    /* Synchronous; for start-up and for the rare, short writes that must come first (term and vote). */
    int (*make_dir)(struct disk *disk, const char *path); /* Parents too; 0 when it exists. */
    int (*list)(struct disk *disk, const char *path, void (*each)(void *arg, const char *name),
                void *arg); /* Sorted. */
    int (*open)(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file);
    void (*close)(struct disk_file *file);
    int (*size)(struct disk_file *file, uint64_t *ret_size);
    int (*read)(struct disk_file *file, uint64_t offset, void *data, size_t len,
                size_t *ret_read);                                                       /* Short at the end. */
    int (*write)(struct disk_file *file, uint64_t offset, const void *data, size_t len); /* Not durable before sync. */
    int (*sync)(struct disk_file *file);
    int (*allocate)(struct disk_file *file, uint64_t size); /* Reserves and zero-fills; does not shrink. */
    int (*truncate)(struct disk_file *file, uint64_t size);
    /* Atomic; durable after sync_dir(). Both also take away an empty directory that is where a file belongs. */
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*remove)(struct disk *disk, const char *path);
    int (*remove_dir)(struct disk *disk, const char *path); /* An empty one; durable as removing a file is. */
    int (*sync_dir)(struct disk *disk, const char *path);
    int (*free_space)(struct disk *disk, uint64_t *ret_free); /* Bytes that files of this disk may still take. */

    /* Asynchronous: the vectors are written one after the other at the offset and then synced, off the loop; `done` is
     * called on the loop, never from within the call. The file, the vectors and what they point to must live until
     * then. Appends to one disk complete in the order in which they were given. */
    void (*append)(struct disk *disk, struct disk_append *append);

    /* Asynchronous: `run` on a thread other than the loop's (preallocation, checkpoints), then `done` on the loop. `run`
     * may use the synchronous calls above. */
    void (*offload)(struct disk *disk, struct disk_task *task);
};

struct disk {
    const struct disk_ops *ops;
};

/* Implementations embed this at the start of their own struct. */
struct disk_file {
    struct disk *disk;
};

struct disk_append {
    struct disk_file *file;
    uint64_t offset;
    const struct disk_vector *vectors;
    unsigned vectors_len;
    /* Instead of vectors: so many zeroes, where the file reads as zeroes, so that the file system need not change its map
     * when something is written there later. A disk to which that makes no difference leaves it out. */
    uint64_t zeroes_len;
    bool skip_sync; /* Call `done` without having synced: zeroes, and a fault hook that shows what syncs are for. */
    void (*done)(struct disk_append *append, int err);
    void *private_data[8]; /* For the implementation. */
};

struct disk_task {
    int (*run)(struct disk_task *task); /* Off the loop. */
    void (*done)(struct disk_task *task, int err);
    void *private_data[8];
};

#endif
