/* Ordered groups. */

#include "statemachine/queue/group.h"

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/state.h"

/* ---- Rows ---- */

struct active {
    uint64_t position; /* 0: the group is not active. */
    bool out;
    uint64_t purges; /* Of the queue, when it became ready. */
};

static int active_read(struct table_row *found, struct active *ret_active)
{
    struct row_reader reader;
    int err = row_open(&reader, &found->key, found->value);
    if (err == 0) {
        ret_active->position = row_get_u64(&reader);
        ret_active->out = row_get_u8(&reader) != 0;
        ret_active->purges = row_get_u64(&reader);
        err = row_end(&reader);
    }
    table_row_done(found);
    return err;
}

static int active_get(struct machine *machine, const struct queue *queue, uint64_t group, struct active *ret_active)
{
    struct row_key key = row_key_pair(ROW_GROUP, queue->id, group);
    struct table_row found;
    *ret_active = (struct active){0};
    int err = table_get(machine, &key, &found);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    err = active_read(&found, ret_active);
    if (err == 0 && !ret_active->out && ret_active->purges != queue->purges) {
        *ret_active = (struct active){0}; /* It was ready, and has been purged. */
    }
    return err;
}

static int active_put(struct machine *machine, const struct queue *queue, uint64_t group, uint64_t position, bool out)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_pair(ROW_GROUP, queue->id, group));
    row_put_u64(row, position);
    row_put_u8(row, out);
    row_put_u64(row, queue->purges);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

struct parked {
    struct taken message;
    uint32_t bytes;
};

static struct row_key parked_key(const struct queue *queue, uint64_t group, uint64_t position)
{
    const uint64_t numbers[] = {queue->id, queue->purges, group, position};
    return row_key_numbers(ROW_PARKED, numbers, ARRAY_LEN(numbers));
}

/* Where it is found by its position. */
static int parked_put_at(struct machine *machine, const struct queue *queue, const struct taken *message)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_triple(ROW_PARKED_AT, queue->id, queue->purges, message->position));
    row_put_u32(row, message->count);
    row_put_u64(row, message->group);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

static int parked_put(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes)
{
    struct row *row = &machine->row;
    row_begin_new(row, parked_key(queue, message->group, message->position));
    row_put_u32(row, message->count);
    row_put_u32(row, bytes);
    row_put_u64(row, message->expires_ms);
    int err = row_seal(row);
    queue->parked++;
    queue->parked_bytes += bytes;
    queue_changed(machine, queue);
    if (err == 0) {
        err = table_put(machine, row, (struct slice){0});
    }
    return err != 0 ? err : parked_put_at(machine, queue, message);
}

static int parked_read(struct table_row *found, struct parked *ret_parked)
{
    struct row_reader reader;
    int err = row_open(&reader, &found->key, found->value);
    if (err == 0) {
        ret_parked->message.group = get_be64(found->key.data + ROW_KEY_LEN(2));
        ret_parked->message.position = get_be64(found->key.data + ROW_KEY_LEN(3));
        ret_parked->message.count = row_get_u32(&reader);
        ret_parked->bytes = row_get_u32(&reader);
        ret_parked->message.expires_ms = row_get_u64(&reader);
        err = row_end(&reader);
    }
    table_row_done(found);
    return err;
}

/* The first parked message of the group; its position is 0 when there is none. */
static int parked_first(struct machine *machine, const struct queue *queue, uint64_t group, struct parked *ret_parked)
{
    struct row_key key = row_key_triple(ROW_PARKED, queue->id, queue->purges, group);
    struct row_key end = row_key_after(&key);
    struct table_row found;
    *ret_parked = (struct parked){0};
    if (queue->parked == 0) {
        return 0;
    }
    int err = table_seek(machine, &key, &end, &found);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    return parked_read(&found, ret_parked);
}

static int parked_remove(struct machine *machine, struct queue *queue, const struct parked *parked)
{
    struct row_key key = parked_key(queue, parked->message.group, parked->message.position);
    struct row_key at = row_key_triple(ROW_PARKED_AT, queue->id, queue->purges, parked->message.position);
    queue->parked--;
    queue->parked_bytes -= parked->bytes;
    queue_changed(machine, queue);
    int err = table_remove(machine, &key);
    return err != 0 ? err : table_remove(machine, &at);
}

static int parked_get(struct machine *machine, const struct queue *queue, uint64_t group, uint64_t position,
                      struct parked *ret_parked)
{
    struct row_key key = parked_key(queue, group, position);
    struct table_row found;
    int err = table_get(machine, &key, &found);
    return err != 0 ? err : parked_read(&found, ret_parked);
}

/* ---- Taking turns ---- */

