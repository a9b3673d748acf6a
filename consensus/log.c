/* The log as its callers see it: entries by index, in memory and on disk. */

#include "consensus/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/log_internal.h"
#include "consensus/log_recover.h"
#include "proto/base/check.h"

static int recovered_record(void *arg, const struct log_recover_segment *segment, uint64_t offset,
                            const struct log_record_head *record, const uint8_t *payload)
{
    struct log *log = arg;
    (void)payload;
    if (log->index.infos.len == 0 || record->index < log->index.first) {
        log_index_reset(&log->index, record->index);
    } else {
        log_index_truncate(&log->index, record->index);
    }
    int err = log_index_reserve(&log->index, 1);
    if (err == 0) {
        log_index_append(&log->index, record->len, record->type, record->term);
        log_index_place(&log->index, segment->number, offset);
    }
    return err;
}

/* The directory, and its name and those of its parents made durable: whoever made them may not have. */
static int log_make_dir(const struct log_options *options)
{
    const struct disk_ops *ops = options->disk->ops;
    char path[LOG_PATH_LEN_MAX];
    int err = ops->make_dir(options->disk, options->dir);
    if (err == 0) {
        err = log_path_parent(options->dir, path);
    }
    while (err == 0) {
        err = ops->sync_dir(options->disk, path);
        if (err != 0 || strcmp(path, ".") == 0) {
            break;
        }
        char child[LOG_PATH_LEN_MAX];
        memcpy(child, path, sizeof child);
        err = log_path_parent(child, path);
    }
    return err;
}

/* Reads the log into the index; changes the disk only when all of it is good. */
static int log_recover(struct log *log, struct log_recovery *recovery, struct log_recover_result *result)
{
    struct log_recover_observer observer = {.arg = log, .record = recovered_record};
    const struct log_options *options = &log->options;
    int err = log_recover_read(options->disk, options->dir, &observer, result);
    if (err != 0) {
        snprintf(recovery->detail, sizeof recovery->detail, "%s",
                 result->detail[0] != '\0' ? result->detail : err_text(err));
        return err;
    }
    if (log->index.infos.len == 0) {
        log_index_reset(&log->index, result->first_index);
    }
    recovery->records_read = result->records;
    recovery->torn_bytes = result->torn_bytes;
    if (result->torn_bytes > 0) {
        journal_warning(options->journal, "log", "cut %llu bytes of an unfinished batch from the end of the log",
                        (unsigned long long)result->torn_bytes);
    }
    return log_recover_settle(options->disk, options->dir, result);
}

/* Opens what was found, and a new segment for what comes. */
static int log_begin(struct log *log, const struct log_recover_result *result)
{
    for (size_t i = result->used_first; i < result->used_end; i++) {
        const struct log_recover_segment *segment = &result->segments[i];
        int err = log_segments_add(&log->segments, segment->number, segment->head.epoch, segment->end);
        if (err != 0) {
            return err;
        }
        struct log_segment *added = log_segments_active(&log->segments);
        log_segment_begin(added, &segment->head);
        added->end = segment->end;
        added->batch = segment->batch;
        added->checksum = segment->checksum;
    }
    log->segments.epoch = result->epoch + 1;
    log->batch_number = result->batch;
    log->batch_checksum = result->checksum;
    log->stored = log_index_last(&log->index);
    log->offset = LOG_SEGMENT_HEAD_LEN;
    log_cache_reset(&log->cache, log->stored + 1);
    int err = log_segments_make(&log->segments);
    if (err == ERR_NO_SPACE) {
        journal_warning(log->options.journal, "log", "the disk has no room for more log");
        err = 0; /* What is there can be read, and passed on. */
    }
    if (err == 0) {
        err = log_watermark_open(&log->watermark, log->options.disk, log->options.dir);
    }
    if (err == 0 && result->batch > 0) {
        err = log_watermark_write(&log->watermark, result->batch, log->stored);
    }
    if (err == 0) {
        err = log_watermark_sync(&log->watermark);
    }
    return err == 0 ? log->options.disk->ops->sync_dir(log->options.disk, log->options.dir) : err;
}

