/* Reading a whole log, and deciding where it ends. */

#include "consensus/log_recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "consensus/log_path.h"
#include "consensus/log_verdict.h"
#include "consensus/log_watermark.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

struct recovery {
    struct disk *disk;
    const char *dir;
    const struct log_recover_observer *observer;
    struct log_recover_result *result;
    uint8_t *data; /* The segment being read. */
    uint64_t data_cap;
    size_t segments_cap;
    int list_err;
};

static int segment_blame(struct recovery *recovery, const struct log_recover_segment *segment, int err, uint64_t offset,
                         const char *what)
{
    struct log_recover_result *result = recovery->result;
    log_segment_name(segment->number, result->file);
    result->offset = offset;
    snprintf(result->detail, sizeof result->detail, "%s, offset %" PRIu64 ": %s", result->file, offset, what);
    return err;
}

static void segment_found(void *arg, const char *name)
{
    struct recovery *recovery = arg;
    struct log_recover_result *result = recovery->result;
    uint64_t number = log_segment_number(name);
    if (number == 0 || recovery->list_err != 0) {
        return;
    }
    if (result->segments_len == recovery->segments_cap) {
        size_t cap = recovery->segments_cap * 2 + 16;
        struct log_recover_segment *segments = realloc(result->segments, cap * sizeof *segments);
        if (segments == NULL) {
            recovery->list_err = ERR_NOMEM;
            return;
        }
        result->segments = segments;
        recovery->segments_cap = cap;
    }
    result->segments[result->segments_len++] = (struct log_recover_segment){.number = number};
}

static int segment_order(const void *a, const void *b)
{
    uint64_t x = ((const struct log_recover_segment *)a)->number;
    uint64_t y = ((const struct log_recover_segment *)b)->number;
    return (x > y) - (x < y);
}

static int recovery_list(struct recovery *recovery)
{
    struct log_recover_result *result = recovery->result;
    int err = recovery->disk->ops->list(recovery->disk, recovery->dir, segment_found, recovery);
    if (err == 0) {
        err = recovery->list_err;
    }
    if (err == 0 && result->segments_len > 0) {
        qsort(result->segments, result->segments_len, sizeof *result->segments, segment_order);
    }
    return err;
}

static int segment_open(struct recovery *recovery, struct log_recover_segment *segment, struct disk_file **ret_file)
{
    char path[LOG_PATH_LEN_MAX];
    int err = log_path_of_segment(recovery->dir, segment->number, path);
    if (err != 0) {
        return err;
    }
    struct disk_file *file = NULL;
    err = recovery->disk->ops->open(recovery->disk, path, DISK_READ_ONLY, &file);
    if (err != 0) {
        return err;
    }
    err = recovery->disk->ops->size(file, &segment->size);
    if (err != 0) {
        recovery->disk->ops->close(file);
        return err;
    }
    *ret_file = file;
    return 0;
}

/* What kept a segment from being read, with its name. One that is listed and not there is a link to nowhere. */
static int segment_fail(struct recovery *recovery, const struct log_recover_segment *segment, int err)
{
    if (err == ERR_NOT_FOUND) {
        return segment_blame(recovery, segment, ERR_CORRUPT, 0, "the name leads to no file");
    }
    const char *what = err == ERR_CORRUPT ? "it is not a file, or cannot be read" : err_text(err);
    return segment_blame(recovery, segment, err, 0, what);
}

/* A file shorter than a head was never written: its size was not synced when the power failed. */
static int segment_read_head(struct recovery *recovery, struct log_recover_segment *segment)
{
    struct disk_file *file = NULL;
    int err = segment_open(recovery, segment, &file);
    if (err != 0) {
        return segment_fail(recovery, segment, err);
    }
    uint8_t head[LOG_SEGMENT_HEAD_LEN] = {0};
    size_t len = 0;
    err = recovery->disk->ops->read(file, 0, head, sizeof head, &len);
    recovery->disk->ops->close(file);
    if (err != 0) {
        return segment_fail(recovery, segment, err);
    }
    segment->head_err = log_segment_head_decode(head, &segment->head);
    segment->end = LOG_SEGMENT_HEAD_LEN;
    if (segment->head_err == ERR_VERSION) {
        return segment_blame(recovery, segment, ERR_VERSION, 4, "written by a newer version");
    }
    if (segment->head_err == 0 && segment->head.number != segment->number) {
        return segment_blame(recovery, segment, ERR_CORRUPT, 8, "the segment has another number than its file");
    }
    return 0;
}

