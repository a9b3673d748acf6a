/* Looking at the messages of a queue, in order of position, without changing anything.
 *
 * Below the head a message is there if it has come back or is out with a consumer: both are known in memory, and each is
 * read by its key. From the head on all are there: in the store side by side, then in memory. So no step passes over
 * rows that were deleted. */

#include <stdlib.h>

#include "statemachine/queue/hole.h"
#include "statemachine/queue/returned.h"
#include "statemachine/session/consumer.h"
#include "statemachine/state.h"

/* Locked messages found in one pass over what the queue's consumers hold: as many as anybody looks at in one go. */
#define LOCKED_MAX 1024u

struct locked {
    uint64_t position;
    uint32_t count; /* Deliveries so far. */
    enum machine_message_state state;
};

struct browse {
    struct machine *machine;
    struct queue *queue;
    const struct lane *lane; /* The one that it is in. */
    int (*each)(void *arg, const struct machine_message *message);
    void *arg;
    uint64_t position; /* The next one. */
    struct locked locked[LOCKED_MAX];
    size_t locked_len;
};

static int browse_show(struct browse *browse, const struct message_head *head, uint32_t count,
                       enum machine_message_state state)
{
    struct machine_message message = {
        .position = browse->position,
        .enqueued_ms = head->enqueued_ms,
        .expires_ms = head->expires_ms,
        .body_hash = head->hash,
        .body_len = head->body_len,
        .head_len = head->head_len,
        .trail_len = head->trail_len,
        .delivery_count = count,
        .state = state,
        .locked = state == MESSAGE_LOCKED,
    };
    browse->position++;
    return browse->each(browse->arg, &message);
}

static int browse_show_at(struct browse *browse, uint64_t position, uint32_t count, enum machine_message_state state)
{
    struct message_head head;
    int err = state_message_head(browse->machine, browse->queue, position, &head);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    browse->position = position;
    return browse_show(browse, &head, count, state);
}

