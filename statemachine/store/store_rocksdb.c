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

#include "statemachine/store/store_rocksdb.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "statemachine/store/store_rocksdb_options.h"
#include "statemachine/store/store_rocksdb_private.h"

#define BLOCK_CACHE_LEN_DEFAULT (16 * MIB)
/* What a write needs of the disk besides its rows: table index and filter, a manifest, the files of a database that is
 * opened. */
#define ROOM_FOR_FILES (4 * MIB)

struct store_rocksdb *store_rocksdb_of(struct store *store)
{
    return container_of(store, struct store_rocksdb, store);
}

/* What RocksDB says when it finds that one of its own files is not there. */
static bool error_is_missing_file(const char *text)
{
    return strstr(text, "No such file") != NULL &&
           (strstr(text, "While open") != NULL || strstr(text, "hile stat a file") != NULL);
}

/* RocksDB's C API gives errors as text: "Corruption: ...", "IO error: No space left on device: ...", "Invalid argument:
 * Directory exists". What cannot be read is damage of what is stored; a write or sync that fails is not. */
static int error_code(const char *text, const char *path)
{
    if (strncmp(text, "Corruption", 10) == 0 || error_is_missing_file(text) || store_rocksdb_unreadable(text, path)) {
        return ERR_CORRUPT;
    }
    if (strstr(text, "No space left") != NULL) {
        return ERR_NO_SPACE;
    }
    if (strcmp(text, "Invalid argument: Directory exists") == 0) {
        return ERR_EXISTS;
    }
    /* Then it is the process that is short of something, and no disk that fails. */
    if (strstr(text, "Too many open files") != NULL || strstr(text, "Cannot allocate memory") != NULL) {
        return ERR_NOMEM;
    }
    return strstr(text, "lock file") != NULL || strstr(text, "lock hold by") != NULL ? ERR_LOCKED : ERR_IO;
}

int store_rocksdb_error(struct store_rocksdb *store, char *text)
{
    int err = error_code(text, store->path);
    bool named = strstr(text, store->path) != NULL;
    (void)pthread_mutex_lock(&store->said_lock);
    (void)snprintf(store->said, sizeof store->said, "%s%s%s", named ? "" : store->path, named ? "" : ": ", text);
    (void)pthread_mutex_unlock(&store->said_lock);
    rocksdb_free(text);
    return err;
}

static void store_rocksdb_explain(struct store *base, char *text, size_t text_len)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    (void)pthread_mutex_lock(&store->said_lock);
    (void)snprintf(text, text_len, "%s", store->said);
    (void)pthread_mutex_unlock(&store->said_lock);
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
        return store_rocksdb_error(store, error);
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
        return store_rocksdb_error(store, error);
    }
    rocksdb_close(old);
    store->failed = false;
    return 0;
}

/* A compaction that meets damage stops all writes; to open the database anew would only forget it. A write without rows
 * does nothing but say why RocksDB takes none. */
int store_rocksdb_check_damage(struct store_rocksdb *store)
{
    if (store->read_only || !store_rocksdb_failed(store)) {
        return 0;
    }
    char *error = NULL;
    rocksdb_writebatch_t *nothing = rocksdb_writebatch_create();
    rocksdb_write(store->db, store->write_options, nothing, &error);
    rocksdb_writebatch_destroy(nothing);
    int err = error != NULL ? store_rocksdb_error(store, error) : 0;
    return err == ERR_CORRUPT ? ERR_CORRUPT : 0;
}

/* Opens the database anew, if there is a reason to, and the reason is not damage. */
static int store_rocksdb_recover(struct store_rocksdb *store)
{
    if (!store_rocksdb_failed(store)) {
        return 0;
    }
    int err = store_rocksdb_check_damage(store);
    return err != 0 ? err : store_rocksdb_reopen(store);
}

static int store_rocksdb_attempt(struct store_rocksdb *store, rocksdb_writebatch_t *batch)
{
    int err = store_rocksdb_recover(store);
    if (err != 0) {
        return err;
    }
    char *error = NULL;
    rocksdb_write(store->db, store->write_options, batch, &error);
    if (error == NULL) {
        rocksdb_flush(store->db, store->flush_options, &error);
    }
    err = error != NULL ? store_rocksdb_error(store, error) : store_rocksdb_check_flushed(store);
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
        return store_rocksdb_error(store, error);
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

static struct slice store_rocksdb_key(const rocksdb_iterator_t *iterator)
{
    size_t len;
    const char *key = rocksdb_iter_key(iterator, &len);
    return (struct slice){.data = (const uint8_t *)key, .len = len};
}

static bool key_is_before(struct slice key, struct slice other)
{
    int order = memcmp(key.data, other.data, key.len < other.len ? key.len : other.len);
    return order < 0 || (order == 0 && key.len < other.len);
}

/* From where the iterator is to the end of the range, forwards or back. */
static int store_rocksdb_each(struct store_rocksdb *store, rocksdb_iterator_t *iterator, struct slice first,
                              struct slice end, void (*step)(rocksdb_iterator_t *iterator),
                              int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    for (; rocksdb_iter_valid(iterator); step(iterator)) {
        struct slice key = store_rocksdb_key(iterator);
        if (key_is_before(key, first) || !key_is_before(key, end)) {
            return 0;
        }
        size_t value_len;
        const char *value = rocksdb_iter_value(iterator, &value_len);
        int err = each(arg, key, (struct slice){.data = (const uint8_t *)value, .len = value_len});
        if (err != 0) {
            return err;
        }
    }
    char *error = NULL;
    rocksdb_iter_get_error(iterator, &error);
    return error != NULL ? store_rocksdb_error(store, error) : 0;
}

static int store_rocksdb_scan(struct store *base, struct slice first, struct slice end,
                              int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    pthread_rwlock_rdlock(&store->lock);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, store->read_options);
    rocksdb_iter_seek(iterator, (const char *)first.data, first.len);
    int err = store_rocksdb_each(store, iterator, first, end, rocksdb_iter_next, each, arg);
    rocksdb_iter_destroy(iterator);
    pthread_rwlock_unlock(&store->lock);
    return err;
}

