/* Messages of a queue that are ready again. */

#include <stdlib.h>

#include "statemachine/queue/queue_private.h"
#include "statemachine/queue/returned.h"
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

static int near_add(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes)
{
    struct returned *returned;
    int err = returned_insert(queue, message, bytes, &returned);
    if (err == 0) {
        list_push_back(&machine->unstored_returns, &returned->unstored);
    }
    return err;
}

static struct taken returned_taken(const struct returned *returned)
{
    return (struct taken){.position = returned->position,
                          .count = returned->count,
                          .expires_ms = returned->expires_ms,
                          .group = returned->group};
}

void returned_drop(struct machine *machine, struct queue *queue, struct returned *returned)
{
    if (returned->stored) {
        state_forget_row(machine, ROW_RETURNED, queue->id, returned->position);
    }
    returned_free(queue, returned);
}

int returned_spill(struct machine *machine, struct queue *queue, uint64_t keep)
{
    for (uint64_t left = queue->returned_len; left > keep; left--) {
        struct returned *last = RB_MAX(returned_tree, &queue->returned);
        struct taken message = returned_taken(last);
        int err = far_put(machine, queue, &message, last->bytes);
        if (err != 0) {
            return err;
        }
        queue->far_first = message.position;
        returned_drop(machine, queue, last);
    }
    return 0;
}

/* Memory has none left: it is given the first ones of the table. */
static int near_fill(struct machine *machine, struct queue *queue)
{
    uint64_t from = queue->far_first;
    for (unsigned i = 0; i < RETURNED_NEAR_MIN && queue->far > 0; i++) {
        struct taken message;
        uint32_t bytes;
        int err = far_seek(machine, queue, from, UINT64_MAX, &message, &bytes);
        if (err == 0) {
            err = far_remove(machine, queue, message.position, bytes);
        }
        if (err == 0) {
            err = near_add(machine, queue, &message, bytes);
        }
        if (err != 0) {
            return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
        }
        from = message.position + 1;
    }
    queue->far_first = queue->far > 0 ? from : 0;
    return 0;
}

/* Under version 1 there is no table. */
int returned_add(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes)
{
    bool far = queue->far > 0 && message->position >= queue->far_first;
    queue_changed(machine, queue);
    queue_due(machine, queue);
    int err = far ? far_put(machine, queue, message, bytes) : near_add(machine, queue, message, bytes);
    if (err == 0 && queue->returned_len > RETURNED_NEAR_MAX && machine->version >= 2) {
        uint64_t keep = queue->returned_len - (RETURNED_NEAR_MAX - RETURNED_NEAR_MIN);
        err = returned_spill(machine, queue, keep);
    }
    return err;
}

struct returned *returned_find(struct queue *queue, uint64_t position)
{
    struct returned like = {.position = position};
    return RB_FIND(returned_tree, &queue->returned, &like);
}

int returned_remove(struct machine *machine, struct queue *queue, struct returned *returned)
{
    returned_drop(machine, queue, returned);
    queue_changed(machine, queue);
    return queue->returned_len == 0 && queue->far > 0 ? near_fill(machine, queue) : 0;
}

int returned_take(struct machine *machine, struct queue *queue, uint64_t position, struct taken *ret_message,
                  uint32_t *ret_bytes)
{
    struct returned *returned = returned_find(queue, position);
    if (returned != NULL) {
        *ret_message = returned_taken(returned);
        *ret_bytes = returned->bytes;
        return returned_remove(machine, queue, returned);
    }
    int err = far_get(machine, queue, position, ret_message, ret_bytes);
    queue_changed(machine, queue);
    return err != 0 ? err : far_remove(machine, queue, position, *ret_bytes);
}

/* ---- Looking ---- */

int returned_find_any(struct machine *machine, struct queue *queue, uint64_t position, uint32_t *ret_count)
{
    const struct returned *returned = returned_find(queue, position);
    if (returned != NULL) {
        *ret_count = returned->count;
        return 0;
    }
    struct taken message;
    uint32_t bytes;
    int err = far_get(machine, queue, position, &message, &bytes);
    *ret_count = err == 0 ? message.count : 0;
    return err;
}

int returned_next(struct machine *machine, struct queue *queue, uint64_t from, uint64_t end, uint64_t *ret_position,
                  uint32_t *ret_count)
{
    struct returned like = {.position = from};
    const struct returned *returned = RB_NFIND(returned_tree, &queue->returned, &like);
    struct taken message = {.position = UINT64_MAX};
    uint32_t bytes;
    int err = 0;
    if (returned != NULL) {
        message = returned_taken(returned);
    } else if (queue->far > 0 && from < end) {
        err = far_seek(machine, queue, from, end, &message, &bytes);
    }
    *ret_position = err == 0 && message.position < end ? message.position : UINT64_MAX;
    *ret_count = message.count;
    return err == ERR_NOT_FOUND ? 0 : err;
}

int returned_last(struct machine *machine, const struct queue *queue, uint64_t *ret_position)
{
    const struct returned *last = RB_MAX(returned_tree, (struct returned_tree *)&queue->returned);
    *ret_position = last != NULL ? last->position : 0;
    return queue->far > 0 ? far_last(machine, queue, ret_position) : 0;
}

/* ---- Rows ---- */

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
    struct queue *queue = queue_by_id_doomed_too(machine, get_be64(key->data + 1));
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