static void locked_sift_down(struct locked *heap, size_t len, size_t at)
{
    struct locked item = heap[at];
    for (size_t child = 2 * at + 1; child < len; child = 2 * at + 1) {
        child += child + 1 < len && heap[child + 1].position > heap[child].position;
        if (heap[child].position <= item.position) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
}

static void locked_sift_up(struct locked *heap, size_t at)
{
    struct locked item = heap[at];
    for (; at > 0 && heap[(at - 1) / 2].position < item.position; at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
    }
    heap[at] = item;
}

/* Keeps the lowest ones, the highest of them on top. */
static void browse_add_locked(struct browse *browse, struct locked locked)
{
    if (browse->locked_len < LOCKED_MAX) {
        browse->locked[browse->locked_len] = locked;
        locked_sift_up(browse->locked, browse->locked_len++);
    } else if (locked.position < browse->locked[0].position) {
        browse->locked[0] = locked;
        locked_sift_down(browse->locked, LOCKED_MAX, 0);
    }
}

static int locked_compare(const void *a, const void *b)
{
    const struct locked *x = a;
    const struct locked *y = b;
    return (x->position > y->position) - (x->position < y->position);
}

static void browse_find_locked(struct browse *browse)
{
    struct consumer *consumer;
    RB_FOREACH (consumer, queue_consumers, &browse->queue->consumers) {
        const struct deliveries *deliveries = &consumer->deliveries;
        for (size_t i = deliveries->first; i < deliveries->last; i++) {
            const struct delivery *delivery = &deliveries->items[i];
            if (delivery->held && delivery->position >= browse->position) {
                uint32_t count = delivery->count < UINT32_MAX ? delivery->count + 1 : delivery->count;
                browse_add_locked(browse, (struct locked){delivery->position, count, MESSAGE_LOCKED});
            }
        }
    }
}

/* Rows of the table in order of position, with which the key ends; the row begins with how often it was delivered. Of more than there is
 * room for the last ones are not among the lowest. */
static int browse_find_rows(struct browse *browse, struct row_key from, struct row_key end,
                            enum machine_message_state state)
{
    struct table_row found;
    int err = 0;
    for (unsigned i = 0; i < LOCKED_MAX && (err = table_seek(browse->machine, &from, &end, &found)) == 0; i++) {
        struct row_reader reader;
        uint64_t position = get_be64(found.key.data + found.key.len - 8);
        err = row_open(&reader, &found.key, found.value);
        uint32_t count = err == 0 ? row_get_u32(&reader) : 0;
        from = row_key_next(&found.key);
        table_row_done(&found);
        if (err != 0) {
            return err;
        }
        browse_add_locked(browse, (struct locked){position, count, state});
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

/* The next messages that are locked, waiting or parked, in order. */
static int browse_find_out(struct browse *browse)
{
    const struct queue *queue = browse->queue;
    browse->locked_len = 0;
    browse_find_locked(browse);
    int err = 0;
    if (queue->waiting_len > 0) {
        struct row_key prefix = row_key_one(ROW_WAITING, queue->id);
        err = browse_find_rows(browse, row_key_pair(ROW_WAITING, queue->id, browse->position), row_key_after(&prefix),
                               MESSAGE_WAITING);
    }
    if (err == 0 && queue->parked > 0) {
        struct row_key from = row_key_triple(ROW_PARKED_AT, queue->id, queue->purges, browse->position);
        struct row_key prefix = row_key_pair(ROW_PARKED_AT, queue->id, queue->purges);
        err = browse_find_rows(browse, from, row_key_after(&prefix), MESSAGE_PARKED);
    }
    qsort(browse->locked, browse->locked_len, sizeof browse->locked[0], locked_compare);
    return err;
}

/* Returned ones below a position. */
static int browse_returned(struct browse *browse, uint64_t end)
{
    uint64_t position = browse->position;
    uint32_t count;
    int err = returned_next(browse->machine, browse->queue, position, end, &position, &count);
    while (err == 0 && position != UINT64_MAX) {
        err = browse_show_at(browse, position, count, MESSAGE_READY);
        if (err == 0) {
            err = returned_next(browse->machine, browse->queue, position + 1, end, &position, &count);
        }
    }
    return err;
}

/* Those that are out and in the lane's part below the head, and the returned ones in between. */
static int browse_out(struct browse *browse, uint64_t head)
{
    for (size_t i = 0; i < browse->locked_len && browse->locked[i].position < head; i++) {
        const struct locked *locked = &browse->locked[i];
        int err = browse_returned(browse, locked->position);
        if (err == 0) {
            err = browse_show_at(browse, locked->position, locked->count, locked->state);
        }
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* All below the head of the lane. */
static int browse_below_head(struct browse *browse)
{
    uint64_t head = browse->lane->head;
    while (browse->position < head) {
        int err = browse_find_out(browse);
        if (err == 0) {
            err = browse_out(browse, head);
        }
        if (err != 0) {
            return err;
        }
        if (browse->locked_len < LOCKED_MAX || browse->locked[LOCKED_MAX - 1].position >= head) {
            err = browse_returned(browse, head);
            browse->position = err == 0 ? head : browse->position;
            return err;
        }
    }
    return 0;
}

/* The next position is `position`: all before it are in a hole. Else rows are missing. */
static int browse_skip_hole(struct browse *browse, uint64_t position)
{
    uint64_t next = browse->position;
    int err = next < position ? hole_skip(browse->machine, browse->queue, next, &next) : 0;
    if (err == 0 && next < position) {
        return ERR_CORRUPT;
    }
    browse->position = err == 0 ? position : browse->position;
    return err;
}

/* A row's checksum covers its key: if it is not the row of this position, and there is no hole, one is missing, and it is not
 * believed. */
static int browse_stored_row(void *arg, struct slice key, struct slice value)
{
    struct browse *browse = arg;
    struct message message;
    uint64_t position = browse->queue->holes > 0 ? get_be64(key.data + 9) : browse->position;
    if (browse->queue->holes > 0 && !queue_may_have(browse->queue, position)) {
        return 0;
    }
    int err = browse_skip_hole(browse, position);
    struct row_key expected = row_key_pair(ROW_MESSAGE, browse->queue->id, browse->position);
    if (err == 0) {
        err = message_row_decode(&expected, value, &message);
    }
    if (err != 0) {
        return state_blame(browse->machine, &expected, err, err_text(err));
    }
    struct message_head head = state_head_of(&message);
    return browse_show(browse, &head, 0, MESSAGE_READY);
}

/* What is stored from the next position on, up to `stop`. */
static int browse_scan(struct browse *browse, uint64_t stop)
{
    struct store *store = browse->machine->store;
    struct row_key first = row_key_pair(ROW_MESSAGE, browse->queue->id, browse->position);
    struct row_key end = row_key_pair(ROW_MESSAGE, browse->queue->id, stop);
    return store->ops->scan(store, row_key_slice(&first), row_key_slice(&end), browse_stored_row, browse);
}

/* From the head on, up to where memory begins; from hole to hole, so that the store need not pass over what was deleted in them.
 * Where rows are missing at the end, browse_in_memory() finds nothing. */
static int browse_stored(struct browse *browse)
{
    uint64_t base = browse->lane->messages.base;
    uint64_t stop = browse->position;
    int err = 0;
    while (err == 0 && browse->position == stop && stop < base) {
        err = hole_skip(browse->machine, browse->queue, browse->position, &browse->position);
        if (err == 0) {
            err = hole_next(browse->machine, browse->queue, browse->position, base, &stop);
        }
        if (err == 0 && browse->position < stop) {
            err = browse_scan(browse, stop);
        }
    }
    return err;
}

static int browse_in_memory(struct browse *browse)
{
    int err = 0;
    while (err == 0 && browse->position < browse->lane->tail) {
        uint64_t next;
        err = hole_skip(browse->machine, browse->queue, browse->position, &next);
        if (err == 0 && next != browse->position) {
            browse->position = next;
        } else if (err == 0) {
            err = browse_show_at(browse, browse->position, 0, MESSAGE_READY);
        }
    }
    return err;
}

static int browse_lane(struct browse *browse, unsigned number, uint64_t position)
{
    uint64_t first = lane_start(number) + 1;
    browse->lane = queue_lane(browse->queue, number);
    if (browse->lane == NULL || position >= browse->lane->tail) {
        return 0;
    }
    browse->position = position > first ? position : first;
    int err = browse_below_head(browse);
    if (err == 0) {
        err = browse_stored(browse);
    }
    return err != 0 ? err : browse_in_memory(browse);
}

int machine_browse(struct machine *machine, uint64_t queue_id, uint64_t position,
                   int (*each)(void *arg, const struct machine_message *message), void *arg)
{
    struct queue *queue = queue_by_id(machine, queue_id);
    if (queue == NULL) {
        return ERR_NOT_FOUND;
    }
    struct browse browse = {.machine = machine, .queue = queue, .each = each, .arg = arg};
    int err = 0;
    for (unsigned number = lane_of(position); err == 0 && number <= queue->options.max_priority; number++) {
        err = browse_lane(&browse, number, position);
    }
    return err;
}
