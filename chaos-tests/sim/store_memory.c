/* A store of the machine in memory. */

#include "store_memory.h"

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "store_memory_copy.h"

struct memory_row {
    RB_ENTRY(memory_row) by_key;
    size_t key_len;
    size_t value_len;
    uint8_t *value; /* Behind the key, in the same allocation. */
    const uint8_t *key;
};

RB_HEAD(store_memory_rows, memory_row);

struct store_memory_disk {
    struct store_memory_rows rows;
    size_t rows_len;
    uint64_t bytes;
    uint64_t (*room)(void *arg); /* NULL: without end. */
    void *room_arg;
    struct disk *files; /* For copies. */
    const char *files_dir;
    uint64_t refused;
    bool in_use;
    int fail_write;
};

struct store_memory {
    struct store store;
    struct store_memory_disk *disk;
    bool owns_disk; /* It is a copy, which nobody else has open. */
};

static int key_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t common = a_len < b_len ? a_len : b_len;
    int order = common > 0 ? memcmp(a, b, common) : 0;
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int row_compare(const struct memory_row *a, const struct memory_row *b)
{
    return key_compare(a->key, a->key_len, b->key, b->key_len);
}

RB_PROTOTYPE(store_memory_rows, memory_row, by_key, row_compare)
RB_GENERATE(store_memory_rows, memory_row, by_key, row_compare)

static struct memory_row *row_new(struct slice key, struct slice head, struct slice body)
{
    struct memory_row *row = malloc(sizeof *row + key.len + head.len + body.len + 1);
    if (row == NULL) {
        return NULL;
    }
    uint8_t *data = (uint8_t *)(row + 1);
    memcpy(data, key.data, key.len);
    if (head.len > 0) {
        memcpy(data + key.len, head.data, head.len);
    }
    if (body.len > 0) {
        memcpy(data + key.len + head.len, body.data, body.len);
    }
    row->key = data;
    row->key_len = key.len;
    row->value = data + key.len;
    row->value_len = head.len + body.len;
    return row;
}

static struct memory_row *disk_first_from(struct store_memory_disk *disk, struct slice key)
{
    struct memory_row from = {.key = key.data, .key_len = key.len};
    return RB_NFIND(store_memory_rows, &disk->rows, &from);
}

static bool row_is_before(const struct memory_row *row, struct slice end)
{
    return key_compare(row->key, row->key_len, end.data, end.len) < 0;
}

static void disk_remove(struct store_memory_disk *disk, struct memory_row *row)
{
    RB_REMOVE(store_memory_rows, &disk->rows, row);
    disk->rows_len--;
    disk->bytes -= row->key_len + row->value_len;
    free(row);
}

static void disk_insert(struct store_memory_disk *disk, struct memory_row *row)
{
    struct memory_row *old = RB_FIND(store_memory_rows, &disk->rows, row);
    if (old != NULL) {
        disk_remove(disk, old);
    }
    RB_INSERT(store_memory_rows, &disk->rows, row);
    disk->rows_len++;
    disk->bytes += row->key_len + row->value_len;
}

static void disk_remove_range(struct store_memory_disk *disk, struct slice first, struct slice end)
{
    struct memory_row *row = disk_first_from(disk, first);
    while (row != NULL && row_is_before(row, end)) {
        struct memory_row *next = RB_NEXT(store_memory_rows, &disk->rows, row);
        disk_remove(disk, row);
        row = next;
    }
}

static void disk_remove_key(struct store_memory_disk *disk, struct slice key)
{
    struct memory_row like = {.key = key.data, .key_len = key.len};
    struct memory_row *row = RB_FIND(store_memory_rows, &disk->rows, &like);
    if (row != NULL) {
        disk_remove(disk, row);
    }
}

/* What is deleted makes room only after what is new has been written, as in a store that writes new files. */
static bool disk_fits(struct store_memory_disk *disk, const struct store_change *changes, size_t count)
{
    uint64_t more = 0;
    for (size_t i = 0; i < count; i++) {
        if (changes[i].kind == STORE_PUT) {
            more += changes[i].key.len + changes[i].value.len + changes[i].value2.len;
        }
    }
    bool fits = disk->room == NULL || more <= disk->room(disk->room_arg);
    disk->refused += !fits;
    return fits;
}

