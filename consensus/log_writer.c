/* The writer: gathers what is not on disk yet into batches, one in flight at a time. */

#include "consensus/log_internal.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

static const uint8_t zeroes[LOG_SECTOR_LEN];

static void writer_fail(struct log *log, int err, const char *what)
{
    if (!log->failed) {
        log->failed = true;
        log->options.failed(log->options.arg, err, what);
    }
}

void log_writer_forget(struct log *log)
{
    for (unsigned i = 0; i < log->batch.count; i++) {
        slice_unref(&log->batch.payloads[i]);
    }
    log->batch.count = 0;
}

/* What follows a stored batch: the watermark, then room in the cache. */
static int batch_stored(struct log *log, uint64_t last)
{
    struct log_segment *segment = log_segments_find(&log->segments, log->batch.segment);
    segment->durable = true;
    segment->end = log->offset; /* It is the last one begun. */
    segment->batch = log->batch_number;
    segment->checksum = log->batch_checksum;
    if (last > log->stored) {
        log->stored = last;
    }
    log_cache_shrink(&log->cache, log->options.cache_len_max, log->stored);
    return log_watermark_write(&log->watermark, log->batch_number, log->stored);
}

static void fill_done(struct disk_append *append, int err);

/* When no batch is in flight, since there is nothing to write, or no room. */
static void fill_if_idle(struct log *log)
{
    const struct log_segment *segment = log_segments_writable(&log->segments);
    if (!log->in_flight && segment != NULL) {
        log_fill_begin(&log->fill, segment, log->offset, fill_done);
    }
}

static void fill_done(struct disk_append *append, int err)
{
    struct log *log = container_of(container_of(append, struct log_fill, append), struct log, fill);
    log_fill_finish(&log->fill);
    if (log->failed) {
        return;
    }
    if (err != 0) {
        writer_fail(log, err, "the log could not be filled with zeroes");
        return;
    }
    fill_if_idle(log);
}

static void batch_done(struct disk_append *append, int err)
{
    struct log *log = container_of(container_of(append, struct log_batch, append), struct log, batch);
    CHECK(log->in_flight);
    log->in_flight = false;
    log_writer_forget(log);
    if (log->failed) {
        return;
    }
    if (err != 0) {
        writer_fail(log, err, "a batch of the log could not be written and synced");
        return;
    }
    uint64_t before = log->stored;
    uint64_t original = log->batch.original;
    err = batch_stored(log, log->batch.last);
    if (err != 0) {
        writer_fail(log, err, "the watermark of the log could not be written");
        return;
    }
    uint64_t report = log->stored;
    if (fault_fires(FAULT_SKIP_G5) && original > report) {
        uint64_t last = log_index_last(&log->index);
        report = original < last ? original : last;
    }
    err = log_writer_kick(log);
    if (err != 0) {
        writer_fail(log, err, "no memory for writing the log");
        return;
    }
    fill_if_idle(log);
    if (report > before) {
        log->options.stored(log->options.arg, report);
    }
}

static void spare_done(struct disk_task *task, int err);

static void prepare_spares(struct log *log)
{
    if (log_spares_wanting(&log->segments.spares)) {
        log_segments_prepare(&log->segments, 0, spare_done);
    }
}

static void writer_say_room(const struct log *log)
{
    journal_info(log->options.journal, "log", "the disk has room for the log again");
}

static void spare_done(struct disk_task *task, int err)
{
    struct log_spares *spares = container_of(task, struct log_spares, task);
    struct log *log = container_of(container_of(spares, struct log_segments, spares), struct log, segments);
    bool was_short = spares->is_short;
    log_spares_finish(spares, err);
    if (log->failed) {
        return;
    }
    if (err == ERR_NO_SPACE) {
        if (!was_short) {
            journal_warning(log->options.journal, "log",
                            "the disk has no room for more log: there is room for %llu bytes",
                            (unsigned long long)log_room(log));
        }
        return; /* log_prepare() tries again. */
    }
    if (err != 0) {
        /* Among these is a failed sync, after which one that succeeds proves nothing. */
        writer_fail(log, err, "no segment could be made for the log");
        return;
    }
    if (was_short) {
        writer_say_room(log);
    }
    log->waiting_for_spare = false;
    err = log_writer_kick(log);
    if (err != 0) {
        writer_fail(log, err, "no memory for writing the log");
        return;
    }
    prepare_spares(log);
}

