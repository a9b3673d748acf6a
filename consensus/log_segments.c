/* The segment files in use, and the spare. */

#include "consensus/log_segments.h"

#include "consensus/log_format.h"
#include "proto/base/check.h"

void log_segments_init(struct log_segments *segments, struct disk *disk, const char *dir, uint64_t segment_len)
{
    *segments = (struct log_segments){.disk = disk, .dir = dir, .segment_len = log_sector_align(segment_len)};
    segments->spare.disk = disk;
    segments->spare.dir = dir;
    log_deque_init(&segments->files, sizeof(struct log_segment));
}

void log_segments_done(struct log_segments *segments)
{
    for (size_t i = 0; i < segments->files.len; i++) {
        struct log_segment *segment = log_deque_at(&segments->files, i);
        segments->disk->ops->close(segment->file);
    }
    log_deque_done(&segments->files);
    if (segments->spare.file != NULL) {
        segments->disk->ops->close(segments->spare.file);
        segments->spare.file = NULL;
    }
}

struct log_segment *log_segments_active(const struct log_segments *segments)
{
    return log_deque_last(&segments->files);
}

struct log_segment *log_segments_find(const struct log_segments *segments, uint64_t number)
{
    const struct log_segment *first = log_deque_at(&segments->files, 0);
    CHECK(number >= first->number);
    return log_deque_at(&segments->files, (size_t)(number - first->number));
}

int log_segments_add(struct log_segments *segments, uint64_t number, uint64_t epoch, uint64_t len)
{
    const struct log_segment *last = log_segments_active(segments);
    CHECK(last == NULL || last->number + 1 == number);
    char path[LOG_PATH_LEN_MAX];
    int err = log_path_of_segment(segments->dir, number, path);
    if (err == 0) {
        err = log_deque_reserve(&segments->files, 1);
    }
    if (err != 0) {
        return err;
    }
    struct log_segment segment = {
        .number = number, .epoch = epoch, .len = len, .begun = true, .durable = true, .sealed = true};
    err = segments->disk->ops->open(segments->disk, path, 0, &segment.file);
    if (err == 0) {
        log_deque_push(&segments->files, &segment);
    }
    return err;
}

/* On the disk's other thread: touches the spare alone, which the loop leaves alone meanwhile. */
static int spare_run(struct disk_task *task)
{
    struct log_spare *spare = container_of(task, struct log_spare, task);
    const struct disk_ops *ops = spare->disk->ops;
    int err = 0;
    if (spare->file == NULL) {
        err = ops->open(spare->disk, spare->path, DISK_CREATE, &spare->file);
    }
    if (err == 0) {
        err = ops->allocate(spare->file, spare->len);
    }
    if (err == 0) {
        err = ops->sync(spare->file);
    }
    if (err == 0) {
        err = ops->sync_dir(spare->disk, spare->dir);
    }
    return err;
}

static int spare_set(struct log_segments *segments, uint64_t number, uint64_t len)
{
    struct log_spare *spare = &segments->spare;
    len = log_sector_align(len > segments->segment_len ? len : segments->segment_len);
    CHECK(len <= LOG_SEGMENT_LEN_MAX && (spare->file == NULL || spare->number == number));
    int err = log_path_of_segment(segments->dir, number, spare->path);
    if (err == 0) {
        /* Adding it to the list later must not fail. */
        err = log_deque_reserve(&segments->files, 1);
    }
    if (err == 0) {
        spare->number = number;
        spare->len = len;
    }
    return err;
}

int log_segments_make(struct log_segments *segments, uint64_t number)
{
    CHECK(segments->spare.state == LOG_SPARE_NONE);
    int err = spare_set(segments, number, 0);
    if (err == 0) {
        err = spare_run(&segments->spare.task);
    }
    if (err != 0) {
        return err;
    }
    segments->spare.state = LOG_SPARE_READY;
    return log_segments_advance(segments, 0) ? 0 : ERR_IO;
}

int log_segments_prepare(struct log_segments *segments, uint64_t len, void (*done)(struct disk_task *task, int err))
{
    struct log_spare *spare = &segments->spare;
    struct log_segment *active = log_segments_active(segments);
    CHECK(spare->state != LOG_SPARE_PREPARING && active != NULL);
    if (!active->begun) {
        /* It is too short for what comes and nothing is in it: it goes back to be made longer. */
        CHECK(spare->state == LOG_SPARE_NONE && spare->file == NULL);
        spare->number = active->number;
        spare->file = active->file;
        log_deque_drop_back(&segments->files, 1);
    }
    active = log_segments_active(segments);
    uint64_t number = spare->file != NULL ? spare->number : active->number + 1;
    int err = spare_set(segments, number, len);
    if (err == 0) {
        spare->state = LOG_SPARE_PREPARING;
        spare->task.run = spare_run;
        spare->task.done = done;
        segments->disk->ops->offload(segments->disk, &spare->task);
    }
    return err;
}

void log_segments_prepared(struct log_segments *segments, int err)
{
    CHECK(segments->spare.state == LOG_SPARE_PREPARING);
    segments->spare.state = err == 0 ? LOG_SPARE_READY : LOG_SPARE_NONE;
}

bool log_segments_advance(struct log_segments *segments, uint64_t len)
{
    struct log_spare *spare = &segments->spare;
    if (spare->state != LOG_SPARE_READY || spare->len < len) {
        return false;
    }
    struct log_segment segment = {
        .number = spare->number, .epoch = segments->epoch, .len = spare->len, .file = spare->file};
    log_deque_push(&segments->files, &segment);
    spare->state = LOG_SPARE_NONE;
    spare->file = NULL;
    return true;
}

int log_segments_remove_first(struct log_segments *segments)
{
    CHECK(segments->files.len > 1);
    struct log_segment *first = log_deque_at(&segments->files, 0);
    char path[LOG_PATH_LEN_MAX];
    int err = log_path_of_segment(segments->dir, first->number, path);
    if (err == 0) {
        err = segments->disk->ops->remove(segments->disk, path);
    }
    if (err == 0) {
        segments->disk->ops->close(first->file);
        log_deque_drop_front(&segments->files, 1);
    }
    return err;
}
