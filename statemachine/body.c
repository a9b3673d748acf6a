/* Bodies that several messages share. */

#include "statemachine/body.h"

#include "statemachine/state.h"
#include "statemachine/table_kind.h"

/* ---- How many have it ---- */

static int uses_put(struct machine *machine, uint64_t id, uint64_t uses)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_one(ROW_BODY_USES, id));
    row_put_u64(row, uses);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

static int uses_get(struct machine *machine, uint64_t id, uint64_t *ret_uses)
{
    struct row_key key = row_key_one(ROW_BODY_USES, id);
    struct table_row found;
    int err = table_get(machine, &key, &found);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    struct row_reader reader;
    err = row_open(&reader, &key, found.value);
    if (err == 0) {
        *ret_uses = row_get_u64(&reader);
        err = row_end(&reader);
    }
    table_row_done(&found);
    return err;
}

int body_share(struct machine *machine, struct message *message, uint64_t uses)
{
    struct row *row = &machine->row;
    uint64_t id = machine->next_body++;
    row_begin_new(row, row_key_one(ROW_BODY, id));
    row_put_u32(row, message->head_len);
    table_put_tail(row, message->hash, message_len(message));
    int err = row_seal(row);
    struct slice content = {.blob = message->blob, .data = message->data, .len = message_len(message)};
    if (err == 0) {
        err = table_put(machine, row, content);
    }
    if (err == 0) {
        err = uses_put(machine, id, uses);
    }
    message->shared_body = id;
    return err;
}

static int body_release(struct machine *machine, uint64_t id)
{
    uint64_t uses;
    int err = uses_get(machine, id, &uses);
    if (err != 0 || uses > 1) {
        return err != 0 ? err : uses_put(machine, id, uses - 1);
    }
    struct row_key key = row_key_one(ROW_BODY, id);
    err = table_remove(machine, &key);
    key = row_key_one(ROW_BODY_USES, id);
    return err != 0 ? err : table_remove(machine, &key);
}

/* ---- Messages ---- */

int body_let_go(struct machine *machine, struct message *message)
{
    uint64_t id = message->shared_body;
    message->shared_body = 0;
    return id != 0 ? body_release(machine, id) : 0;
}

int body_read(struct machine *machine, struct message *message)
{
    struct row_key key = row_key_one(ROW_BODY, message->shared_body);
    struct table_row found;
    int err = table_get(machine, &key, &found);
    if (err == 0 && found.content.len != message_len(message)) {
        table_row_done(&found);
        err = ERR_CORRUPT;
    }
    if (err != 0) {
        message_unref(message);
        err = err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
        return state_blame(machine, &key, err, "a message has lost its body");
    }
    /* What it has referred to until now is its own row, with the trail in it. */
    message->trail_blob = message->blob;
    message->blob = found.content.blob != NULL ? blob_ref(found.content.blob) : NULL;
    message->data = found.content.data;
    table_row_done(&found);
    return 0;
}

int body_leave(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct message_head head;
    int err = state_message_head(machine, queue, position, &head);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    return head.shared_body != 0 ? body_release(machine, head.shared_body) : 0;
}

/* ---- Ranges ---- */

/* Bodies found in one pass over rows of messages. */
#define LEAVING_MAX 256u

struct leaving {
    const struct queue *queue;
    uint64_t next; /* The position to go on from. */
    uint64_t bodies[LEAVING_MAX];
    size_t len;
    int err;
};

static int leaving_row(void *arg, struct slice key, struct slice value)
{
    struct leaving *leaving = arg;
    uint64_t position = get_be64(key.data + 9);
    struct row_key row_key = row_key_pair(ROW_MESSAGE, leaving->queue->id, position);
    struct message message;
    leaving->next = position + 1;
    if (!queue_may_have(leaving->queue, position)) {
        return 0;
    }
    leaving->err = message_row_decode(&row_key, value, &message);
    if (leaving->err == 0 && message.shared_body != 0) {
        leaving->bodies[leaving->len++] = message.shared_body;
    }
    return leaving->err != 0 || leaving->len == LEAVING_MAX ? ERR_LIMIT : 0;
}

/* The next messages with a shared body that are in the store only. */
static int leaving_find(struct machine *machine, struct leaving *leaving, uint64_t end)
{
    struct row_key first = row_key_pair(ROW_MESSAGE, leaving->queue->id, leaving->next);
    struct row_key last = row_key_pair(ROW_MESSAGE, leaving->queue->id, end);
    leaving->len = 0;
    int err =
        machine->store->ops->scan(machine->store, row_key_slice(&first), row_key_slice(&last), leaving_row, leaving);
    if (leaving->err != 0) {
        return leaving->err;
    }
    return err == ERR_LIMIT ? 0 : err;
}

static int leave_stored(struct machine *machine, const struct queue *queue, uint64_t first, uint64_t end)
{
    struct leaving leaving = {.queue = queue, .next = first};
    do {
        int err = leaving_find(machine, &leaving, end);
        for (size_t i = 0; err == 0 && i < leaving.len; i++) {
            err = body_release(machine, leaving.bodies[i]);
        }
        if (err != 0) {
            return err;
        }
    } while (leaving.len == LEAVING_MAX);
    return 0;
}

int body_leave_range(struct machine *machine, struct queue *queue, uint64_t first, uint64_t end)
{
    const struct messages *messages = &queue_lane(queue, lane_of(first))->messages;
    uint64_t base = messages->base < end ? messages->base : end;
    int err = first < base ? leave_stored(machine, queue, first, base) : 0;
    for (uint64_t position = first > base ? first : base; err == 0 && position < end; position++) {
        const struct message *message = messages_at(messages, position);
        if (!message->settled && message->shared_body != 0) {
            err = body_release(machine, message->shared_body);
        }
    }
    return err;
}

int body_leave_queue(struct machine *machine, struct queue *queue)
{
    int err = 0;
    for (unsigned number = 0; err == 0 && number <= queue->options.max_priority; number++) {
        const struct lane *lane = queue_lane(queue, number);
        err = lane != NULL ? body_leave_range(machine, queue, lane_start(number) + 1, lane->tail) : 0;
    }
    return err;
}