static void log_free(struct log *log)
{
    log_writer_forget(log);
    log_watermark_close(&log->watermark);
    log_segments_done(&log->segments);
    log_cache_done(&log->cache);
    log_index_done(&log->index);
    free(log);
}

int log_open(const struct log_options *options, struct log_recovery *recovery, struct log **ret_log)
{
    *recovery = (struct log_recovery){0};
    uint64_t segment_len = options->segment_len == 0 ? LOG_SEGMENT_LEN : options->segment_len;
    if (segment_len > LOG_SEGMENT_LEN_MAX / 2 || strlen(options->dir) + LOG_NAME_LEN_MAX >= LOG_PATH_LEN_MAX) {
        snprintf(recovery->detail, sizeof recovery->detail,
                 "the length of a segment, or of the log's path, is too big");
        return ERR_TOO_BIG;
    }
    struct log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return ERR_NOMEM;
    }
    log->options = *options;
    log_segments_init(&log->segments, options->disk, options->dir, segment_len, options->reserve_len);
    log->fill.ahead = options->fill_len;
    log_index_init(&log->index, 1);
    log_cache_init(&log->cache, 1);
    struct log_recover_result result = {0};
    int err = log_make_dir(options);
    if (err == 0) {
        err = log_recover(log, recovery, &result);
    }
    if (err == 0) {
        err = log_begin(log, &result);
    }
    log_recover_done(&result);
    if (err != 0) {
        if (recovery->detail[0] == '\0') {
            snprintf(recovery->detail, sizeof recovery->detail, "%s: %s", options->dir, err_text(err));
        }
        log_free(log);
        return err;
    }
    *ret_log = log;
    return 0;
}

void log_close(struct log *log)
{
    if (log == NULL) {
        return;
    }
    if (log_idle(log)) {
        /* A watermark that is not on disk protects less, nothing more: an error changes nothing. */
        int err = log_watermark_sync(&log->watermark);
        (void)err;
    }
    log_free(log);
}

uint64_t log_first_index(const struct log *log)
{
    return log->index.first;
}

uint64_t log_last_index(const struct log *log)
{
    return log_index_last(&log->index);
}

uint64_t log_stored_index(const struct log *log)
{
    return log->stored;
}

bool log_idle(const struct log *log)
{
    /* What waits for room on the disk may wait for ever. */
    bool waiting = log->waiting_for_spare && log_is_short(log);
    return !log->in_flight && !log->fill.in_flight && !log->segments.spares.making &&
           (log->failed || waiting || log->index.placed == log_index_last(&log->index));
}

uint64_t log_term(const struct log *log, uint64_t index)
{
    return log_index_holds(&log->index, index) ? log_index_term(&log->index, index) : 0;
}

int log_type(const struct log *log, uint64_t index)
{
    return log_index_holds(&log->index, index) ? log_index_type(&log->index, index) : 0;
}

uint64_t log_bytes_from(const struct log *log, uint64_t index)
{
    return index > log_index_last(&log->index) ? 0 : log_index_bytes_from(&log->index, index);
}

int log_append(struct log *log, const struct log_entry *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (entries[i].payload.len > LOG_PAYLOAD_LEN_MAX) {
            return ERR_TOO_BIG;
        }
        if (entries[i].type < LOG_ENTRY_COMMAND || entries[i].type > LOG_ENTRY_CHANGE) {
            return ERR_INVALID;
        }
    }
    int err = log_index_reserve(&log->index, count);
    if (err == 0) {
        err = log_cache_reserve(&log->cache, count);
    }
    if (err != 0) {
        return err;
    }
    uint64_t first = log_index_last(&log->index) + 1;
    for (unsigned i = 0; i < count; i++) {
        const struct log_entry *entry = &entries[i];
        log_index_append(&log->index, (uint32_t)entry->payload.len, (int)entry->type, entry->term);
        log_cache_append(&log->cache, entry->payload);
    }
    err = log_writer_kick(log);
    if (err != 0) {
        log_truncate(log, first);
    }
    return err;
}

