/* Messages of a queue that are ready again. */

#include <stdlib.h>

#include "statemachine/queue_private.h"
#include "statemachine/state.h"

int returned_insert(struct queue *queue, const struct taken *message, uint32_t bytes, struct returned **ret_returned)
{
    struct returned *returned = calloc(1, sizeof *returned);
    if (returned == NULL) {
        return ERR_NOMEM;
    }
    returned->queue = queue->id;
    returned->position = message->position;
    returned->count = message->count;
    returned->expires_ms = message->expires_ms;
    returned->group = message->group;
    returned->bytes = bytes;
    list_init(&returned->unstored);
    if (RB_INSERT(returned_tree, &queue->returned, returned) != NULL) {
        free(returned);
        return ERR_CORRUPT;
    }
    queue->returned_len++;
    queue->returned_bytes += bytes;
    *ret_returned = returned;
    return 0;
}

int returned_add(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes)
{
    struct returned *returned;
    int err = returned_insert(queue, message, bytes, &returned);
    if (err != 0) {
        return err;
    }
    list_push_back(&machine->unstored_returns, &returned->unstored);
    queue_changed(machine, queue);
    queue_due(machine, queue);
    return 0;
}

struct returned *returned_find(struct queue *queue, uint64_t position)
{
    struct returned like = {.position = position};
    return RB_FIND(returned_tree, &queue->returned, &like);
}

void returned_remove(struct machine *machine, struct queue *queue, struct returned *returned)
{
    if (returned->stored) {
        state_forget_row(machine, ROW_RETURNED, queue->id, returned->position);
    }
    returned_free(queue, returned);
    queue_changed(machine, queue);
}

int returned_row(const struct machine *machine, const struct returned *returned, struct row *row)
{
    struct row_key key = row_key_pair(ROW_RETURNED, returned->queue, returned->position);
    if (machine->version < 2) {
        row_begin(row, key);
        row_put_u32(row, returned->count);
        return row_seal(row);
    }
    row_begin_new(row, key);
    row_put_u32(row, returned->count);
    row_put_u32(row, returned->bytes);
    row_put_u64(row, returned->expires_ms);
    row_put_u64(row, returned->group);
    return row_seal(row);
}

int returned_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    bool old = reader.version == ROW_VERSION;
    struct taken message = {.count = row_get_u32(&reader)};
    uint32_t bytes = old ? 0 : row_get_u32(&reader);
    message.expires_ms = old ? 0 : row_get_u64(&reader);
    message.group = old ? 0 : row_get_u64(&reader);
    if (key->len != ROW_KEY_PAIR_LEN || row_end(&reader) != 0) {
        return ERR_CORRUPT;
    }
    struct queue *queue = queue_by_id(machine, get_be64(key->data + 1));
    message.position = get_be64(key->data + 9);
    const struct lane *lane = queue != NULL ? queue_lane(queue, lane_of(message.position)) : NULL;
    if (lane == NULL || message.position <= lane_start(lane_of(message.position)) || message.position >= lane->head) {
        return ERR_CORRUPT;
    }
    struct returned *returned;
    err = returned_insert(queue, &message, bytes, &returned);
    if (err == 0) {
        returned->stored = true;
    }
    return err;
}
