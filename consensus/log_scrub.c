/* Reading the log back. */

#include "consensus/log_scrub.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/log_internal.h"
#include "consensus/log_path.h"
#include "consensus/log_verdict.h"
#include "proto/base/check.h"

/* Records of one piece: comparing them is done on the loop. A batch may have the last LOG_BATCH_ENTRIES_MAX of them. */
#define PIECE_RECORDS_MAX (8 * LOG_BATCH_ENTRIES_MAX)
/* What is read at once to find the place that cannot be read. */
#define PROBE_LEN (4 * KIB)

/* A segment as it was when the pass began. */
struct scrub_segment {
    struct log_segment_head head;
    uint64_t end;
    uint64_t batch;
    uint64_t checksum;
};

struct scrub_record {
    uint64_t offset;
    uint64_t index;
    uint64_t term;
    uint32_t len;
    int type;
    bool first; /* Of its batch. */
};

struct log_scrub {
    struct log *log;
    struct scrub_segment *segments;
    size_t segments_len;
    uint64_t bytes;
    uint64_t bytes_done;

    size_t at;       /* The segment being read. */
    uint64_t offset; /* In it, to be read next; 0: its head. */
    uint64_t batch;  /* The last batch read there, and the checksum of its head. */
    uint64_t checksum;
    uint64_t index; /* The last record read there. */

    /* The piece that was read. */
    uint8_t *data;
    uint64_t data_cap;
    uint64_t next; /* Where it ends. */
    struct scrub_record *records;
    unsigned records_len;
    struct log_verdict verdict;
};

static void scrub_begin_segment(struct log_scrub *scrub)
{
    const struct scrub_segment *segment = &scrub->segments[scrub->at];
    scrub->offset = 0;
    scrub->batch = segment->head.first_batch - 1;
    scrub->checksum = segment->head.previous;
    scrub->index = segment->head.first_index - 1;
}

int log_scrub_open(struct log *log, struct log_scrub **ret_scrub)
{
    size_t count = log->segments.files.len;
    struct log_scrub *scrub = calloc(1, sizeof *scrub);
    if (scrub == NULL) {
        return ERR_NOMEM;
    }
    scrub->log = log;
    scrub->segments = calloc(count + 1, sizeof *scrub->segments);
    scrub->records = malloc(PIECE_RECORDS_MAX * sizeof *scrub->records);
    if (scrub->segments == NULL || scrub->records == NULL) {
        log_scrub_close(scrub);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct log_segment *segment = log_deque_at(&log->segments.files, i);
        if (segment->durable) {
            scrub->segments[scrub->segments_len++] = (struct scrub_segment){
                .head = segment->head, .end = segment->end, .batch = segment->batch, .checksum = segment->checksum};
            scrub->bytes += segment->end;
        }
    }
    if (scrub->segments_len > 0) {
        scrub_begin_segment(scrub);
    }
    *ret_scrub = scrub;
    return 0;
}

void log_scrub_close(struct log_scrub *scrub)
{
    if (scrub == NULL) {
        return;
    }
    free(scrub->segments);
    free(scrub->records);
    free(scrub->data);
    free(scrub);
}

uint64_t log_scrub_bytes(const struct log_scrub *scrub)
{
    return scrub->bytes;
}

uint64_t log_scrub_bytes_done(const struct log_scrub *scrub)
{
    return scrub->bytes_done;
}

bool log_scrub_finished(const struct log_scrub *scrub)
{
    return scrub->at == scrub->segments_len;
}

static int piece_make_room(struct log_scrub *scrub, uint64_t len)
{
    if (len <= scrub->data_cap) {
        return 0;
    }
    free(scrub->data);
    scrub->data_cap = 0;
    scrub->data = malloc((size_t)len);
    if (scrub->data == NULL) {
        return ERR_NOMEM;
    }
    scrub->data_cap = len;
    return 0;
}

/* The first place of those that cannot be read. */
static uint64_t probe(struct disk_file *file, uint64_t offset, uint64_t end)
{
    uint8_t data[PROBE_LEN];
    while (offset < end) {
        uint64_t len = PROBE_LEN - offset % PROBE_LEN < end - offset ? PROBE_LEN - offset % PROBE_LEN : end - offset;
        size_t got = 0;
        if (file->disk->ops->read(file, offset, data, (size_t)len, &got) != 0) {
            break;
        }
        offset += len;
    }
    return offset;
}

/* Reads so many bytes, which have all been written. */
static struct log_verdict piece_load(struct log_scrub *scrub, struct disk_file *file, uint64_t offset, uint64_t len)
{
    size_t got = 0;
    if (piece_make_room(scrub, len) != 0) {
        return log_verdict_of(ERR_NOMEM, offset, "out of memory");
    }
    int err = file->disk->ops->read(file, offset, scrub->data, (size_t)len, &got);
    if (err == ERR_NOMEM) {
        return log_verdict_of(ERR_NOMEM, offset, "out of memory");
    }
    if (err != 0) {
        return log_verdict_of(ERR_IO, probe(file, offset, offset + len), "it cannot be read");
    }
    if (got < len) {
        return log_verdict_of(ERR_CORRUPT, offset + got, "the segment ends before a batch");
    }
    return (struct log_verdict){.err = 0};
}