static int segment_load(struct recovery *recovery, struct log_recover_segment *segment)
{
    struct disk_file *file = NULL;
    int err = segment_open(recovery, segment, &file);
    if (err != 0) {
        return segment_fail(recovery, segment, err);
    }
    if (segment->size > LOG_SEGMENT_LEN_MAX) {
        err = segment_blame(recovery, segment, ERR_CORRUPT, LOG_SEGMENT_LEN_MAX, "the file is larger than a segment");
        goto close;
    }
    if (segment->size > recovery->data_cap) {
        free(recovery->data);
        recovery->data_cap = 0;
        recovery->data = malloc((size_t)segment->size);
        if (recovery->data == NULL) {
            err = ERR_NOMEM;
            goto close;
        }
        recovery->data_cap = segment->size;
    }
    size_t len = 0;
    err = recovery->disk->ops->read(file, 0, recovery->data, (size_t)segment->size, &len);
    if (err != 0) {
        err = segment_fail(recovery, segment, err);
    } else if (len < segment->size) {
        err = ERR_IO;
    }
close:
    recovery->disk->ops->close(file);
    return err;
}

/* Finds which segments are in use: from the last reset, or the first one there, to the last one with a head. */
static int recovery_arrange(struct recovery *recovery)
{
    struct log_recover_result *result = recovery->result;
    for (size_t i = 0; i < result->segments_len; i++) {
        struct log_recover_segment *segment = &result->segments[i];
        int err = segment_read_head(recovery, segment);
        if (err != 0) {
            return err;
        }
        if (segment->head_err == 0) {
            result->used_end = i + 1;
            if ((segment->head.flags & LOG_SEGMENT_RESET) != 0) {
                result->used_first = i;
            }
        }
    }
    for (size_t i = 0; i < result->segments_len; i++) {
        struct log_recover_segment *segment = &result->segments[i];
        segment->state = i < result->used_first ? LOG_RECOVER_SET_ASIDE
                         : i < result->used_end ? LOG_RECOVER_USED
                                                : LOG_RECOVER_UNUSED;
        if (i > result->used_first && segment->number != segment[-1].number + 1) {
            return segment_blame(recovery, &(struct log_recover_segment){.number = segment[-1].number + 1}, ERR_CORRUPT,
                                 0, "the segment is missing");
        }
        if (segment->state == LOG_RECOVER_USED && segment->head_err != 0) {
            return segment_blame(recovery, segment, ERR_CORRUPT, 0, "the head of the segment is damaged");
        }
    }
    if (result->used_end == 0 && result->segments_len > 0 && result->segments[0].number != 1) {
        return segment_blame(recovery, &result->segments[0], ERR_CORRUPT, 0, "the head of the segment is damaged");
    }
    return 0;
}

/* Hands the records of a whole batch on, and follows the indexes. */
static int batch_accept(struct recovery *recovery, struct log_recover_segment *segment,
                        const struct log_batch_head *batch)
{
    struct log_recover_result *result = recovery->result;
    uint64_t at = segment->end + LOG_BATCH_HEAD_LEN;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct log_record_head record;
        int err = log_record_head_decode(recovery->data + at, &record);
        CHECK(err == 0);
        if (record.index > result->last_index + 1) {
            return segment_blame(recovery, segment, ERR_CORRUPT, at, "the entries before this record are missing");
        }
        if (recovery->observer->record != NULL) {
            const uint8_t *payload = recovery->data + at + LOG_RECORD_HEAD_LEN;
            err = recovery->observer->record(recovery->observer->arg, segment, at, &record, payload);
            if (err != 0) {
                return err;
            }
        }
        result->first_index = record.index < result->first_index ? record.index : result->first_index;
        result->last_index = record.index;
        at += LOG_RECORD_HEAD_LEN + record.len;
    }
    segment->last = segment->end;
    segment->end = log_sector_align(segment->end + batch->len);
    segment->batches++;
    segment->records += batch->count;
    segment->batch = batch->number;
    segment->checksum = batch->checksum;
    result->records += batch->count;
    result->batch = batch->number;
    result->checksum = batch->checksum;
    return 0;
}

/* The place to name when the log ends too early: a segment whose head is damaged, or where the next batch should be. */
static int recovery_blame_end(struct recovery *recovery, size_t last, const struct log_verdict *verdict)
{
    struct log_recover_result *result = recovery->result;
    for (size_t i = last; i < result->segments_len && verdict->err == ERR_NOT_FOUND; i++) {
        struct log_recover_segment *segment = &result->segments[i];
        if (segment->state == LOG_RECOVER_UNUSED && segment->head_err == ERR_CORRUPT) {
            return segment_blame(recovery, segment, ERR_CORRUPT, 0, "the head of the segment is damaged");
        }
    }
    struct log_recover_segment none = {.number = 1};
    return segment_blame(recovery, result->segments_len > 0 ? &result->segments[last] : &none, ERR_CORRUPT,
                         verdict->offset, verdict->what);
}

static int segment_seen(struct recovery *recovery, const struct log_recover_segment *segment)
{
    const struct log_recover_observer *observer = recovery->observer;
    return observer->segment == NULL ? 0 : observer->segment(observer->arg, segment);
}

