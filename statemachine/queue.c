/* A queue: ranges of positions, the messages that came back, and who consumes it. */

#include "statemachine/queue.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "statemachine/consumer.h"
#include "statemachine/state.h"

static int returned_compare(const struct returned *a, const struct returned *b)
{
    return (a->position > b->position) - (a->position < b->position);
}

static int queue_compare_names(const struct queue *a, const struct queue *b)
{
    return strcmp(a->name, b->name);
}

static int queue_compare_ids(const struct queue *a, const struct queue *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(returned_tree, returned, by_position, returned_compare)
RB_GENERATE(queue_names, queue, by_name, queue_compare_names)
RB_GENERATE(queue_dues, queue, by_due, queue_compare_ids)

int queue_new(struct machine *machine, uint64_t id, const char *name, size_t name_len, struct queue **ret_queue)
{
    CHECK(name_len <= NAME_LEN_MAX);
    if (queue_by_id(machine, id) != NULL) {
        return ERR_EXISTS;
    }
    struct queue *queue = calloc(1, sizeof *queue + name_len + 1);
    if (queue == NULL) {
        return ERR_NOMEM;
    }
    queue->id = id;
    memcpy(queue->name, name, name_len);
    queue->name_len = name_len;
    queue->head = queue->tail = queue->collected = 1;
    messages_init(&queue->messages, 1);
    RB_INIT(&queue->returned);
    RB_INIT(&queue->consumers);
    list_init(&queue->waiting);
    list_init(&queue->changed);
    if (RB_INSERT(queue_names, &machine->queue_names, queue) != NULL) {
        free(queue);
        return ERR_EXISTS;
    }
    HASH_ADD(by_id, machine->queues, id, sizeof queue->id, queue);
    *ret_queue = queue;
    return 0;
}

static void returned_free(struct queue *queue, struct returned *returned)
{
    RB_REMOVE(returned_tree, &queue->returned, returned);
    queue->returned_len--;
    list_remove(&returned->unstored);
    free(returned);
}

void queue_free(struct machine *machine, struct queue *queue)
{
    CHECK(RB_EMPTY(&queue->consumers));
    struct returned *returned;
    while ((returned = RB_ROOT(&queue->returned)) != NULL) {
        returned_free(queue, returned);
    }
    machine->overlay_bytes -= messages_done(&queue->messages);
    gone_clear(&queue->gone);
    gone_clear(&queue->leaving);
    list_remove(&queue->changed);
    if (queue->due) {
        RB_REMOVE(queue_dues, &machine->due_queues, queue);
    }
    RB_REMOVE(queue_names, &machine->queue_names, queue);
    HASH_DELETE(by_id, machine->queues, queue);
    free(queue);
}

struct queue *queue_by_name(struct machine *machine, const char *name)
{
    struct queue *queue = RB_ROOT(&machine->queue_names);
    while (queue != NULL) {
        int order = strcmp(name, queue->name);
        if (order == 0) {
            return queue;
        }
        queue = order < 0 ? RB_LEFT(queue, by_name) : RB_RIGHT(queue, by_name);
    }
    return NULL;
}

struct queue *queue_by_id(struct machine *machine, uint64_t id)
{
    struct queue *queue = NULL;
    HASH_FIND(by_id, machine->queues, &id, sizeof id, queue);
    return queue;
}

void queue_changed(struct machine *machine, struct queue *queue)
{
    if (!list_linked(&queue->changed)) {
        list_push_back(&machine->changed_queues, &queue->changed);
    }
}

void queue_due(struct machine *machine, struct queue *queue)
{
    if (!queue->due) {
        queue->due = true;
        RB_INSERT(queue_dues, &machine->due_queues, queue);
    }
}

uint64_t queue_ready(const struct queue *queue)
{
    return queue->tail - queue->head + queue->returned_len;
}

void queue_push(struct machine *machine, struct queue *queue, struct message message)
{
    machine->overlay_bytes += message.len + MESSAGE_COST;
    messages_push(&queue->messages, message);
    queue->tail++;
}

static int queue_insert_returned(struct queue *queue, uint64_t position, uint32_t count, struct returned **ret_returned)
{
    struct returned *returned = calloc(1, sizeof *returned);
    if (returned == NULL) {
        return ERR_NOMEM;
    }
    returned->queue = queue->id;
    returned->position = position;
    returned->count = count;
    list_init(&returned->unstored);
    if (RB_INSERT(returned_tree, &queue->returned, returned) != NULL) {
        free(returned);
        return ERR_CORRUPT;
    }
    queue->returned_len++;
    *ret_returned = returned;
    return 0;
}

int queue_return(struct machine *machine, struct queue *queue, uint64_t position, uint32_t count)
{
    CHECK(queue->unsettled > 0);
    struct returned *returned;
    int err = queue_insert_returned(queue, position, count < UINT32_MAX ? count + 1 : count, &returned);
    if (err != 0) {
        return err;
    }
    list_push_back(&machine->unstored_returns, &returned->unstored);
    queue->unsettled--;
    queue->released++;
    queue_changed(machine, queue);
    queue_due(machine, queue);
    return 0;
}

int queue_load_returned(struct queue *queue, uint64_t position, uint32_t count)
{
    if (position == 0 || position >= queue->head) {
        return ERR_CORRUPT;
    }
    struct returned *returned;
    int err = queue_insert_returned(queue, position, count, &returned);
    if (err == 0) {
        returned->stored = true;
    }
    return err;
}

bool queue_peek(struct queue *queue, uint64_t *ret_position, uint32_t *ret_count)
{
    if (queue->returned_len > 0) {
        struct returned *returned = RB_MIN(returned_tree, &queue->returned);
        *ret_position = returned->position;
        *ret_count = returned->count;
        return true;
    }
    if (queue->head == queue->tail) {
        return false;
    }
    *ret_position = queue->head;
    *ret_count = 0;
    return true;
}

bool queue_take_returned(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct returned like = {.position = position};
    struct returned *returned = RB_FIND(returned_tree, &queue->returned, &like);
    if (returned == NULL) {
        return false;
    }
    if (returned->stored) {
        state_forget_row(machine, ROW_RETURNED, queue->id, position);
    }
    returned_free(queue, returned);
    queue->unsettled++;
    queue_changed(machine, queue);
    return true;
}

void queue_take(struct machine *machine, struct queue *queue, uint64_t *ret_position, uint32_t *ret_count)
{
    CHECK(queue_peek(queue, ret_position, ret_count));
    queue->delivered++;
    if (queue->returned_len == 0) {
        queue->head++;
        queue->unsettled++;
        queue_changed(machine, queue);
        return;
    }
    bool taken = queue_take_returned(machine, queue, *ret_position);
    CHECK(taken);
}

/* A message is gone: from memory, or, when its row may be in the store, with the next checkpoint. */
static int queue_drop(struct machine *machine, struct queue *queue, uint64_t position)
{
    machine->overlay_bytes -= messages_settle(&queue->messages, position);
    return position < queue->collected ? gone_add(&queue->gone, position) : 0;
}

int queue_settle(struct machine *machine, struct queue *queue, uint64_t position)
{
    CHECK(queue->unsettled > 0);
    queue->unsettled--;
    queue->settled++;
    queue_changed(machine, queue);
    return queue_drop(machine, queue, position);
}

static int queue_purge_returned(struct machine *machine, struct queue *queue)
{
    struct returned *returned;
    while ((returned = RB_ROOT(&queue->returned)) != NULL) {
        int err = queue_drop(machine, queue, returned->position);
        if (err != 0) {
            return err;
        }
        if (returned->stored) {
            state_forget_row(machine, ROW_RETURNED, queue->id, returned->position);
        }
        returned_free(queue, returned);
    }
    return 0;
}

/* What has never been delivered goes as a range, without a look at what is in the store. */
int queue_purge(struct machine *machine, struct queue *queue)
{
    queue->settled += queue_ready(queue);
    queue_changed(machine, queue);
    int err = queue_purge_returned(machine, queue);
    if (err == 0 && queue->head < queue->collected) {
        err = gone_add_range(&queue->gone, queue->head, queue->collected);
    }
    if (err != 0) {
        return err;
    }
    machine->overlay_bytes -= messages_settle_from(&queue->messages, queue->head);
    queue->head = queue->tail;
    return 0;
}

bool queue_may_have(const struct queue *queue, uint64_t position)
{
    if (position == 0 || position >= queue->tail) {
        return false;
    }
    struct message *message = messages_at(&queue->messages, position);
    if (message != NULL) {
        return !message->settled;
    }
    return !gone_has(&queue->gone, position) && !gone_has(&queue->leaving, position);
}

int queue_row(const struct queue *queue, struct row *row)
{
    row_begin(row, row_key_one(ROW_QUEUE, queue->id));
    row_put_u64(row, queue->head);
    row_put_u64(row, queue->tail);
    row_put_u64(row, queue->turns);
    row_put_u64(row, queue->delivered);
    row_put_u64(row, queue->settled);
    row_put_u64(row, queue->released);
    row_put_u8(row, (uint8_t)queue->name_len);
    row_put_bytes(row, queue->name, queue->name_len);
    return row_seal(row);
}

int returned_row(const struct returned *returned, struct row *row)
{
    row_begin(row, row_key_pair(ROW_RETURNED, returned->queue, returned->position));
    row_put_u32(row, returned->count);
    return row_seal(row);
}

int queue_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    uint64_t head = row_get_u64(&reader);
    uint64_t tail = row_get_u64(&reader);
    uint64_t turns = row_get_u64(&reader);
    uint64_t delivered = row_get_u64(&reader);
    uint64_t settled = row_get_u64(&reader);
    uint64_t released = row_get_u64(&reader);
    size_t name_len = row_get_u8(&reader);
    const uint8_t *name = row_get_bytes(&reader, name_len);
    if (key->len != ROW_KEY_ONE_LEN || row_end(&reader) != 0 || name_check(name, name_len) != 0 || head == 0 ||
        head > tail) {
        return ERR_CORRUPT;
    }
    struct queue *queue;
    err = queue_new(machine, get_be64(key->data + 1), (const char *)name, name_len, &queue);
    if (err != 0) {
        return err == ERR_EXISTS ? ERR_CORRUPT : err;
    }
    queue->head = head;
    queue->tail = queue->collected = tail;
    queue->turns = turns;
    queue->delivered = delivered;
    queue->settled = settled;
    queue->released = released;
    queue->stored = true;
    messages_init(&queue->messages, tail);
    return 0;
}
