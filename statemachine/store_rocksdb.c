/* The store of a real node: what it asks of RocksDB, and how it lives with a full disk.
 *
 * RocksDB's write-ahead log is off: the Raft log is the log. A checkpoint is one write batch, which goes into one
 * memtable whole, followed by a flush that makes it durable: after a crash RocksDB has whole batches only. There is one
 * column family, because a flush of several is not atomic through the C API.
 *
 * A full disk. After a flush or a compaction that found no space RocksDB refuses all writes. It does recover by itself
 * (its SstFileManager looks for free space every five seconds), but at a time of its own choosing, and afterwards it says
 * of flushes that they are done when they have only begun (measured with 7.8). So it is not waited for: a write that
 * would not fit is not begun, and after one that failed the database is closed and opened anew before the next. While it
 * is closed, and for as long as it cannot be opened for lack of space, a second one that only reads stands in. */

#define _POSIX_C_SOURCE 200809L /* Locks, strdup(). */

#include "statemachine/store_rocksdb.h"

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "statemachine/ballast.h"
#include "statemachine/store_rocksdb_options.h"

#define BLOCK_CACHE_LEN_DEFAULT (16 * MIB)
/* What a write needs of the disk besides its rows: table index and filter, a manifest, the files of a database that is
 * opened. */
#define ROOM_FOR_FILES (4 * MIB)

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
    rocksdb_writeoptions_t *write_options;
    rocksdb_readoptions_t *read_options;
    rocksdb_flushoptions_t *flush_options;
};

static struct store_rocksdb *store_rocksdb_of(struct store *store)
{
    return container_of(store, struct store_rocksdb, store);
}

/* RocksDB's C API gives errors as text: "Corruption: ...", "IO error: No space left on device: ...", "Invalid argument:
 * Directory exists". Frees the text. */
static int store_rocksdb_error(char *text)
{
    int err = ERR_IO;
    if (strncmp(text, "Corruption", 10) == 0) {
        err = ERR_CORRUPT;
    } else if (strstr(text, "No space left") != NULL) {
        err = ERR_NO_SPACE;
    } else if (strcmp(text, "Invalid argument: Directory exists") == 0) {
        err = ERR_EXISTS;
    } else if (strstr(text, "lock ") != NULL) {
        err = ERR_LOCKED;
    }
    rocksdb_free(text);
    return err;
}

/* The batch has one value for a row: head and body are joined by its vectored put. */
static void store_rocksdb_put(rocksdb_writebatch_t *batch, const struct store_change *change)
{
    const char *keys[1] = {(const char *)change->key.data};
    const size_t key_lens[1] = {change->key.len};
    const char *values[2] = {(const char *)change->value.data, (const char *)change->value2.data};
    const size_t value_lens[2] = {change->value.len, change->value2.len};
    rocksdb_writebatch_putv(batch, 1, keys, key_lens, change->value2.len > 0 ? 2 : 1, values, value_lens);
}

static void store_rocksdb_add(rocksdb_writebatch_t *batch, const struct store_change *change)
{
    const char *key = (const char *)change->key.data;
    switch (change->kind) {
    case STORE_PUT: store_rocksdb_put(batch, change); break;
    case STORE_DELETE: rocksdb_writebatch_delete(batch, key, change->key.len); break;
    case STORE_DELETE_RANGE:
        rocksdb_writebatch_delete_range(batch, key, change->key.len, (const char *)change->value.data,
                                        change->value.len);
        break;
    }
}

/* Whether a flush is really done: a memtable leaves its list after file and manifest are synced. ERR_BUSY: it is not,
 * because RocksDB has recovered from an error meanwhile. */
static int store_rocksdb_check_flushed(struct store_rocksdb *store)
{
    uint64_t waiting = 1;
    uint64_t active = 1;
    if (rocksdb_property_int(store->db, "rocksdb.num-immutable-mem-table", &waiting) != 0 ||
        rocksdb_property_int(store->db, "rocksdb.num-entries-active-mem-table", &active) != 0) {
        return ERR_SYSTEM;
    }
    return waiting == 0 && active == 0 ? 0 : ERR_BUSY;
}

/* What RocksDB's own threads have met since it was opened, such as a compaction that found no space. */
static bool store_rocksdb_failed(const struct store_rocksdb *store)
{
    uint64_t errors = 0;
    return store->failed || store->read_only ||
           rocksdb_property_int(store->db, "rocksdb.background-errors", &errors) != 0 || errors > 0;
}

/* Puts one that only reads, which needs neither space nor the directory's lock, in the place of the present one. That one
 * must not recover meanwhile, and end a compaction: it would delete the files that the other has just found. */
static int store_rocksdb_stand_in(struct store_rocksdb *store)
{
    char *error = NULL;
    rocksdb_t *old = store->db;
    rocksdb_cancel_all_background_work(old, 1);
    rocksdb_t *db = rocksdb_open_for_read_only(store->options, store->path, 0, &error);
    if (error != NULL) {
        return store_rocksdb_error(error);
    }
    pthread_rwlock_wrlock(&store->lock);
    store->db = db;
    store->read_only = true;
    pthread_rwlock_unlock(&store->lock);
    rocksdb_close(old);
    return 0;
}

