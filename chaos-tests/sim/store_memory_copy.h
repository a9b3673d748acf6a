/* The file that a copy of the store in memory consists of.
 *
 * Little-endian: how many rows there are (8), for each row the length of its key (4), of its value (4), and both; at the
 * end XXH3-64 of all that (8). The rows are in the order of their keys. */

#ifndef HOLDFAST_CHAOS_TESTS_SIM_STORE_MEMORY_COPY_H
#define HOLDFAST_CHAOS_TESTS_SIM_STORE_MEMORY_COPY_H

#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/disk.h"

#define STORE_MEMORY_COPY_NAME "rows"
#define STORE_MEMORY_COPY_PATH_MAX 256u

struct store_memory_copy;

/* Begins a copy of so many rows in the directory `path`, which is made, with its parents. ERR_EXISTS: there is one of that
 * name. Other errors are those of the disk; what was begun stays. */
int store_memory_copy_new(struct disk *disk, const char *path, uint64_t rows,
                          struct store_memory_copy **ret_copy) NODISCARD;
/* Adds the next row. What goes wrong is said by store_memory_copy_finish(). */
void store_memory_copy_add(struct store_memory_copy *copy, struct slice key, struct slice value);
/* Syncs the file and its name in the directory, but not that of the directory, and frees the copy, also on error. */
int store_memory_copy_finish(struct store_memory_copy *copy) NODISCARD;

/* Calls `each` for the rows of the copy in the directory, borrowed for the call, until it returns non-zero, which is then
 * returned. ERR_CORRUPT, said before the first call when the checksum does not match; ERR_NOT_FOUND, ERR_NOMEM, ERR_IO. */
int store_memory_copy_read(struct disk *disk, const char *path,
                           int (*each)(void *arg, struct slice key, struct slice value), void *arg) NODISCARD;

#endif
