/* Rows gather, and are written many at a time. */

#include "node/recover_rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/recover_damage.h"
#include "proto/base/blob.h"
#include "proto/base/limits.h"
#include "statemachine/store/store_rocksdb.h"
#include "statemachine/store/survey.h"

#define ROWS_MAX 65536u
#define BYTES_MAX (32 * MIB)
#define PATH_LEN_MAX 4096u

struct rewriting {
    struct store *to;
    struct store_change *changes;
    size_t changes_len;
    uint8_t *bytes;
    size_t bytes_len;
};

/* ---- Rows ---- */

static int flush(struct rewriting *rewriting)
{
    int err = rewriting->changes_len == 0
                  ? 0
                  : rewriting->to->ops->write(rewriting->to, rewriting->changes, rewriting->changes_len);
    rewriting->changes_len = 0;
    rewriting->bytes_len = 0;
    return err;
}

static struct slice keep(struct rewriting *rewriting, struct slice from)
{
    uint8_t *to = rewriting->bytes + rewriting->bytes_len;
    if (from.len > 0) {
        memcpy(to, from.data, from.len);
    }
    rewriting->bytes_len += from.len;
    return (struct slice){.data = to, .len = from.len};
}

/* No row is longer than what may gather: a message's limit is half of it. */
static int row_sound(void *arg, struct slice key, struct slice value)
{
    struct rewriting *rewriting = arg;
    size_t len = key.len + value.len;
    if (len > BYTES_MAX) {
        return ERR_TOO_BIG;
    }
    if (rewriting->changes_len == ROWS_MAX || len > BYTES_MAX - rewriting->bytes_len) {
        int err = flush(rewriting);
        if (err != 0) {
            return err;
        }
    }
    struct store_change *change = &rewriting->changes[rewriting->changes_len++];
    *change = (struct store_change){.kind = STORE_PUT, .key = keep(rewriting, key)};
    change->value = keep(rewriting, value);
    return 0;
}

/* It has been told before. */
static void row_damaged(void *arg, const struct survey_damage *damage)
{
    (void)arg;
    (void)damage;
}

static int rewrite_rows(struct store *from, struct rewriting *rewriting, char *detail, size_t detail_len)
{
    struct survey survey = {.arg = rewriting, .damaged = row_damaged, .sound = row_sound};
    rewriting->changes = malloc(ROWS_MAX * sizeof *rewriting->changes);
    rewriting->bytes = malloc(BYTES_MAX);
    int err = rewriting->changes == NULL || rewriting->bytes == NULL ? ERR_NOMEM : 0;
    if (err == 0) {
        err = survey_rows(from, &survey, detail, detail_len);
    }
    if (err == 0) {
        err = flush(rewriting);
    }
    free(rewriting->changes);
    free(rewriting->bytes);
    return err;
}

/* ---- Stores ---- */

static int rewrite_into(struct store *from, const char *to, char *detail, size_t detail_len)
{
    struct store_rocksdb_options options = {.path = to};
    struct rewriting rewriting = {0};
    int err = store_rocksdb_open(&options, &rewriting.to, detail, detail_len);
    if (err != 0) {
        return err;
    }
    err = rewrite_rows(from, &rewriting, detail, detail_len);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: the state cannot be written without what is damaged: %s", to,
                       err_text(err));
    }
    rewriting.to->ops->close(rewriting.to);
    return err;
}

static int rewrite_store(const char *from, const char *to, char *detail, size_t detail_len)
{
    struct store_rocksdb_options options = {.path = from, .read_only = true};
    struct store *store;
    int err = store_rocksdb_open(&options, &store, detail, detail_len);
    if (err == 0) {
        err = rewrite_into(store, to, detail, detail_len);
        store->ops->close(store);
    }
    return err;
}

static int read_again(const char *path, char *detail, size_t detail_len)
{
    struct recover_damage *damage = calloc(1, sizeof *damage);
    int err = damage == NULL ? ERR_NOMEM : recover_damage_read(path, damage, detail, detail_len);
    if (err == 0 && damage->found > 0) {
        (void)snprintf(detail, detail_len, "%s, which was written just now: %s", path, damage->lines[0]);
        err = ERR_CORRUPT;
    }
    free(damage);
    return err;
}

int recover_rewrite(const struct recover_rewrite *rewrite, const char *from, char *detail, size_t detail_len)
{
    char path[PATH_LEN_MAX];
    int written = snprintf(path, sizeof path, "%s/%s/%s", rewrite->root, rewrite->dir, rewrite->name);
    if (written < 0 || (size_t)written >= sizeof path) {
        return ERR_TOO_BIG;
    }
    int err = rewrite_store(from, path, detail, detail_len);
    if (err == 0) {
        err = read_again(path, detail, detail_len);
    }
    if (err == 0) {
        err = rewrite->disk->ops->sync_dir(rewrite->disk, rewrite->dir);
    }
    if (err != 0) {
        (void)snprintf(path, sizeof path, "%s/%s", rewrite->dir, rewrite->name);
        int remove_err = state_dir_remove(rewrite->disk, path);
        (void)remove_err; /* What cannot be removed counts for nothing. */
    }
    return err;
}

int recover_rewrite_switch(const struct recover_rewrite *rewrite, char *detail, size_t detail_len)
{
    struct state_dir state;
    int err = state_dir_switch(rewrite->disk, rewrite->dir, rewrite->name);
    if (err == 0) {
        err = state_dir_read(rewrite->disk, rewrite->dir, &state, detail, detail_len);
    }
    return err == 0 ? state_dir_settle(rewrite->disk, rewrite->dir, &state) : err;
}
