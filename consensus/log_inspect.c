/* A read-only walk over a log. */

#include "consensus/log_inspect.h"

#include <stdio.h>

#include "consensus/log_recover.h"

struct inspection {
    const struct log_inspect_callbacks *callbacks;
    uint64_t batches;
};

static int inspect_record(void *arg, const struct log_recover_segment *segment, uint64_t offset,
                          const struct log_record_head *record, const uint8_t *payload)
{
    const struct inspection *inspection = arg;
    char name[LOG_NAME_LEN_MAX];
    log_segment_name(segment->number, name);
    if (inspection->callbacks->record != NULL) {
        struct log_inspect_record shown = {
            .file = name,
            .offset = offset,
            .index = record->index,
            .term = record->term,
            .type = record->type,
            .len = record->len,
            .payload = payload,
        };
        inspection->callbacks->record(inspection->callbacks->arg, &shown);
    }
    return 0;
}

static int inspect_segment(void *arg, const struct log_recover_segment *segment)
{
    struct inspection *inspection = arg;
    inspection->batches += segment->batches;
    char name[LOG_NAME_LEN_MAX];
    log_segment_name(segment->number, name);
    if (inspection->callbacks->segment != NULL) {
        struct log_inspect_segment shown = {
            .file = name,
            .size = segment->size,
            .used_bytes = segment->state == LOG_RECOVER_USED ? segment->end : 0,
            .batches = segment->batches,
            .records = segment->records,
            .torn_bytes = segment->torn_bytes,
            .unused = segment->state != LOG_RECOVER_USED,
        };
        inspection->callbacks->segment(inspection->callbacks->arg, &shown);
    }
    return 0;
}

int log_inspect(struct disk *disk, const char *dir, const struct log_inspect_callbacks *callbacks,
                struct log_inspect_report *ret_report)
{
    struct inspection inspection = {.callbacks = callbacks};
    struct log_recover_observer observer = {.arg = &inspection, .record = inspect_record, .segment = inspect_segment};
    struct log_recover_result result;
    int err = log_recover_read(disk, dir, &observer, &result);
    *ret_report = (struct log_inspect_report){
        .first_index = result.first_index,
        .last_index = result.last_index,
        .segments = result.segments_len,
        .batches = inspection.batches,
        .records = result.records,
        .torn_bytes = result.torn_bytes,
        .offset = result.offset,
    };
    _Static_assert(sizeof ret_report->file >= LOG_NAME_LEN_MAX, "the name fits");
    snprintf(ret_report->file, sizeof ret_report->file, "%s", result.file);
    snprintf(ret_report->detail, sizeof ret_report->detail, "%s", result.detail);
    log_recover_done(&result);
    return err;
}
