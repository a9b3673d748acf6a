/* The file `current`, and the directories that it chooses between. */

#include "node/core/state_dir.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "node/core/rebuild_files.h"
#include "node/core/small_file.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

/* Of the first one, which no copy has taken the place of yet. */
#define STATE_NAME "state"

/* The file, little-endian; replaced as a whole:
 *
 *   offset  size  what
 *        0     4  magic "HFD2"
 *        4     1  1: the directory is fresh
 *        5     1  length of its name
 *        6     1  length of the name of the directory before; 0: not known, or not fresh
 *        7     1  zero
 *        8    64  the name, then zeroes
 *       72    64  the name of the directory before, then zeroes
 *      136     8  XXH3-64 of everything before
 *
 * Earlier versions wrote "HFD1", without the directory before: the checksum is at 72. */
#define CURRENT_LEN 144u
#define CURRENT_NAME_AT 8u
#define CURRENT_BEFORE_AT 72u
#define CURRENT_LEN_V1 80u
#define CURRENT_SUM_LEN 8u
static const uint8_t current_magic[4] = {'H', 'F', 'D', '2'};
static const uint8_t current_magic_v1[4] = {'H', 'F', 'D', '1'};

/* With its checksum. */
static bool current_sound(const uint8_t *bytes, size_t len)
{
    bool v1 = len == CURRENT_LEN_V1 && memcmp(bytes, current_magic_v1, sizeof current_magic_v1) == 0;
    bool v2 = len == CURRENT_LEN && memcmp(bytes, current_magic, sizeof current_magic) == 0;
    return (v1 || v2) && get_u64(bytes + len - CURRENT_SUM_LEN) == XXH3_64bits(bytes, len - CURRENT_SUM_LEN);
}

static bool name_decode(const uint8_t *bytes, size_t len, char out[STATE_DIR_NAME_LEN_MAX])
{
    if (len >= STATE_DIR_NAME_LEN_MAX) {
        return false;
    }
    memset(out, 0, STATE_DIR_NAME_LEN_MAX);
    memcpy(out, bytes, len);
    return rebuild_file_name_ok(out) && strlen(out) == len;
}

static int current_decode(const uint8_t *bytes, size_t len, struct state_dir *ret_current)
{
    if (!current_sound(bytes, len) || bytes[4] > 1) {
        return ERR_CORRUPT;
    }
    struct state_dir current = {.fresh = bytes[4] != 0};
    bool has_before = len == CURRENT_LEN && bytes[6] != 0;
    if (!name_decode(bytes + CURRENT_NAME_AT, bytes[5], current.name) ||
        (has_before && !name_decode(bytes + CURRENT_BEFORE_AT, bytes[6], current.before))) {
        return ERR_CORRUPT;
    }
    *ret_current = current;
    return 0;
}

static void current_encode(const struct state_dir *current, uint8_t out[CURRENT_LEN])
{
    size_t len = strlen(current->name);
    size_t before_len = strlen(current->before);
    CHECK(len < STATE_DIR_NAME_LEN_MAX && rebuild_file_name_ok(current->name));
    CHECK(before_len < STATE_DIR_NAME_LEN_MAX && (before_len == 0 || rebuild_file_name_ok(current->before)));
    memset(out, 0, CURRENT_LEN);
    memcpy(out, current_magic, sizeof current_magic);
    out[4] = current->fresh;
    out[5] = (uint8_t)len;
    out[6] = (uint8_t)before_len;
    memcpy(out + CURRENT_NAME_AT, current->name, len);
    memcpy(out + CURRENT_BEFORE_AT, current->before, before_len);
    put_u64(out + CURRENT_LEN - CURRENT_SUM_LEN, XXH3_64bits(out, CURRENT_LEN - CURRENT_SUM_LEN));
}

static int current_load(struct disk *disk, const char *dir, struct state_dir *ret_current)
{
    uint8_t bytes[CURRENT_LEN + 1];
    size_t len = 0;
    int err = small_file_read(disk, dir, "current", bytes, sizeof bytes, &len);
    if (err == ERR_NOT_FOUND) {
        *ret_current = (struct state_dir){.name = STATE_NAME};
        return 0;
    }
    return err == 0 ? current_decode(bytes, len, ret_current) : err;
}

static int current_replace(struct disk *disk, const char *dir, const struct state_dir *current)
{
    uint8_t bytes[CURRENT_LEN];
    current_encode(current, bytes);
    return small_file_replace(disk, dir, "current", bytes, sizeof bytes);
}

int state_dir_reserve(struct disk *disk, const char *dir)
{
    return small_file_reserve(disk, dir, "current", CURRENT_LEN);
}

int state_dir_read(struct disk *disk, const char *dir, struct state_dir *ret_current, char *detail, size_t detail_len)
{
    int err = current_load(disk, dir, ret_current);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s/current, which names the directory of the state: %s", dir,
                       err_text(err));
    }
    return err;
}

