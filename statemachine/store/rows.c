/* Writing and reading the rows of the machine. */

#include "statemachine/store/rows.h"

#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/hash.h"

struct row_key row_key_plain(enum row_kind kind)
{
    struct row_key key = {.len = 1};
    key.data[0] = (uint8_t)kind;
    return key;
}

struct row_key row_key_one(enum row_kind kind, uint64_t a)
{
    struct row_key key = row_key_plain(kind);
    put_be64(key.data + 1, a);
    key.len = ROW_KEY_ONE_LEN;
    return key;
}

struct row_key row_key_pair(enum row_kind kind, uint64_t a, uint64_t b)
{
    struct row_key key = row_key_one(kind, a);
    put_be64(key.data + 9, b);
    key.len = ROW_KEY_PAIR_LEN;
    return key;
}

struct row_key row_key_triple(enum row_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
    return row_key_numbers(kind, (const uint64_t[]){a, b, c}, 3);
}

struct row_key row_key_numbers(enum row_kind kind, const uint64_t *numbers, size_t count)
{
    CHECK(ROW_KEY_LEN(count) <= ROW_KEY_LEN_MAX);
    struct row_key key = row_key_plain(kind);
    for (size_t i = 0; i < count; i++) {
        put_be64(key.data + ROW_KEY_LEN(i), numbers[i]);
    }
    key.len = ROW_KEY_LEN(count);
    return key;
}

struct row_key row_key_name(enum row_kind kind, const char *name, size_t name_len)
{
    CHECK(name_len <= NAME_LEN_MAX);
    struct row_key key = row_key_plain(kind);
    memcpy(key.data + 1, name, name_len);
    key.len = 1 + name_len;
    return key;
}

struct row_key row_key_host(enum row_kind kind, uint64_t virtual_host)
{
    struct row_key key = row_key_plain(kind);
    key.data[key.len++] = 0;
    put_be64(key.data + key.len, virtual_host);
    key.len += 8;
    return key;
}

struct row_key row_key_host_name(enum row_kind kind, uint64_t virtual_host, const char *name, size_t name_len)
{
    CHECK(name_len <= NAME_LEN_MAX);
    if (virtual_host == 1) {
        return row_key_name(kind, name, name_len);
    }
    struct row_key key = row_key_host(kind, virtual_host);
    memcpy(key.data + key.len, name, name_len);
    key.len += name_len;
    return key;
}

/* No kind is 0xff, so that there is always one. */
struct row_key row_key_after(const struct row_key *prefix)
{
    struct row_key key = *prefix;
    while (key.len > 1 && key.data[key.len - 1] == 0xff) {
        key.len--;
    }
    key.data[key.len - 1]++;
    return key;
}

struct row_key row_key_next(const struct row_key *key)
{
    struct row_key next = *key;
    CHECK(next.len <= ROW_KEY_LEN_MAX);
    next.data[next.len++] = 0;
    return next;
}

int row_key_compare(struct slice a, struct slice b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

struct slice row_key_slice(const struct row_key *key)
{
    return (struct slice){.data = key->data, .len = key->len};
}

uint64_t row_checksum(const struct row_key *key, const uint8_t *value, size_t len)
{
    return XXH3_64bits_withSeed(value, len, XXH3_64bits(key->data, key->len));
}

static void row_begin_as(struct row *row, struct row_key key, uint8_t version)
{
    row->key = key;
    row->value.len = 0;
    row->err = 0;
    row_put_u8(row, version);
}

void row_begin(struct row *row, struct row_key key)
{
    row_begin_as(row, key, ROW_VERSION);
}

void row_begin_new(struct row *row, struct row_key key)
{
    row_begin_as(row, key, ROW_VERSION_NEW);
}

void row_put_bytes(struct row *row, const void *data, size_t len)
{
    int err = bytes_append(&row->value, data, len);
    if (row->err == 0) {
        row->err = err;
    }
}

void row_put_u8(struct row *row, uint8_t value)
{
    row_put_bytes(row, &value, 1);
}

void row_put_u16(struct row *row, uint16_t value)
{
    uint8_t data[2];
    put_u16(data, value);
    row_put_bytes(row, data, sizeof data);
}

void row_put_u32(struct row *row, uint32_t value)
{
    uint8_t data[4];
    put_u32(data, value);
    row_put_bytes(row, data, sizeof data);
}

void row_put_u64(struct row *row, uint64_t value)
{
    uint8_t data[8];
    put_u64(data, value);
    row_put_bytes(row, data, sizeof data);
}

int row_seal(struct row *row)
{
    row_put_u64(row, row_checksum(&row->key, row->value.data, row->value.len));
    return row->err;
}

void row_done(struct row *row)
{
    bytes_done(&row->value);
}

int row_open(struct row_reader *reader, const struct row_key *key, struct slice value)
{
    if (value.len < 1 + ROW_CHECKSUM_LEN) {
        return ERR_CORRUPT;
    }
    size_t len = value.len - ROW_CHECKSUM_LEN;
    if (get_u64(value.data + len) != row_checksum(key, value.data, len) && !fault_fires(FAULT_SKIP_ROW_CHECKSUM)) {
        return ERR_CORRUPT;
    }
    if (value.data[0] != ROW_VERSION && value.data[0] != ROW_VERSION_NEW) {
        return ERR_VERSION;
    }
    *reader = (struct row_reader){.at = value.data + 1, .left = len - 1, .version = value.data[0]};
    return 0;
}

const uint8_t *row_get_bytes(struct row_reader *reader, size_t len)
{
    if (len > reader->left) {
        reader->overrun = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += len;
    reader->left -= len;
    return at;
}

uint8_t row_get_u8(struct row_reader *reader)
{
    const uint8_t *at = row_get_bytes(reader, 1);
    return at != NULL ? at[0] : 0;
}

uint16_t row_get_u16(struct row_reader *reader)
{
    const uint8_t *at = row_get_bytes(reader, 2);
    return at != NULL ? get_u16(at) : 0;
}

uint32_t row_get_u32(struct row_reader *reader)
{
    const uint8_t *at = row_get_bytes(reader, 4);
    return at != NULL ? get_u32(at) : 0;
}

uint64_t row_get_u64(struct row_reader *reader)
{
    const uint8_t *at = row_get_bytes(reader, 8);
    return at != NULL ? get_u64(at) : 0;
}

int row_end(const struct row_reader *reader)
{
    return reader->overrun || reader->left != 0 ? ERR_CORRUPT : 0;
}