void log_truncate(struct log *log, uint64_t index)
{
    if (index > log_index_last(&log->index)) {
        return;
    }
    CHECK(index >= log->index.first);
    log_index_truncate(&log->index, index);
    log_cache_truncate(&log->cache, index);
    log->stored = log->stored < index ? log->stored : index - 1;
    if (log->in_flight && log->batch.last >= index) {
        log->batch.last = index - 1;
    }
    if (!log->segments.spares.making) {
        log->waiting_for_spare = false; /* What it was for may be gone. */
    }
}

/* The first entry that the segment's successors hold, once it is safe to be without the segment: the entry is stored.
 * 0 when it is not. */
static uint64_t successor_index(const struct log *log, const struct log_segment *segment)
{
    for (size_t i = 0; i < log->index.places.len; i++) {
        const struct log_place *place = log_deque_at(&log->index.places, i);
        if (place->segment > segment->number) {
            return place->index <= log->stored ? place->index : 0;
        }
    }
    return 0;
}

int log_drop_before(struct log *log, uint64_t index)
{
    int err = 0;
    while (err == 0 && log->segments.files.len > 1) {
        const struct log_segment *next = log_deque_at(&log->segments.files, 1);
        uint64_t first = successor_index(log, log_deque_at(&log->segments.files, 0));
        if (!next->durable || first == 0 || first > index) {
            break;
        }
        err = log_segments_remove_first(&log->segments);
        if (err == 0) {
            log_index_drop_before(&log->index, first > log->index.first ? first : log->index.first);
            log_cache_drop_before(&log->cache, log->index.first);
        }
    }
    return err;
}

int log_reset(struct log *log, uint64_t index)
{
    if (log->in_flight || log->fill.in_flight || log->waiting_for_spare || log->segments.spares.making) {
        return ERR_BUSY;
    }
    int err = log_writer_reset(log, index + 1);
    if (err != 0) {
        return err;
    }
    log_index_reset(&log->index, index + 1);
    log_cache_reset(&log->cache, index + 1);
    log->stored = index;
    while (log->segments.files.len > 1) {
        err = log_segments_remove_first(&log->segments);
        if (err != 0) {
            return err;
        }
    }
    return log->options.disk->ops->sync_dir(log->options.disk, log->options.dir);
}

static unsigned cache_read(const struct log *log, uint64_t index, unsigned count, uint64_t bytes_max,
                           struct log_entry *ret_entries)
{
    unsigned done = 0;
    uint64_t bytes = 0;
    while (done < count && (done == 0 || bytes < bytes_max)) {
        ret_entries[done] = (struct log_entry){
            .term = log_index_term(&log->index, index + done),
            .type = (enum log_entry_type)log_index_type(&log->index, index + done),
            .payload = slice_ref(log_cache_get(&log->cache, index + done)->payload),
        };
        bytes += ret_entries[done].payload.len;
        done++;
    }
    return done;
}

int log_read(struct log *log, uint64_t index, unsigned count, uint64_t bytes_max, struct log_entry *ret_entries,
             unsigned *ret_count, char *detail, size_t detail_len)
{
    if (!log_index_holds(&log->index, index)) {
        return ERR_NOT_FOUND;
    }
    if (count == 0) {
        *ret_count = 0;
        return 0;
    }
    uint64_t left = log_index_last(&log->index) - index + 1;
    count = left < count ? (unsigned)left : count;
    if (log_cache_holds(&log->cache, index)) {
        *ret_count = cache_read(log, index, count, bytes_max, ret_entries);
        return 0;
    }
    /* What the cache holds follows in another call, so that one answer has one source. */
    uint64_t on_disk = log->cache.first - index;
    count = on_disk < count ? (unsigned)on_disk : count;
    return log_reader_read(log, index, count, bytes_max, ret_entries, ret_count, detail, detail_len);
}
