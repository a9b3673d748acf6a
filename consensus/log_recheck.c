/* Entries in memory, looked at again. Whoever takes them at once needs none of that; but a node that was down takes what has been
 * in our memory for long, and would store what has become of it. */

#include "consensus/log_internal.h"

/* Whether the payload is still what its record was made of. */
static bool is_as_written(const struct log *log, uint64_t index)
{
    const struct log_cached *cached = log_cache_get(&log->cache, index);
    struct log_record_head head = {
        .type = log_index_type(&log->index, index),
        .len = log_index_len(&log->index, index),
        .index = index,
        .term = log_index_term(&log->index, index),
    };
    uint8_t bytes[LOG_RECORD_HEAD_LEN];
    log_record_head_encode(&head, cached->epoch, cached->payload.data, bytes);
    return head.checksum == cached->checksum;
}

/* Takes those that have changed out of memory, with what is before them. */
static void recheck(struct log *log, uint64_t index, unsigned count, uint64_t bytes_max)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count && bytes < bytes_max; i++) {
        if (index + i > log->stored || !log_cache_holds(&log->cache, index + i)) {
            return;
        }
        bytes += log_index_len(&log->index, index + i);
        if (!is_as_written(log, index + i)) {
            journal_error(
                log->options.journal, "log",
                "the entry at index %llu has changed in memory, and is read from disk: look at this machine's memory",
                (unsigned long long)(index + i));
            log_cache_drop_before(&log->cache, index + i + 1);
        }
    }
}

int log_read_checked(struct log *log, uint64_t index, unsigned count, uint64_t bytes_max, struct log_entry *ret_entries,
                     unsigned *ret_count, char *detail, size_t detail_len)
{
    recheck(log, index, count, bytes_max);
    return log_read(log, index, count, bytes_max, ret_entries, ret_count, detail, detail_len);
}
