/* Encoding and decoding of the log's heads. */

#include "consensus/log_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "consensus/log.h"
#include "proto/base/bytes.h"
#include "proto/base/fault.h"

static const uint8_t segment_magic[4] = {'H', 'F', 'L', 'S'};

uint64_t log_sector_align(uint64_t offset)
{
    return (offset + LOG_SECTOR_LEN - 1) / LOG_SECTOR_LEN * LOG_SECTOR_LEN;
}

bool log_bytes_are_zero(const uint8_t *data, uint64_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, (size_t)len - 1) == 0);
}

void log_segment_head_encode(const struct log_segment_head *head, uint8_t *out)
{
    memset(out, 0, LOG_SEGMENT_HEAD_LEN);
    memcpy(out, segment_magic, sizeof segment_magic);
    put_u16(out + 4, LOG_FORMAT_VERSION);
    put_u16(out + 6, head->flags);
    put_u64(out + 8, head->number);
    put_u64(out + 16, head->epoch);
    put_u64(out + 24, head->first_batch);
    put_u64(out + 32, head->previous);
    put_u64(out + 40, head->first_index);
    put_u64(out + 48, head->len);
    put_u64(out + 56, XXH3_64bits(out, 56));
}

int log_segment_head_decode(const uint8_t *data, struct log_segment_head *ret_head)
{
    if (log_bytes_are_zero(data, LOG_SEGMENT_HEAD_LEN)) {
        return ERR_NOT_FOUND;
    }
    if (memcmp(data, segment_magic, sizeof segment_magic) != 0 || get_u64(data + 56) != XXH3_64bits(data, 56)) {
        return ERR_CORRUPT;
    }
    if (get_u16(data + 4) != LOG_FORMAT_VERSION) {
        return ERR_VERSION;
    }
    struct log_segment_head head = {
        .flags = get_u16(data + 6),
        .number = get_u64(data + 8),
        .epoch = get_u64(data + 16),
        .first_batch = get_u64(data + 24),
        .previous = get_u64(data + 32),
        .first_index = get_u64(data + 40),
        .len = get_u64(data + 48),
    };
    if (head.first_batch == 0 || head.first_index == 0 || (head.flags & ~LOG_SEGMENT_RESET) != 0 ||
        !log_bytes_are_zero(data + 64, LOG_SEGMENT_HEAD_LEN - 64)) {
        return ERR_CORRUPT;
    }
    *ret_head = head;
    return 0;
}

void log_batch_head_encode(struct log_batch_head *head, uint8_t *out)
{
    put_u32(out, LOG_BATCH_MAGIC);
    put_u16(out + 4, LOG_FORMAT_VERSION);
    put_u16(out + 6, 0);
    put_u64(out + 8, head->number);
    put_u64(out + 16, head->epoch);
    put_u64(out + 24, head->synced);
    put_u64(out + 32, head->previous);
    put_u32(out + 40, head->count);
    put_u32(out + 44, head->len);
    put_u64(out + 48, head->stored_index);
    head->checksum = XXH3_64bits(out, 56);
    put_u64(out + 56, head->checksum);
}

int log_batch_head_decode(const uint8_t *data, struct log_batch_head *ret_head)
{
    if (get_u32(data) != LOG_BATCH_MAGIC || get_u64(data + 56) != XXH3_64bits(data, 56)) {
        return ERR_CORRUPT;
    }
    if (get_u16(data + 4) != LOG_FORMAT_VERSION) {
        return ERR_VERSION;
    }
    struct log_batch_head head = {
        .number = get_u64(data + 8),
        .epoch = get_u64(data + 16),
        .synced = get_u64(data + 24),
        .previous = get_u64(data + 32),
        .count = get_u32(data + 40),
        .len = get_u32(data + 44),
        .stored_index = get_u64(data + 48),
        .checksum = get_u64(data + 56),
    };
    uint64_t len_min = LOG_BATCH_HEAD_LEN + (uint64_t)head.count * LOG_RECORD_HEAD_LEN;
    if (head.number == 0 || head.synced + 1 != head.number || head.count == 0 || head.count > LOG_BATCH_ENTRIES_MAX ||
        head.len < len_min || head.len > LOG_BATCH_LEN_MAX + LOG_PAYLOAD_LEN_MAX) {
        return ERR_CORRUPT;
    }
    *ret_head = head;
    return 0;
}

static uint64_t record_checksum(const uint8_t *head, uint64_t epoch, const uint8_t *payload, uint32_t len)
{
    uint64_t seed = XXH3_64bits_withSeed(head, 24, epoch);
    return XXH3_64bits_withSeed(len > 0 ? payload : head, len, seed);
}

void log_record_head_encode(struct log_record_head *head, uint64_t epoch, const uint8_t *payload, uint8_t *out)
{
    put_u16(out, LOG_RECORD_MAGIC);
    out[2] = (uint8_t)head->type;
    out[3] = 0;
    put_u32(out + 4, head->len);
    put_u64(out + 8, head->index);
    put_u64(out + 16, head->term);
    head->checksum = record_checksum(out, epoch, payload, head->len);
    put_u64(out + 24, head->checksum);
}

int log_record_head_decode(const uint8_t *data, struct log_record_head *ret_head)
{
    struct log_record_head head = {
        .type = data[2],
        .len = get_u32(data + 4),
        .index = get_u64(data + 8),
        .term = get_u64(data + 16),
        .checksum = get_u64(data + 24),
    };
    if (get_u16(data) != LOG_RECORD_MAGIC || data[3] != 0 || head.type < LOG_ENTRY_COMMAND ||
        head.type > LOG_ENTRY_CHANGE || head.len > LOG_PAYLOAD_LEN_MAX || head.index == 0) {
        return ERR_CORRUPT;
    }
    *ret_head = head;
    return 0;
}

bool log_record_is_whole(const uint8_t *head, uint64_t epoch, const uint8_t *payload, uint32_t len)
{
    return get_u64(head + 24) == record_checksum(head, epoch, payload, len) || fault_fires(FAULT_SKIP_LOG_CHECKSUM);
}

void log_segment_name(uint64_t number, char *out)
{
    snprintf(out, LOG_NAME_LEN_MAX, "%08" PRIu64 ".log", number);
}

uint64_t log_segment_number(const char *name)
{
    uint64_t number = 0;
    size_t digits = 0;
    while (name[digits] >= '0' && name[digits] <= '9' && digits < 18) {
        number = number * 10 + (uint64_t)(name[digits] - '0');
        digits++;
    }
    char canonical[LOG_NAME_LEN_MAX];
    log_segment_name(number, canonical);
    return strcmp(name, canonical) == 0 ? number : 0;
}
