/* The table's part of a checkpoint, and of the digest of the whole state. */

#include "statemachine/table/table_checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "statemachine/store/checkpoint.h"
#include "statemachine/table/table_private.h"

#define CAP_MIN 64u

/* In the bytes: a key, then what is stored before the content, or the key after a range. */
struct table_change {
    enum table_entry_kind kind;
    uint32_t key_len;
    uint32_t rest_len;
    size_t offset;
    struct slice content; /* Owns a reference. */
};

void checkpoint_table_clear(struct checkpoint_table *part)
{
    for (size_t i = 0; i < part->len; i++) {
        slice_unref(&part->changes[i].content);
    }
    free(part->changes);
    bytes_done(&part->bytes);
    *part = (struct checkpoint_table){0};
}

/* ---- Collecting ---- */

static int part_reserve(struct checkpoint_table *part, size_t bytes)
{
    if (part->len == part->cap) {
        size_t cap = part->cap > 0 ? 2 * part->cap : CAP_MIN;
        struct table_change *changes = realloc(part->changes, cap * sizeof *changes);
        if (changes == NULL) {
            return ERR_NOMEM;
        }
        part->changes = changes;
        part->cap = cap;
    }
    return bytes_reserve(&part->bytes, bytes);
}

static void part_append(struct checkpoint_table *part, struct slice data)
{
    int err = bytes_append(&part->bytes, data.data, data.len);
    CHECK(err == 0);
}

static void part_append_row(struct checkpoint_table *part, const struct table_entry *entry)
{
    struct slice value = table_entry_value(entry);
    if (table_kind(entry->key[0])->content) {
        uint8_t prefix[TABLE_PREFIX_LEN];
        put_u32(prefix, entry->value_len);
        part_append(part, (struct slice){.data = prefix, .len = sizeof prefix});
    }
    part_append(part, value);
}

static void part_append_range_end(struct checkpoint_table *part, const struct table_entry *entry)
{
    struct row_key prefix = {.len = entry->key_len};
    memcpy(prefix.data, entry->key, entry->key_len);
    struct row_key end = row_key_after(&prefix);
    part_append(part, row_key_slice(&end));
}

static int part_add(struct checkpoint_table *part, const struct table_entry *entry)
{
    int err = part_reserve(part, 2u * entry->key_len + TABLE_PREFIX_LEN + entry->value_len);
    if (err != 0) {
        return err;
    }
    struct table_change *change = &part->changes[part->len++];
    *change = (struct table_change){.kind = entry->kind,
                                    .key_len = entry->key_len,
                                    .offset = part->bytes.len,
                                    .content = slice_ref(entry->content)};
    part_append(part, table_entry_key(entry));
    if (entry->kind == TABLE_ROW) {
        part_append_row(part, entry);
    } else if (entry->kind == TABLE_RANGE) {
        part_append_range_end(part, entry);
    }
    change->rest_len = (uint32_t)(part->bytes.len - change->offset - change->key_len);
    return 0;
}

int table_collect(struct machine *machine, struct machine_checkpoint *checkpoint)
{
    struct table *table = &machine->table;
    struct list_node *node;
    table_tidy_all(machine);
    while ((node = list_first(&table->changed)) != NULL) {
        struct table_entry *entry = container_of(node, struct table_entry, state);
        int err = part_add(&checkpoint->table, entry);
        if (err != 0) {
            return err;
        }
        entry->first = false;
        list_remove(node);
        list_push_back(&table->collected, node);
    }
    return 0;
}

void table_settle(struct machine *machine, bool stored)
{
    struct table *table = &machine->table;
    struct list_node *node;
    while ((node = list_first(&table->collected)) != NULL) {
        if (stored) {
            table_entry_free(machine, container_of(node, struct table_entry, state));
        } else {
            list_remove(node);
            list_push_back(&table->changed, node);
        }
    }
    table_windows_drop(table);
}

/* ---- Writing ---- */

static struct store_change change_of(const struct checkpoint_table *part, const struct table_change *from)
{
    const uint8_t *key = part->bytes.data + from->offset;
    struct store_change change = {
        .key = {.data = key, .len = from->key_len},
        .value = {.data = key + from->key_len, .len = from->rest_len},
        .value2 = {.data = from->content.data, .len = from->content.len},
    };
    change.kind = from->kind == TABLE_ROW ? STORE_PUT : from->kind == TABLE_REMOVED ? STORE_DELETE : STORE_DELETE_RANGE;
    return change;
}

/* Ranges come before rows that were put under their prefix afterwards. */
void checkpoint_table_list(const struct checkpoint_table *part, struct store_change *ret_changes)
{
    size_t len = 0;
    for (size_t i = 0; i < part->len; i++) {
        if (part->changes[i].kind == TABLE_RANGE) {
            ret_changes[len++] = change_of(part, &part->changes[i]);
        }
    }
    for (size_t i = 0; i < part->len; i++) {
        if (part->changes[i].kind != TABLE_RANGE) {
            ret_changes[len++] = change_of(part, &part->changes[i]);
        }
    }
    CHECK(len == part->len);
}

/* ---- The digest ---- */

struct table_sum {
    struct machine *machine;
    uint64_t digest;
};

static int table_sum_stored(void *arg, struct slice key, struct slice value)
{
    struct table_sum *sum = arg;
    struct row_key row_key = {.len = key.len};
    struct slice row;
    struct slice content;
    if (key.len > ROW_KEY_LEN_MAX) {
        return ERR_CORRUPT;
    }
    if (table_hides(&sum->machine->table, key)) {
        return 0;
    }
    memcpy(row_key.data, key.data, key.len);
    int err = table_row_split(&row_key, value, &row, &content);
    if (err == 0) {
        sum->digest += row_checksum(&row_key, row.data, row.len);
    }
    return state_blame(sum->machine, &row_key, err, err_text(err));
}

static int table_digest_stored(struct machine *machine, uint64_t *digest)
{
    struct table_sum sum = {.machine = machine};
    for (unsigned letter = 0; letter <= UINT8_MAX; letter++) {
        if (table_kind((uint8_t)letter) == NULL) {
            continue;
        }
        struct row_key first = row_key_plain((enum row_kind)letter);
        struct row_key end = row_key_after(&first);
        int err = machine->store->ops->scan(machine->store, row_key_slice(&first), row_key_slice(&end),
                                            table_sum_stored, &sum);
        if (err != 0) {
            return err;
        }
    }
    *digest += sum.digest;
    return 0;
}

int table_digest(struct machine *machine, uint64_t *digest)
{
    struct table_entry *entry;
    table_tidy_all(machine);
    RB_FOREACH (entry, table_tree, &machine->table.rows) {
        struct row_key key = {.len = entry->key_len};
        memcpy(key.data, entry->key, entry->key_len);
        *digest += row_checksum(&key, table_entry_value(entry).data, entry->value_len);
    }
    return table_digest_stored(machine, digest);
}