/* The length on disk of the batch at `offset`, of which the piece holds `len` bytes, if its head says one; else that of a
 * head. */
static uint64_t batch_len(const struct log_scrub *scrub, uint64_t offset, uint64_t len)
{
    struct log_batch_head head;
    bool has_head = len >= offset + LOG_BATCH_HEAD_LEN;
    bool whole = has_head && log_batch_head_decode(scrub->data + offset, &head) == 0;
    return whole ? log_sector_align(head.len) : LOG_SECTOR_LEN;
}

static void piece_note_records(struct log_scrub *scrub, uint64_t offset, const struct log_batch_head *batch)
{
    uint64_t at = offset + LOG_BATCH_HEAD_LEN;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct log_record_head record;
        int err = log_record_head_decode(scrub->data + at, &record);
        CHECK(err == 0 && scrub->records_len < PIECE_RECORDS_MAX);
        scrub->records[scrub->records_len++] = (struct scrub_record){.offset = scrub->offset + at,
                                                                     .index = record.index,
                                                                     .term = record.term,
                                                                     .len = record.len,
                                                                     .type = record.type,
                                                                     .first = i == 0};
        at += LOG_RECORD_HEAD_LEN + record.len;
    }
}

/* Checks the batches of a piece, from its start on, as long as they are there in full. */
static struct log_verdict piece_check(struct log_scrub *scrub, uint64_t len)
{
    const struct scrub_segment *segment = &scrub->segments[scrub->at];
    struct log_verdict verdict = {.err = 0};
    uint64_t at = 0;
    while (at < len && scrub->records_len + LOG_BATCH_ENTRIES_MAX <= PIECE_RECORDS_MAX) {
        uint64_t end = scrub->offset + at + batch_len(scrub, at, len);
        if (end > scrub->offset + len && end <= segment->end) {
            break; /* It begins the next piece. */
        }
        verdict = log_verdict_batch(scrub->data, len, at, scrub->batch + 1, scrub->checksum, segment->head.epoch);
        if (verdict.err != 0) {
            verdict.offset += scrub->offset;
            return verdict;
        }
        piece_note_records(scrub, at, &verdict.head);
        scrub->batch = verdict.head.number;
        scrub->checksum = verdict.head.checksum;
        at = log_sector_align(at + verdict.head.len);
    }
    scrub->next = scrub->offset + at;
    if (scrub->next == segment->end && (scrub->batch != segment->batch || scrub->checksum != segment->checksum)) {
        return log_verdict_of(ERR_CORRUPT, scrub->next, "the last batch is not the one that was written");
    }
    return verdict;
}

static struct log_verdict piece_read_batches(struct log_scrub *scrub, struct disk_file *file, uint64_t bytes_max)
{
    const struct scrub_segment *segment = &scrub->segments[scrub->at];
    uint64_t left = segment->end - scrub->offset;
    uint64_t len = left < bytes_max ? left : log_sector_align(bytes_max);
    struct log_verdict verdict = piece_load(scrub, file, scrub->offset, len);
    if (verdict.err != 0) {
        return verdict;
    }
    uint64_t needed = batch_len(scrub, 0, len);
    if (needed > len && needed <= left) {
        len = needed;
        verdict = piece_load(scrub, file, scrub->offset, len);
    }
    return verdict.err == 0 ? piece_check(scrub, len) : verdict;
}

static struct log_verdict piece_read_head(struct log_scrub *scrub, struct disk_file *file)
{
    const struct scrub_segment *segment = &scrub->segments[scrub->at];
    uint8_t expected[LOG_SEGMENT_HEAD_LEN];
    struct log_verdict verdict = piece_load(scrub, file, 0, LOG_SEGMENT_HEAD_LEN);
    if (verdict.err != 0) {
        return verdict;
    }
    log_segment_head_encode(&segment->head, expected);
    if (memcmp(scrub->data, expected, sizeof expected) == 0) {
        return verdict;
    }
    struct log_segment_head head;
    uint64_t at = 0;
    while (scrub->data[at] == expected[at]) {
        at++;
    }
    bool whole = log_segment_head_decode(scrub->data, &head) == 0;
    return log_verdict_of(ERR_CORRUPT, at,
                          whole ? "the head of the segment is not the one that was written"
                                : "the head of the segment is damaged");
}

