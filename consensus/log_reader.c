/* The reader: entries that are no longer in memory, read from their segments and checked again. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/log_internal.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

#define WINDOW_LEN ((size_t)128 << 10)

/* A place in a segment, and the bytes around it. */
struct reader {
    const struct log *log;
    const struct log_segment *segment;
    uint64_t offset;
    uint8_t *window;
    uint64_t window_offset;
    size_t window_len;
    char *detail;
    size_t detail_len;
};

/* Notes where it went wrong. */
static int reader_fail(struct reader *reader, int err, const char *what)
{
    char name[LOG_NAME_LEN_MAX];
    log_segment_name(reader->segment->number, name);
    snprintf(reader->detail, reader->detail_len, "%s, offset %" PRIu64 ": %s", name, reader->offset, what);
    return err;
}

static int reader_blame(struct reader *reader, const char *what)
{
    return reader_fail(reader, ERR_CORRUPT, what);
}

static void reader_seek(struct reader *reader, const struct log_place *place)
{
    reader->segment = log_segments_find(&reader->log->segments, place->segment);
    reader->offset = place->offset;
    reader->window_len = 0;
}

/* Makes the next `len` bytes, at most a window, available. */
static int reader_fill(struct reader *reader, size_t len, const uint8_t **ret_data)
{
    CHECK(len <= WINDOW_LEN);
    uint64_t ahead = reader->offset - reader->window_offset;
    if (reader->window_len == 0 || reader->offset < reader->window_offset || ahead > reader->window_len ||
        reader->window_len - ahead < len) {
        const struct disk_ops *ops = reader->log->options.disk->ops;
        reader->window_len = 0;
        size_t got = 0;
        int err = ops->read(reader->segment->file, reader->offset, reader->window, WINDOW_LEN, &got);
        if (err != 0) {
            return reader_fail(reader, err, err_text(err));
        }
        if (got < len) {
            return reader_blame(reader, "the segment ends before a record");
        }
        reader->window_offset = reader->offset;
        reader->window_len = got;
        ahead = 0;
    }
    *ret_data = reader->window + ahead;
    return 0;
}

/* Moves over the end of a batch, if there is one here, to the head of a record, which must be that of entry `index`. */
static int reader_find_record(struct reader *reader, uint64_t index, struct log_record_head *ret_head,
                              uint8_t *ret_bytes)
{
    const uint8_t *data = NULL;
    if (reader->offset + LOG_RECORD_HEAD_LEN > reader->segment->len) {
        return reader_blame(reader, "the segment ends before a record");
    }
    int err = reader_fill(reader, LOG_RECORD_HEAD_LEN, &data);
    if (err != 0) {
        return err;
    }
    if (get_u16(data) != LOG_RECORD_MAGIC) {
        reader->offset = log_sector_align(reader->offset);
        struct log_batch_head batch;
        err = reader_fill(reader, LOG_BATCH_HEAD_LEN + LOG_RECORD_HEAD_LEN, &data);
        if (err != 0) {
            return err;
        }
        if (log_batch_head_decode(data, &batch) != 0) {
            return reader_blame(reader, "the head of a batch is damaged");
        }
        reader->offset += LOG_BATCH_HEAD_LEN;
        data += LOG_BATCH_HEAD_LEN;
    }
    struct log_record_head head;
    if (log_record_head_decode(data, &head) != 0 || head.index != index ||
        head.len != log_index_len(&reader->log->index, index)) {
        return reader_blame(reader, "the head of a record is damaged");
    }
    memcpy(ret_bytes, data, LOG_RECORD_HEAD_LEN);
    *ret_head = head;
    return 0;
}

static int reader_payload(struct reader *reader, const struct log_record_head *head, const uint8_t *head_bytes,
                          struct slice *ret_payload)
{
    struct blob *blob = blob_new(head->len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    int err = 0;
    uint64_t at = reader->offset + LOG_RECORD_HEAD_LEN;
    uint64_t ahead = at - reader->window_offset;
    size_t got = head->len;
    if (ahead <= reader->window_len && reader->window_len - ahead >= head->len) {
        memcpy(blob->data, reader->window + ahead, head->len);
    } else {
        err = reader->log->options.disk->ops->read(reader->segment->file, at, blob->data, head->len, &got);
        if (err != 0) {
            err = reader_fail(reader, err, err_text(err));
        }
    }
    if (err == 0 &&
        (got < head->len || !log_record_is_whole(head_bytes, reader->segment->epoch, blob->data, head->len))) {
        err = reader_blame(reader, "the checksum of a record does not match");
    }
    if (err != 0) {
        blob_unref(blob);
        return err;
    }
    *ret_payload = slice_of_blob(blob);
    return 0;
}

/* Moves to the record of entry `index`, over those before it. */
static int reader_begin(struct reader *reader, uint64_t index)
{
    const struct log_place *place = log_index_find(&reader->log->index, index);
    reader_seek(reader, place);
    for (uint64_t i = place->index; i < index; i++) {
        struct log_record_head head;
        uint8_t bytes[LOG_RECORD_HEAD_LEN];
        int err = reader_find_record(reader, i, &head, bytes);
        if (err != 0) {
            return err;
        }
        reader->offset += LOG_RECORD_HEAD_LEN + head.len;
    }
    return 0;
}

static int reader_next(struct reader *reader, uint64_t index, struct log_entry *ret_entry)
{
    const struct log_place *place = log_index_find(&reader->log->index, index);
    if (place->index == index) {
        reader_seek(reader, place);
    }
    struct log_record_head head;
    uint8_t bytes[LOG_RECORD_HEAD_LEN];
    struct slice payload;
    int err = reader_find_record(reader, index, &head, bytes);
    if (err == 0) {
        err = reader_payload(reader, &head, bytes, &payload);
    }
    if (err != 0) {
        return err;
    }
    reader->offset += LOG_RECORD_HEAD_LEN + head.len;
    *ret_entry = (struct log_entry){.term = head.term, .type = (enum log_entry_type)head.type, .payload = payload};
    return 0;
}

int log_reader_read(const struct log *log, uint64_t index, unsigned count, uint64_t bytes_max,
                    struct log_entry *ret_entries, unsigned *ret_count, char *detail, size_t detail_len)
{
    struct reader reader = {.log = log, .detail = detail, .detail_len = detail_len};
    reader.window = malloc(WINDOW_LEN);
    if (reader.window == NULL) {
        return ERR_NOMEM;
    }
    unsigned done = 0;
    uint64_t bytes = 0;
    int err = reader_begin(&reader, index);
    while (err == 0 && done < count && (done == 0 || bytes < bytes_max)) {
        err = reader_next(&reader, index + done, &ret_entries[done]);
        if (err == 0) {
            bytes += ret_entries[done].payload.len;
            done++;
        }
    }
    free(reader.window);
    if (err != 0) {
        while (done > 0) {
            slice_unref(&ret_entries[--done].payload);
        }
        return err;
    }
    *ret_count = done;
    return 0;
}
