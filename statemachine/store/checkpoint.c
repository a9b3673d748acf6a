/* Taking a checkpoint out of the machine, and letting go of what is in the store. */

#include "statemachine/store/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

#define CAP_MIN 64u

/* Room for one more item; NULL when out of memory. */
static void *array_grow(void *items, size_t len, size_t *cap, size_t item_len)
{
    if (len < *cap) {
        return items;
    }
    size_t grown = *cap > 0 ? 2 * *cap : CAP_MIN;
    void *moved = realloc(items, grown * item_len);
    if (moved != NULL) {
        *cap = grown;
    }
    return moved;
}

static int checkpoint_add_row(struct machine_checkpoint *checkpoint, const struct row *row)
{
    struct checkpoint_row *rows =
        array_grow(checkpoint->rows, checkpoint->rows_len, &checkpoint->rows_cap, sizeof *rows);
    if (rows == NULL || bytes_reserve(&checkpoint->bytes, row->key.len + row->value.len) != 0) {
        checkpoint->rows = rows != NULL ? rows : checkpoint->rows;
        return ERR_NOMEM;
    }
    checkpoint->rows = rows;
    rows[checkpoint->rows_len++] =
        (struct checkpoint_row){.offset = checkpoint->bytes.len, .key_len = row->key.len, .value_len = row->value.len};
    int err = bytes_append(&checkpoint->bytes, row->key.data, row->key.len);
    CHECK(err == 0);
    err = bytes_append(&checkpoint->bytes, row->value.data, row->value.len);
    CHECK(err == 0);
    return 0;
}

static int checkpoint_add_message(struct machine_checkpoint *checkpoint, const struct queue *queue,
                                  const struct lane *lane, uint64_t position)
{
    const struct message *message = messages_at(&lane->messages, position);
    if (message->settled) {
        return 0;
    }
    struct checkpoint_message *messages =
        array_grow(checkpoint->messages, checkpoint->messages_len, &checkpoint->messages_cap, sizeof *messages);
    if (messages == NULL) {
        return ERR_NOMEM;
    }
    checkpoint->messages = messages;
    messages[checkpoint->messages_len++] =
        (struct checkpoint_message){.queue = queue->id, .position = position, .message = *message};
    message_ref(message);
    return 0;
}

struct settled_sink {
    struct machine_checkpoint *checkpoint;
    uint64_t queue;
    int err;
};

static void checkpoint_add_settled(void *arg, uint64_t position)
{
    struct settled_sink *sink = arg;
    struct machine_checkpoint *checkpoint = sink->checkpoint;
    struct checkpoint_position *settled =
        array_grow(checkpoint->settled, checkpoint->settled_len, &checkpoint->settled_cap, sizeof *settled);
    if (settled == NULL) {
        sink->err = ERR_NOMEM;
        return;
    }
    checkpoint->settled = settled;
    settled[checkpoint->settled_len++] = (struct checkpoint_position){.queue = sink->queue, .position = position};
}

static int checkpoint_add_purged(struct machine_checkpoint *checkpoint, const struct queue *queue)
{
    for (size_t i = 0; i < queue->gone.ranges_len; i++) {
        struct checkpoint_range *purged =
            array_grow(checkpoint->purged, checkpoint->purged_len, &checkpoint->purged_cap, sizeof *purged);
        if (purged == NULL) {
            return ERR_NOMEM;
        }
        checkpoint->purged = purged;
        purged[checkpoint->purged_len++] =
            (struct checkpoint_range){.queue = queue->id, .range = queue->gone.ranges[i]};
    }
    return 0;
}

static int checkpoint_add_tail(struct machine_checkpoint *checkpoint, const struct queue *queue,
                               const struct lane *lane)
{
    struct checkpoint_position *tails =
        array_grow(checkpoint->tails, checkpoint->tails_len, &checkpoint->tails_cap, sizeof *tails);
    if (tails == NULL) {
        return ERR_NOMEM;
    }
    checkpoint->tails = tails;
    tails[checkpoint->tails_len++] = (struct checkpoint_position){.queue = queue->id, .position = lane->tail};
    return 0;
}

static int checkpoint_collect_lane(struct machine_checkpoint *checkpoint, const struct queue *queue,
                                   const struct lane *lane)
{
    uint64_t from = lane->collected > lane->messages.base ? lane->collected : lane->messages.base;
    for (uint64_t position = from; position < lane->tail; position++) {
        int err = checkpoint_add_message(checkpoint, queue, lane, position);
        if (err != 0) {
            return err;
        }
    }
    return checkpoint_add_tail(checkpoint, queue, lane);
}

