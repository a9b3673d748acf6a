/* A store of the machine in memory, for the simulator and for tests.
 *
 * The rows belong to a `store_memory_disk` that outlives the store, so that a simulated node can crash and open it
 * again: every write is atomic and durable at once. One thread only. */

#ifndef HOLDFAST_CHAOS_TESTS_SIM_STORE_MEMORY_H
#define HOLDFAST_CHAOS_TESTS_SIM_STORE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/disk.h"
#include "statemachine/store/store.h"

struct store_memory_disk;

/* NULL when out of memory. */
struct store_memory_disk *store_memory_disk_new(void);
/* No store may be open on it. NULL is allowed. */
void store_memory_disk_free(struct store_memory_disk *disk);

/* The store that is open on it, if one is, will never be closed: its process has ended in the middle of something. */
void store_memory_disk_abandon(struct store_memory_disk *disk);

/* Opens a store on the disk, which must not be in use. ERR_NOMEM, ERR_LOCKED. */
int store_memory_open(struct store_memory_disk *disk, struct store **ret_store) NODISCARD;

/* Drops all rows, as when a disk is lost or a snapshot is about to replace them. */
void store_memory_disk_wipe(struct store_memory_disk *disk);

/* Copies all rows of another disk into this one, which is wiped first. ERR_NOMEM leaves it wiped. */
int store_memory_disk_copy(struct store_memory_disk *disk, struct store_memory_disk *from) NODISCARD;

/* Where the store's copies go: directories of `dir` of that disk (borrowed, with the text), each with one file of rows, which
 * take space there and are synced. */
void store_memory_disk_set_files(struct store_memory_disk *disk, struct disk *files, const char *dir);

/* Replaces all rows by those of the copy in the directory `path` of `files`. No store may be open on the disk. ERR_CORRUPT,
 * ERR_NOT_FOUND, ERR_NOMEM, ERR_IO: nothing was replaced. */
int store_memory_disk_load(struct store_memory_disk *disk, struct disk *files, const char *path) NODISCARD;

/* Opens the copy in the directory `path` of `files` as a store of its own, to be read. As store_memory_disk_load(). */
int store_memory_open_copy(struct disk *files, const char *path, struct store **ret_store) NODISCARD;

/* The next write fails with `err` and changes nothing. */
void store_memory_disk_fail_write(struct store_memory_disk *disk, int err);

/* Where its space comes from: a write that adds more than `room` gives fails with ERR_NO_SPACE and changes nothing. */
void store_memory_disk_share(struct store_memory_disk *disk, uint64_t (*room)(void *arg), void *arg);
/* What the rows take, and how often there was no space. */
uint64_t store_memory_disk_bytes(const struct store_memory_disk *disk);
uint64_t store_memory_disk_refused(const struct store_memory_disk *disk);

/* Flips a bit of the value of the `nth` row (modulo their number). ERR_NOT_FOUND when there are no rows. */
int store_memory_disk_flip(struct store_memory_disk *disk, uint64_t nth) NODISCARD;

size_t store_memory_disk_rows(const struct store_memory_disk *disk);

#endif