/* Nobody reads meanwhile: as soon as it is open, RocksDB may compact and delete files that the one that only reads still
 * uses. */
static int store_rocksdb_reopen(struct store_rocksdb *store)
{
    int err = store->read_only ? 0 : store_rocksdb_stand_in(store);
    if (err != 0) {
        return err;
    }
    char *error = NULL;
    rocksdb_t *old = store->db;
    pthread_rwlock_wrlock(&store->lock);
    rocksdb_t *db = rocksdb_open(store->options, store->path, &error);
    if (error == NULL) {
        store->db = db;
        store->read_only = false;
    }
    pthread_rwlock_unlock(&store->lock);
    if (error != NULL) {
        return store_rocksdb_error(error);
    }
    rocksdb_close(old);
    store->failed = false;
    return 0;
}

static int store_rocksdb_attempt(struct store_rocksdb *store, rocksdb_writebatch_t *batch)
{
    int err = store_rocksdb_failed(store) ? store_rocksdb_reopen(store) : 0;
    if (err != 0) {
        return err;
    }
    char *error = NULL;
    rocksdb_write(store->db, store->write_options, batch, &error);
    if (error == NULL) {
        rocksdb_flush(store->db, store->flush_options, &error);
    }
    err = error != NULL ? store_rocksdb_error(error) : store_rocksdb_check_flushed(store);
    store->failed = err != 0;
    return err;
}

static int store_rocksdb_write(struct store *base, const struct store_change *changes, size_t count)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    uint64_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += changes[i].key.len + changes[i].value.len + changes[i].value2.len;
    }
    if (!ballast_make_room(&store->ballast, len + ROOM_FOR_FILES)) {
        return ERR_NO_SPACE;
    }
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++) {
        store_rocksdb_add(batch, &changes[i]);
    }
    int err = store_rocksdb_attempt(store, batch);
    if (err == ERR_BUSY) {
        err = store_rocksdb_attempt(store, batch);
    }
    rocksdb_writebatch_destroy(batch);
    ballast_take(&store->ballast);
    return err == ERR_BUSY ? ERR_IO : err;
}

static int store_rocksdb_get_locked(struct store_rocksdb *store, const void *key, size_t key_len,
                                    struct slice *ret_value)
{
    char *error = NULL;
    rocksdb_pinnableslice_t *pinned = rocksdb_get_pinned(store->db, store->read_options, key, key_len, &error);
    if (error != NULL) {
        return store_rocksdb_error(error);
    }
    if (pinned == NULL) {
        return ERR_NOT_FOUND;
    }
    size_t len;
    const char *data = rocksdb_pinnableslice_value(pinned, &len);
    int err = slice_copy(data, len, ret_value);
    rocksdb_pinnableslice_destroy(pinned);
    return err;
}

static int store_rocksdb_get(struct store *base, const void *key, size_t key_len, struct slice *ret_value)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    pthread_rwlock_rdlock(&store->lock);
    int err = store_rocksdb_get_locked(store, key, key_len, ret_value);
    pthread_rwlock_unlock(&store->lock);
    return err;
}

static int store_rocksdb_each(rocksdb_iterator_t *iterator, struct slice end,
                              int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    for (; rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
        size_t key_len;
        size_t value_len;
        const char *key = rocksdb_iter_key(iterator, &key_len);
        size_t common = key_len < end.len ? key_len : end.len;
        int order = memcmp(key, end.data, common);
        if (order > 0 || (order == 0 && key_len >= end.len)) {
            return 0;
        }
        const char *value = rocksdb_iter_value(iterator, &value_len);
        int err = each(arg, (struct slice){.data = (const uint8_t *)key, .len = key_len},
                       (struct slice){.data = (const uint8_t *)value, .len = value_len});
        if (err != 0) {
            return err;
        }
    }
    char *error = NULL;
    rocksdb_iter_get_error(iterator, &error);
    return error != NULL ? store_rocksdb_error(error) : 0;
}

static int store_rocksdb_scan(struct store *base, struct slice first, struct slice end,
                              int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    pthread_rwlock_rdlock(&store->lock);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, store->read_options);
    rocksdb_iter_seek(iterator, (const char *)first.data, first.len);
    int err = store_rocksdb_each(iterator, end, each, arg);
    rocksdb_iter_destroy(iterator);
    pthread_rwlock_unlock(&store->lock);
    return err;
}

/* The path of that name beside the store's own directory. NULL: out of memory. */
static char *store_rocksdb_beside(const struct store_rocksdb *store, const char *name)
{
    const char *slash = strrchr(store->path, '/');
    CHECK(strchr(name, '/') == NULL && (slash == NULL || slash[1] != '\0'));
    size_t dir_len = slash == NULL ? 0 : (size_t)(slash + 1 - store->path);
    char *path = malloc(dir_len + strlen(name) + 1);
    if (path != NULL) {
        memcpy(path, store->path, dir_len);
        memcpy(path + dir_len, name, strlen(name) + 1);
    }
    return path;
}

