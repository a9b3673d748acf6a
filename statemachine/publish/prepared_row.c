/* The rows of prepared messages. */

#include "statemachine/publish/prepared_row.h"

#include <string.h>

#include "proto/base/check.h"
#include "statemachine/publish/pending.h"
#include "statemachine/state.h"
#include "statemachine/table/table_kind.h"

static void row_put_name(struct row *row, const char *name)
{
    size_t len = strlen(name);
    row_put_u8(row, (uint8_t)len);
    row_put_bytes(row, name, len);
}

int prepared_put(struct machine *machine, const struct prepared *prepared)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_pair(ROW_PREPARED, prepared->id, 0));
    row_put_u64(row, prepared->virtual_host);
    row_put_u8(row, (uint8_t)prepared->state);
    row_put_u8(row, prepared->commit_at_deadline);
    row_put_u64(row, prepared->ask_after_ms);
    row_put_u64(row, prepared->next_ask_ms);
    row_put_u64(row, prepared->deadline_ms);
    row_put_u64(row, prepared->until_ms);
    row_put_u64(row, prepared->count);
    row_put_u64(row, prepared->done);
    row_put_name(row, prepared->name);
    row_put_name(row, prepared->group);
    row_put_name(row, prepared->queue);
    table_put_tail(row, XXH3_64bits("", 0), 0);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

static void row_get_name(struct row_reader *reader, char name[NAME_LEN_MAX + 1])
{
    size_t len = row_get_u8(reader);
    const uint8_t *bytes = row_get_bytes(reader, len);
    if (bytes != NULL) {
        memcpy(name, bytes, len);
        name[len] = 0;
    }
}

static int prepared_read(const struct table_row *found, struct prepared *prepared)
{
    struct row_reader reader;
    int err = row_open(&reader, &found->key, found->value);
    if (err != 0) {
        return err;
    }
    prepared->virtual_host = row_get_u64(&reader);
    uint8_t state = row_get_u8(&reader);
    prepared->state = (enum prepared_state)state;
    prepared->commit_at_deadline = row_get_u8(&reader) != 0;
    prepared->ask_after_ms = row_get_u64(&reader);
    prepared->next_ask_ms = row_get_u64(&reader);
    prepared->deadline_ms = row_get_u64(&reader);
    prepared->until_ms = row_get_u64(&reader);
    prepared->count = row_get_u64(&reader);
    prepared->done = row_get_u64(&reader);
    row_get_name(&reader, prepared->name);
    row_get_name(&reader, prepared->group);
    row_get_name(&reader, prepared->queue);
    (void)row_get_u64(&reader);
    (void)row_get_u32(&reader);
    bool fits = state <= PREPARED_DROPPED && prepared->count <= PUBLISH_MESSAGES_MAX &&
                prepared->done <= prepared->count && row_end(&reader) == 0;
    return fits ? 0 : ERR_CORRUPT;
}

int prepared_get(struct machine *machine, uint64_t id, struct prepared *ret_prepared)
{
    struct row_key key = row_key_pair(ROW_PREPARED, id, 0);
    struct table_row found;
    struct prepared prepared = {.id = id};
    int err = table_get(machine, &key, &found);
    if (err != 0) {
        return err;
    }
    err = prepared_read(&found, &prepared);
    table_row_done(&found);
    if (err == 0) {
        *ret_prepared = prepared;
    }
    return state_blame(machine, &key, err, err_text(err));
}

static struct row_key prepared_name_key(uint64_t virtual_host, const char *name)
{
    struct row_key key = row_key_one(ROW_PREPARED_NAME, virtual_host);
    size_t len = strlen(name);
    CHECK(len <= NAME_LEN_MAX);
    memcpy(key.data + key.len, name, len);
    key.len += len;
    return key;
}

