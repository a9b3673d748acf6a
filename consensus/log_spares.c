/* The segment files that are made ahead of need. */

#include "consensus/log_spares.h"

#include <string.h>

#include "consensus/log_format.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

void log_spares_init(struct log_spares *spares, struct disk *disk, const char *dir, uint64_t segment_len,
                     uint64_t reserve_len)
{
    *spares =
        (struct log_spares){.disk = disk, .dir = dir, .segment_len = log_sector_align(segment_len), .next_number = 1};
    uint64_t wanted = reserve_len / spares->segment_len + (reserve_len % spares->segment_len > 0);
    spares->wanted = wanted < 1 ? 1 : wanted > LOG_SPARES_MAX ? LOG_SPARES_MAX : (unsigned)wanted;
}

void log_spares_done(struct log_spares *spares)
{
    while (spares->ready_len > 0) {
        spares->disk->ops->close(spares->ready[--spares->ready_len].file);
    }
    if (spares->made.file != NULL) {
        spares->disk->ops->close(spares->made.file);
        spares->made.file = NULL;
    }
}

/* Asking first keeps a full disk from being filled to its last byte again and again. */
static int spare_check_room(struct disk *disk, uint64_t len)
{
    uint64_t free_len = 0;
    int err = disk->ops->free_space(disk, &free_len);
    return err != 0 ? err : free_len < len ? ERR_NO_SPACE : 0;
}

/* Gives back what a file has got of the disk, which had not enough. */
static int spare_take_back(struct log_spares *spares)
{
    const struct disk_ops *ops = spares->disk->ops;
    int err = 0;
    if (spares->made.file == NULL) {
        return 0;
    }
    if (spares->len_before > 0) {
        err = ops->truncate(spares->made.file, spares->len_before);
        return err == 0 ? ops->sync(spares->made.file) : err;
    }
    err = ops->remove(spares->disk, spares->path);
    if (err == 0) {
        ops->close(spares->made.file);
        spares->made.file = NULL;
    }
    return err;
}

/* On the disk's other thread: touches what is being made alone, which the loop leaves alone meanwhile. */
static int spare_run(struct disk_task *task)
{
    struct log_spares *spares = container_of(task, struct log_spares, task);
    const struct disk_ops *ops = spares->disk->ops;
    struct log_spare *made = &spares->made;
    int err = spare_check_room(spares->disk, made->len - spares->len_before);
    if (err == 0 && made->file == NULL) {
        err = ops->open(spares->disk, spares->path, DISK_CREATE, &made->file);
    }
    if (err == 0) {
        err = ops->allocate(made->file, made->len);
    }
    if (err == ERR_NO_SPACE) {
        int back_err = spare_take_back(spares);
        return back_err == 0 ? ERR_NO_SPACE : back_err;
    }
    if (err == 0) {
        err = ops->sync(made->file);
    }
    if (err == 0 && !fault_fires(FAULT_SKIP_DIR_SYNC)) {
        err = ops->sync_dir(spares->disk, spares->dir);
    }
    return err;
}

static void spares_set(struct log_spares *spares, struct log_spare of, uint64_t len)
{
    CHECK(!spares->making && spares->made.file == NULL && spares->ready_len < LOG_SPARES_MAX);
    len = log_sector_align(len > spares->segment_len ? len : spares->segment_len);
    CHECK(len <= LOG_SEGMENT_LEN_MAX);
    spares->made = of;
    spares->len_before = of.file != NULL ? of.len : 0;
    spares->made.number = of.file != NULL ? of.number : spares->next_number;
    spares->made.len = len;
    int err = log_path_of_segment(spares->dir, spares->made.number, spares->path);
    CHECK(err == 0); /* The directory's length was checked when the log was opened. */
    spares->making = true;
}

/* Puts what was made where its number belongs: at the end, or in front when it was taken from there. */
static void spares_put(struct log_spares *spares)
{
    bool front = spares->ready_len > 0 && spares->made.number < spares->ready[0].number;
    if (front) {
        memmove(spares->ready + 1, spares->ready, spares->ready_len * sizeof spares->ready[0]);
    }
    spares->ready[front ? 0 : spares->ready_len] = spares->made;
    spares->ready_len++;
    spares->made.file = NULL;
}

void log_spares_finish(struct log_spares *spares, int err)
{
    CHECK(spares->making);
    spares->making = false;
    if (err == 0) {
        spares->is_short = false;
        spares->next_number += spares->len_before == 0;
        spares_put(spares);
    } else if (err == ERR_NO_SPACE) {
        spares->is_short = true;
        spares->refused_len = spares->made.len - spares->len_before;
        if (spares->made.file != NULL) {
            spares->made.len = spares->len_before;
            spares_put(spares);
        }
    }
}

int log_spares_make(struct log_spares *spares)
{
    spares_set(spares, (struct log_spare){0}, 0);
    int err = spare_run(&spares->task);
    log_spares_finish(spares, err);
    return err;
}

bool log_spares_wanting(const struct log_spares *spares)
{
    return !spares->making && spares->ready_len < spares->wanted;
}

bool log_spares_ask_again(struct log_spares *spares)
{
    if (!spares->is_short || spares->making || log_spares_wanting(spares) ||
        spare_check_room(spares->disk, spares->refused_len) != 0) {
        return false;
    }
    spares->is_short = false;
    return true;
}

void log_spares_begin(struct log_spares *spares, struct log_spare of, uint64_t len,
                      void (*done)(struct disk_task *task, int err))
{
    spares_set(spares, of, len);
    spares->task.run = spare_run;
    spares->task.done = done;
    spares->disk->ops->offload(spares->disk, &spares->task);
}

struct log_spare log_spares_take(struct log_spares *spares)
{
    CHECK(spares->ready_len > 0);
    struct log_spare first = spares->ready[0];
    spares->ready_len--;
    memmove(spares->ready, spares->ready + 1, spares->ready_len * sizeof first);
    return first;
}
