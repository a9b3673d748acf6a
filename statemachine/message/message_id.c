/* Ids of messages that a queue has seen within its window. */

#include "statemachine/message/message_id.h"

#include "proto/base/fault.h"
#include "statemachine/state.h"

/* Up to when the id is remembered; 0: it is not. */
static int message_id_until(struct machine *machine, const struct row_key *key, uint64_t *ret_until_ms)
{
    struct table_row found;
    int err = table_get(machine, key, &found);
    if (err == ERR_NOT_FOUND) {
        *ret_until_ms = 0;
        return 0;
    }
    if (err != 0) {
        return err;
    }
    struct row_reader reader;
    uint64_t until_ms = 0;
    err = row_open(&reader, key, found.value);
    if (err == 0) {
        until_ms = row_get_u64(&reader);
        err = row_end(&reader);
    }
    table_row_done(&found);
    if (err == 0) {
        *ret_until_ms = until_ms;
    }
    return state_blame(machine, key, err, err_text(err));
}

int message_id_seen(struct machine *machine, const struct queue *queue, struct id_hash id, bool *ret_seen)
{
    *ret_seen = false;
    if (queue->options.id_window_ms == 0 || id_hash_is_none(id) || fault_fires(FAULT_SKIP_ID_CHECK)) {
        return 0;
    }
    struct row_key key = row_key_triple(ROW_ID_SEEN, queue->id, id.high, id.low);
    uint64_t until_ms = 0;
    int err = message_id_until(machine, &key, &until_ms);
    if (err == 0) {
        *ret_seen = until_ms > machine->time_ms; /* Its timer may be late. */
    }
    return err;
}

int message_id_note(struct machine *machine, const struct queue *queue, struct id_hash id)
{
    if (queue->options.id_window_ms == 0 || id_hash_is_none(id)) {
        return 0;
    }
    struct timer timer = {.at_ms = timer_after(machine->time_ms, queue->options.id_window_ms),
                          .kind = TIMER_ID_FORGOTTEN,
                          .a = queue->id,
                          .b = id.high,
                          .c = id.low};
    row_begin_new(&machine->row, row_key_triple(ROW_ID_SEEN, queue->id, id.high, id.low));
    row_put_u64(&machine->row, fault_fires(FAULT_SKIP_ID_WINDOW) ? machine->time_ms : timer.at_ms);
    int err = row_seal(&machine->row);
    if (err == 0) {
        err = table_put(machine, &machine->row, (struct slice){0});
    }
    return err != 0 ? err : timer_set(machine, &timer);
}

/* It may have been seen again since, when the time was over but this had not been called yet. */
int message_id_fired(struct machine *machine, const struct timer *timer)
{
    struct row_key key = row_key_triple(ROW_ID_SEEN, timer->a, timer->b, timer->c);
    uint64_t until_ms = 0;
    int err = message_id_until(machine, &key, &until_ms);
    return err == 0 && until_ms != 0 && until_ms <= machine->time_ms ? table_remove(machine, &key) : err;
}