static void queue_is_collected(struct queue *queue)
{
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        struct lane *lane = queue_lane(queue, number);
        if (lane != NULL) {
            lane->collected = lane->tail;
        }
    }
    queue->stored = true;
    list_remove(&queue->changed);
}

/* A queue leaves the list of changed ones only when all of it has been collected; what was collected twice after a
 * failure in the middle is written twice, with the same content. */
static int checkpoint_collect_queue(struct machine_checkpoint *checkpoint, struct queue *queue, struct row *row)
{
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        const struct lane *lane = queue_lane(queue, number);
        int err = lane != NULL ? checkpoint_collect_lane(checkpoint, queue, lane) : 0;
        if (err != 0) {
            return err;
        }
    }
    struct settled_sink sink = {.checkpoint = checkpoint, .queue = queue->id};
    gone_each(&queue->gone, checkpoint_add_settled, &sink);
    int err = sink.err;
    if (err == 0) {
        err = checkpoint_add_purged(checkpoint, queue);
    }
    if (err == 0) {
        err = queue_row(checkpoint->machine, queue, row);
    }
    if (err == 0) {
        err = checkpoint_add_row(checkpoint, row);
    }
    if (err == 0) {
        err = gone_merge(&queue->leaving, &queue->gone);
    }
    if (err == 0) {
        queue_is_collected(queue);
    }
    return err;
}

