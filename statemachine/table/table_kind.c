/* The kinds of rows in the table. */

#include "statemachine/table/table_kind.h"

#include "proto/base/check.h"

static const struct table_kind table_kinds[] = {
    [ROW_TIMER] = {"timer", ROW_KEY_LEN(5), false, false},
    [ROW_HOLES] = {"holes in queue", ROW_KEY_LEN(2), false, true},
    [ROW_WAITING] = {"waiting message of queue", ROW_KEY_LEN(2), false, true},
    [ROW_PARKED] = {"parked message of queue", ROW_KEY_LEN(4), false, true},
    [ROW_PARKED_AT] = {"place of parked message of queue", ROW_KEY_LEN(3), false, true},
    [ROW_RETURNED_FAR] = {"returned message of queue", ROW_KEY_LEN(3), false, true},
    [ROW_SWEEP] = {"messages to be dropped of queue", ROW_KEY_LEN(3), false, true},
    [ROW_GROUP] = {"group in queue", ROW_KEY_LEN(2), false, true},
    [ROW_PENDING] = {"pending message", ROW_KEY_LEN(1), true, false},
    [ROW_BODY] = {"shared body", ROW_KEY_LEN(1), true, false},
    [ROW_BODY_USES] = {"uses of shared body", ROW_KEY_LEN(1), false, false},
    [ROW_PREPARED] = {"prepared message", ROW_KEY_LEN(2), true, false},
    [ROW_PREPARED_NAME] = {"name of prepared messages", 0, false, false},
    [ROW_ID_SEEN] = {"id seen by queue", ROW_KEY_LEN(3), false, true},
    [ROW_KEPT] = {"kept message of queue", ROW_KEY_LEN(2), true, true},
    [ROW_LIFE] = {"life of message of queue", ROW_KEY_LEN(3), false, true},
    [ROW_EXCHANGE] = {"exchange", ROW_KEY_LEN(1), false, false},
    [ROW_BINDING] = {"binding", ROW_KEY_LEN(1), false, false},
    [ROW_VIRTUAL_HOST] = {"virtual host", ROW_KEY_LEN(1), false, false},
    [ROW_USER] = {"user", 0, false, false},
};

const struct table_kind *table_kind(uint8_t letter)
{
    return letter < ARRAY_LEN(table_kinds) && table_kinds[letter].what != NULL ? &table_kinds[letter] : NULL;
}

void table_put_tail(struct row *row, uint64_t hash, uint32_t len)
{
    row_put_u64(row, hash);
    row_put_u32(row, len);
}

int table_tail(struct slice row, struct table_tail *ret_tail)
{
    if (row.len < 1 + TABLE_TAIL_LEN + ROW_CHECKSUM_LEN) {
        return ERR_CORRUPT;
    }
    const uint8_t *tail = row.data + row.len - ROW_CHECKSUM_LEN - TABLE_TAIL_LEN;
    *ret_tail = (struct table_tail){.hash = get_u64(tail), .len = get_u32(tail + 8)};
    return 0;
}

static int split_content(const struct row_key *key, struct slice value, struct slice *ret_row,
                         struct slice *ret_content)
{
    struct row_reader reader;
    struct table_tail tail;
    size_t row_len = value.len >= TABLE_PREFIX_LEN ? get_u32(value.data) : SIZE_MAX;
    if (value.len < TABLE_PREFIX_LEN || row_len > value.len - TABLE_PREFIX_LEN) {
        return ERR_CORRUPT;
    }
    struct slice row = slice_part(value, TABLE_PREFIX_LEN, row_len);
    struct slice content = slice_part(value, TABLE_PREFIX_LEN + row_len, value.len - TABLE_PREFIX_LEN - row_len);
    int err = row_open(&reader, key, row);
    if (err == 0) {
        err = table_tail(row, &tail);
    }
    if (err == 0 && tail.len != content.len) {
        err = ERR_CORRUPT;
    }
    if (err == 0) {
        *ret_row = row;
        *ret_content = content;
    }
    return err;
}

int table_row_split(const struct row_key *key, struct slice value, struct slice *ret_row, struct slice *ret_content)
{
    const struct table_kind *kind = table_kind(key->data[0]);
    if (kind == NULL) {
        return ERR_CORRUPT;
    }
    if (kind->content) {
        return split_content(key, value, ret_row, ret_content);
    }
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err == 0) {
        *ret_row = value;
        *ret_content = (struct slice){0};
    }
    return err;
}
