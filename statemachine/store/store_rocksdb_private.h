/* What the files of the store on RocksDB share. */

#ifndef HOLDFAST_STATEMACHINE_STORE_STORE_ROCKSDB_PRIVATE_H
#define HOLDFAST_STATEMACHINE_STORE_STORE_ROCKSDB_PRIVATE_H

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdbool.h>

#include "statemachine/store/ballast.h"
#include "statemachine/store/store_rocksdb.h"

struct store_rocksdb {
    struct store store;
    char *path;
    struct ballast ballast;
    pthread_rwlock_t
        lock; /* Around what uses or changes `db` and `read_only`; the writing thread alone changes them. */
    rocksdb_t *db;
    bool read_only; /* `db` stands in for one that could not be opened for lack of space. */
    bool failed;    /* A write has failed: nothing is written before the database is opened anew. */
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    size_t cache_len;
    rocksdb_writeoptions_t *write_options;
    rocksdb_readoptions_t *read_options;
    rocksdb_flushoptions_t *flush_options;
    pthread_mutex_t said_lock;
    char said[512]; /* Under that lock: RocksDB's last error. */
};

struct store_rocksdb *store_rocksdb_of(struct store *store);
/* The code for an error of RocksDB, whose text is kept for store_ops.explain, and freed. */
int store_rocksdb_error(struct store_rocksdb *store, char *text);
/* On the writing thread. ERR_CORRUPT: RocksDB's own threads have met damage. */
int store_rocksdb_check_damage(struct store_rocksdb *store) NODISCARD;

/* store_rocksdb_files.c */
/* Whether an error of RocksDB says that a file in the directory `path` cannot be read, for the device or for not being one. */
bool store_rocksdb_unreadable(const char *text, const char *path);
/* Whether all that has the name of a file of RocksDB's is one: opening a pipe, it would wait for ever. ERR_CORRUPT. */
int store_rocksdb_check_files(const char *path, char *detail, size_t detail_len) NODISCARD;

/* store_rocksdb_scrub.c */
int store_rocksdb_scrub(struct store *base, struct store_scrub *scrub);

#endif
