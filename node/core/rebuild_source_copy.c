/* The copy of the giving side: made, found again after a start, removed. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/core/rebuild_source_private.h"
#include "proto/base/check.h"

/* ---- Making ---- */

/* The files of a store's copy are not synced. One that outlives this process must not be taken for whole after a crash of the
 * machine: so they are, and a file says so. */
static int copy_finish(struct disk *disk, const char *dir, const char *path)
{
    char whole[REBUILD_PATH_LEN_MAX];
    struct disk_file *file;
    int err = rebuild_path(whole, path, REBUILD_WHOLE, "");
    if (err == 0) {
        err = disk->ops->open(disk, whole, DISK_CREATE, &file);
    }
    if (err != 0) {
        return err;
    }
    err = disk->ops->sync(file);
    disk->ops->close(file);
    if (err == 0) {
        err = disk->ops->sync_dir(disk, path);
    }
    return err == 0 ? disk->ops->sync_dir(disk, dir) : err;
}

/* What cannot be removed now is when the node starts. */
static void make_undo(struct rebuild_source *source)
{
    char aside[REBUILD_PATH_LEN_MAX]; /* Where a store may have begun (store.h). */
    struct disk *disk = source->options.disk;
    int err = state_dir_remove(disk, source->path);
    if (err == 0) {
        err = rebuild_path(aside, source->options.dir, source->name, ".tmp");
    }
    if (err == 0) {
        err = state_dir_remove(disk, aside);
    }
    if (err != 0) {
        journal_debug(source->options.journal, "rebuild", "%s: what was begun stays: %s", source->path, err_text(err));
    }
}

static int make_run(struct disk_task *task)
{
    struct rebuild_source *source = container_of(task, struct rebuild_source, task);
    const struct rebuild_source_options *options = &source->options;
    int err = options->store->ops->copy(options->store, source->name);
    if (err == 0) {
        err = rebuild_files_list(options->disk, source->path, true, &source->files);
    }
    if (err == 0) {
        err = copy_finish(options->disk, options->dir, source->path);
    }
    if (err != 0) {
        make_undo(source);
    }
    return err;
}

static void make_done(struct disk_task *task, int err)
{
    struct rebuild_source *source = container_of(task, struct rebuild_source, task);
    source->busy = false;
    if (err == 0) {
        uint64_t term;
        source->options.log.stored(source->options.log.arg, &source->holds, &term); /* Or less. */
        source->phase = SOURCE_READY;
        source->asked_ms = source_now_ms(source);
        source->look_ms = source->asked_ms;
        source->bytes = source->files.bytes;
        journal_info(source->options.journal, "rebuild",
                     "a copy of the state at index %" PRIu64 " or later is there for node %" PRIu64 ": %" PRIu32
                     " files, %" PRIu64 " bytes",
                     source->index, source->node, source->files.len, source->files.bytes);
        source_tell_opened(source);
    } else {
        journal_warning(source->options.journal, "rebuild", "no copy of the state for node %" PRIu64 ": %s",
                        source->node, err_text(err));
        source->phase = SOURCE_NONE;
        rebuild_files_done(&source->files);
        source_let_go(source);
        source_refuse(source, source->node, err);
    }
    source_wake(source);
}

/* Nothing of the source changes where there is none: a node may still catch up with the log that is held. */
static int make_prepare(struct rebuild_source *source, uint64_t min_index)
{
    const struct rebuild_source_options *options = &source->options;
    uint64_t free_bytes = 0;
    uint64_t index;
    uint64_t term;
    options->log.stored(options->log.arg, &index, &term);
    if (index == 0 || index < min_index) {
        return ERR_BUSY; /* Nothing is stored yet, and the log has everything; or too little is. */
    }
    if (options->disk_free_min > 0 && options->disk->ops->free_space(options->disk, &free_bytes) == 0 &&
        free_bytes < options->disk_free_min) {
        return ERR_NO_SPACE;
    }
    if (!options->log.hold(options->log.arg, index)) {
        source_let_go(source);
        return ERR_BUSY;
    }
    source->index = index;
    source->term = term;
    do {
        source->copy = options->clock->random(options->clock);
    } while (source->copy == 0);
    int len = snprintf(source->name, sizeof source->name, REBUILD_COPY "%016" PRIx64 "-%" PRIu64 "-%" PRIu64,
                       source->copy, source->index, source->term);
    CHECK(len > 0 && len < (int)sizeof source->name);
    return rebuild_path(source->path, options->dir, source->name, "");
}

/* A patient waits for the checkpoint. */
static void make_refuse(struct rebuild_source *source, const struct source_question *question, int err)
{
    const struct rebuild_source_options *options = &source->options;
    uint64_t index;
    uint64_t term;
    options->log.stored(options->log.arg, &index, &term);
    bool older = err == ERR_BUSY && index < question->min_index;
    const char *why = older                 ? "a checkpoint is being made"
                      : err == ERR_NO_SPACE ? "its disk is nearly full"
                      : err != ERR_BUSY     ? ""
                      : index == 0          ? "there is no checkpoint yet, and the log has everything"
                                            : "the log after its last checkpoint has gone, until the next one";
    if (older && options->store_soon != NULL) {
        options->store_soon(options->arg, question->min_index);
    }
    source_refuse_why(source, question->node, err, why);
}

