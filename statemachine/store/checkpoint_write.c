/* Writing a checkpoint to the store: off the loop, touching nothing but the checkpoint. */

#include <stdlib.h>

#include "proto/base/arena.h"
#include "proto/base/check.h"
#include "statemachine/store/checkpoint.h"

/* Changes being listed. Keys and heads that are made here live in the arena. */
struct changes {
    struct store_change *items;
    size_t len;
    size_t cap;
    struct arena arena;
};

/* Changes for a forgotten queue: its row, its returned messages, its messages. */
#define CHANGES_PER_FORGOTTEN 3u

static size_t checkpoint_changes_max(const struct machine_checkpoint *checkpoint)
{
    return CHANGES_PER_FORGOTTEN * checkpoint->forgotten_len + checkpoint->messages_len + checkpoint->settled_len +
           checkpoint->purged_len + checkpoint->rows_len + checkpoint->table.len;
}

static int changes_add_key(struct changes *changes, const struct row_key *key, struct slice *ret_key)
{
    uint8_t *data = arena_alloc(&changes->arena, key->len);
    if (data == NULL) {
        return ERR_NOMEM;
    }
    memcpy(data, key->data, key->len);
    *ret_key = (struct slice){.data = data, .len = key->len};
    return 0;
}

static void changes_add(struct changes *changes, struct store_change change)
{
    CHECK(changes->len < changes->cap);
    changes->items[changes->len++] = change;
}

static int changes_add_delete(struct changes *changes, struct row_key key)
{
    struct slice name;
    int err = changes_add_key(changes, &key, &name);
    if (err == 0) {
        changes_add(changes, (struct store_change){.kind = STORE_DELETE, .key = name});
    }
    return err;
}

static int changes_add_delete_range(struct changes *changes, struct row_key first, struct row_key end)
{
    struct slice first_name;
    struct slice end_name;
    int err = changes_add_key(changes, &first, &first_name);
    if (err == 0) {
        err = changes_add_key(changes, &end, &end_name);
    }
    if (err == 0) {
        changes_add(changes, (struct store_change){.kind = STORE_DELETE_RANGE, .key = first_name, .value = end_name});
    }
    return err;
}

/* All rows of a kind that belong to a queue. Ids are handed out from 1 upwards, so that id + 1 does not overflow. */
static int changes_add_delete_all(struct changes *changes, enum row_kind kind, uint64_t queue)
{
    return changes_add_delete_range(changes, row_key_one(kind, queue), row_key_one(kind, queue + 1));
}

static int changes_add_forgotten(struct changes *changes, const struct forgotten_row *forgotten)
{
    if (forgotten->kind == ROW_SESSION || forgotten->kind == ROW_PRESENCE) {
        return changes_add_delete(changes, row_key_one(forgotten->kind, forgotten->a));
    }
    if (forgotten->kind == ROW_PRODUCER) { /* All of a virtual host. */
        struct row_key first = row_key_host(ROW_PRODUCER, forgotten->a);
        return changes_add_delete_range(changes, first, row_key_after(&first));
    }
    if (forgotten->kind != ROW_QUEUE) {
        return changes_add_delete(changes, row_key_pair(forgotten->kind, forgotten->a, forgotten->b));
    }
    int err = changes_add_delete(changes, row_key_one(ROW_QUEUE, forgotten->a));
    if (err == 0) {
        err = changes_add_delete_all(changes, ROW_RETURNED, forgotten->a);
    }
    return err != 0 ? err : changes_add_delete_all(changes, ROW_MESSAGE, forgotten->a);
}

static int changes_add_message(struct changes *changes, const struct checkpoint_message *item)
{
    struct row_key key = row_key_pair(ROW_MESSAGE, item->queue, item->position);
    struct slice name;
    int err = changes_add_key(changes, &key, &name);
    if (err != 0) {
        return err;
    }
    const struct message *message = &item->message;
    size_t len = message_row_len(message);
    uint8_t *head = arena_alloc(&changes->arena, len);
    if (head == NULL) {
        return ERR_NOMEM;
    }
    message_row_encode(&key, message, head);
    struct slice content = {.data = message->data, .len = message->shared_body == 0 ? message_len(message) : 0};
    changes_add(changes, (struct store_change){
                             .kind = STORE_PUT, .key = name, .value = {.data = head, .len = len}, .value2 = content});
    return 0;
}

static void changes_add_row(struct changes *changes, const struct bytes *bytes, const struct checkpoint_row *row)
{
    const uint8_t *key = bytes->data + row->offset;
    changes_add(changes, (struct store_change){.kind = STORE_PUT,
                                               .key = {.data = key, .len = row->key_len},
                                               .value = {.data = key + row->key_len, .len = row->value_len}});
}

static void changes_add_table(struct changes *changes, const struct checkpoint_table *part)
{
    CHECK(part->len <= changes->cap - changes->len);
    checkpoint_table_list(part, changes->items + changes->len);
    changes->len += part->len;
}

/* Deletions come before rows that may bear the same key again. */
static int changes_add_checkpoint(struct changes *changes, const struct machine_checkpoint *checkpoint)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < checkpoint->forgotten_len; i++) {
        err = changes_add_forgotten(changes, &checkpoint->forgotten[i]);
    }
    for (size_t i = 0; err == 0 && i < checkpoint->messages_len; i++) {
        err = changes_add_message(changes, &checkpoint->messages[i]);
    }
    for (size_t i = 0; err == 0 && i < checkpoint->settled_len; i++) {
        const struct checkpoint_position *settled = &checkpoint->settled[i];
        err = changes_add_delete(changes, row_key_pair(ROW_MESSAGE, settled->queue, settled->position));
    }
    for (size_t i = 0; err == 0 && i < checkpoint->purged_len; i++) {
        const struct checkpoint_range *purged = &checkpoint->purged[i];
        err = changes_add_delete_range(changes, row_key_pair(ROW_MESSAGE, purged->queue, purged->range.first),
                                       row_key_pair(ROW_MESSAGE, purged->queue, purged->range.end));
    }
    for (size_t i = 0; err == 0 && i < checkpoint->rows_len; i++) {
        changes_add_row(changes, &checkpoint->bytes, &checkpoint->rows[i]);
    }
    if (err == 0) {
        changes_add_table(changes, &checkpoint->table);
    }
    return err;
}

int machine_checkpoint_write(struct machine_checkpoint *checkpoint)
{
    struct changes changes = {.cap = checkpoint_changes_max(checkpoint)};
    changes.items = malloc(changes.cap * sizeof *changes.items);
    if (changes.items == NULL) {
        return ERR_NOMEM;
    }
    arena_init(&changes.arena, SIZE_MAX / 2);
    int err = changes_add_checkpoint(&changes, checkpoint);
    if (err == 0) {
        err = checkpoint->store->ops->write(checkpoint->store, changes.items, changes.len);
    }
    arena_done(&changes.arena);
    free(changes.items);
    return err;
}
