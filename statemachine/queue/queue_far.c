/* Messages of a queue that are ready again, and are not in memory. */

#include "proto/base/check.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/state.h"

int far_put(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_triple(ROW_RETURNED_FAR, queue->id, queue->purges, message->position));
    row_put_u32(row, message->count);
    row_put_u32(row, bytes);
    row_put_u64(row, message->expires_ms);
    row_put_u64(row, message->group);
    int err = row_seal(row);
    if (err == 0) {
        err = table_put(machine, row, (struct slice){0});
    }
    queue->far++;
    queue->far_bytes += bytes;
    return err;
}

int far_read(const struct table_row *found, struct taken *ret_message, uint32_t *ret_bytes)
{
    struct row_reader reader;
    int err = row_open(&reader, &found->key, found->value);
    if (err != 0) {
        return err;
    }
    *ret_message =
        (struct taken){.position = get_be64(found->key.data + ROW_KEY_LEN(2)), .count = row_get_u32(&reader)};
    *ret_bytes = row_get_u32(&reader);
    ret_message->expires_ms = row_get_u64(&reader);
    ret_message->group = row_get_u64(&reader);
    return row_end(&reader);
}

int far_seek(struct machine *machine, const struct queue *queue, uint64_t from, uint64_t end, struct taken *ret_message,
             uint32_t *ret_bytes)
{
    struct row_key key = row_key_triple(ROW_RETURNED_FAR, queue->id, queue->purges, from);
    struct row_key end_key = row_key_triple(ROW_RETURNED_FAR, queue->id, queue->purges, end);
    struct table_row found;
    int err = queue->far > 0 ? table_seek(machine, &key, &end_key, &found) : ERR_NOT_FOUND;
    if (err == 0) {
        err = far_read(&found, ret_message, ret_bytes);
        table_row_done(&found);
    }
    return err;
}

int far_get(struct machine *machine, const struct queue *queue, uint64_t position, struct taken *ret_message,
            uint32_t *ret_bytes)
{
    struct row_key key = row_key_triple(ROW_RETURNED_FAR, queue->id, queue->purges, position);
    struct table_row found;
    int err = queue->far > 0 && position >= queue->far_first ? table_get(machine, &key, &found) : ERR_NOT_FOUND;
    if (err == 0) {
        err = far_read(&found, ret_message, ret_bytes);
        table_row_done(&found);
    }
    return err;
}

int far_remove(struct machine *machine, struct queue *queue, uint64_t position, uint32_t bytes)
{
    struct row_key key = row_key_triple(ROW_RETURNED_FAR, queue->id, queue->purges, position);
    queue->far--;
    queue->far_bytes -= bytes;
    return table_remove(machine, &key);
}

int far_last(struct machine *machine, const struct queue *queue, uint64_t *ret_position)
{
    struct row_key key = row_key_pair(ROW_RETURNED_FAR, queue->id, queue->purges);
    struct row_key end = row_key_after(&key);
    struct table_row found;
    int err = table_seek_last(machine, &key, &end, &found);
    if (err == 0) {
        *ret_position = get_be64(found.key.data + ROW_KEY_LEN(2));
        table_row_done(&found);
    }
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}
