/* Messages that are dropped bit by bit. */

#include "statemachine/queue/sweep.h"

#include "proto/base/check.h"
#include "statemachine/message/body.h"
#include "statemachine/queue/group.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/state.h"

struct sweep {
    uint64_t queue;
    enum sweep_kind kind;
    uint64_t number;
    uint64_t next;
    uint64_t end;
};

/* ---- Rows ---- */

static struct row_key sweep_key(const struct sweep *sweep)
{
    return row_key_triple(ROW_SWEEP, sweep->queue, (uint64_t)sweep->kind, sweep->number);
}

static int sweep_put(struct machine *machine, const struct sweep *sweep)
{
    struct row *row = &machine->row;
    row_begin_new(row, sweep_key(sweep));
    row_put_u64(row, sweep->next);
    row_put_u64(row, sweep->end);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

static int sweep_add(struct machine *machine, const struct sweep *sweep)
{
    int err = sweep_put(machine, sweep);
    machine->sweeps += err == 0;
    return err;
}

int sweep_lane(struct machine *machine, struct queue *queue, uint64_t first, uint64_t end)
{
    struct sweep sweep = {.queue = queue->id, .kind = SWEEP_FRESH, .number = first, .next = first, .end = end};
    return sweep_add(machine, &sweep);
}

int sweep_all_of(struct machine *machine, struct queue *queue, enum sweep_kind kind)
{
    struct sweep sweep = {.queue = queue->id, .kind = kind, .number = queue->purges, .end = UINT64_MAX};
    return sweep_add(machine, &sweep);
}

/* The first one of a key's kind; ERR_NOT_FOUND. */
static int sweep_seek(struct machine *machine, const struct row_key *prefix, struct sweep *ret_sweep)
{
    struct row_key end = row_key_after(prefix);
    struct table_row found;
    struct row_reader reader;
    int err = table_seek(machine, prefix, &end, &found);
    if (err != 0) {
        return err;
    }
    err = row_open(&reader, &found.key, found.value);
    if (err == 0) {
        ret_sweep->queue = get_be64(found.key.data + ROW_KEY_LEN(0));
        ret_sweep->kind = (enum sweep_kind)get_be64(found.key.data + ROW_KEY_LEN(1));
        ret_sweep->number = get_be64(found.key.data + ROW_KEY_LEN(2));
        ret_sweep->next = row_get_u64(&reader);
        ret_sweep->end = row_get_u64(&reader);
        err = row_end(&reader);
    }
    table_row_done(&found);
    return err;
}

int sweeps_load(struct machine *machine)
{
    struct row_key from = row_key_plain(ROW_SWEEP);
    struct row_key end = row_key_after(&from);
    struct table_row found;
    int err;
    machine->sweeps = 0;
    while ((err = table_seek(machine, &from, &end, &found)) == 0) {
        from = row_key_next(&found.key);
        table_row_done(&found);
        machine->sweeps++;
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

/* ---- Messages that were never delivered ---- */

/* Rows of messages that are gone, seen one after the other, before it is looked up how many there are. */
#define DEAD_MAX 32u

struct fresh_scan {
    const struct queue *queue;
    uint64_t next;
    uint64_t bodies[SWEEP_PER_ENTRY_MAX];
    size_t bodies_len;
    unsigned left;
    unsigned dead;
    int err;
};

/* Only messages that are there count, wherever they are: how much an entry does must not depend on what was checkpointed when. */
static int fresh_row(void *arg, struct slice key, struct slice value)
{
    struct fresh_scan *scan = arg;
    uint64_t position = get_be64(key.data + ROW_KEY_LEN(1));
    if (!queue_may_have(scan->queue, position)) {
        scan->next = position + 1;
        return ++scan->dead == DEAD_MAX ? ERR_LIMIT : 0;
    }
    struct row_key row_key = row_key_pair(ROW_MESSAGE, scan->queue->id, position);
    struct message message;
    scan->err = message_row_decode(&row_key, value, &message);
    if (scan->err != 0) {
        return scan->err;
    }
    if (message.shared_body != 0) {
        scan->bodies[scan->bodies_len++] = message.shared_body;
    }
    scan->next = position + 1;
    scan->dead = 0;
    return --scan->left == 0 ? ERR_LIMIT : 0;
}

/* The first position that is not gone already. */
static uint64_t fresh_skip(const struct queue *queue, uint64_t position)
{
    uint64_t from;
    do {
        from = position;
        position = gone_next(&queue->gone, position);
        position = gone_next(&queue->leaving, position);
    } while (position != from);
    return position;
}

/* Those before `end`, of which the rows are in the store. */
static int fresh_stored(struct machine *machine, struct queue *queue, struct sweep *sweep, uint64_t end,
                        unsigned *budget)
{
    struct fresh_scan scan = {.queue = queue, .next = fresh_skip(queue, sweep->next), .left = *budget};
    if (scan.next < end) {
        struct row_key from = row_key_pair(ROW_MESSAGE, queue->id, scan.next);
        struct row_key upto = row_key_pair(ROW_MESSAGE, queue->id, end);
        int err =
            machine->store->ops->scan(machine->store, row_key_slice(&from), row_key_slice(&upto), fresh_row, &scan);
        err = scan.err != 0 ? state_blame(machine, &from, scan.err, err_text(scan.err)) : err;
        if (err != 0 && err != ERR_LIMIT) {
            return err;
        }
        scan.next = err == ERR_LIMIT ? scan.next : end;
    }
    uint64_t next = scan.next < end ? scan.next : end;
    int err = gone_add_range(&queue->gone, sweep->next, next);
    for (size_t i = 0; err == 0 && i < scan.bodies_len; i++) {
        err = body_release(machine, scan.bodies[i]);
    }
    *budget = scan.left;
    sweep->next = next;
    return err;
}

static int sweep_fresh(struct machine *machine, struct queue *queue, struct sweep *sweep, unsigned *budget)
{
    const struct lane *lane = queue_lane(queue, lane_of(sweep->next));
    int err = lane != NULL ? 0 : ERR_CORRUPT;
    while (err == 0 && *budget > 0 && sweep->next < sweep->end) {
        uint64_t base = lane->messages.base;
        if (sweep->next < base) {
            err = fresh_stored(machine, queue, sweep, base < sweep->end ? base : sweep->end, budget);
            continue;
        }
        if (queue_may_have(queue, sweep->next)) {
            err = queue_drop(machine, queue, sweep->next);
            --*budget;
        }
        sweep->next++;
    }
    return err;
}

/* ---- Messages that a row of the table tells of ---- */

static struct row_key sweep_rows(const struct sweep *sweep)
{
    switch (sweep->kind) {
    case SWEEP_RETURNED: return row_key_pair(ROW_RETURNED_FAR, sweep->queue, sweep->number);
    case SWEEP_PARKED: return row_key_pair(ROW_PARKED, sweep->queue, sweep->number);
    default: return row_key_one(ROW_WAITING, sweep->queue);
    }
}

static int sweep_row(struct machine *machine, struct queue *queue, const struct sweep *sweep, struct table_row *found)
{
    uint64_t position = get_be64(found->key.data + found->key.len - 8);
    int err = table_remove(machine, &found->key);
    if (err == 0 && sweep->kind == SWEEP_PARKED) {
        struct row_key at = row_key_triple(ROW_PARKED_AT, sweep->queue, sweep->number, position);
        err = table_remove(machine, &at);
    }
    struct taken message;
    uint32_t bytes;
    if (err == 0 && sweep->kind == SWEEP_RETURNED) {
        err = far_read(found, &message, &bytes);
        if (err == 0 && message.group != 0) {
            err = group_forget(machine, queue, message.group, position);
        }
    }
    return err != 0 ? err : queue_drop(machine, queue, position);
}

static int sweep_table(struct machine *machine, struct queue *queue, struct sweep *sweep, unsigned *budget)
{
    struct row_key prefix = sweep_rows(sweep);
    struct row_key end = row_key_after(&prefix);
    while (*budget > 0) {
        struct table_row found;
        int err = table_seek(machine, &prefix, &end, &found);
        if (err == 0) {
            err = sweep_row(machine, queue, sweep, &found);
            table_row_done(&found);
        } else if (err == ERR_NOT_FOUND) {
            sweep->next = sweep->end;
            return 0;
        }
        if (err != 0) {
            return err;
        }
        --*budget;
    }
    return 0;
}

/* ---- Bit by bit ---- */

/* What the consumers of a doomed queue have let go of since it was deleted. */
static int sweep_let_go(struct machine *machine, struct queue *queue)
{
    int err = sweep_all_of(machine, queue, SWEEP_RETURNED);
    queue->far = queue->far_bytes = queue->far_first = 0;
    queue->purges++;
    queue_changed(machine, queue);
    return err;
}

static int sweep_done(struct machine *machine, const struct sweep *sweep, struct queue *queue)
{
    struct row_key key = sweep_key(sweep);
    struct row_key prefix = row_key_one(ROW_SWEEP, sweep->queue);
    struct sweep other;
    int err = table_remove(machine, &key);
    machine->sweeps--;
    if (err != 0 || queue == NULL || !queue->doomed) {
        return err;
    }
    err = sweep_seek(machine, &prefix, &other);
    if (err != ERR_NOT_FOUND) {
        return err;
    }
    return queue->far > 0 ? sweep_let_go(machine, queue) : queue_end(machine, queue);
}

static int sweep_things(struct machine *machine, struct queue *queue, struct sweep *sweep)
{
    bool done;
    work_spend(&machine->work, 1);
    int err = queue_drop_things(machine, queue, &done);
    sweep->next = done ? sweep->end : sweep->next;
    return err;
}

static int sweep_some(struct machine *machine, struct queue *queue, struct sweep *sweep, unsigned *budget)
{
    switch (sweep->kind) {
    case SWEEP_FRESH: return sweep_fresh(machine, queue, sweep, budget);
    case SWEEP_THINGS: return sweep_things(machine, queue, sweep);
    default: return sweep_table(machine, queue, sweep, budget);
    }
}

static int sweep_go(struct machine *machine, struct sweep *sweep, unsigned *budget)
{
    struct queue *queue = queue_by_id_doomed_too(machine, sweep->queue);
    if (queue == NULL) { /* It had no shared bodies, and has gone as a whole. */
        --*budget;
        return sweep_done(machine, sweep, NULL);
    }
    int err = sweep_some(machine, queue, sweep, budget);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    queue_changed(machine, queue);
    return sweep->next >= sweep->end ? sweep_done(machine, sweep, queue) : sweep_put(machine, sweep);
}

int sweeps_go(struct machine *machine)
{
    unsigned budget = SWEEP_PER_ENTRY_MAX;
    struct row_key prefix = row_key_plain(ROW_SWEEP);
    while (machine->sweeps > 0 && budget > 0) {
        struct sweep sweep;
        int err = sweep_seek(machine, &prefix, &sweep);
        if (err == 0 && sweep.kind == SWEEP_THINGS && work_is_done(&machine->work)) {
            return 0;
        }
        if (err == 0) {
            err = sweep_go(machine, &sweep, &budget);
        }
        if (err != 0) {
            return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
        }
    }
    return 0;
}
