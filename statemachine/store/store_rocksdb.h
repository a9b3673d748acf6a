/* The store of a real node: RocksDB, one column family, without RocksDB's own write-ahead log. */

#ifndef HOLDFAST_STATEMACHINE_STORE_STORE_ROCKSDB_H
#define HOLDFAST_STATEMACHINE_STORE_STORE_ROCKSDB_H

#include "statemachine/store/store.h"

struct store_rocksdb_options {
    const char *path;         /* A directory of the file system; created when missing. */
    uint64_t block_cache_len; /* 0: 16 MiB. */
    bool direct;              /* The file system takes writes past the system's cache: use them. */
    bool read_only;           /* For a look at a store that is there: nothing is made or changed. */
};

/* ERR_IO, ERR_CORRUPT, ERR_LOCKED, ERR_NOMEM; ERR_NO_SPACE only where there is no store yet: one that is there is opened
 * on a full disk too, and answers writes with ERR_NO_SPACE until there is room. `detail` gets one line on error. */
int store_rocksdb_open(const struct store_rocksdb_options *options, struct store **ret_store, char *detail,
                       size_t detail_len) NODISCARD;

/* Whether there is a store in that directory, which may not be there either. ERR_CORRUPT: there was one, and files of it are missing;
 * `detail` gets one line. */
int store_rocksdb_is_there(const char *path, bool *ret_there, char *detail, size_t detail_len) NODISCARD;

#endif