/* RocksDB goes to the last row at or before a key, and the end is not in the range. */
static int store_rocksdb_scan_back(struct store *base, struct slice first, struct slice end,
                                   int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    pthread_rwlock_rdlock(&store->lock);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, store->read_options);
    rocksdb_iter_seek_for_prev(iterator, (const char *)end.data, end.len);
    if (rocksdb_iter_valid(iterator) && !key_is_before(store_rocksdb_key(iterator), end)) {
        rocksdb_iter_prev(iterator);
    }
    int err = store_rocksdb_each(store, iterator, first, end, rocksdb_iter_prev, each, arg);
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
    int err = store_rocksdb_recover(store);
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
    return error == NULL ? 0 : store_rocksdb_error(store, error);
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
    (void)pthread_mutex_destroy(&store->said_lock);
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
    .scan_back = store_rocksdb_scan_back,
    .copy = store_rocksdb_copy,
    .scrub = store_rocksdb_scrub,
    .explain = store_rocksdb_explain,
    .close = store_rocksdb_close,
};

/* Everything but the database itself. ERR_INVALID: this RocksDB does not know an option that is needed. */
static int store_rocksdb_prepare(struct store_rocksdb *store, const struct store_rocksdb_options *options,
                                 char **ret_error)
{
    store->store.ops = &store_rocksdb_ops;
    store->cache_len = options->block_cache_len > 0 ? options->block_cache_len : BLOCK_CACHE_LEN_DEFAULT;
    store->cache = rocksdb_cache_create_lru(store->cache_len);
    store->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(store->write_options, 1);
    store->read_options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(store->read_options, 1);
    store->flush_options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(store->flush_options, 1);

    return store_rocksdb_options_make(options->direct, store->cache, &store->options, ret_error);
}

/* A full disk must not keep a node from starting: what it has can be read. ERR_NO_SPACE: there is no database yet. */
static int store_rocksdb_open_db(struct store_rocksdb *store, bool read_only, char *detail, size_t detail_len)
{
    char *error = NULL;
    store->read_only = read_only;
    store->db = read_only ? rocksdb_open_for_read_only(store->options, store->path, 0, &error)
                          : rocksdb_open(store->options, store->path, &error);
    if (error == NULL) {
        return 0;
    }
    (void)snprintf(detail, detail_len, "%s: %s", store->path, error);
    int err = store_rocksdb_error(store, error);
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
        goto fail;
    }
    if (pthread_mutex_init(&store->said_lock, NULL) != 0) {
        goto fail_lock;
    }
    if (ballast_init(&store->ballast, path) != 0) {
        goto fail_said;
    }
    store->path = path;
    *ret_store = store;
    return 0;

fail_said:
    (void)pthread_mutex_destroy(&store->said_lock);
fail_lock:
    (void)pthread_rwlock_destroy(&store->lock);
fail:
    free(store);
    free(path);
    return ERR_NOMEM;
}

static bool name_ends(const char *name, const char *end)
{
    size_t len = strlen(name);
    return len > strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

/* What RocksDB writes only after it has made CURRENT: rows, a log of its own (which it has, though nothing is written to it), and
 * every manifest but the first. */
static bool name_follows_current(const char *name)
{
    return name_ends(name, ".sst") || name_ends(name, ".blob") || name_ends(name, ".log") ||
           (strncmp(name, "MANIFEST-", 9) == 0 && strcmp(name, "MANIFEST-000001") != 0);
}

/* Without the file CURRENT RocksDB takes a directory for an empty one, and begins anew. Files without it that come after it are
 * damage. (A crash while the first database was made leaves none of them.) */
int store_rocksdb_is_there(const char *path, bool *ret_there, char *detail, size_t detail_len)
{
    *ret_there = false;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return 0; /* There is none; or RocksDB will say what is wrong with it. */
    }
    bool follows = false;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        *ret_there = *ret_there || strcmp(entry->d_name, "CURRENT") == 0;
        follows = follows || name_follows_current(entry->d_name);
    }
    (void)closedir(dir);
    if (*ret_there || !follows) {
        return 0;
    }
    (void)snprintf(detail, detail_len, "%s/CURRENT: the file is missing", path);
    return ERR_CORRUPT;
}

int store_rocksdb_open(const struct store_rocksdb_options *options, struct store **ret_store, char *detail,
                       size_t detail_len)
{
    struct store_rocksdb *store;
    int err = store_rocksdb_check_files(options->path, detail, detail_len);
    if (err != 0) {
        return err;
    }
    err = store_rocksdb_new(options, &store);
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
    bool there;
    if (err == 0) {
        err = store_rocksdb_is_there(options->path, &there, detail, detail_len);
    }
    if (err == 0) {
        err = store_rocksdb_open_db(store, options->read_only, detail, detail_len);
    }
    if (err != 0) {
        store_rocksdb_free(store);
        return err;
    }
    *ret_store = &store->store;
    return 0;
}
