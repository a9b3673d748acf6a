/* Names and sizes of files, bounded and checked. */

#include "node/core/rebuild_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool letter_ok(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '.' || letter == '_' || letter == '-';
}

/* Two dots in a row lead nowhere here, but a disk takes no path with them. */
bool rebuild_file_name_ok(const char *name)
{
    size_t len = strnlen(name, REBUILD_FILE_NAME_LEN_MAX + 1);
    if (len == 0 || len > REBUILD_FILE_NAME_LEN_MAX || strcmp(name, ".") == 0 || strstr(name, "..") != NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!letter_ok(name[i])) {
            return false;
        }
    }
    return true;
}

static bool name_is_part(const char *name)
{
    size_t len = strlen(name);
    size_t behind = strlen(REBUILD_PART);
    return len >= behind && strcmp(name + len - behind, REBUILD_PART) == 0;
}

int rebuild_files_add(struct rebuild_files *files, const char *name, uint64_t size)
{
    if (!rebuild_file_name_ok(name) || name_is_part(name)) {
        return ERR_INVALID;
    }
    if (files->len == REBUILD_FILES_MAX || size > REBUILD_BYTES_MAX - files->bytes) {
        return ERR_TOO_BIG;
    }
    if ((files->len & (files->len - 1)) == 0) { /* The places are a power of two. */
        size_t cap = files->len == 0 ? 1 : (size_t)files->len * 2;
        struct rebuild_file *items = realloc(files->items, cap * sizeof *items);
        if (items == NULL) {
            return ERR_NOMEM;
        }
        files->items = items;
    }
    struct rebuild_file *file = &files->items[files->len++];
    *file = (struct rebuild_file){.size = size};
    memcpy(file->name, name, strlen(name) + 1);
    files->bytes += size;
    return 0;
}

static int names_compare(const void *a, const void *b)
{
    const char *const *first = a;
    const char *const *second = b;
    return strcmp(*first, *second);
}

int rebuild_files_check(const struct rebuild_files *files)
{
    const char **names = malloc((files->len + 1) * sizeof *names);
    if (names == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < files->len; i++) {
        names[i] = files->items[i].name;
    }
    qsort(names, files->len, sizeof *names, names_compare);
    int err = 0;
    for (uint32_t i = 1; err == 0 && i < files->len; i++) {
        err = strcmp(names[i - 1], names[i]) == 0 ? ERR_INVALID : 0;
    }
    free(names);
    return err;
}

struct rebuild_file *rebuild_files_find(const struct rebuild_files *files, const char *name)
{
    for (uint32_t i = 0; i < files->len; i++) {
        if (strcmp(files->items[i].name, name) == 0) {
            return &files->items[i];
        }
    }
    return NULL;
}

bool rebuild_files_equal(const struct rebuild_files *a, const struct rebuild_files *b)
{
    if (a->len != b->len) {
        return false;
    }
    for (uint32_t i = 0; i < a->len; i++) {
        if (a->items[i].size != b->items[i].size || strcmp(a->items[i].name, b->items[i].name) != 0) {
            return false;
        }
    }
    return true;
}

void rebuild_files_done(struct rebuild_files *files)
{
    free(files->items);
    *files = (struct rebuild_files){0};
}

struct listing {
    struct disk *disk;
    const char *path;
    bool sync;
    struct rebuild_files files;
    int err;
};

static int list_file(struct listing *listing, const char *name)
{
    char path[REBUILD_PATH_LEN_MAX];
    struct disk *disk = listing->disk;
    struct disk_file *file;
    uint64_t size = 0;
    int err = rebuild_path(path, listing->path, name, "");
    if (err == 0) {
        err = disk->ops->open(disk, path, DISK_READ_ONLY, &file);
    }
    if (err != 0) {
        return err;
    }
    err = disk->ops->size(file, &size);
    if (err == 0 && listing->sync) {
        err = disk->ops->sync(file);
    }
    disk->ops->close(file);
    return err == 0 ? rebuild_files_add(&listing->files, name, size) : err;
}

static void list_each(void *arg, const char *name)
{
    struct listing *listing = arg;
    if (listing->err == 0 && strcmp(name, REBUILD_WHOLE) != 0) {
        listing->err = list_file(listing, name);
    }
}

int rebuild_files_list(struct disk *disk, const char *path, bool sync, struct rebuild_files *ret_files)
{
    struct listing listing = {.disk = disk, .path = path, .sync = sync};
    int err = disk->ops->list(disk, path, list_each, &listing);
    if (err == 0) {
        err = listing.err;
    }
    if (err == 0 && sync) {
        err = disk->ops->sync_dir(disk, path);
    }
    if (err != 0) {
        rebuild_files_done(&listing.files);
        return err;
    }
    *ret_files = listing.files;
    return 0;
}

int rebuild_path(char out[REBUILD_PATH_LEN_MAX], const char *dir, const char *name, const char *behind)
{
    int len = snprintf(out, REBUILD_PATH_LEN_MAX, "%s/%s%s", dir, name, behind);
    return len >= 0 && len < (int)REBUILD_PATH_LEN_MAX ? 0 : ERR_TOO_BIG;
}
