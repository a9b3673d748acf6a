/* Checks batches as they lie in a segment. */

#include "consensus/log_verdict.h"

#include <stddef.h>

struct log_verdict log_verdict_of(int err, uint64_t offset, const char *what)
{
    return (struct log_verdict){.err = err, .offset = offset, .what = what};
}

/* The records of a batch: each whole, numbered without a gap, filling the batch exactly. */
static struct log_verdict records_check(const uint8_t *data, uint64_t at, const struct log_batch_head *batch)
{
    uint64_t end = at + batch->len;
    uint64_t index = 0;
    at += LOG_BATCH_HEAD_LEN;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct log_record_head record;
        if (end - at < LOG_RECORD_HEAD_LEN || log_record_head_decode(data + at, &record) != 0) {
            return log_verdict_of(ERR_CHECKSUM, at, "the head of a record is damaged");
        }
        if (record.len > end - at - LOG_RECORD_HEAD_LEN) {
            return log_verdict_of(ERR_CHECKSUM, at, "a record is longer than its batch");
        }
        if (!log_record_is_whole(data + at, batch->epoch, data + at + LOG_RECORD_HEAD_LEN, record.len)) {
            return log_verdict_of(ERR_CHECKSUM, at, "the checksum of a record does not match");
        }
        if (i > 0 && record.index != index + 1) {
            return log_verdict_of(ERR_CORRUPT, at, "the index of a record does not follow");
        }
        index = record.index;
        at += LOG_RECORD_HEAD_LEN + record.len;
    }
    if (at != end) {
        return log_verdict_of(ERR_CORRUPT, at, "a batch is longer than its records");
    }
    return (struct log_verdict){.head = *batch};
}

struct log_verdict log_verdict_batch(const uint8_t *data, uint64_t size, uint64_t at, uint64_t number,
                                     uint64_t previous, uint64_t epoch)
{
    if (size < LOG_BATCH_HEAD_LEN || at > size - LOG_BATCH_HEAD_LEN) {
        return log_verdict_of(ERR_NOT_FOUND, at, "the segment ends before a batch");
    }
    struct log_batch_head head;
    int err = log_batch_head_decode(data + at, &head);
    if (err == ERR_VERSION) {
        return log_verdict_of(ERR_VERSION, at, "written by a newer version");
    }
    if (err != 0) {
        bool blank = log_bytes_are_zero(data + at, LOG_BATCH_HEAD_LEN);
        return log_verdict_of(blank ? ERR_NOT_FOUND : ERR_CHECKSUM, at,
                              blank ? "a batch is missing" : "the head of a batch is damaged");
    }
    if (head.number != number || head.epoch != epoch || head.previous != previous) {
        return log_verdict_of(ERR_CORRUPT, at, "a batch does not belong where it is");
    }
    uint64_t end = log_sector_align(at + head.len);
    if (end > size) {
        return log_verdict_of(ERR_CHECKSUM, size, "the segment ends within a batch");
    }
    struct log_verdict verdict = records_check(data, at, &head);
    if (verdict.err == 0 && !log_bytes_are_zero(data + at + head.len, end - at - head.len)) {
        return log_verdict_of(ERR_CHECKSUM, at + head.len, "the bytes after a batch are not zero");
    }
    return verdict;
}

bool log_verdict_proves(const uint8_t *data, uint64_t size, uint64_t at, uint64_t number)
{
    for (; size >= LOG_BATCH_HEAD_LEN && at <= size - LOG_BATCH_HEAD_LEN; at += LOG_SECTOR_LEN) {
        struct log_batch_head head;
        if (log_batch_head_decode(data + at, &head) == 0 && head.synced >= number) {
            return true;
        }
    }
    return false;
}

uint64_t log_verdict_bytes_left(const uint8_t *data, uint64_t size, uint64_t at)
{
    while (size > at && data[size - 1] == 0) {
        size--;
    }
    return size > at ? size - at : 0;
}