static uint64_t record_len(const struct log *log, uint64_t index)
{
    return LOG_RECORD_HEAD_LEN + (uint64_t)log_index_len(&log->index, index);
}

/* How many entries from `first` on go into a batch that may be `len_max` bytes long, and its length without zeroes. */
static unsigned batch_gather(const struct log *log, uint64_t first, uint64_t len_max, uint64_t *ret_len)
{
    uint64_t last = log_index_last(&log->index);
    uint64_t len = LOG_BATCH_HEAD_LEN;
    unsigned count = 0;
    while (first + count <= last && count < LOG_BATCH_ENTRIES_MAX) {
        uint64_t more = record_len(log, first + count);
        if (log_sector_align(len + more) > len_max || (count > 0 && len + more > LOG_BATCH_LEN_MAX)) {
            break;
        }
        len += more;
        count++;
    }
    *ret_len = len;
    return count;
}

/* Adds a vector, joined to the one before where they touch. */
static void batch_vector(struct log_batch *batch, const void *data, size_t len)
{
    struct disk_append *append = &batch->append;
    struct disk_vector *last = append->vectors_len > 0 ? &batch->vectors[append->vectors_len - 1] : NULL;
    if (len == 0) {
        return;
    }
    if (last != NULL && (const uint8_t *)last->data + last->len == data) {
        last->len += len;
        return;
    }
    CHECK(append->vectors_len < LOG_BATCH_VECTORS_MAX);
    batch->vectors[append->vectors_len++] = (struct disk_vector){.data = data, .len = len};
}

static struct log_segment_head segment_head(const struct log *log, const struct log_segment *segment,
                                            uint64_t first_index)
{
    return (struct log_segment_head){
        .number = segment->number,
        .epoch = segment->epoch,
        .first_batch = log->batch_number + 1,
        .previous = log->batch_checksum,
        .first_index = first_index,
        .len = segment->len,
    };
}

/* The heads of a batch, and of the segment when it is the first one there. */
static uint8_t *batch_heads(struct log *log, struct log_segment *segment, uint64_t first, unsigned count, uint64_t len)
{
    struct log_batch *batch = &log->batch;
    uint8_t *out = batch->heads;
    if (!segment->begun) {
        struct log_segment_head head = segment_head(log, segment, first);
        log_segment_head_encode(&head, out);
        log_segment_begin(segment, &head);
        batch_vector(batch, out, LOG_SEGMENT_HEAD_LEN);
        out += LOG_SEGMENT_HEAD_LEN;
    }
    struct log_batch_head head = {
        .number = log->batch_number + 1,
        .epoch = segment->epoch,
        .synced = log->batch_number,
        .previous = log->batch_checksum,
        .count = count,
        .len = (uint32_t)len,
        .stored_index = log->stored,
    };
    log_batch_head_encode(&head, out);
    batch_vector(batch, out, LOG_BATCH_HEAD_LEN);
    log->batch_number = head.number;
    log->batch_checksum = head.checksum;
    return out + LOG_BATCH_HEAD_LEN;
}

static void batch_records(struct log *log, const struct log_segment *segment, uint64_t first, unsigned count,
                          uint8_t *out)
{
    struct log_batch *batch = &log->batch;
    uint64_t offset = log->offset + LOG_BATCH_HEAD_LEN;
    for (unsigned i = 0; i < count; i++) {
        uint64_t index = first + i;
        struct log_cached *cached = log_cache_get(&log->cache, index);
        struct slice payload = slice_ref(cached->payload);
        struct log_record_head head = {
            .type = log_index_type(&log->index, index),
            .len = (uint32_t)payload.len,
            .index = index,
            .term = log_index_term(&log->index, index),
        };
        log_record_head_encode(&head, segment->epoch, payload.data, out);
        cached->epoch = segment->epoch;
        cached->checksum = head.checksum;
        batch_vector(batch, out, LOG_RECORD_HEAD_LEN);
        batch_vector(batch, payload.data, payload.len);
        batch->payloads[batch->count++] = payload;
        log_index_place(&log->index, segment->number, offset);
        offset += LOG_RECORD_HEAD_LEN + payload.len;
        out += LOG_RECORD_HEAD_LEN;
    }
}

