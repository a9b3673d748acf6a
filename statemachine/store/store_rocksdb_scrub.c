/* Reading all of RocksDB's files again.
 *
 * A step has an iterator of its own: one that was kept would keep files that compactions have replaced. It checks blocks and
 * the values that lie in files of their own by RocksDB's checksums.
 *
 * What is in a cache would hide what is on the device. So a pass begins by emptying RocksDB's and asking the system to empty
 * its own: whatever is in them later has been read, and so checked, since then.
 *
 * What iterating does not touch is what was read when a file was opened: the manifest and the ends of tables. Damage there
 * would show at the next start. So a pass begins by opening a second database that only reads, which is then to know as much
 * as this one: RocksDB takes a manifest that ends early for one that was being written, and would go on from an older state. */

#define _POSIX_C_SOURCE 200809L /* Locks. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "statemachine/store/store_rocksdb_private.h"

static void scrub_explain(struct store_rocksdb *store, struct store_scrub *scrub)
{
    store->store.ops->explain(&store->store, scrub->detail, sizeof scrub->detail);
}

/* Compares a database that was opened now with the one in use, which nobody writes to meanwhile. */
static int compare_opened(struct store_rocksdb *store, struct store_scrub *scrub)
{
    char *error = NULL;
    int files_err = store_rocksdb_check_files(store->path, scrub->detail, sizeof scrub->detail);
    if (files_err != 0) {
        return files_err;
    }
    rocksdb_t *second = rocksdb_open_for_read_only(store->options, store->path, 0, &error);
    if (error != NULL) {
        int err = store_rocksdb_error(store, error);
        scrub_explain(store, scrub);
        return err;
    }
    uint64_t has = rocksdb_get_latest_sequence_number(second);
    uint64_t known = rocksdb_get_latest_sequence_number(store->db);
    rocksdb_close(second);
    if (has < known) {
        (void)snprintf(scrub->detail, sizeof scrub->detail,
                       "%s: the manifest ends early: it knows of %llu of %llu changes", store->path,
                       (unsigned long long)has, (unsigned long long)known);
        return ERR_CORRUPT;
    }
    return 0;
}

static bool is_blob_file(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && strcmp(name + len - 5, ".blob") == 0;
}

/* A database opens the files of long values when it needs them. */
static int count_blob_files(struct store_rocksdb *store, struct store_scrub *scrub)
{
    uint64_t known = 0;
    uint64_t there = 0;
    DIR *dir = opendir(store->path);
    if (dir == NULL) {
        (void)snprintf(scrub->detail, sizeof scrub->detail, "%s: the directory cannot be read", store->path);
        return errno == ENOENT ? ERR_CORRUPT : errno == EIO ? ERR_IO : ERR_NOMEM;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        there += is_blob_file(entry->d_name);
    }
    (void)closedir(dir);
    if (rocksdb_property_int(store->db, "rocksdb.num-blob-files", &known) != 0 || there >= known) {
        return 0;
    }
    (void)snprintf(scrub->detail, sizeof scrub->detail, "%s: there are %llu of %llu blob files", store->path,
                   (unsigned long long)there, (unsigned long long)known);
    return ERR_CORRUPT;
}

/* No file that the second one finds may be deleted before it has opened it. */
static int scrub_opening(struct store_rocksdb *store, struct store_scrub *scrub)
{
    char *error = NULL;
    if (store->read_only) {
        return 0; /* It was opened when the other could not be. */
    }
    rocksdb_disable_file_deletions(store->db, &error);
    int err = error == NULL ? compare_opened(store, scrub) : store_rocksdb_error(store, error);
    if (err == 0) {
        err = count_blob_files(store, scrub);
    }
    error = NULL;
    rocksdb_enable_file_deletions(store->db, 0, &error);
    if (error != NULL) {
        int enable_err = store_rocksdb_error(store, error);
        err = err == 0 ? enable_err : err;
    }
    return err;
}

static void drop_file(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        (void)close(fd);
    }
}

/* What cannot be dropped is read from where it is. */
static void drop_caches(const struct store_rocksdb *store)
{
    rocksdb_cache_set_capacity(store->cache, 0);
    rocksdb_cache_set_capacity(store->cache, store->cache_len);
    DIR *dir = opendir(store->path);
    if (dir == NULL) {
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            drop_file(dirfd(dir), entry->d_name);
        }
    }
    (void)closedir(dir);
}

/* What a pass begins with. */
static int scrub_begin(struct store_rocksdb *store, struct store_scrub *scrub)
{
    drop_caches(store);
    return scrub_opening(store, scrub);
}

static uint64_t store_bytes(const struct store_rocksdb *store)
{
    uint64_t tables = 0;
    uint64_t blobs = 0;
    (void)rocksdb_property_int(store->db, "rocksdb.live-sst-files-size", &tables);
    (void)rocksdb_property_int(store->db, "rocksdb.live-blob-file-size", &blobs);
    return tables + blobs;
}

static int scrub_iterate(struct store_rocksdb *store, rocksdb_iterator_t *iterator, struct store_scrub *scrub)
{
    bool any = false;
    for (; rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
        size_t key_len;
        size_t value_len;
        const char *key = rocksdb_iter_key(iterator, &key_len);
        if (any && scrub->bytes >= scrub->bytes_max) {
            return slice_copy(key, key_len, &scrub->next);
        }
        const char *value = rocksdb_iter_value(iterator, &value_len);
        int err = scrub->each(scrub->arg, (struct slice){.data = (const uint8_t *)key, .len = key_len},
                              (struct slice){.data = (const uint8_t *)value, .len = value_len}, scrub->detail,
                              sizeof scrub->detail);
        if (err != 0) {
            return err;
        }
        scrub->bytes += key_len + value_len;
        any = true;
    }
    char *error = NULL;
    rocksdb_iter_get_error(iterator, &error);
    if (error == NULL) {
        return 0;
    }
    int err = store_rocksdb_error(store, error);
    scrub_explain(store, scrub);
    return err;
}

int store_rocksdb_scrub(struct store *base, struct store_scrub *scrub)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    scrub->next = (struct slice){0};
    scrub->bytes = 0;
    scrub->detail[0] = '\0';
    /* This is the writing thread: nobody else changes `db`. */
    int err = store_rocksdb_check_damage(store);
    if (err != 0) {
        scrub_explain(store, scrub);
        return err;
    }
    err = scrub->from.len == 0 ? scrub_begin(store, scrub) : 0;
    if (err != 0) {
        return err;
    }
    scrub->bytes_all = store_bytes(store);
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(options, 1);
    rocksdb_readoptions_set_fill_cache(options, 0);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, options);
    if (scrub->from.len == 0) {
        rocksdb_iter_seek_to_first(iterator);
    } else {
        rocksdb_iter_seek(iterator, (const char *)scrub->from.data, scrub->from.len);
    }
    err = scrub_iterate(store, iterator, scrub);
    rocksdb_iter_destroy(iterator);
    rocksdb_readoptions_destroy(options);
    return err;
}