/* What a write that failed has left in memory is not copied: the database is opened anew before. Otherwise RocksDB's memory
 * is empty here, and its flush before the copy, which must be asked for, has nothing to do: without one it would take its
 * own log instead, which is off. */
static int store_rocksdb_copy(struct store *base, const char *name)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    int err = store_rocksdb_failed(store) ? store_rocksdb_reopen(store) : 0;
    char *path = err == 0 ? store_rocksdb_beside(store, name) : NULL;
    if (path == NULL) {
        return err == 0 ? ERR_NOMEM : err;
    }
    char *error = NULL;
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(store->db, &error);
    if (error == NULL) {
        rocksdb_checkpoint_create(checkpoint, path, 0, &error);
        rocksdb_checkpoint_object_destroy(checkpoint);
    }
    free(path);
    return error == NULL ? 0 : store_rocksdb_error(error);
}

static void store_rocksdb_free(struct store_rocksdb *store)
{
    if (store->db != NULL) {
        rocksdb_close(store->db);
    }
    rocksdb_flushoptions_destroy(store->flush_options);
    rocksdb_readoptions_destroy(store->read_options);
    rocksdb_writeoptions_destroy(store->write_options);
    if (store->options != NULL) {
        rocksdb_options_destroy(store->options);
    }
    rocksdb_cache_destroy(store->cache);
    (void)pthread_rwlock_destroy(&store->lock);
    ballast_done(&store->ballast);
    free(store->path);
    free(store);
}

static void store_rocksdb_close(struct store *base)
{
    store_rocksdb_free(store_rocksdb_of(base));
}

static const struct store_ops store_rocksdb_ops = {
    .write = store_rocksdb_write,
    .get = store_rocksdb_get,
    .scan = store_rocksdb_scan,
    .copy = store_rocksdb_copy,
    .close = store_rocksdb_close,
};

/* Everything but the database itself. ERR_INVALID: this RocksDB does not know an option that is needed. */
static int store_rocksdb_prepare(struct store_rocksdb *store, const struct store_rocksdb_options *options,
                                 char **ret_error)
{
    store->store.ops = &store_rocksdb_ops;
    store->cache =
        rocksdb_cache_create_lru(options->block_cache_len > 0 ? options->block_cache_len : BLOCK_CACHE_LEN_DEFAULT);
    store->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(store->write_options, 1);
    store->read_options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(store->read_options, 1);
    store->flush_options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(store->flush_options, 1);

    return store_rocksdb_options_make(options->direct, store->cache, &store->options, ret_error);
}

/* A full disk must not keep a node from starting: what it has can be read. ERR_NO_SPACE: there is no database yet. */
static int store_rocksdb_open_db(struct store_rocksdb *store, char *detail, size_t detail_len)
{
    char *error = NULL;
    store->db = rocksdb_open(store->options, store->path, &error);
    if (error == NULL) {
        return 0;
    }
    (void)snprintf(detail, detail_len, "%s: %s", store->path, error);
    int err = store_rocksdb_error(error);
    if (err != ERR_NO_SPACE) {
        return err;
    }
    error = NULL;
    store->db = rocksdb_open_for_read_only(store->options, store->path, 0, &error);
    store->read_only = true;
    if (error != NULL) {
        rocksdb_free(error);
        return ERR_NO_SPACE;
    }
    return 0;
}

static int store_rocksdb_new(const struct store_rocksdb_options *options, struct store_rocksdb **ret_store)
{
    struct store_rocksdb *store = calloc(1, sizeof *store);
    char *path = strdup(options->path);
    if (store == NULL || path == NULL || pthread_rwlock_init(&store->lock, NULL) != 0) {
        free(store);
        free(path);
        return ERR_NOMEM;
    }
    if (ballast_init(&store->ballast, path) != 0) {
        (void)pthread_rwlock_destroy(&store->lock);
        free(store);
        free(path);
        return ERR_NOMEM;
    }
    store->path = path;
    *ret_store = store;
    return 0;
}

int store_rocksdb_open(const struct store_rocksdb_options *options, struct store **ret_store, char *detail,
                       size_t detail_len)
{
    struct store_rocksdb *store;
    int err = store_rocksdb_new(options, &store);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: %s", options->path, err_text(err));
        return err;
    }
    char *error = NULL;
    err = store_rocksdb_prepare(store, options, &error);
    if (error != NULL) {
        (void)snprintf(detail, detail_len, "%s: %s", options->path, error);
        rocksdb_free(error);
    }
    if (err == 0) {
        err = store_rocksdb_open_db(store, detail, detail_len);
    }
    if (err != 0) {
        store_rocksdb_free(store);
        return err;
    }
    *ret_store = &store->store;
    return 0;
}
