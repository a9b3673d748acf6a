/* The segment files in use. */

#include "consensus/log_segments.h"

#include "consensus/log_format.h"
#include "proto/base/check.h"

void log_segments_init(struct log_segments *segments, struct disk *disk, const char *dir, uint64_t segment_len,
                       uint64_t reserve_len)
{
    *segments = (struct log_segments){.disk = disk, .dir = dir};
    log_spares_init(&segments->spares, disk, dir, segment_len, reserve_len);
    log_deque_init(&segments->files, sizeof(struct log_segment));
}

void log_segments_done(struct log_segments *segments)
{
    for (size_t i = 0; i < segments->files.len; i++) {
        struct log_segment *segment = log_deque_at(&segments->files, i);
        segments->disk->ops->close(segment->file);
    }
    log_deque_done(&segments->files);
    log_spares_done(&segments->spares);
}

struct log_segment *log_segments_active(const struct log_segments *segments)
{
    return log_deque_last(&segments->files);
}

struct log_segment *log_segments_writable(const struct log_segments *segments)
{
    struct log_segment *active = log_segments_active(segments);
    return active != NULL && !active->sealed ? active : NULL;
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
        segments->spares.next_number = number + 1;
    }
    return err;
}

void log_segment_begin(struct log_segment *segment, const struct log_segment_head *head)
{
    segment->begun = true;
    segment->head = *head;
    segment->end = LOG_SEGMENT_HEAD_LEN;
    segment->batch = head->first_batch - 1;
    segment->checksum = head->previous;
}

int log_segments_make(struct log_segments *segments)
{
    int err = log_spares_make(&segments->spares);
    return err == 0 ? log_segments_advance(segments, 0) : err;
}

void log_segments_prepare(struct log_segments *segments, uint64_t len, void (*done)(struct disk_task *task, int err))
{
    struct log_spares *spares = &segments->spares;
    struct log_segment *active = log_segments_active(segments);
    struct log_spare none = {0};
    if (len > 0 && active != NULL && !active->begun) {
        /* It is too short for what comes and nothing is in it: it goes back to be made longer. */
        struct log_spare back = {.number = active->number, .len = active->len, .file = active->file};
        log_deque_drop_back(&segments->files, 1);
        log_spares_begin(spares, back, len, done);
    } else if (len > 0 && spares->ready_len > 0) {
        CHECK(spares->ready[0].len < len);
        log_spares_begin(spares, log_spares_take(spares), len, done);
    } else {
        log_spares_begin(spares, none, len, done);
    }
}

int log_segments_advance(struct log_segments *segments, uint64_t len)
{
    struct log_spares *spares = &segments->spares;
    const struct log_segment *active = log_segments_active(segments);
    bool begun = active == NULL || active->begun;
    if (!begun || spares->ready_len == 0 || spares->ready[0].len < len) {
        return ERR_NOT_FOUND;
    }
    int err = log_deque_reserve(&segments->files, 1);
    if (err != 0) {
        return err;
    }
    struct log_spare spare = log_spares_take(spares);
    struct log_segment segment = {
        .number = spare.number, .epoch = segments->epoch, .len = spare.len, .file = spare.file};
    log_deque_push(&segments->files, &segment);
    return 0;
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