/* The id in the row of a name. Drops the row. */
static int prepared_read_name(struct machine *machine, struct table_row *found, uint64_t *ret_id)
{
    struct row_reader reader;
    uint64_t id = 0;
    int err = row_open(&reader, &found->key, found->value);
    if (err == 0) {
        id = row_get_u64(&reader);
        err = row_end(&reader);
    }
    table_row_done(found);
    if (err == 0) {
        *ret_id = id;
    }
    return state_blame(machine, &found->key, err, err_text(err));
}

int prepared_find(struct machine *machine, uint64_t virtual_host, const char *name, uint64_t *ret_id)
{
    struct row_key key = prepared_name_key(virtual_host, name);
    struct table_row found;
    int err = table_get(machine, &key, &found);
    return err != 0 ? err : prepared_read_name(machine, &found, ret_id);
}

int prepared_next(struct machine *machine, uint64_t virtual_host, const char *after, uint64_t *ret_id,
                  char ret_name[NAME_LEN_MAX + 1])
{
    struct row_key prefix = row_key_one(ROW_PREPARED_NAME, virtual_host);
    struct row_key last = prepared_name_key(virtual_host, after);
    struct row_key from = row_key_next(&last);
    struct row_key end = row_key_after(&prefix);
    struct table_row found;
    int err = table_seek(machine, &from, &end, &found);
    if (err != 0) {
        return err;
    }
    size_t len = found.key.len - prefix.len;
    if (found.key.len <= prefix.len || len > NAME_LEN_MAX) {
        table_row_done(&found);
        return state_blame(machine, &from, ERR_CORRUPT, "a name that is none");
    }
    memcpy(ret_name, found.key.data + prefix.len, len);
    ret_name[len] = 0;
    return prepared_read_name(machine, &found, ret_id);
}

int prepared_put_name(struct machine *machine, const struct prepared *prepared)
{
    struct row *row = &machine->row;
    row_begin_new(row, prepared_name_key(prepared->virtual_host, prepared->name));
    row_put_u64(row, prepared->id);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

int prepared_put_message(struct machine *machine, uint64_t id, uint64_t number, const struct message *message)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_pair(ROW_PREPARED, id, number));
    row_put_u32(row, message->head_len);
    table_put_tail(row, message->hash, message_len(message));
    int err = row_seal(row);
    return err != 0 ? err : pending_put(machine, message);
}

static int prepared_read_message(const struct table_row *found, struct message *message)
{
    struct row_reader reader;
    int err = row_open(&reader, &found->key, found->value);
    if (err != 0) {
        return err;
    }
    message->head_len = row_get_u32(&reader);
    message->hash = row_get_u64(&reader);
    uint32_t len = row_get_u32(&reader);
    if (row_end(&reader) != 0 || len != found->content.len || message->head_len > len) {
        return ERR_CORRUPT;
    }
    if (XXH3_64bits(found->content.data, found->content.len) != message->hash) {
        return ERR_CHECKSUM;
    }
    message->body_len = len - message->head_len;
    message->data = found->content.data;
    message->blob = found->content.blob;
    return 0;
}

int prepared_get_message(struct machine *machine, uint64_t id, uint64_t number, struct message *ret_message)
{
    struct row_key key = row_key_pair(ROW_PREPARED, id, number);
    struct table_row found;
    struct message message = {0};
    int err = table_get(machine, &key, &found);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? state_blame(machine, &key, ERR_CORRUPT, "it is not there") : err;
    }
    err = prepared_read_message(&found, &message);
    if (err == 0) {
        message_ref(&message);
        *ret_message = message;
    }
    table_row_done(&found);
    return state_blame(machine, &key, err, "the prepared message is damaged");
}

int prepared_forget(struct machine *machine, const struct prepared *prepared)
{
    struct row_key key = row_key_pair(ROW_PREPARED, prepared->id, 0);
    uint64_t named = 0;
    int err = table_remove(machine, &key);
    if (err == 0) {
        err = prepared_find(machine, prepared->virtual_host, prepared->name, &named);
    }
    if (err == 0 && named == prepared->id) {
        key = prepared_name_key(prepared->virtual_host, prepared->name);
        return table_remove(machine, &key);
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}
