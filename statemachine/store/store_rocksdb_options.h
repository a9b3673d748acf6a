/* How the store sets up RocksDB. */

#ifndef HOLDFAST_STATEMACHINE_STORE_STORE_ROCKSDB_OPTIONS_H
#define HOLDFAST_STATEMACHINE_STORE_STORE_ROCKSDB_OPTIONS_H

#include <rocksdb/c.h>
#include <stdbool.h>

#include "proto/base/err.h"

/* The options for a database with blocks cached in `cache`; to be destroyed by the caller, also on error. `direct`: as in
 * store_rocksdb_options.
 * ERR_INVALID: this RocksDB does not know one that is needed; `ret_error` is its text, to be freed by rocksdb_free(). */
int store_rocksdb_options_make(bool direct, rocksdb_cache_t *cache, rocksdb_options_t **ret_options,
                               char **ret_error) NODISCARD;

#endif