static void batch_submit(struct log *log, struct log_segment *segment, unsigned count, uint64_t len)
{
    struct log_batch *batch = &log->batch;
    uint64_t first = log->index.placed + 1;
    CHECK(batch->count == 0 && count > 0);
    batch->append = (struct disk_append){
        .file = segment->file,
        .offset = segment->begun ? log->offset : 0,
        .vectors = batch->vectors,
        .skip_sync = fault_fires(FAULT_SKIP_LOG_SYNC),
        .done = batch_done,
    };
    uint8_t *out = batch_heads(log, segment, first, count, len);
    batch_records(log, segment, first, count, out);
    batch_vector(batch, zeroes, (size_t)(log_sector_align(len) - len));
    batch->segment = segment->number;
    batch->last = first + count - 1;
    batch->original = batch->last;
    log->offset += log_sector_align(len);
    log->in_flight = true;
    log->options.disk->ops->append(log->options.disk, &batch->append);
}

/* What a segment must be long enough for to hold the next entry. */
static uint64_t len_needed(const struct log *log)
{
    uint64_t next = log->index.placed + 1;
    return LOG_SEGMENT_HEAD_LEN + log_sector_align(LOG_BATCH_HEAD_LEN + record_len(log, next));
}

/* Goes to the next segment, or waits until it is ready and long enough. */
static int writer_advance(struct log *log, bool *ret_advanced)
{
    struct log_spares *spares = &log->segments.spares;
    uint64_t len = len_needed(log);
    int err = log_segments_advance(&log->segments, len);
    if (err == ERR_NOT_FOUND) {
        log->waiting_for_spare = true;
        if (!spares->making) {
            log_segments_prepare(&log->segments, len, spare_done);
        }
        *ret_advanced = false;
        return 0;
    }
    if (err == 0) {
        log->offset = LOG_SEGMENT_HEAD_LEN;
        *ret_advanced = true;
    }
    return err;
}

int log_writer_kick(struct log *log)
{
    uint64_t first = log->index.placed + 1;
    if (log->in_flight || log->failed || log->waiting_for_spare || !log_index_holds(&log->index, first)) {
        return 0;
    }
    struct log_segment *segment = log_segments_writable(&log->segments);
    uint64_t len = 0;
    unsigned count = segment != NULL ? batch_gather(log, first, segment->len - log->offset, &len) : 0;
    if (count == 0) {
        bool advanced = false;
        int err = writer_advance(log, &advanced);
        if (err != 0 || !advanced) {
            return err;
        }
        segment = log_segments_writable(&log->segments);
        count = batch_gather(log, first, segment->len - log->offset, &len);
    }
    batch_submit(log, segment, count, len);
    if (!log->segments.spares.is_short) {
        prepare_spares(log);
    }
    return 0;
}

int log_prepare(struct log *log)
{
    struct log_spares *spares = &log->segments.spares;
    if (log->failed || spares->making) {
        return 0;
    }
    log->waiting_for_spare = false;
    int err = log_writer_kick(log);
    prepare_spares(log);
    if (!log->waiting_for_spare && log_spares_ask_again(spares)) {
        writer_say_room(log);
    }
    return err;
}

int log_writer_reset(struct log *log, uint64_t first_index)
{
    struct log_segment *segment = log_segments_active(&log->segments);
    if (segment == NULL || segment->begun) {
        int err = log_segments_advance(&log->segments, 0);
        err = err == ERR_NOT_FOUND ? log_segments_make(&log->segments) : err;
        if (err != 0) {
            return err;
        }
    }
    segment = log_segments_active(&log->segments);
    struct log_segment_head head = segment_head(log, segment, first_index);
    head.flags = LOG_SEGMENT_RESET;
    uint8_t out[LOG_SEGMENT_HEAD_LEN];
    log_segment_head_encode(&head, out);
    const struct disk_ops *ops = log->options.disk->ops;
    int err = ops->write(segment->file, 0, out, sizeof out);
    if (err == 0) {
        err = ops->sync(segment->file);
    }
    if (err == 0) {
        log_segment_begin(segment, &head);
        segment->durable = true;
        log->offset = LOG_SEGMENT_HEAD_LEN;
    }
    return err;
}
