/* A place where a store is: a directory for RocksDB, or a disk of the simulator; and small disks, to be filled. */

#ifndef HOLDFAST_STATEMACHINE_TEST_PLACE_H
#define HOLDFAST_STATEMACHINE_TEST_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/sim_disk.h"
#include "sim/store_memory.h"
#include "statemachine/store/store.h"

struct place {
    char root[64];                  /* RocksDB: a directory for this place alone, or a small disk. */
    char dir[80];                   /* The store's directory in it. */
    bool small;                     /* `root` is a small disk. */
    struct store_memory_disk *rows; /* Else NULL. */
    struct sim_disk *files;         /* For the copies of the store in memory. */
    struct store *store;
};

/* The directory of a store in memory, and of its copies. */
#define PLACE_MEMORY_DIR "shard-0"

void place_init(struct place *place, bool memory);
/* RocksDB on a disk of 64 MiB, which this process alone sees; the kernel unmounts it when the process is gone. Nothing is
 * open. */
void place_init_small(struct place *place);
void place_open(struct place *place);
void place_reopen(struct place *place);
void place_done(struct place *place);

/* Whether the file system takes writes past the system's cache. */
bool place_takes_direct_writes(const struct place *place);

/* Takes what is free of the disk, but for `rest` bytes; gives it back. */
void place_fill(const struct place *place, size_t rest);
void place_empty(const struct place *place);

/* A path in `root`. */
void place_path(const struct place *place, const char *name, char ret_path[128]);

/* A directory in `root` and all that is in it. */
void place_remove(const struct place *place, const char *name);

struct slice text(const char *string);

#endif
