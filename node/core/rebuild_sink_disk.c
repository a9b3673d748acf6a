/* What the fetching side does to the disk. All of it runs on the disk's other thread, one thing at a time, but for the look
 * around at the start. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/core/rebuild_sink_private.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

static void disk_fail(struct rebuild_sink *sink, int err, const char *step)
{
    char what[200];
    (void)snprintf(what, sizeof what, "the copy from node %" PRIu64 ": %s: %s", sink->copy_source, step, err_text(err));
    sink->failed = true;
    sink->phase = SINK_IDLE;
    sink->options.fatal(sink->options.arg, err, what);
}

/* What may be tried again without harm. After anything else, a failed sync above all, nobody knows what is on the disk. */
static bool may_retry(int err)
{
    return err == ERR_NO_SPACE || err == ERR_NOMEM;
}

void sink_disk_begin(struct rebuild_sink *sink, int (*run)(struct disk_task *task),
                     void (*done)(struct disk_task *task, int err))
{
    CHECK(!sink->busy);
    sink->busy = true;
    sink->task = (struct disk_task){.run = run, .done = done};
    sink->options.disk->ops->offload(sink->options.disk, &sink->task);
}

/* ---- Looking around ---- */

struct look {
    struct rebuild_sink *sink;
    const char *keep;
    const char *current; /* The directory of the state, which is not ours. */
    int err;
};

static bool name_parse(const char *name, uint64_t *ret_source, uint64_t *ret_copy)
{
    char again[STATE_DIR_NAME_LEN_MAX];
    uint64_t source;
    uint64_t copy;
    if (sscanf(name, REBUILD_INCOMING "%20" SCNu64 "-%16" SCNx64, &source, &copy) != 2 || source == 0 || copy == 0) {
        return false;
    }
    int len = snprintf(again, sizeof again, REBUILD_INCOMING "%" PRIu64 "-%016" PRIx64, source, copy);
    if (len < 0 || len >= (int)sizeof again || strcmp(again, name) != 0) {
        return false;
    }
    *ret_source = source;
    *ret_copy = copy;
    return true;
}

static void remove_incoming(void *arg, const char *name)
{
    struct look *look = arg;
    char path[REBUILD_PATH_LEN_MAX];
    bool incoming = strncmp(name, REBUILD_INCOMING, strlen(REBUILD_INCOMING)) == 0;
    if (look->err != 0 || !incoming || strcmp(name, look->keep) == 0 || strcmp(name, look->current) == 0) {
        return;
    }
    look->err = rebuild_path(path, look->sink->options.dir, name, "");
    if (look->err == 0) {
        look->err = state_dir_remove(look->sink->options.disk, path);
    }
}

/* Removes all directories of fetches but the one of that name, and that of the state. */
static int remove_others(struct rebuild_sink *sink, const char *keep)
{
    char detail[200];
    struct state_dir current;
    struct look look = {.sink = sink, .keep = keep, .current = current.name};
    struct disk *disk = sink->options.disk;
    int err = state_dir_read(disk, sink->options.dir, &current, detail, sizeof detail);
    if (err == 0) {
        err = disk->ops->list(disk, sink->options.dir, remove_incoming, &look);
    }
    return err == 0 ? look.err : err;
}

static void find_incoming(void *arg, const char *name)
{
    struct look *look = arg;
    struct rebuild_sink *sink = look->sink;
    uint64_t source;
    uint64_t copy;
    if (strcmp(name, look->current) != 0 && name_parse(name, &source, &copy)) {
        sink->copy = copy;
        sink->copy_source = source;
        (void)snprintf(sink->name, sizeof sink->name, "%s", name);
    }
}

int sink_disk_find(struct rebuild_sink *sink)
{
    char detail[200];
    struct state_dir current;
    struct disk *disk = sink->options.disk;
    struct look look = {.sink = sink, .current = current.name};
    int err = state_dir_read(disk, sink->options.dir, &current, detail, sizeof detail);
    if (err == 0) {
        memcpy(sink->state, current.name, sizeof sink->state);
        err = disk->ops->list(disk, sink->options.dir, find_incoming, &look);
    }
    if (err == 0) {
        err = remove_others(sink, sink->name);
    }
    return err == 0 && sink->copy != 0 ? rebuild_path(sink->path, sink->options.dir, sink->name, "") : err;
}

/* ---- Preparing ---- */

