/* Small files that are replaced as a whole, on the disk that a node is given: after a crash the old content is there or the new
 * one, never a mixture. `dir` is relative to the disk's root. Synchronous. Errors are those of the disk. */

#ifndef HOLDFAST_NODE_CORE_SMALL_FILE_H
#define HOLDFAST_NODE_CORE_SMALL_FILE_H

#include <stddef.h>

#include "proto/base/disk.h"
#include "proto/base/err.h"

/* Reads at most `size` bytes. What was read is durable when this returns: the process that wrote it may have died before its
 * name was, and what is built upon it now must not outlive it. ERR_NOT_FOUND. */
int small_file_read(struct disk *disk, const char *dir, const char *name, void *out, size_t size,
                    size_t *ret_len) NODISCARD;

/* Opens the file at `path` to be written in place, made when it is missing. What has the name and is no file makes way. */
int small_file_open(struct disk *disk, const char *path, struct disk_file **ret_file) NODISCARD;

/* Has the disk give the space now for what is to replace the file: at most `len` bytes, once, even if the disk is full then.
 * Leaves the file `name.new` there. A crash may undo it. */
int small_file_reserve(struct disk *disk, const char *dir, const char *name, size_t len) NODISCARD;

/* Durable when it returns 0. After an error the old content is there, or the new one. */
int small_file_replace(struct disk *disk, const char *dir, const char *name, const void *bytes, size_t len) NODISCARD;

/* Durable when it returns 0, which it does when there was none too. */
int small_file_remove(struct disk *disk, const char *dir, const char *name) NODISCARD;

#endif