static int checkpoint_collect_queues(struct machine_checkpoint *checkpoint, struct machine *machine)
{
    struct list_node *node;
    while ((node = list_first(&machine->changed_queues)) != NULL) {
        struct queue *queue = container_of(node, struct queue, changed);
        int err = checkpoint_collect_queue(checkpoint, queue, &machine->row);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int checkpoint_collect_returns(struct machine_checkpoint *checkpoint, struct machine *machine)
{
    struct list_node *node;
    while ((node = list_first(&machine->unstored_returns)) != NULL) {
        struct returned *returned = container_of(node, struct returned, unstored);
        int err = returned_row(machine, returned, &machine->row);
        if (err == 0) {
            err = checkpoint_add_row(checkpoint, &machine->row);
        }
        if (err != 0) {
            return err;
        }
        returned->stored = true;
        list_remove(node);
    }
    return 0;
}

static int checkpoint_collect_presences(struct machine_checkpoint *checkpoint, struct machine *machine)
{
    struct list_node *node;
    while ((node = list_first(&machine->changed_presences)) != NULL) {
        struct presence *presence = container_of(node, struct presence, changed);
        int err = presence_row(presence, &machine->row);
        if (err == 0) {
            err = checkpoint_add_row(checkpoint, &machine->row);
        }
        if (err != 0) {
            return err;
        }
        presence->stored = true;
        list_remove(node);
    }
    return 0;
}

static int checkpoint_collect_sessions(struct machine_checkpoint *checkpoint, struct machine *machine)
{
    struct list_node *node;
    while ((node = list_first(&machine->changed_sessions)) != NULL) {
        struct session *session = container_of(node, struct session, changed);
        int err = session_row(machine, session, &machine->row);
        if (err == 0) {
            err = checkpoint_add_row(checkpoint, &machine->row);
        }
        if (err != 0) {
            return err;
        }
        session->stored = true;
        list_remove(node);
    }
    return 0;
}

static int checkpoint_collect_consumers(struct machine_checkpoint *checkpoint, struct machine *machine)
{
    struct list_node *node;
    while ((node = list_first(&machine->changed_consumers)) != NULL) {
        struct consumer *consumer = container_of(node, struct consumer, changed);
        int err = consumer_row(machine, consumer, &machine->row);
        if (err == 0) {
            err = checkpoint_add_row(checkpoint, &machine->row);
        }
        if (err != 0) {
            return err;
        }
        consumer->stored = true;
        list_remove(node);
    }
    return 0;
}

static int checkpoint_collect_producers(struct machine_checkpoint *checkpoint, struct machine *machine)
{
    struct list_node *node;
    while ((node = list_first(&machine->producers.changed)) != NULL) {
        struct producer *producer = container_of(node, struct producer, state);
        int err = producer_row(machine, producer, &machine->row);
        if (err == 0) {
            err = checkpoint_add_row(checkpoint, &machine->row);
        }
        if (err != 0) {
            return err;
        }
        producers_collected(&machine->producers, producer);
    }
    return 0;
}

/* Behind those that one that failed had. */
static int checkpoint_collect_forgotten(struct machine_checkpoint *checkpoint, struct machine *machine)
{
    size_t len = checkpoint->forgotten_len + machine->forgotten_len;
    if (machine->forgotten_len == 0) {
        return 0;
    }
    struct forgotten_row *forgotten = realloc(checkpoint->forgotten, len * sizeof *forgotten);
    if (forgotten == NULL) {
        return ERR_NOMEM;
    }
    memcpy(forgotten + checkpoint->forgotten_len, machine->forgotten, machine->forgotten_len * sizeof *forgotten);
    checkpoint->forgotten = forgotten;
    checkpoint->forgotten_len = len;
    free(machine->forgotten);
    machine->forgotten = NULL;
    machine->forgotten_len = machine->forgotten_cap = 0;
    return 0;
}

static int checkpoint_collect(struct machine_checkpoint *checkpoint, struct machine *machine, struct slice consensus)
{
    int err = checkpoint_collect_forgotten(checkpoint, machine);
    if (err == 0) {
        err = checkpoint_collect_queues(checkpoint, machine);
    }
    if (err == 0) {
        err = checkpoint_collect_returns(checkpoint, machine);
    }
    if (err == 0) {
        err = checkpoint_collect_presences(checkpoint, machine);
    }
    if (err == 0) {
        err = checkpoint_collect_sessions(checkpoint, machine);
    }
    if (err == 0) {
        err = checkpoint_collect_consumers(checkpoint, machine);
    }
    if (err == 0) {
        err = checkpoint_collect_producers(checkpoint, machine);
    }
    if (err == 0) {
        err = table_collect(machine, checkpoint);
    }
    if (err == 0) {
        err = state_row(machine, consensus, &machine->row);
    }
    if (err == 0) {
        err = checkpoint_add_row(checkpoint, &machine->row);
    }
    return err;
}

int machine_checkpoint(struct machine *machine, struct slice consensus, struct machine_checkpoint **ret_checkpoint)
{
    if (machine->checkpoint != NULL) {
        return ERR_BUSY;
    }
    struct machine_checkpoint *checkpoint = machine->failed != NULL ? machine->failed : calloc(1, sizeof *checkpoint);
    if (checkpoint == NULL) {
        return ERR_NOMEM;
    }
    checkpoint->machine = machine;
    checkpoint->store = machine->store;
    if (machine->failed != NULL) {
        machine->failed = NULL;
        checkpoint_renew(checkpoint);
    }
    machine->checkpoint = checkpoint;
    int err = checkpoint_collect(checkpoint, machine, consensus);
    if (err != 0) {
        machine_checkpoint_done(checkpoint, err);
        return err;
    }
    *ret_checkpoint = checkpoint;
    return 0;
}

static void checkpoint_let_go(struct machine *machine, const struct machine_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->tails_len; i++) {
        uint64_t position = checkpoint->tails[i].position;
        struct queue *queue = queue_by_id_doomed_too(machine, checkpoint->tails[i].queue);
        if (queue != NULL) {
            machine->overlay_bytes -= messages_forget(&queue_lane(queue, lane_of(position))->messages, position);
            gone_clear(&queue->leaving);
        }
    }
}

void machine_checkpoint_done(struct machine_checkpoint *checkpoint, int err)
{
    struct machine *machine = checkpoint->machine;
    CHECK(machine->checkpoint == checkpoint);
    machine->checkpoint = NULL;
    producers_settle(&machine->producers, err == 0);
    table_settle(machine, err == 0);
    if (err != 0) {
        checkpoint_table_clear(&checkpoint->table);
        machine->failed = checkpoint;
        return;
    }
    /* What it holds may have been settled since, and now has no row either: it must not be found again. */
    body_cache_clear(&machine->bodies);
    checkpoint_let_go(machine, checkpoint);
    checkpoint_free(checkpoint);
}

void checkpoint_free(struct machine_checkpoint *checkpoint)
{
    if (checkpoint == NULL) {
        return;
    }
    for (size_t i = 0; i < checkpoint->messages_len; i++) {
        message_unref(&checkpoint->messages[i].message);
    }
    checkpoint_table_clear(&checkpoint->table);
    free(checkpoint->forgotten);
    free(checkpoint->messages);
    free(checkpoint->settled);
    free(checkpoint->purged);
    free(checkpoint->rows);
    free(checkpoint->tails);
    bytes_done(&checkpoint->bytes);
    free(checkpoint);
}
