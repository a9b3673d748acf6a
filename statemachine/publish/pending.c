/* Messages that are kept aside until their time. */

#include "statemachine/publish/pending.h"

#include <string.h>

#include "statemachine/state.h"
#include "statemachine/table/table_kind.h"

enum { PENDING_TO_QUEUE = 1, PENDING_TO_EXCHANGE = 2 };

/* Keys of one message: those of a dead letter, which are its head's or one. */
#define PENDING_KEYS_MAX (FURTHER_KEYS_MAX + 1u)

static void row_put_name(struct row *row, const char *name)
{
    size_t len = strlen(name);
    row_put_u8(row, (uint8_t)len);
    row_put_bytes(row, name, len);
}

static int pending_row(const struct internal *internal, uint64_t id, struct row *row)
{
    const struct message *message = &internal->message;
    uint8_t flags = internal->queue != NULL ? PENDING_TO_QUEUE : internal->exchange != NULL ? PENDING_TO_EXCHANGE : 0;
    row_begin_new(row, row_key_one(ROW_PENDING, id));
    row_put_u64(row, internal->virtual_host);
    row_put_u8(row, (uint8_t)internal->how);
    row_put_u8(row, flags);
    row_put_name(row, internal->queue != NULL ? internal->queue : internal->exchange != NULL ? internal->exchange : "");
    row_put_u16(row, (uint16_t)internal->keys_len);
    for (size_t i = 0; i < internal->keys_len; i++) {
        row_put_name(row, internal->keys[i]);
    }
    row_put_u32(row, message->trail_len);
    row_put_bytes(row, message->trail, message->trail_len);
    row_put_u32(row, message->head_len);
    table_put_tail(row, message->hash, message_len(message));
    return row_seal(row);
}

int pending_put(struct machine *machine, const struct message *message)
{
    struct slice content = {.blob = message->blob, .data = message->data, .len = message_len(message)};
    if (content.len == 0 || content.blob != NULL) {
        return table_put_first(machine, &machine->row, content.len > 0 ? content : (struct slice){0});
    }
    int err = slice_copy(content.data, content.len, &content);
    if (err == 0) {
        err = table_put_first(machine, &machine->row, content);
        slice_unref(&content);
    }
    return err;
}

int pending_add(struct machine *machine, const struct internal *internal, uint64_t due_ms)
{
    struct timer timer = {.at_ms = due_ms, .kind = TIMER_PENDING, .a = machine->next_pending++};
    CHECK(internal->keys_len <= PENDING_KEYS_MAX);
    int err = pending_row(internal, timer.a, &machine->row);
    if (err == 0) {
        err = pending_put(machine, &internal->message);
    }
    return err != 0 ? err : timer_set(machine, &timer);
}

/* What a row says, and the texts that it has. */
struct pending {
    struct internal internal;
    const char *keys[PENDING_KEYS_MAX];
};

/* A text with a zero at its end, in memory of the caller's. */
static const char *row_get_name(struct row_reader *reader, struct arena *arena)
{
    size_t len = row_get_u8(reader);
    const uint8_t *name = row_get_bytes(reader, len);
    char *copy = name != NULL ? arena_alloc(arena, len + 1) : NULL;
    if (copy == NULL) {
        reader->overrun = true;
        return "";
    }
    memcpy(copy, name, len);
    copy[len] = 0;
    return copy;
}

static int pending_read(struct table_row *found, struct arena *arena, struct pending *pending)
{
    struct row_reader reader;
    int err = row_open(&reader, &found->key, found->value);
    if (err != 0) {
        return err;
    }
    struct internal *internal = &pending->internal;
    struct message *message = &internal->message;
    *internal = (struct internal){.virtual_host = row_get_u64(&reader), .keys = pending->keys};
    internal->how = (enum enqueue_how)row_get_u8(&reader);
    uint8_t flags = row_get_u8(&reader);
    const char *name = row_get_name(&reader, arena);
    internal->queue = flags == PENDING_TO_QUEUE ? name : NULL;
    internal->exchange = flags == PENDING_TO_EXCHANGE ? name : NULL;
    size_t keys_len = row_get_u16(&reader);
    for (; internal->keys_len < keys_len && keys_len <= PENDING_KEYS_MAX; internal->keys_len++) {
        pending->keys[internal->keys_len] = row_get_name(&reader, arena);
    }
    message->trail_len = row_get_u32(&reader);
    message->trail = row_get_bytes(&reader, message->trail_len);
    message->head_len = row_get_u32(&reader);
    message->hash = row_get_u64(&reader);
    uint32_t len = row_get_u32(&reader);
    if (row_end(&reader) != 0 || keys_len > PENDING_KEYS_MAX || len != found->content.len || message->head_len > len ||
        internal->how > ENQUEUE_REPLAYED) {
        return ERR_CORRUPT;
    }
    message->body_len = len - message->head_len;
    message->data = found->content.data;
    if (XXH3_64bits(found->content.data, found->content.len) != message->hash) {
        return ERR_CHECKSUM;
    }
    return 0;
}

/* The message refers to what was found. */
static void pending_take(struct message *message, const struct table_row *found)
{
    message->blob = found->content.blob != NULL ? blob_ref(found->content.blob) : NULL;
    if (message->trail_len > 0 && found->value.blob != NULL) {
        message->trail_blob = blob_ref(found->value.blob);
    }
}

int pending_fired(struct machine *machine, const struct timer *timer)
{
    struct row_key key = row_key_one(ROW_PENDING, timer->a);
    struct table_row found;
    struct pending pending;
    struct arena *arena = &machine->publishing.arena;
    int err = table_get(machine, &key, &found);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    arena_reset(arena);
    err = state_blame(machine, &key, pending_read(&found, arena, &pending), "the pending message is damaged");
    if (err == 0) {
        err = table_remove(machine, &key);
    }
    if (err == 0 && virtual_host_by_id(machine, pending.internal.virtual_host) != NULL) {
        pending_take(&pending.internal.message, &found);
        pending.internal.waited = true;
        err = publish_internal(machine, &pending.internal, NULL);
    }
    table_row_done(&found);
    return err;
}