int state_dir_switch(struct disk *disk, const char *dir, const char *name)
{
    struct state_dir before;
    struct state_dir current = {.fresh = true};
    CHECK(strlen(name) < sizeof current.name);
    int err = current_load(disk, dir, &before);
    if (err != 0 && err != ERR_CORRUPT) {
        return err;
    }
    memcpy(current.name, name, strlen(name) + 1);
    if (err == 0) {
        memcpy(current.before, before.fresh ? before.before : before.name, sizeof current.before);
    }
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

/* Whether a directory of that name is a state, or is to become one. */
static bool is_state(const char *name)
{
    return strcmp(name, STATE_NAME) == 0 || strncmp(name, REBUILD_INCOMING, strlen(REBUILD_INCOMING)) == 0;
}

static void remove_other(void *arg, const char *name)
{
    struct removal *removal = arg;
    char path[REBUILD_PATH_LEN_MAX];
    if (removal->err != 0 || !is_state(name) || strcmp(name, removal->keep) == 0) {
        return;
    }
    removal->err = rebuild_path(path, removal->dir, name, "");
    if (removal->err == 0) {
        removal->err = state_dir_remove(removal->disk, path);
    }
}

/* From here on there is no way back. (On a full disk that cannot be noted: what is removed makes room.) */
static int settle_begin(struct disk *disk, const char *dir, const struct state_dir *current)
{
    struct state_dir begun = *current;
    memcpy(begun.before, begun.name, sizeof begun.before);
    int err = current_replace(disk, dir, &begun);
    return err == ERR_NO_SPACE ? 0 : err;
}

/* The mark goes last: after a crash before that, everything here is done again, and nothing is forgotten. */
int state_dir_settle(struct disk *disk, const char *dir, const struct state_dir *current)
{
    if (!current->fresh) {
        return 0;
    }
    struct removal removal = {.disk = disk, .dir = dir, .keep = current->name};
    int err = settle_begin(disk, dir, current);
    if (err == 0) {
        err = disk->ops->list(disk, dir, remove_other, &removal);
    }
    if (err == 0) {
        err = removal.err;
    }
    if (err == 0) {
        err = disk->ops->sync_dir(disk, dir);
    }
    struct state_dir settled = *current;
    settled.fresh = false;
    settled.before[0] = '\0';
    return err == 0 ? current_replace(disk, dir, &settled) : err;
}

/* ---- Without it ---- */

struct guess {
    const char *not_this;
    char name[STATE_DIR_NAME_LEN_MAX];
};

static void guess_each(void *arg, const char *name)
{
    struct guess *guess = arg;
    bool first = strcmp(name, STATE_NAME) == 0 || guess->name[0] == '\0';
    if (first && is_state(name) && strcmp(name, guess->not_this) != 0 && strlen(name) < sizeof guess->name) {
        memcpy(guess->name, name, strlen(name) + 1);
    }
}

/* The first one, if it is there: it goes when a copy has taken its place for good. Otherwise it has gone, and there is another,
 * beside which there may be one that is being fetched. */
static int state_guess(struct disk *disk, const char *dir, const char *not_this, struct state_dir *ret_current)
{
    struct guess guess = {.not_this = not_this};
    int err = disk->ops->list(disk, dir, guess_each, &guess);
    if (err == 0) {
        *ret_current = (struct state_dir){.name = STATE_NAME};
        if (guess.name[0] != '\0') {
            memcpy(ret_current->name, guess.name, sizeof guess.name);
        }
    }
    return err;
}

/* In this order, so that what `current` names is always whole. After a crash in between the copy may be taken for one that
 * can be fetched on, found to be here as it is, and found to be no good again. */
static int state_go_back(struct disk *disk, const char *dir, const struct state_dir *current)
{
    struct state_dir before = {0};
    char path[REBUILD_PATH_LEN_MAX];
    int err = 0;
    memcpy(before.name, current->before, sizeof before.name);
    if (before.name[0] == '\0') {
        err = state_guess(disk, dir, current->name, &before);
    }
    if (err == 0) {
        err = current_replace(disk, dir, &before);
    }
    if (err == 0) {
        err = rebuild_path(path, dir, current->name, "");
    }
    if (err == 0) {
        err = state_dir_remove(disk, path);
    }
    return err == 0 ? disk->ops->sync_dir(disk, dir) : err;
}

int state_dir_keep(struct disk *disk, const char *dir)
{
    struct state_dir current;
    int err = current_load(disk, dir, &current);
    if (err != 0 || !current.fresh) {
        return err;
    }
    current.fresh = false;
    current.before[0] = '\0';
    return current_replace(disk, dir, &current);
}

int state_dir_return(struct disk *disk, const char *dir)
{
    struct state_dir current;
    int err = current_load(disk, dir, &current);
    if (err != 0 || !current.fresh) {
        return err;
    }
    bool gone = strcmp(current.before, current.name) == 0;
    return gone ? state_dir_keep(disk, dir) : state_go_back(disk, dir, &current);
}

int state_dir_mend(struct disk *disk, const char *dir)
{
    struct state_dir current;
    int err = current_load(disk, dir, &current);
    if (err != ERR_CORRUPT) {
        return err;
    }
    err = state_guess(disk, dir, "", &current);
    return err == 0 ? current_replace(disk, dir, &current) : err;
}
