/* Messages that wait, before they are ready again at their place. */

#include "statemachine/queue/waiting.h"

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/queue/dead_letter.h"
#include "statemachine/queue/expiry.h"
#include "statemachine/state.h"

static struct timer waiting_timer(const struct queue *queue, const struct waiting *waiting)
{
    return (struct timer){.at_ms = waiting->until_ms, .kind = TIMER_RETURN, .a = queue->id, .b = waiting->position};
}

int waiting_add(struct machine *machine, struct queue *queue, const struct waiting *waiting)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_pair(ROW_WAITING, queue->id, waiting->position));
    row_put_u32(row, fault_fires(FAULT_SKIP_WAITING_ROW) ? 0 : waiting->count);
    row_put_u64(row, waiting->until_ms);
    row_put_u64(row, waiting->expires_ms);
    row_put_u64(row, waiting->group);
    int err = row_seal(row);
    if (err == 0) {
        err = table_put(machine, row, (struct slice){0});
    }
    if (err == 0) {
        struct timer timer = waiting_timer(queue, waiting);
        err = timer_set(machine, &timer);
    }
    if (err == 0 && waiting->expires_ms != 0) {
        err = expiry_watch(machine, queue, waiting->position, waiting->expires_ms);
    }
    queue->waiting_len++;
    queue_changed(machine, queue);
    return err;
}

static int waiting_find(struct machine *machine, const struct queue *queue, uint64_t position,
                        struct waiting *ret_waiting)
{
    struct row_key key = row_key_pair(ROW_WAITING, queue->id, position);
    struct table_row found;
    if (queue->waiting_len == 0) {
        return ERR_NOT_FOUND;
    }
    int err = table_get(machine, &key, &found);
    if (err != 0) {
        return err;
    }
    struct row_reader reader;
    err = row_open(&reader, &key, found.value);
    if (err == 0) {
        *ret_waiting = (struct waiting){.position = position, .count = row_get_u32(&reader)};
        ret_waiting->until_ms = row_get_u64(&reader);
        ret_waiting->expires_ms = row_get_u64(&reader);
        ret_waiting->group = row_get_u64(&reader);
        err = row_end(&reader);
    }
    table_row_done(&found);
    return err;
}

int waiting_take(struct machine *machine, struct queue *queue, uint64_t position, struct waiting *ret_waiting)
{
    struct row_key key = row_key_pair(ROW_WAITING, queue->id, position);
    int err = waiting_find(machine, queue, position, ret_waiting);
    if (err == 0) {
        err = table_remove(machine, &key);
    }
    if (err != 0) {
        return err;
    }
    queue->waiting_len--;
    queue_changed(machine, queue);
    struct timer timer = waiting_timer(queue, ret_waiting);
    err = timer_clear(machine, &timer);
    if (err == 0 && ret_waiting->expires_ms != 0) {
        err = expiry_unwatch(machine, queue, position, ret_waiting->expires_ms);
    }
    return err;
}

int waiting_fired(struct machine *machine, const struct timer *timer)
{
    struct queue *queue = queue_by_id(machine, timer->a);
    struct waiting waiting;
    if (queue == NULL) {
        return 0;
    }
    int err = waiting_take(machine, queue, timer->b, &waiting);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    if (waiting.expires_ms != 0 && waiting.expires_ms <= machine->time_ms) {
        queue->counters.expired++;
        queue_changed(machine, queue);
        return dead_letter_out(machine, queue, waiting.position, waiting.group, DEATH_EXPIRED);
    }
    return queue_put_back(machine, queue, waiting.position, waiting.count, waiting.expires_ms, waiting.group);
}
