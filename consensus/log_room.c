/* What the log can take without asking the disk for more. */

#include "consensus/log_internal.h"
#include "proto/base/check.h"

/* A place in what is there, as the writer will come to it. */
struct cursor {
    const struct log *log;
    uint64_t left; /* In the segment at hand. */
    unsigned next; /* The spare after it. */
};

/* An entry in a batch of its own: together with others it takes less. */
static uint64_t cost_of(uint64_t payload_len)
{
    return log_sector_align(LOG_BATCH_HEAD_LEN + LOG_RECORD_HEAD_LEN + payload_len);
}

static bool cursor_take(struct cursor *cursor, uint64_t cost)
{
    const struct log_spares *spares = &cursor->log->segments.spares;
    if (cost > cursor->left) {
        /* A spare that is too short would have to be made longer first. */
        if (cursor->next == spares->ready_len || cost > spares->ready[cursor->next].len - LOG_SEGMENT_HEAD_LEN) {
            return false;
        }
        cursor->left = spares->ready[cursor->next++].len - LOG_SEGMENT_HEAD_LEN;
    }
    cursor->left -= cost;
    return true;
}

static struct cursor cursor_of(const struct log *log)
{
    const struct log_segment *segment = log_segments_writable(&log->segments);
    return (struct cursor){.log = log, .left = segment != NULL ? segment->len - log->offset : 0};
}

/* Takes what has been appended before `end` and not been given to the disk. */
static bool cursor_take_waiting(struct cursor *cursor, uint64_t end)
{
    const struct log *log = cursor->log;
    for (uint64_t i = log->index.placed + 1; i < end; i++) {
        if (!cursor_take(cursor, cost_of(log_index_len(&log->index, i)))) {
            return false;
        }
    }
    return true;
}

static uint64_t margin_len(const struct log *log)
{
    uint64_t quarter = log->segments.spares.segment_len / 4 / LOG_SECTOR_LEN * LOG_SECTOR_LEN;
    return quarter < LOG_MARGIN_LEN ? quarter : LOG_MARGIN_LEN;
}

bool log_is_short(const struct log *log)
{
    return log->segments.spares.is_short;
}

bool log_takes(const struct log *log, uint64_t index, const struct log_entry *entries, unsigned count)
{
    CHECK(index <= log_index_last(&log->index) + 1);
    if (!log_is_short(log)) {
        return true;
    }
    struct cursor cursor = cursor_of(log);
    bool fits = cursor_take_waiting(&cursor, index);
    bool commands = false;
    for (unsigned i = 0; i < count && fits; i++) {
        fits = cursor_take(&cursor, cost_of(entries[i].payload.len));
        commands = commands || entries[i].type == LOG_ENTRY_COMMAND;
    }
    return fits && (!commands || cursor_take(&cursor, margin_len(log)));
}

uint64_t log_payload_len_usual(const struct log *log)
{
    uint64_t heads = LOG_SEGMENT_HEAD_LEN + LOG_BATCH_HEAD_LEN + LOG_RECORD_HEAD_LEN;
    uint64_t len = log->segments.spares.segment_len;
    return len > heads + margin_len(log) ? len - heads - margin_len(log) : 0;
}

uint64_t log_room(const struct log *log)
{
    struct cursor cursor = cursor_of(log);
    if (!cursor_take_waiting(&cursor, log_index_last(&log->index) + 1)) {
        return 0;
    }
    uint64_t room = cursor.left;
    for (unsigned i = cursor.next; i < log->segments.spares.ready_len; i++) {
        room += log->segments.spares.ready[i].len - LOG_SEGMENT_HEAD_LEN;
    }
    return room;
}

uint64_t log_write_waiting(const struct log *log)
{
    if (log->in_flight) {
        return log->batch_number;
    }
    return log->waiting_for_spare && log->segments.spares.making ? log->batch_number + 1 : 0;
}