/* Measures what a torn batch left in a segment; an error when something there shows that the batch was synced. */
static int segment_end(struct recovery *recovery, size_t i, size_t last, const struct log_verdict *verdict)
{
    struct log_recover_result *result = recovery->result;
    struct log_recover_segment *segment = &result->segments[i];
    bool unused = segment->state == LOG_RECOVER_UNUSED;
    int err = unused ? segment_load(recovery, segment) : 0;
    if (err != 0) {
        return err;
    }
    uint64_t at = unused ? 0 : segment->end;
    if (log_verdict_proves(recovery->data, segment->size, at, result->batch + 1) &&
        !fault_fires(FAULT_SKIP_BATCH_SYNCED)) {
        return recovery_blame_end(recovery, last, verdict);
    }
    segment->torn_bytes = log_verdict_bytes_left(recovery->data, segment->size, at);
    result->torn_bytes += segment->torn_bytes;
    return segment_seen(recovery, segment);
}

/* The log ends where `verdict` says, unless something shows that a batch there was synced. The segment `last` is the
 * one in memory, unless it is unused. */
static int recovery_end(struct recovery *recovery, size_t last, const struct log_verdict *verdict)
{
    struct log_recover_result *result = recovery->result;
    if (result->watermark > result->batch && !fault_fires(FAULT_SKIP_WATERMARK)) {
        return recovery_blame_end(recovery, last, verdict);
    }
    for (size_t i = last; i < result->segments_len; i++) {
        int err = segment_end(recovery, i, last, verdict);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* Where the log begins when the segments before this one hold nothing: all that was begun there has been cut, and what it was
 * to replace was in segments that are gone. (Batches are numbered without a gap, so none is missing.) After a reset the log
 * begins where that says. */
static void recovery_begin_later(struct log_recover_result *result, size_t i)
{
    const struct log_recover_segment *first = &result->segments[result->used_first];
    if (result->records == 0 && (first->head.flags & LOG_SEGMENT_RESET) == 0) {
        result->first_index = result->segments[i].head.first_index;
        result->last_index = result->first_index - 1;
    }
}

/* Reads one segment in use. `limit` is the last batch in it, by what the next segment says; what comes after is what an
 * earlier recovery has cut. For the last segment there is no limit, and the log ends at the first batch not whole. */
static int segment_recover(struct recovery *recovery, size_t i, uint64_t limit)
{
    struct log_recover_result *result = recovery->result;
    struct log_recover_segment *segment = &result->segments[i];
    int err = segment_load(recovery, segment);
    if (err != 0) {
        return err;
    }
    if (i == result->used_first) {
        result->batch = segment->head.first_batch - 1;
        result->checksum = segment->head.previous;
        result->first_index = segment->head.first_index;
        result->last_index = segment->head.first_index - 1;
    } else if (segment->head.first_batch != result->batch + 1 || segment->head.previous != result->checksum) {
        return segment_blame(recovery, segment, ERR_CORRUPT, 24, "the segment does not follow the one before");
    }
    recovery_begin_later(result, i);
    segment->batch = result->batch;
    segment->checksum = result->checksum;
    result->epoch = segment->head.epoch > result->epoch ? segment->head.epoch : result->epoch;
    struct log_verdict verdict = {.err = 0};
    while (result->batch < limit) {
        verdict = log_verdict_batch(recovery->data, segment->size, segment->end, result->batch + 1, result->checksum,
                                    segment->head.epoch);
        if (verdict.err != 0) {
            break;
        }
        err = batch_accept(recovery, segment, &verdict.head);
        if (err != 0) {
            return err;
        }
    }
    bool torn = verdict.err == ERR_NOT_FOUND || verdict.err == ERR_CHECKSUM;
    if (verdict.err != 0 && (limit != UINT64_MAX || !torn)) {
        int code = verdict.err == ERR_VERSION ? ERR_VERSION : ERR_CORRUPT;
        return segment_blame(recovery, segment, code, verdict.offset, verdict.what);
    }
    return limit == UINT64_MAX ? recovery_end(recovery, i, &verdict) : segment_seen(recovery, segment);
}

static int recovery_run(struct recovery *recovery)
{
    struct log_recover_result *result = recovery->result;
    int err = log_watermark_read(recovery->disk, recovery->dir, &result->watermark);
    if (err == 0) {
        err = recovery_list(recovery);
    }
    if (err == 0) {
        err = recovery_arrange(recovery);
    }
    if (err != 0) {
        return err;
    }
    if (result->used_end == 0) {
        struct log_verdict verdict = log_verdict_of(ERR_NOT_FOUND, 0, "the segment is missing or damaged");
        return recovery_end(recovery, 0, &verdict);
    }
    for (size_t i = result->used_first; i < result->used_end; i++) {
        bool last = i + 1 == result->used_end;
        uint64_t limit = last ? UINT64_MAX : result->segments[i + 1].head.first_batch - 1;
        err = segment_recover(recovery, i, limit);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int log_recover_read(struct disk *disk, const char *dir, const struct log_recover_observer *observer,
                     struct log_recover_result *ret_result)
{
    *ret_result = (struct log_recover_result){.first_index = 1};
    struct recovery recovery = {.disk = disk, .dir = dir, .observer = observer, .result = ret_result};
    int err = recovery_run(&recovery);
    free(recovery.data);
    return err;
}

void log_recover_done(struct log_recover_result *result)
{
    free(result->segments);
    *result = (struct log_recover_result){0};
}