void source_make(struct rebuild_source *source, const struct source_question *question)
{
    uint64_t node = question->node;
    CHECK(!source->busy && (source->phase == SOURCE_NONE || source->phase == SOURCE_FOLLOWED));
    int err = make_prepare(source, question->min_index);
    if (err != 0) {
        make_refuse(source, question, err);
        return;
    }
    source->phase = SOURCE_MAKING;
    source->node = node;
    source->question = question->question;
    source->next = (struct source_question){0};
    source->touched = false;
    source->match = source->options.log.match(source->options.log.arg, node);
    source->busy = true;
    source->task = (struct disk_task){.run = make_run, .done = make_done};
    source->options.disk->ops->offload(source->options.disk, &source->task);
}

/* ---- Removing ---- */

void source_let_go(struct rebuild_source *source)
{
    (void)source->options.log.hold(source->options.log.arg, UINT64_MAX);
}

static int remove_run(struct disk_task *task)
{
    struct rebuild_source *source = container_of(task, struct rebuild_source, task);
    return state_dir_remove(source->options.disk, source->path);
}

static void remove_done(struct disk_task *task, int err)
{
    struct rebuild_source *source = container_of(task, struct rebuild_source, task);
    struct source_question next = source->next;
    source->busy = false;
    source->next = (struct source_question){0};
    if (err != 0) {
        journal_warning(source->options.journal, "rebuild", "%s cannot be removed: %s", source->path, err_text(err));
    }
    source->phase = source->follow && next.node == 0 ? SOURCE_FOLLOWED : SOURCE_NONE;
    if (source->phase == SOURCE_NONE) {
        source_let_go(source);
    }
    if (next.node != 0) {
        source_make(source, &next);
    }
    source_wake(source);
}

/* Reads that are under way come before it on the same thread. */
void source_remove(struct rebuild_source *source, bool follow)
{
    CHECK(source->phase == SOURCE_READY && !source->busy);
    source->phase = SOURCE_REMOVING;
    source->follow = follow;
    source->look_ms = source_now_ms(source);
    rebuild_files_done(&source->files);
    source->busy = true;
    source->task = (struct disk_task){.run = remove_run, .done = remove_done};
    source->options.disk->ops->offload(source->options.disk, &source->task);
}

/* ---- Finding ---- */

/* Whether the name is one of ours, exactly. */
static bool copy_parse(struct rebuild_source *source, const char *name)
{
    char again[STATE_DIR_NAME_LEN_MAX];
    uint64_t copy;
    uint64_t index;
    uint64_t term;
    if (sscanf(name, REBUILD_COPY "%16" SCNx64 "-%20" SCNu64 "-%20" SCNu64, &copy, &index, &term) != 3 || copy == 0) {
        return false;
    }
    int len = snprintf(again, sizeof again, REBUILD_COPY "%016" PRIx64 "-%" PRIu64 "-%" PRIu64, copy, index, term);
    if (len < 0 || len >= (int)sizeof again || strcmp(again, name) != 0) {
        return false;
    }
    source->copy = copy;
    source->index = index;
    source->term = term;
    memcpy(source->name, again, sizeof again);
    return true;
}

static bool copy_is_whole(struct disk *disk, const char *path)
{
    char whole[REBUILD_PATH_LEN_MAX];
    struct disk_file *file;
    if (rebuild_path(whole, path, REBUILD_WHOLE, "") != 0 || disk->ops->open(disk, whole, DISK_READ_ONLY, &file) != 0) {
        return false;
    }
    disk->ops->close(file);
    return true;
}

/* Whether the copy is taken over; it needs the log after it. */
static bool copy_adopt(struct rebuild_source *source, const char *name, const char *path)
{
    const struct rebuild_log *log = &source->options.log;
    if (source->phase != SOURCE_NONE || !copy_is_whole(source->options.disk, path) || !copy_parse(source, name)) {
        return false;
    }
    if (!log->hold(log->arg, source->index)) {
        source_let_go(source);
        return false;
    }
    if (rebuild_files_list(source->options.disk, path, false, &source->files) != 0) {
        source_let_go(source);
        return false;
    }
    memcpy(source->path, path, sizeof source->path);
    uint64_t stored_term;
    source->options.log.stored(source->options.log.arg, &source->holds, &stored_term);
    source->phase = SOURCE_READY;
    source->bytes = source->files.bytes;
    source->asked_ms = source_now_ms(source);
    source->look_ms = source->asked_ms;
    source->touched = true;
    return true;
}

struct adoption {
    struct rebuild_source *source;
    int err;
};

static void adopt_each(void *arg, const char *name)
{
    struct adoption *adoption = arg;
    struct rebuild_source *source = adoption->source;
    char path[REBUILD_PATH_LEN_MAX];
    if (adoption->err != 0 || strncmp(name, REBUILD_COPY, strlen(REBUILD_COPY)) != 0) {
        return;
    }
    adoption->err = rebuild_path(path, source->options.dir, name, "");
    if (adoption->err == 0 && !copy_adopt(source, name, path)) {
        adoption->err = state_dir_remove(source->options.disk, path);
    }
}

int source_adopt(struct rebuild_source *source)
{
    struct adoption adoption = {.source = source};
    struct disk *disk = source->options.disk;
    int err = disk->ops->list(disk, source->options.dir, adopt_each, &adoption);
    return err == 0 ? adoption.err : err;
}
