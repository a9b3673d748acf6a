/* The file `current`, and the directories that it chooses between. */

#include "node/core/state_dir.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "node/core/rebuild_files.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

/* The file, little-endian; replaced as a whole:
 *
 *   offset  size  what
 *        0     4  magic "HFD1"
 *        4     1  1: the directory is fresh
 *        5     1  length of its name
 *        6     2  zero
 *        8    64  the name, then zeroes
 *       72     8  XXH3-64 of everything before */
#define CURRENT_LEN 80u
#define CURRENT_NAME_AT 8u
#define CURRENT_SUM_AT 72u
static const uint8_t current_magic[4] = {'H', 'F', 'D', '1'};

static int current_decode(const uint8_t *bytes, size_t len, struct state_dir *ret_current)
{
    if (len != CURRENT_LEN || memcmp(bytes, current_magic, sizeof current_magic) != 0 ||
        get_u64(bytes + CURRENT_SUM_AT) != XXH3_64bits(bytes, CURRENT_SUM_AT)) {
        return ERR_CORRUPT;
    }
    struct state_dir current = {.fresh = bytes[4] != 0};
    if (bytes[4] > 1 || bytes[5] >= STATE_DIR_NAME_LEN_MAX) {
        return ERR_CORRUPT;
    }
    memcpy(current.name, bytes + CURRENT_NAME_AT, bytes[5]);
    if (!rebuild_file_name_ok(current.name) || strlen(current.name) != bytes[5]) {
        return ERR_CORRUPT;
    }
    *ret_current = current;
    return 0;
}

static void current_encode(const struct state_dir *current, uint8_t out[CURRENT_LEN])
{
    size_t len = strlen(current->name);
    CHECK(len < STATE_DIR_NAME_LEN_MAX && rebuild_file_name_ok(current->name));
    memset(out, 0, CURRENT_LEN);
    memcpy(out, current_magic, sizeof current_magic);
    out[4] = current->fresh;
    out[5] = (uint8_t)len;
    memcpy(out + CURRENT_NAME_AT, current->name, len);
    put_u64(out + CURRENT_SUM_AT, XXH3_64bits(out, CURRENT_SUM_AT));
}

static int current_load(struct disk *disk, const char *path, struct state_dir *ret_current)
{
    uint8_t bytes[CURRENT_LEN + 1];
    size_t len = 0;
    struct disk_file *file;
    int err = disk->ops->open(disk, path, DISK_READ_ONLY, &file);
    if (err != 0) {
        return err;
    }
    err = disk->ops->read(file, 0, bytes, sizeof bytes, &len);
    disk->ops->close(file);
    return err == 0 ? current_decode(bytes, len, ret_current) : err;
}

int state_dir_read(struct disk *disk, const char *dir, struct state_dir *ret_current, char *detail, size_t detail_len)
{
    char path[REBUILD_PATH_LEN_MAX];
    struct state_dir current = {.name = "state"};
    int err = rebuild_path(path, dir, "current", "");
    if (err == 0) {
        err = current_load(disk, path, &current);
        if (err == ERR_NOT_FOUND) {
            *ret_current = current;
            return 0;
        }
    }
    if (err == 0) {
        /* The process that wrote it may have died before its name was durable; what is built upon it now must not outlive
         * it. */
        err = disk->ops->sync_dir(disk, dir);
    }
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s/current, which names the directory of the state: %s", dir,
                       err_text(err));
        return err;
    }
    *ret_current = current;
    return 0;
}

static int current_write(struct disk *disk, const char *path, const uint8_t bytes[CURRENT_LEN])
{
    struct disk_file *file;
    int err = disk->ops->open(disk, path, DISK_CREATE, &file);
    if (err != 0) {
        return err;
    }
    err = disk->ops->truncate(file, 0);
    if (err == 0) {
        err = disk->ops->write(file, 0, bytes, CURRENT_LEN);
    }
    if (err == 0) {
        err = disk->ops->sync(file);
    }
    disk->ops->close(file);
    return err;
}

static int current_replace(struct disk *disk, const char *dir, const struct state_dir *current)
{
    uint8_t bytes[CURRENT_LEN];
    char path[REBUILD_PATH_LEN_MAX];
    char aside[REBUILD_PATH_LEN_MAX];
    current_encode(current, bytes);
    int err = rebuild_path(path, dir, "current", "");
    if (err == 0) {
        err = rebuild_path(aside, dir, "current.new", "");
    }
    if (err == 0) {
        err = current_write(disk, aside, bytes);
    }
    if (err == 0) {
        err = disk->ops->rename(disk, aside, path);
    }
    return err == 0 ? disk->ops->sync_dir(disk, dir) : err;
}

int state_dir_switch(struct disk *disk, const char *dir, const char *name)
{
    struct state_dir current = {.fresh = true};
    CHECK(strlen(name) < sizeof current.name);
    memcpy(current.name, name, strlen(name) + 1);
    return current_replace(disk, dir, &current);
}

struct removal {
    struct disk *disk;
    const char *dir;
    const char *keep;
    int err;
};

static void remove_file(void *arg, const char *name)
{
    struct removal *removal = arg;
    char path[REBUILD_PATH_LEN_MAX];
    if (removal->err != 0) {
        return;
    }
    removal->err = rebuild_path(path, removal->dir, name, "");
    if (removal->err == 0) {
        removal->err = removal->disk->ops->remove(removal->disk, path);
    }
}

int state_dir_remove(struct disk *disk, const char *path)
{
    struct removal removal = {.disk = disk, .dir = path};
    int err = disk->ops->list(disk, path, remove_file, &removal);
    if (err == ERR_NOT_FOUND) {
        return 0;
    }
    if (err == 0) {
        err = removal.err;
    }
    if (err == 0) {
        /* A directory of the same name must not find them again. */
        err = disk->ops->sync_dir(disk, path);
    }
    return err == 0 ? disk->ops->remove_dir(disk, path) : err;
}

static void remove_other(void *arg, const char *name)
{
    struct removal *removal = arg;
    char path[REBUILD_PATH_LEN_MAX];
    bool state = strcmp(name, "state") == 0 || strncmp(name, REBUILD_INCOMING, strlen(REBUILD_INCOMING)) == 0;
    if (removal->err != 0 || !state || strcmp(name, removal->keep) == 0) {
        return;
    }
    removal->err = rebuild_path(path, removal->dir, name, "");
    if (removal->err == 0) {
        removal->err = state_dir_remove(removal->disk, path);
    }
}

/* The mark goes last: after a crash before that, everything here is done again, and nothing is forgotten. */
int state_dir_settle(struct disk *disk, const char *dir, const struct state_dir *current)
{
    if (!current->fresh) {
        return 0;
    }
    struct removal removal = {.disk = disk, .dir = dir, .keep = current->name};
    int err = disk->ops->list(disk, dir, remove_other, &removal);
    if (err == 0) {
        err = removal.err;
    }
    if (err == 0) {
        err = disk->ops->sync_dir(disk, dir);
    }
    struct state_dir settled = *current;
    settled.fresh = false;
    return err == 0 ? current_replace(disk, dir, &settled) : err;
}