/* A parked message is the active one now, and ready. */
static int group_make_ready(struct machine *machine, struct queue *queue, const struct parked *parked)
{
    int err = parked_remove(machine, queue, parked);
    if (err == 0) {
        err = returned_add(machine, queue, &parked->message, parked->bytes);
    }
    if (err == 0) {
        err = active_put(machine, queue, parked->message.group, parked->message.position, false);
    }
    return err;
}

/* The active message is ready, but one with a lower position has come: it has to wait behind it. */
static int group_step_back(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct taken message;
    uint32_t bytes;
    int err = returned_take(machine, queue, position, &message, &bytes);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    return parked_put(machine, queue, &message, bytes);
}

int group_take(struct machine *machine, struct queue *queue, const struct taken *taken, uint32_t bytes, bool *ret_may)
{
    struct active active;
    int err = active_get(machine, queue, taken->group, &active);
    if (err != 0) {
        return err;
    }
    bool behind = active.position != 0 && active.position != taken->position && !fault_fires(FAULT_SKIP_GROUP);
    *ret_may = !behind || (!active.out && taken->position < active.position);
    if (!*ret_may) {
        return parked_put(machine, queue, taken, bytes);
    }
    if (behind) {
        err = group_step_back(machine, queue, active.position);
    }
    return err != 0 ? err : active_put(machine, queue, taken->group, taken->position, true);
}

int group_put_back(struct machine *machine, struct queue *queue, const struct taken *message, uint32_t bytes,
                   bool *ret_parked)
{
    struct parked first;
    int err = parked_first(machine, queue, message->group, &first);
    *ret_parked = err == 0 && first.message.position != 0 && first.message.position < message->position;
    if (err != 0) {
        return err;
    }
    if (!*ret_parked) {
        return active_put(machine, queue, message->group, message->position, false);
    }
    err = parked_put(machine, queue, message, bytes);
    return err != 0 ? err : group_make_ready(machine, queue, &first);
}

static int group_end(struct machine *machine, struct queue *queue, uint64_t group)
{
    struct row_key key = row_key_pair(ROW_GROUP, queue->id, group);
    return table_remove(machine, &key);
}

int group_done(struct machine *machine, struct queue *queue, uint64_t group, uint64_t position)
{
    struct active active;
    struct parked next;
    int err = active_get(machine, queue, group, &active);
    if (err != 0 || active.position != position) {
        return err;
    }
    err = parked_first(machine, queue, group, &next);
    if (err != 0) {
        return err;
    }
    return next.message.position != 0 ? group_make_ready(machine, queue, &next) : group_end(machine, queue, group);
}

/* ---- Out of turn ---- */

int group_unpark(struct machine *machine, struct queue *queue, uint64_t group, uint64_t position, bool *ret_found)
{
    struct parked parked;
    int err = parked_get(machine, queue, group, position, &parked);
    *ret_found = err == 0;
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    return parked_remove(machine, queue, &parked);
}

int group_find_parked(struct machine *machine, struct queue *queue, uint64_t group, uint64_t position,
                      uint32_t *ret_count)
{
    struct parked parked;
    int err = parked_get(machine, queue, group, position, &parked);
    if (err == 0) {
        *ret_count = parked.message.count;
    }
    return err;
}

int group_parked_from(struct machine *machine, const struct queue *queue, uint64_t from, uint64_t end,
                      uint64_t *ret_position)
{
    struct row_key key = row_key_triple(ROW_PARKED_AT, queue->id, queue->purges, from);
    struct row_key end_key = row_key_triple(ROW_PARKED_AT, queue->id, queue->purges, end);
    struct table_row found;
    *ret_position = UINT64_MAX;
    int err = queue->parked > 0 ? table_seek(machine, &key, &end_key, &found) : ERR_NOT_FOUND;
    if (err == 0) {
        *ret_position = get_be64(found.key.data + ROW_KEY_LEN(2));
        table_row_done(&found);
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

int group_parked_last(struct machine *machine, const struct queue *queue, uint64_t *ret_position)
{
    struct row_key key = row_key_pair(ROW_PARKED_AT, queue->id, queue->purges);
    struct row_key end = row_key_after(&key);
    struct table_row found;
    *ret_position = 0;
    int err = queue->parked > 0 ? table_seek_last(machine, &key, &end, &found) : ERR_NOT_FOUND;
    if (err == 0) {
        *ret_position = get_be64(found.key.data + ROW_KEY_LEN(2));
        table_row_done(&found);
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

int group_forget(struct machine *machine, struct queue *queue, uint64_t group, uint64_t position)
{
    struct row_key key = row_key_pair(ROW_GROUP, queue->id, group);
    struct table_row found;
    struct active active;
    int err = table_get(machine, &key, &found);
    if (err == 0) {
        err = active_read(&found, &active);
    }
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    return active.position == position && !active.out ? table_remove(machine, &key) : 0;
}
