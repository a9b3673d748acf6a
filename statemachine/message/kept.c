/* Messages that are kept after they were settled. */

#include "statemachine/message/kept.h"

#include "proto/base/fault.h"
#include "statemachine/state.h"
#include "statemachine/table/table_kind.h"

int kept_add(struct machine *machine, const struct queue *queue, uint64_t position, const struct message *message,
             enum machine_kept_outcome outcome)
{
    if (!queue_keeps_settled(queue)) {
        return 0;
    }
    struct row *row = &machine->row;
    uint32_t len = message_len(message);
    row_begin_new(row, row_key_pair(ROW_KEPT, queue->id, position));
    row_put_u64(row, message->enqueued_ms);
    row_put_u64(row, machine->time_ms);
    row_put_u8(row, (uint8_t)outcome);
    row_put_u32(row, message->head_len);
    row_put_u32(row, message->trail_len);
    row_put_bytes(row, message->trail, message->trail_len);
    table_put_tail(row, message->hash, len);
    int err = row_seal(row);
    if (err == 0) {
        struct slice content = {.blob = len > 0 ? message->blob : NULL, .data = message->data, .len = len};
        err = table_put_first(machine, row, content);
    }
    if (err != 0) {
        return err;
    }
    struct timer timer = {.at_ms = timer_after(machine->time_ms, queue->options.keep_settled_ms),
                          .kind = TIMER_KEPT_ENDS,
                          .a = queue->id,
                          .b = position};
    return timer_set_first(machine, &timer);
}

int kept_read(const struct table_row *row, struct message *ret_message, struct machine_kept *ret_kept)
{
    struct row_reader reader;
    int err = row_open(&reader, &row->key, row->value);
    if (err != 0) {
        return err;
    }
    struct message message = {.data = row->content.data, .enqueued_ms = row_get_u64(&reader)};
    struct machine_kept kept = {.position = get_be64(row->key.data + ROW_KEY_LEN(1)), .left_ms = row_get_u64(&reader)};
    kept.outcome = (enum machine_kept_outcome)row_get_u8(&reader);
    message.head_len = row_get_u32(&reader);
    message.trail_len = row_get_u32(&reader);
    message.trail = row_get_bytes(&reader, message.trail_len);
    message.hash = row_get_u64(&reader);
    uint32_t len = row_get_u32(&reader);
    if (row_end(&reader) != 0 || message.head_len > len || len != row->content.len) {
        return ERR_CORRUPT;
    }
    message.body_len = len - message.head_len;
    kept.enqueued_ms = message.enqueued_ms;
    kept.hash = message.hash;
    kept.head_len = message.head_len;
    kept.body_len = message.body_len;
    kept.trail_len = message.trail_len;
    *ret_message = message;
    *ret_kept = kept;
    return 0;
}

int kept_fired(struct machine *machine, const struct timer *timer)
{
    struct row_key key = row_key_pair(ROW_KEPT, timer->a, timer->b);
    return fault_fires(FAULT_SKIP_KEPT_END) ? 0 : table_remove(machine, &key);
}
