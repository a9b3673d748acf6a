/* The file `log-time`. */

#include "node/core/time_keeper.h"

#include "node/core/rebuild_files.h"
#include "node/core/small_file.h"
#include "proto/base/check.h"

/* How long after the last one a mark is written: of a new leader, or when log time and wall clock have come apart by FAR_MS;
 * when they have by NEAR_MS, or entries have been stamped since; and in any case. */
#define AT_ONCE_MS 1000u
#define SOON_MS 5000u
#define LATER_MS 60000u
#define FAR_MS 1000u
#define NEAR_MS 50u

/* Each of them may be damaged, or never have been written. */
static int keeper_load(struct time_keeper *keeper, struct disk_file *file, bool *ret_unreadable)
{
    bool unreadable = false;
    for (unsigned place = 0; place < TIME_KEEPER_PLACES; place++) {
        uint8_t bytes[TIME_MARK_LEN];
        struct time_mark mark;
        size_t len = 0;
        int err = keeper->disk->ops->read(file, (uint64_t)place * TIME_KEEPER_PLACE_LEN, bytes, sizeof bytes, &len);
        if (err == ERR_NOMEM) {
            return err;
        }
        unreadable = unreadable || err == ERR_CORRUPT;
        if (err == 0 && len == sizeof bytes && time_mark_decode(bytes, &mark) == 0 &&
            time_mark_newer(&mark, &keeper->kept)) {
            keeper->kept = mark;
            keeper->place = (place + 1) % TIME_KEEPER_PLACES;
        }
    }
    *ret_unreadable = unreadable;
    return keeper->kept.term != 0 ? 0 : ERR_CORRUPT;
}

void time_keeper_open(struct time_keeper *keeper, struct disk *disk, struct journal *journal, const char *dir,
                      struct time_mark *ret_mark)
{
    *keeper = (struct time_keeper){.disk = disk, .journal = journal, .dir = dir};
    char path[REBUILD_PATH_LEN_MAX];
    struct disk_file *file;
    bool unreadable = false;
    int err = rebuild_path(path, dir, TIME_KEEPER_FILE, "");
    if (err == 0) {
        err = disk->ops->open(disk, path, DISK_READ_ONLY, &file);
    }
    if (err == 0) {
        err = keeper_load(keeper, file, &unreadable);
        disk->ops->close(file);
    }
    if (unreadable) { /* To write a part of what cannot be read fails as well: it is made anew. */
        int remove_err = disk->ops->remove(disk, path);
        err = err == 0 ? remove_err : err;
    }
    if (err != 0 && err != ERR_NOT_FOUND) { /* After a crash while it was made there may be nothing in it. */
        journal_info(journal, "clock", "%s/" TIME_KEEPER_FILE ", which says what log time was: %s; it is not used", dir,
                     err_text(err));
    }
    *ret_mark = keeper->kept;
}

static int keeper_open_file(struct time_keeper *keeper, struct disk_file **ret_file)
{
    const unsigned len = TIME_KEEPER_PLACES * TIME_KEEPER_PLACE_LEN;
    char path[REBUILD_PATH_LEN_MAX];
    struct disk_file *file;
    uint64_t size = 0;
    int err = rebuild_path(path, keeper->dir, TIME_KEEPER_FILE, "");
    if (err == 0 && keeper->spare) {
        err = keeper->disk->ops->open(keeper->disk, path, DISK_READ_ONLY, &file);
        if (err == 0) {
            keeper->disk->ops->close(file);
        }
    }
    if (err == 0) {
        err = small_file_open(keeper->disk, path, &file);
    }
    if (err != 0) {
        return err;
    }
    err = keeper->disk->ops->size(file, &size);
    if (err == 0 && size < len) {
        err = keeper->disk->ops->allocate(file, len);
    }
    if (err != 0) {
        keeper->disk->ops->close(file);
        return err;
    }
    *ret_file = file;
    return 0;
}

static int keeper_write(struct time_keeper *keeper, struct disk_file *file)
{
    const struct disk_ops *ops = keeper->disk->ops;
    uint8_t bytes[TIME_MARK_LEN];
    time_mark_encode(&keeper->writing, bytes);
    int err = ops->write(file, (uint64_t)keeper->place * TIME_KEEPER_PLACE_LEN, bytes, sizeof bytes);
    if (err == 0 && keeper->first) {
        err = ops->sync(file);
        err = err == 0 ? ops->sync_dir(keeper->disk, keeper->dir) : err;
    }
    return err;
}

/* Off the loop. */
static int keeper_run(struct disk_task *task)
{
    struct time_keeper *keeper = container_of(task, struct time_keeper, task);
    struct disk_file *file;
    int err = keeper_open_file(keeper, &file);
    if (err == 0) {
        err = keeper_write(keeper, file);
        keeper->disk->ops->close(file);
    }
    return err;
}

static void keeper_finished(struct disk_task *task, int err)
{
    struct time_keeper *keeper = container_of(task, struct time_keeper, task);
    bool short_of_room = err == ERR_NO_SPACE || (err == ERR_NOT_FOUND && keeper->spare);
    keeper->busy = false;
    if (err == 0) {
        keeper->kept = keeper->writing;
        keeper->place = (keeper->place + 1) % TIME_KEEPER_PLACES;
    } else if (!short_of_room && !keeper->failed) {
        keeper->failed = true;
        journal_warning(keeper->journal, "clock", "%s/" TIME_KEEPER_FILE " cannot be written: %s", keeper->dir,
                        err_text(err));
    }
}

static bool keeper_due(const struct time_keeper *keeper, const struct time_mark *mark, uint64_t stamped_ms,
                       uint64_t now_ms)
{
    uint64_t waited_ms = now_ms - keeper->kept_ms;
    uint64_t apart_ms = time_mark_distance(mark, &keeper->kept);
    if (keeper->kept_ms == 0 || waited_ms >= LATER_MS) {
        return true;
    }
    if (mark->term != keeper->kept.term || apart_ms > FAR_MS) {
        return waited_ms >= AT_ONCE_MS;
    }
    return waited_ms >= SOON_MS && (apart_ms > NEAR_MS || stamped_ms > keeper->kept.log_ms);
}

void time_keeper_take(struct time_keeper *keeper, const struct time_mark *mark, uint64_t stamped_ms, bool disk_low,
                      uint64_t now_ms)
{
    bool same = mark->term == keeper->kept.term && mark->log_ms == keeper->kept.log_ms;
    if (keeper->disk == NULL || keeper->busy || mark->term == 0 || same ||
        !keeper_due(keeper, mark, stamped_ms, now_ms)) {
        return;
    }
    keeper->busy = true;
    keeper->spare = disk_low;
    keeper->first = mark->term != keeper->kept.term;
    keeper->kept_ms = now_ms;
    keeper->writing = *mark;
    keeper->task = (struct disk_task){.run = keeper_run, .done = keeper_finished};
    keeper->disk->ops->offload(keeper->disk, &keeper->task);
}

bool time_keeper_idle(const struct time_keeper *keeper)
{
    return !keeper->busy;
}
