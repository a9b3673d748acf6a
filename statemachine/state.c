/* What the files of the machine share: its globals, rows to delete, and messages wherever they are. */

#include "statemachine/state.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "statemachine/message/body.h"
#include "statemachine/queue/sweep.h"
#include "statemachine/store/scrub.h"

#define FORGOTTEN_CAP_MIN 256u

void state_forget_row(struct machine *machine, enum row_kind kind, uint64_t a, uint64_t b)
{
    if (machine->forgotten_len == machine->forgotten_cap) {
        size_t cap = machine->forgotten_cap > 0 ? 2 * machine->forgotten_cap : FORGOTTEN_CAP_MIN;
        struct forgotten_row *rows = realloc(machine->forgotten, cap * sizeof *rows);
        if (rows == NULL) {
            machine->err = ERR_NOMEM;
            return;
        }
        machine->forgotten = rows;
        machine->forgotten_cap = cap;
    }
    machine->forgotten[machine->forgotten_len++] = (struct forgotten_row){.kind = kind, .a = a, .b = b};
}

int state_blame(struct machine *machine, const struct row_key *key, int err, const char *what)
{
    if (err == ERR_CORRUPT || err == ERR_CHECKSUM || err == ERR_VERSION) {
        scrub_blame(row_key_slice(key), what, machine->said, sizeof machine->said);
    }
    return err;
}

int state_row(const struct machine *machine, struct slice consensus, struct row *row)
{
    CHECK(consensus.len <= UINT32_MAX);
    if (machine->version >= 2) {
        row_begin_new(row, row_key_plain(ROW_GLOBALS));
    } else {
        row_begin(row, row_key_plain(ROW_GLOBALS));
    }
    row_put_u64(row, machine->applied_index);
    row_put_u64(row, machine->time_ms);
    row_put_u32(row, machine->version);
    row_put_u64(row, machine->next_session);
    row_put_u64(row, machine->next_queue);
    row_put_u64(row, machine->due_cursor);
    row_put_u64(row, machine->running_digest);
    if (machine->version >= 2) {
        row_put_u64(row, machine->timers.next_ms);
        row_put_u64(row, machine->next_body);
        row_put_u64(row, machine->virtual_hosts.next_id);
        row_put_u64(row, machine->next_pending);
    }
    row_put_u32(row, (uint32_t)consensus.len);
    row_put_bytes(row, consensus.data, consensus.len);
    return row_seal(row);
}

int state_read_message(struct machine *machine, uint64_t queue, uint64_t position, struct message *ret_message)
{
    struct row_key key = row_key_pair(ROW_MESSAGE, queue, position);
    struct slice value;
    state_look_at(machine, &key);
    int err = machine->store->ops->get(machine->store, key.data, key.len, &value);
    if (err != 0) {
        return err;
    }
    err = message_row_decode(&key, value, ret_message);
    if (err != 0) {
        slice_unref(&value);
        return state_blame(machine, &key, err, err_text(err));
    }
    err = ret_message->shared_body != 0 ? body_read(machine, ret_message) : 0;
    if (err == 0) {
        body_cache_put(&machine->bodies, queue, position, ret_message);
    }
    return err;
}

/* ---- Reading ahead ---- */

struct ahead {
    struct machine *machine;
    uint64_t queue;
    uint64_t wanted;
    uint64_t next; /* The position behind the last one that was read. */
    size_t bytes;
    struct message message; /* The wanted one, with a reference, when it was found. */
    bool found;
};

#define AHEAD_ENOUGH 1

static void ahead_take(struct ahead *ahead, const struct row_key *key, struct slice copy)
{
    struct message message;
    if (message_row_decode(key, copy, &message) != 0) {
        return; /* Whoever wants it will be told. */
    }
    if (ahead->next == ahead->wanted) {
        ahead->message = message;
        ahead->found = true;
        message_ref(&message);
    }
    if (message.shared_body == 0) {
        body_cache_put(&ahead->machine->bodies, ahead->queue, ahead->next, &message);
    }
}

/* A long row is read only when it is wanted. */
static int ahead_each(void *arg, struct slice key, struct slice value)
{
    struct ahead *ahead = arg;
    struct slice copy;
    struct row_key name = {.len = key.len};
    if (key.len != ROW_KEY_LEN(2)) {
        return AHEAD_ENOUGH;
    }
    memcpy(name.data, key.data, key.len);
    uint64_t position = get_be64(key.data + ROW_KEY_LEN(1));
    if ((position != ahead->wanted && value.len > BODY_CACHE_BODY_LEN_MAX) ||
        slice_copy(value.data, value.len, &copy) != 0) {
        return AHEAD_ENOUGH;
    }
    ahead->next = position;
    ahead_take(ahead, &name, copy);
    slice_unref(&copy);
    ahead->next++;
    ahead->bytes += value.len;
    return ahead->bytes < BODY_CACHE_AHEAD_LEN_MAX ? 0 : AHEAD_ENOUGH;
}

/* One search in the store for many rows. What went wrong shows when the row itself is read, as after ERR_NOT_FOUND. */
static int state_read_ahead(struct machine *machine, uint64_t queue, uint64_t position, uint64_t end,
                            struct message *ret_message)
{
    struct row_key first = row_key_pair(ROW_MESSAGE, queue, position);
    struct row_key last = row_key_pair(ROW_MESSAGE, queue, end);
    struct ahead ahead = {.machine = machine, .queue = queue, .wanted = position, .next = position};
    struct store *store = machine->store;
    int err = store->ops->scan(store, row_key_slice(&first), row_key_slice(&last), ahead_each, &ahead);
    body_cache_reached(&machine->bodies, queue, err == 0 ? end : ahead.next);
    if (!ahead.found) {
        return ERR_NOT_FOUND;
    }
    *ret_message = ahead.message;
    return ahead.message.shared_body != 0 ? body_read(machine, ret_message) : 0;
}

