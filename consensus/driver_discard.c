/* Beginning anew with a copy of another node's state: for a node that is new, or that may count on nothing it has.
 *
 * What a node has acknowledged, and whom it has voted for, it must not forget (Raft Figure 3.1), or a majority that has been is
 * none any more. But majorities are of voters. In the membership that comes with the copy this node does not vote; that
 * membership was committed without it, and what is committed or elected in it, and in all that follow, overlaps with what was
 * before (Raft thesis §4.1). Who is elected after that holds it, and counts this node only after a CHANGE that gives it the
 * vote, which is in this node's log by then, behind the copy. An older membership, in which it does vote, elects nobody any more:
 * a majority of its other voters refuse whoever lacks what they have, and so does this node, whose log begins with the copy.
 *
 * The order: the term first, as in driver_rejoin.c, and whatever is left of the old log after it.
 *
 *   - Where meta can be read, the term is kept if it is later than the copy's, and then the vote with it. Else the file is
 *     removed, and made anew.
 *   - All files of the log are removed, and the directory is synced, before the first file of the new log is made. Its epochs
 *     and numbers cannot be trusted, so there must be none that a crash can bring back: a new log begins with segment 1, and
 *     an old segment would be taken for a later one. Until the directory is synced there is nothing new for it to follow.
 *   - The new log is empty, then begins after the copy, in one step (log_reset()).
 *
 * After a crash in between, driver_open() must not be called, but this again. What it finds then is the old log, or a part of it,
 * or nothing, or an empty one, or one that begins right after the copy: then it was done, and the log is left alone, since it
 * may have grown, and with it what this node may since have promised. */

#include <raft.h>
#include <stdio.h>
#include <string.h>

#include "consensus/driver_internal.h"
#include "consensus/log_format.h"
#include "consensus/log_watermark.h"

/* Files removed between two looks at the directory. */
#define REMOVE_MAX 64u

static int check_role(const struct driver_options *options, const struct driver_position *position, char *detail,
                      size_t detail_len)
{
    const struct raft_server *self = configuration_find(&position->configuration, options->id);
    if (self == NULL || self->role == RAFT_VOTER) {
        (void)snprintf(detail, detail_len,
                       "%s: the copy of the state is as of entry %llu, when this node %s: it cannot begin anew with it",
                       options->dir, (unsigned long long)position->index,
                       self == NULL ? "was no member" : "had a vote");
        return ERR_REFUSED;
    }
    return 0;
}

/* Nothing is appended, so nothing is called back. */
static struct log_options log_options_of(const struct driver_options *options, const char *dir)
{
    return (struct log_options){
        .disk = options->disk, .journal = options->journal, .dir = dir, .segment_len = options->segment_len};
}

/* Whether log and meta are there, and go on from the copy. ERR_NOMEM. */
static int is_done(const struct driver_options *options, const struct driver_position *position, const char *dir,
                   bool *ret_done)
{
    char detail[512];
    struct meta *meta;
    struct meta_value value;
    *ret_done = false;
    int err = meta_open(options->disk, options->dir, &meta, &value, detail, sizeof detail);
    if (err != 0) {
        return err == ERR_NOMEM ? err : 0;
    }
    meta_close(meta);
    if (value.term < position->term) {
        return 0;
    }
    struct log_options log_options = log_options_of(options, dir);
    struct log_recovery recovery;
    struct log *log;
    err = log_open(&log_options, &recovery, &log);
    if (err != 0) {
        return err == ERR_NOMEM ? err : 0;
    }
    *ret_done = log_first_index(log) == position->index + 1;
    log_close(log);
    return 0;
}

static int renew_meta(const struct driver_options *options, uint64_t term, char *detail, size_t detail_len)
{
    const struct disk_ops *ops = options->disk->ops;
    struct meta *meta;
    struct meta_value value;
    int err = meta_open(options->disk, options->dir, &meta, &value, detail, detail_len);
    if (err != 0 && err != ERR_NOMEM) {
        char path[LOG_PATH_LEN_MAX];
        err = log_path(options->dir, "meta", path);
        if (err == 0) {
            err = ops->remove(options->disk, path);
            err = err == ERR_NOT_FOUND ? 0 : err;
        }
        if (err == 0) { /* Which syncs the directory. */
            err = meta_open(options->disk, options->dir, &meta, &value, detail, detail_len);
        }
    }
    if (err != 0) {
        return err;
    }
    if (value.term < term) {
        value = (struct meta_value){.term = term};
        err = meta_save(meta, &value);
    }
    meta_close(meta);
    return err;
}

struct names {
    char names[REMOVE_MAX][LOG_NAME_LEN_MAX];
    unsigned len;
};

/* Of the log's own: what is foreign stays, as the log does not look at it. */
static void name_found(void *arg, const char *name)
{
    struct names *names = arg;
    if (names->len < REMOVE_MAX && (log_segment_number(name) != 0 || strcmp(name, LOG_WATERMARK_NAME) == 0)) {
        (void)snprintf(names->names[names->len++], LOG_NAME_LEN_MAX, "%s", name);
    }
}

static int remove_log(const struct driver_options *options, const char *dir)
{
    const struct disk_ops *ops = options->disk->ops;
    struct names names;
    int err = ops->make_dir(options->disk, dir);
    do {
        names.len = 0;
        err = err == 0 ? ops->list(options->disk, dir, name_found, &names) : err;
        for (unsigned i = 0; i < names.len && err == 0; i++) {
            char path[LOG_PATH_LEN_MAX];
            err = log_path(dir, names.names[i], path);
            err = err == 0 ? ops->remove(options->disk, path) : err;
        }
    } while (names.len > 0 && err == 0);
    return err == 0 ? ops->sync_dir(options->disk, dir) : err;
}

static int begin_log(const struct driver_options *options, const char *dir, uint64_t index, char *detail,
                     size_t detail_len)
{
    struct log_options log_options = log_options_of(options, dir);
    struct log_recovery recovery = {0};
    struct log *log;
    int err = log_open(&log_options, &recovery, &log);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s", recovery.detail);
        return err;
    }
    err = log_reset(log, index);
    log_close(log);
    return err;
}

int driver_discard(const struct driver_options *options, const struct driver_position *position, char *detail,
                   size_t detail_len)
{
    char dir[LOG_PATH_LEN_MAX];
    bool done = false;
    int err = check_role(options, position, detail, detail_len);
    if (err == 0) {
        err = log_path(options->dir, "log", dir);
    }
    if (err == 0) {
        err = driver_make_dir(options);
    }
    if (err == 0) {
        err = is_done(options, position, dir, &done);
    }
    if (err != 0 || done) {
        return err;
    }
    journal_info(options->journal, "raft", "log and term begin anew after entry %llu, the last one of the copy",
                 (unsigned long long)position->index);
    err = renew_meta(options, position->term, detail, detail_len);
    if (err == 0) {
        err = remove_log(options, dir);
    }
    return err == 0 ? begin_log(options, dir, position->index, detail, detail_len) : err;
}