static void keep_whole(void *arg, const char *name)
{
    struct look *look = arg;
    struct rebuild_sink *sink = look->sink;
    struct disk *disk = sink->options.disk;
    struct rebuild_file *file = rebuild_files_find(&sink->files, name);
    char path[REBUILD_PATH_LEN_MAX];
    struct disk_file *open;
    uint64_t size = 0;
    if (look->err != 0) {
        return;
    }
    look->err = rebuild_path(path, sink->path, name, "");
    if (look->err == 0 && file != NULL) {
        look->err = disk->ops->open(disk, path, DISK_READ_ONLY, &open);
        if (look->err == 0) {
            look->err = disk->ops->size(open, &size);
            disk->ops->close(open);
        }
        file->whole = look->err == 0 && size == file->size;
        bool unfit = look->err == ERR_CORRUPT || look->err == ERR_NOT_FOUND; /* No file, or a link to nowhere. */
        look->err = unfit ? 0 : look->err;
    }
    if (look->err == 0 && (file == NULL || !file->whole)) {
        look->err = disk->ops->remove(disk, path);
    }
}

static uint64_t bytes_whole(const struct rebuild_sink *sink)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < sink->files.len; i++) {
        bytes += sink->files.items[i].whole ? sink->files.items[i].size : 0;
    }
    return bytes;
}

static int prepare_room(struct rebuild_sink *sink)
{
    uint64_t free_bytes = 0;
    uint64_t needed = sink->files.bytes - bytes_whole(sink);
    int err = sink->options.disk->ops->free_space(sink->options.disk, &free_bytes);
    bool enough = free_bytes >= needed && free_bytes - needed >= sink->options.disk_free_min;
    sink->room_needed = err == 0 && !enough ? needed : 0;
    sink->room_free = free_bytes > sink->options.disk_free_min ? free_bytes - sink->options.disk_free_min : 0;
    return err == 0 && !enough ? ERR_NO_SPACE : err;
}

static int prepare_run(struct disk_task *task)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    struct look look = {.sink = sink};
    struct disk *disk = sink->options.disk;
    int err = remove_others(sink, sink->name);
    if (err == 0) {
        err = disk->ops->make_dir(disk, sink->path);
    }
    if (err == 0) {
        err = disk->ops->sync_dir(disk, sink->options.dir);
    }
    if (err == 0) {
        err = disk->ops->list(disk, sink->path, keep_whole, &look);
    }
    if (err == 0) {
        err = look.err;
    }
    return err == 0 ? prepare_room(sink) : err;
}

static void prepare_done(struct disk_task *task, int err)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    sink->busy = false;
    sink->said_needed = sink->room_needed;
    sink->said_free = sink->room_free;
    if (err == 0) {
        sink->phase = SINK_FETCHING;
        sink->prepared = true;
        sink->bytes_here = bytes_whole(sink);
        sink->progress_ms = sink_now_ms(sink);
        journal_info(sink->options.journal, "rebuild",
                     "fetching a copy of the state from node %" PRIu64 ": %" PRIu64 " of %" PRIu64 " bytes are here",
                     sink->source, sink->bytes_here, sink->files.bytes);
    } else if (may_retry(err)) {
        journal_warning(sink->options.journal, "rebuild",
                        "%" PRIu64 " bytes of a copy of the state are to be fetched: %s; it is tried again in %u s",
                        sink->files.bytes, err_text(err), REBUILD_SINK_GIVE_UP_MS / 1000);
        sink_rest(sink, REBUILD_SINK_GIVE_UP_MS);
    } else {
        disk_fail(sink, err, "its directory cannot be made");
    }
    sink_wake(sink);
}

void sink_disk_prepare(struct rebuild_sink *sink)
{
    sink->phase = SINK_PREPARING;
    sink->prepared = false;
    sink_disk_begin(sink, prepare_run, prepare_done);
}

/* ---- Writing ---- */

static int write_part(struct disk *disk, const struct sink_write *write)
{
    const struct sink_part *part = write->part;
    struct disk_file *file;
    int err = disk->ops->open(disk, write->path, DISK_CREATE, &file);
    if (err != 0) {
        return err;
    }
    if (part->len > 0) {
        err = disk->ops->write(file, part->offset, part->data.data, part->len);
    }
    if (err == 0 && write->last && !fault_fires(FAULT_SKIP_COPY_SYNC)) {
        err = disk->ops->sync(file);
    }
    disk->ops->close(file);
    return err == 0 && write->last ? disk->ops->rename(disk, write->path, write->whole) : err;
}