void log_scrub_read(struct log_scrub *scrub, uint64_t bytes_max)
{
    CHECK(!log_scrub_finished(scrub));
    const struct scrub_segment *segment = &scrub->segments[scrub->at];
    struct disk *disk = scrub->log->options.disk;
    struct disk_file *file;
    char path[LOG_PATH_LEN_MAX];
    scrub->records_len = 0;
    int err = log_path_of_segment(scrub->log->options.dir, segment->head.number, path);
    CHECK(err == 0); /* The directory's length was checked when the log was opened. */
    err = disk->ops->open(disk, path, DISK_READ_ONLY | DISK_UNCACHED, &file);
    if (err != 0) {
        bool missing = err == ERR_NOT_FOUND;
        scrub->verdict = log_verdict_of(err, 0, missing ? "the segment is missing" : "it cannot be opened");
        return;
    }
    scrub->next = scrub->offset;
    scrub->verdict = (struct log_verdict){.err = 0};
    if (scrub->offset == 0) {
        scrub->verdict = piece_read_head(scrub, file);
        scrub->offset = scrub->verdict.err == 0 ? LOG_SEGMENT_HEAD_LEN : 0;
        scrub->next = scrub->offset;
        scrub->bytes_done += scrub->offset;
    }
    if (scrub->verdict.err == 0 && scrub->offset < segment->end) {
        scrub->verdict = piece_read_batches(scrub, file, bytes_max);
    }
    disk->ops->close(file);
}

/* What memory says of a record that was read there. */
enum standing {
    STANDING_CURRENT, /* It is the entry of that index. */
    STANDING_PAST,    /* It was truncated, or dropped. */
    STANDING_NONE,    /* The entry of that index was written before, so that this one cannot be. */
};

static enum standing standing_of(const struct log_index *index, uint64_t segment, const struct scrub_record *record)
{
    if (record->index < index->first || record->index > index->placed) {
        return STANDING_PAST;
    }
    const struct log_place *place = log_index_find(index, record->index);
    if (place->segment == segment) {
        /* What follows a place without another one follows it on disk as well: a truncation begins a new place. */
        return place->offset <= record->offset ? STANDING_CURRENT : STANDING_PAST;
    }
    return place->segment > segment ? STANDING_PAST : STANDING_NONE;
}

static const char *record_compare(const struct log_scrub *scrub, uint64_t segment, const struct scrub_record *record)
{
    const struct log_index *index = &scrub->log->index;
    const struct log_place *place = log_index_find_from(index, segment, record->offset);
    bool placed = place != NULL && place->segment == segment && place->offset == record->offset;
    enum standing standing = standing_of(index, segment, record);
    if (placed && place->index != record->index) {
        return "the record is not the one that was written";
    }
    if (record->index > scrub->index + 1) {
        return "the entries before this record are missing";
    }
    if (record->first && !placed && record->index != scrub->index + 1 && standing != STANDING_PAST) {
        return "the record is not the one that was written";
    }
    if (standing == STANDING_CURRENT &&
        (log_index_term(index, record->index) != record->term || log_index_len(index, record->index) != record->len ||
         log_index_type(index, record->index) != record->type)) {
        return "the record is not the one that was written";
    }
    return NULL;
}

static struct log_verdict piece_compare(struct log_scrub *scrub, uint64_t segment)
{
    for (unsigned i = 0; i < scrub->records_len; i++) {
        const struct scrub_record *record = &scrub->records[i];
        const char *what = record_compare(scrub, segment, record);
        if (what != NULL) {
            return log_verdict_of(ERR_CORRUPT, record->offset, what);
        }
        scrub->index = record->index;
    }
    return scrub->verdict;
}

static void scrub_next_segment(struct log_scrub *scrub)
{
    scrub->bytes_done += scrub->segments[scrub->at].end - scrub->offset;
    scrub->at++;
    if (!log_scrub_finished(scrub)) {
        scrub_begin_segment(scrub);
    }
}

/* The number of the first segment that the log has. */
static uint64_t log_first_segment(const struct log *log)
{
    const struct log_segment *first = log_deque_at(&log->segments.files, 0);
    return log->segments.files.len == 0 ? UINT64_MAX : first->number;
}

int log_scrub_settle(struct log_scrub *scrub, char *detail, size_t detail_len)
{
    CHECK(!log_scrub_finished(scrub));
    uint64_t number = scrub->segments[scrub->at].head.number;
    if (number < log_first_segment(scrub->log)) {
        scrub_next_segment(scrub);
        return 0;
    }
    if (scrub->verdict.err == ERR_NOMEM) {
        return ERR_NOMEM;
    }
    struct log_verdict verdict = piece_compare(scrub, number);
    if (verdict.err != 0) {
        char name[LOG_NAME_LEN_MAX];
        log_segment_name(number, name);
        (void)snprintf(detail, detail_len, "%s/%s, offset %" PRIu64 ": %s", scrub->log->options.dir, name,
                       verdict.offset, verdict.what);
        scrub->at = scrub->segments_len;
        return ERR_CORRUPT;
    }
    scrub->bytes_done += scrub->next - scrub->offset;
    scrub->offset = scrub->next;
    if (scrub->offset == scrub->segments[scrub->at].end) {
        scrub_next_segment(scrub);
    }
    return 0;
}
