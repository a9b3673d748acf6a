/* Looking at the messages of a queue, in order of position, without changing anything.
 *
 * Below the head a message is there if it has come back or is out with a consumer: both are known in memory, and each is
 * read by its key. From the head on all are there: in the store side by side, then in memory. So no step passes over
 * rows that were deleted. */

#include <stdlib.h>

#include "statemachine/consumer.h"
#include "statemachine/state.h"

/* Locked messages found in one pass over what the queue's consumers hold. */
#define LOCKED_MAX 512u

struct locked {
    uint64_t position;
    uint32_t count; /* Deliveries so far. */
};

struct browse {
    struct machine *machine;
    struct queue *queue;
    int (*each)(void *arg, const struct machine_message *message);
    void *arg;
    uint64_t position; /* The next one. */
    struct locked locked[LOCKED_MAX];
    size_t locked_len;
};

static int browse_show(struct browse *browse, const struct message_head *head, uint32_t count, bool locked)
{
    struct machine_message message = {
        .position = browse->position,
        .enqueued_ms = head->enqueued_ms,
        .body_hash = head->hash,
        .body_len = head->len,
        .delivery_count = count,
        .locked = locked,
    };
    browse->position++;
    return browse->each(browse->arg, &message);
}

static int browse_show_at(struct browse *browse, uint64_t position, uint32_t count, bool locked)
{
    struct message_head head;
    int err = state_message_head(browse->machine, browse->queue, position, &head);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    browse->position = position;
    return browse_show(browse, &head, count, locked);
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

/* The next locked messages, in order. */
static void browse_find_locked(struct browse *browse)
{
    struct consumer *consumer;
    browse->locked_len = 0;
    RB_FOREACH (consumer, queue_consumers, &browse->queue->consumers) {
        const struct deliveries *deliveries = &consumer->deliveries;
        for (size_t i = deliveries->first; i < deliveries->last; i++) {
            const struct delivery *delivery = &deliveries->items[i];
            if (delivery->held && delivery->position >= browse->position) {
                uint32_t count = delivery->count < UINT32_MAX ? delivery->count + 1 : delivery->count;
                browse_add_locked(browse, (struct locked){.position = delivery->position, .count = count});
            }
        }
    }
    qsort(browse->locked, browse->locked_len, sizeof browse->locked[0], locked_compare);
}

/* Returned ones below a position. */
static int browse_returned(struct browse *browse, uint64_t end)
{
    struct returned from = {.position = browse->position};
    struct returned *returned = RB_NFIND(returned_tree, &browse->queue->returned, &from);
    for (; returned != NULL && returned->position < end;
         returned = RB_NEXT(returned_tree, &browse->queue->returned, returned)) {
        int err = browse_show_at(browse, returned->position, returned->count, false);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* All below the head: locked ones, and the returned ones in between. */
static int browse_below_head(struct browse *browse)
{
    while (browse->position < browse->queue->head) {
        browse_find_locked(browse);
        for (size_t i = 0; i < browse->locked_len; i++) {
            const struct locked *locked = &browse->locked[i];
            int err = browse_returned(browse, locked->position);
            if (err == 0) {
                err = browse_show_at(browse, locked->position, locked->count, true);
            }
            if (err != 0) {
                return err;
            }
        }
        if (browse->locked_len < LOCKED_MAX) {
            int err = browse_returned(browse, browse->queue->head);
            browse->position = err == 0 ? browse->queue->head : browse->position;
            return err;
        }
    }
    return 0;
}

/* A row's checksum covers its key: if it is not the row of this position, one is missing, and it is not believed. */
static int browse_stored_row(void *arg, struct slice key, struct slice value)
{
    struct browse *browse = arg;
    struct row_key expected = row_key_pair(ROW_MESSAGE, browse->queue->id, browse->position);
    struct message message;
    (void)key;
    int err = message_row_decode(&expected, value, &message);
    if (err != 0) {
        return state_blame(browse->machine, &expected, err, err_text(err));
    }
    struct message_head head = {.enqueued_ms = message.enqueued_ms, .hash = message.hash, .len = message.len};
    return browse_show(browse, &head, 0, false);
}

/* From the head on, up to where memory begins. Where rows are missing at the end, browse_in_memory() finds nothing. */
static int browse_stored(struct browse *browse)
{
    struct store *store = browse->machine->store;
    uint64_t base = browse->queue->messages.base;
    if (browse->position >= base) {
        return 0;
    }
    struct row_key first = row_key_pair(ROW_MESSAGE, browse->queue->id, browse->position);
    struct row_key end = row_key_pair(ROW_MESSAGE, browse->queue->id, base);
    return store->ops->scan(store, row_key_slice(&first), row_key_slice(&end), browse_stored_row, browse);
}

static int browse_in_memory(struct browse *browse)
{
    while (browse->position < browse->queue->tail) {
        int err = browse_show_at(browse, browse->position, 0, false);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int machine_browse(struct machine *machine, uint64_t queue_id, uint64_t position,
                   int (*each)(void *arg, const struct machine_message *message), void *arg)
{
    struct queue *queue = queue_by_id(machine, queue_id);
    if (queue == NULL) {
        return ERR_NOT_FOUND;
    }
    if (position >= queue->tail) {
        return 0;
    }
    struct browse browse = {.machine = machine, .queue = queue, .each = each, .arg = arg};
    browse.position = position > 0 ? position : 1;
    int err = browse_below_head(&browse);
    if (err == 0) {
        err = browse_stored(&browse);
    }
    return err != 0 ? err : browse_in_memory(&browse);
}