static int write_run(struct disk_task *task)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    int err = 0;
    for (unsigned i = 0; err == 0 && i < sink->writes_len; i++) {
        err = write_part(sink->options.disk, &sink->writes[i]);
    }
    return err;
}

static void write_settle(struct rebuild_sink *sink)
{
    for (unsigned i = 0; i < sink->writes_len; i++) {
        struct sink_part *part = sink->writes[i].part;
        sink->bytes_here += part->len;
        sink->files.items[part->file].whole = sink->writes[i].last;
        slice_unref(&part->data);
        *part = (struct sink_part){0};
    }
    sink->writes_len = 0;
}

/* The parts of files that are not whole are given up: on a full disk they are in the way. What comes next begins with
 * a look at the room, and keeps the files that are whole. */
static void write_failed(struct rebuild_sink *sink, int err)
{
    journal_warning(sink->options.journal, "rebuild", "the copy cannot be written: %s; it is tried again in %u s",
                    err_text(err), REBUILD_SINK_GIVE_UP_MS / 1000);
    sink->prepared = false;
    if (sink->phase == SINK_FETCHING) {
        sink_rest(sink, REBUILD_SINK_GIVE_UP_MS);
    }
}

static void write_done(struct disk_task *task, int err)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    sink->busy = false;
    sink->progress_ms = sink_now_ms(sink);
    write_settle(sink);
    if (err != 0 && may_retry(err)) {
        write_failed(sink, err);
    } else if (err != 0) {
        disk_fail(sink, err, "it cannot be written");
    }
    sink_wake(sink);
}

static int write_add(struct rebuild_sink *sink, struct sink_part *part)
{
    struct sink_write *write = &sink->writes[sink->writes_len];
    const struct rebuild_file *file = &sink->files.items[part->file];
    *write = (struct sink_write){.part = part};
    int err = rebuild_path(write->path, sink->path, file->name, REBUILD_PART);
    if (err == 0) {
        err = rebuild_path(write->whole, sink->path, file->name, "");
    }
    if (err != 0) {
        return err;
    }
    sink->written[part->file] += part->len;
    write->last = sink->written[part->file] == file->size;
    part->state = PART_WRITTEN;
    sink->writes_len++;
    return 0;
}

void sink_disk_write(struct rebuild_sink *sink)
{
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        if (sink->parts[i].state == PART_HERE) {
            int err = write_add(sink, &sink->parts[i]);
            if (err != 0) {
                disk_fail(sink, err, "the path of a file");
                return;
            }
        }
    }
    if (sink->writes_len > 0) {
        sink_disk_begin(sink, write_run, write_done);
    }
}

/* ---- The end ---- */

static int finish_run(struct disk_task *task)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    struct disk *disk = sink->options.disk;
    int err = disk->ops->sync_dir(disk, sink->path);
    return err == 0 ? disk->ops->sync_dir(disk, sink->options.dir) : err;
}

static void finish_done(struct disk_task *task, int err)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    sink->busy = false;
    if (err == 0 && sink->options.open_copy != NULL) {
        sink_check_begin(sink);
    } else if (err == 0) {
        sink->phase = SINK_HERE;
    } else {
        disk_fail(sink, err, "its directory cannot be synced");
    }
    sink_wake(sink);
}

void sink_disk_finish(struct rebuild_sink *sink)
{
    sink->phase = SINK_FINISHING;
    sink_disk_begin(sink, finish_run, finish_done);
}

static int clear_run(struct disk_task *task)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    return remove_others(sink, "");
}

static void clear_done(struct disk_task *task, int err)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    sink->busy = false;
    sink->phase = SINK_IDLE;
    sink->cancelled = false;
    sink->copy = 0;
    sink->bytes_here = 0;
    rebuild_files_done(&sink->files);
    if (err == 0 && sink->clear_rest_ms > 0 && sink->wanted) {
        sink->phase = SINK_RESTING;
        sink->rest_ms = sink_now_ms(sink) + sink->clear_rest_ms;
    }
    sink->clear_rest_ms = 0;
    if (err != 0) {
        disk_fail(sink, err, "what is not needed of it cannot be removed");
    }
    sink_wake(sink);
}

void sink_disk_clear(struct rebuild_sink *sink)
{
    sink_check_end(sink);
    sink->phase = SINK_CLEARING;
    sink->prepared = false;
    sink_parts_reset(sink);
    sink_disk_begin(sink, clear_run, clear_done);
}