/* All new rows are made before any change is carried out, so that a write that fails has changed nothing. */
static int store_memory_write(struct store *base, const struct store_change *changes, size_t count)
{
    struct store_memory_disk *disk = container_of(base, struct store_memory, store)->disk;
    if (disk->fail_write != 0) {
        int err = disk->fail_write;
        disk->fail_write = 0;
        return err;
    }
    if (!disk_fits(disk, changes, count)) {
        return ERR_NO_SPACE;
    }
    struct memory_row **rows = calloc(count + 1, sizeof *rows);
    if (rows == NULL) {
        return ERR_NOMEM;
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        if (changes[i].kind == STORE_PUT) {
            rows[i] = row_new(changes[i].key, changes[i].value, changes[i].value2);
            err = rows[i] == NULL ? ERR_NOMEM : 0;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (err != 0) {
            free(rows[i]);
        } else if (changes[i].kind == STORE_PUT) {
            disk_insert(disk, rows[i]);
        } else if (changes[i].kind == STORE_DELETE) {
            disk_remove_key(disk, changes[i].key);
        } else {
            disk_remove_range(disk, changes[i].key, changes[i].value);
        }
    }
    free(rows);
    return err;
}

static int store_memory_get(struct store *base, const void *key, size_t key_len, struct slice *ret_value)
{
    struct store_memory_disk *disk = container_of(base, struct store_memory, store)->disk;
    struct memory_row like = {.key = key, .key_len = key_len};
    struct memory_row *row = RB_FIND(store_memory_rows, &disk->rows, &like);
    return row == NULL ? ERR_NOT_FOUND : slice_copy(row->value, row->value_len, ret_value);
}

static int store_memory_scan(struct store *base, struct slice first, struct slice end,
                             int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct store_memory_disk *disk = container_of(base, struct store_memory, store)->disk;
    for (struct memory_row *row = disk_first_from(disk, first); row != NULL && row_is_before(row, end);
         row = RB_NEXT(store_memory_rows, &disk->rows, row)) {
        int err = each(arg, (struct slice){.data = row->key, .len = row->key_len},
                       (struct slice){.data = row->value, .len = row->value_len});
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* The last row before a key. */
static struct memory_row *disk_last_before(struct store_memory_disk *disk, struct slice key)
{
    struct memory_row *row = disk_first_from(disk, key);
    return row != NULL ? RB_PREV(store_memory_rows, &disk->rows, row) : RB_MAX(store_memory_rows, &disk->rows);
}

static int store_memory_scan_back(struct store *base, struct slice first, struct slice end,
                                  int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct store_memory_disk *disk = container_of(base, struct store_memory, store)->disk;
    for (struct memory_row *row = disk_last_before(disk, end); row != NULL && !row_is_before(row, first);
         row = RB_PREV(store_memory_rows, &disk->rows, row)) {
        int err = each(arg, (struct slice){.data = row->key, .len = row->key_len},
                       (struct slice){.data = row->value, .len = row->value_len});
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int store_memory_copy(struct store *base, const char *name)
{
    struct store_memory_disk *disk = container_of(base, struct store_memory, store)->disk;
    struct store_memory_copy *copy;
    struct memory_row *row;
    char path[STORE_MEMORY_COPY_PATH_MAX];
    CHECK(disk->files != NULL);
    int len = snprintf(path, sizeof path, "%s/%s", disk->files_dir, name);
    CHECK(len > 0 && (size_t)len < sizeof path);
    int err = store_memory_copy_new(disk->files, path, disk->rows_len, &copy);
    if (err != 0) {
        return err;
    }
    RB_FOREACH (row, store_memory_rows, &disk->rows) {
        store_memory_copy_add(copy, (struct slice){.data = row->key, .len = row->key_len},
                              (struct slice){.data = row->value, .len = row->value_len});
    }
    return store_memory_copy_finish(copy);
}

static int store_memory_scrub(struct store *base, struct store_scrub *scrub)
{
    struct store_memory_disk *disk = container_of(base, struct store_memory, store)->disk;
    scrub->next = (struct slice){0};
    scrub->bytes = 0;
    scrub->bytes_all = disk->bytes;
    scrub->detail[0] = '\0';
    bool any = false;
    for (struct memory_row *row = disk_first_from(disk, scrub->from); row != NULL;
         row = RB_NEXT(store_memory_rows, &disk->rows, row)) {
        if (any && scrub->bytes >= scrub->bytes_max) {
            return slice_copy(row->key, row->key_len, &scrub->next);
        }
        int err =
            scrub->each(scrub->arg, (struct slice){.data = row->key, .len = row->key_len},
                        (struct slice){.data = row->value, .len = row->value_len}, scrub->detail, sizeof scrub->detail);
        if (err != 0) {
            return err;
        }
        scrub->bytes += row->key_len + row->value_len;
        any = true;
    }
    return 0;
}

static void store_memory_close(struct store *base)
{
    struct store_memory *store = container_of(base, struct store_memory, store);
    store->disk->in_use = false;
    if (store->owns_disk) {
        store_memory_disk_free(store->disk);
    }
    free(store);
}

static const struct store_ops store_memory_ops = {
    .write = store_memory_write,
    .get = store_memory_get,
    .scan = store_memory_scan,
    .scan_back = store_memory_scan_back,
    .copy = store_memory_copy,
    .scrub = store_memory_scrub,
    .close = store_memory_close,
};

struct store_memory_disk *store_memory_disk_new(void)
{
    return calloc(1, sizeof(struct store_memory_disk));
}

void store_memory_disk_wipe(struct store_memory_disk *disk)
{
    struct memory_row *row;
    while ((row = RB_ROOT(&disk->rows)) != NULL) {
        disk_remove(disk, row);
    }
}

void store_memory_disk_free(struct store_memory_disk *disk)
{
    if (disk != NULL) {
        CHECK(!disk->in_use);
        store_memory_disk_wipe(disk);
        free(disk);
    }
}

void store_memory_disk_abandon(struct store_memory_disk *disk)
{
    disk->in_use = false;
}

int store_memory_open(struct store_memory_disk *disk, struct store **ret_store)
{
    if (disk->in_use) {
        return ERR_LOCKED;
    }
    struct store_memory *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return ERR_NOMEM;
    }
    store->store.ops = &store_memory_ops;
    store->disk = disk;
    disk->in_use = true;
    *ret_store = &store->store;
    return 0;
}

static int disk_add(void *arg, struct slice key, struct slice value)
{
    struct memory_row *row = row_new(key, value, (struct slice){0});
    if (row == NULL) {
        return ERR_NOMEM;
    }
    disk_insert(arg, row);
    return 0;
}

int store_memory_disk_copy(struct store_memory_disk *disk, struct store_memory_disk *from)
{
    store_memory_disk_wipe(disk);
    struct memory_row *row;
    RB_FOREACH (row, store_memory_rows, &from->rows) {
        int err = disk_add(disk, (struct slice){.data = row->key, .len = row->key_len},
                           (struct slice){.data = row->value, .len = row->value_len});
        if (err != 0) {
            store_memory_disk_wipe(disk);
            return err;
        }
    }
    return 0;
}

void store_memory_disk_set_files(struct store_memory_disk *disk, struct disk *files, const char *dir)
{
    disk->files = files;
    disk->files_dir = dir;
}

/* The rows come into a disk of their own first, so that a file that cannot be read to its end replaces nothing. */
int store_memory_disk_load(struct store_memory_disk *disk, struct disk *files, const char *path)
{
    CHECK(!disk->in_use);
    struct store_memory_disk loaded = {0};
    int err = store_memory_copy_read(files, path, disk_add, &loaded);
    if (err != 0) {
        store_memory_disk_wipe(&loaded);
        return err;
    }
    store_memory_disk_wipe(disk);
    disk->rows = loaded.rows;
    disk->rows_len = loaded.rows_len;
    disk->bytes = loaded.bytes;
    return 0;
}

int store_memory_open_copy(struct disk *files, const char *path, struct store **ret_store)
{
    struct store_memory_disk *disk = store_memory_disk_new();
    int err = disk == NULL ? ERR_NOMEM : store_memory_disk_load(disk, files, path);
    if (err == 0) {
        err = store_memory_open(disk, ret_store);
    }
    if (err != 0) {
        store_memory_disk_free(disk);
        return err;
    }
    container_of(*ret_store, struct store_memory, store)->owns_disk = true;
    return 0;
}

void store_memory_disk_fail_write(struct store_memory_disk *disk, int err)
{
    disk->fail_write = err;
}

void store_memory_disk_share(struct store_memory_disk *disk, uint64_t (*room)(void *arg), void *arg)
{
    disk->room = room;
    disk->room_arg = arg;
}

uint64_t store_memory_disk_bytes(const struct store_memory_disk *disk)
{
    return disk->bytes;
}

uint64_t store_memory_disk_refused(const struct store_memory_disk *disk)
{
    return disk->refused;
}

int store_memory_disk_flip(struct store_memory_disk *disk, uint64_t nth)
{
    if (disk->rows_len == 0) {
        return ERR_NOT_FOUND;
    }
    uint64_t at = nth % disk->rows_len;
    struct memory_row *row;
    RB_FOREACH (row, store_memory_rows, &disk->rows) {
        if (at-- == 0) {
            row->value[(nth / disk->rows_len) % row->value_len] ^= (uint8_t)(1u << (nth % 8));
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

size_t store_memory_disk_rows(const struct store_memory_disk *disk)
{
    return disk->rows_len;
}