/* Behind the last position that is worth reading with this one, which is in the store. */
static uint64_t state_ahead_end(struct machine *machine, const struct queue *queue, uint64_t position)
{
    uint64_t end = position + body_cache_ahead(&machine->bodies, queue->id, position);
    uint64_t base = queue_lane(queue, lane_of(position))->messages.base;
    return end < base ? end : base;
}

static int state_read_in_order(struct machine *machine, const struct queue *queue, uint64_t position,
                               struct message *ret_message)
{
    uint64_t end = state_ahead_end(machine, queue, position);
    int err = ERR_NOT_FOUND;
    if (end - position > 1) {
        err = state_read_ahead(machine, queue->id, position, end, ret_message);
    }
    return err == ERR_NOT_FOUND ? state_read_message(machine, queue->id, position, ret_message) : err;
}

int state_message(struct machine *machine, struct queue *queue, uint64_t position, struct message *ret_message)
{
    if (!queue_may_have(queue, position)) {
        return ERR_NOT_FOUND;
    }
    const struct message *message = messages_at(&queue_lane(queue, lane_of(position))->messages, position);
    if (message != NULL) {
        *ret_message = *message;
        message_ref(message);
        return 0;
    }
    if (body_cache_get(&machine->bodies, queue->id, position, ret_message)) {
        return 0;
    }
    return state_read_in_order(machine, queue, position, ret_message);
}

struct message_head state_head_of(const struct message *message)
{
    return (struct message_head){
        .enqueued_ms = message->enqueued_ms,
        .hash = message->hash,
        .expires_ms = message->expires_ms,
        .group = message->group,
        .shared_body = message->shared_body,
        .bytes_before = message->bytes_before,
        .head_len = message->head_len,
        .body_len = message->body_len,
        .trail_len = message->trail_len,
        .counted_len = message_counted_len(message),
    };
}

struct head_scan {
    const struct row_key *key;
    struct message_head head;
    bool found;
    int err; /* Of the row, and not of the store. */
};

static int head_found(void *arg, struct slice key, struct slice value)
{
    struct head_scan *scan = arg;
    struct message message;
    (void)key;
    int err = message_row_decode(scan->key, value, &message);
    if (err == 0) {
        scan->head = state_head_of(&message);
        scan->found = true;
    }
    scan->err = err;
    return err;
}

/* A scan of one row: unlike a get it does not copy the body. */
static int state_read_head(struct machine *machine, uint64_t queue, uint64_t position, struct message_head *ret_head)
{
    struct row_key key = row_key_pair(ROW_MESSAGE, queue, position);
    struct row_key end = row_key_pair(ROW_MESSAGE, queue, position + 1);
    struct head_scan scan = {.key = &key};
    state_look_at(machine, &key);
    int err = machine->store->ops->scan(machine->store, row_key_slice(&key), row_key_slice(&end), head_found, &scan);
    if (scan.err != 0) {
        return state_blame(machine, &key, scan.err, err_text(scan.err));
    }
    if (err != 0) {
        return err;
    }
    if (!scan.found) {
        return ERR_NOT_FOUND;
    }
    *ret_head = scan.head;
    return 0;
}

static int state_head_in_order(struct machine *machine, const struct queue *queue, uint64_t position,
                               struct message_head *ret_head)
{
    uint64_t end = state_ahead_end(machine, queue, position);
    struct message message;
    int err = ERR_NOT_FOUND;
    if (end - position > 1) {
        err = state_read_ahead(machine, queue->id, position, end, &message);
    }
    if (err == ERR_NOT_FOUND) {
        return state_read_head(machine, queue->id, position, ret_head);
    }
    if (err == 0) {
        *ret_head = state_head_of(&message);
        message_unref(&message);
    }
    return err;
}

int state_message_head(struct machine *machine, struct queue *queue, uint64_t position, struct message_head *ret_head)
{
    if (!queue_may_have(queue, position)) {
        return ERR_NOT_FOUND;
    }
    const struct message *message = messages_at(&queue_lane(queue, lane_of(position))->messages, position);
    if (message == NULL) {
        message = body_cache_peek(&machine->bodies, queue->id, position);
    }
    if (message == NULL) {
        return state_head_in_order(machine, queue, position, ret_head);
    }
    *ret_head = state_head_of(message);
    return 0;
}

bool state_is_going(const struct machine *machine)
{
    return machine->sweeps > 0 || !RB_EMPTY(&machine->ending_sessions) || !RB_EMPTY(&machine->ending_consumers) ||
           exchanges_are_going(machine) || virtual_hosts_are_going(machine);
}

int state_go(struct machine *machine)
{
    int err = exchanges_sweep(machine);
    if (err == 0) {
        err = consumers_go(machine);
    }
    if (err == 0) {
        err = sessions_go(machine);
    }
    if (err == 0) {
        err = virtual_hosts_go(machine);
    }
    table_tidy(machine);
    return err != 0 ? err : sweeps_go(machine);
}

int state_end_session(struct machine *machine, struct session *session, enum session_end end)
{
    bool gone;
    session_ends(machine, session, end);
    return session_go(machine, session, &gone);
}
