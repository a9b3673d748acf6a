/* The messages of a queue that were published since the last checkpoint. */

#include "statemachine/message/message.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"

#define CAP_MIN 8u

/* Of a row of ROW_VERSION, and of one of ROW_VERSION_NEW up to the trail; without the checksum. */
#define OLD_FIELDS_LEN (1u + 8u + 8u + 4u)
#define FIELDS_LEN (1u + 8u + 8u + 4u + 4u + 8u + 8u + 8u + 8u + 4u)

void message_ref(const struct message *message)
{
    if (message->blob != NULL) {
        blob_ref(message->blob);
    }
    if (message->trail_blob != NULL) {
        blob_ref(message->trail_blob);
    }
}

void message_unref(struct message *message)
{
    blob_unref(message->blob);
    blob_unref(message->trail_blob);
    message->blob = message->trail_blob = NULL;
    message->data = message->trail = NULL;
}

void messages_init(struct messages *messages, uint64_t base)
{
    *messages = (struct messages){.base = base};
}

static struct message *messages_slot(const struct messages *messages, size_t offset)
{
    return &messages->slots[(messages->first + offset) & (messages->cap - 1)];
}

int messages_reserve(struct messages *messages, size_t extra)
{
    if (extra <= messages->cap - messages->len) {
        return 0;
    }
    size_t cap = messages->cap > 0 ? messages->cap : CAP_MIN;
    while (cap < messages->len + extra) {
        cap *= 2;
    }
    struct message *slots = malloc(cap * sizeof *slots);
    if (slots == NULL) {
        return ERR_NOMEM;
    }
    size_t until_wrap = messages->cap - messages->first;
    size_t head = messages->len < until_wrap ? messages->len : until_wrap;
    if (messages->len > 0) {
        memcpy(slots, messages->slots + messages->first, head * sizeof *slots);
        memcpy(slots + head, messages->slots, (messages->len - head) * sizeof *slots);
    }
    free(messages->slots);
    messages->slots = slots;
    messages->cap = cap;
    messages->first = 0;
    return 0;
}

void messages_push(struct messages *messages, const struct message *message)
{
    *messages_add(messages) = *message;
}

struct message *messages_at(const struct messages *messages, uint64_t position)
{
    if (position < messages->base) {
        return NULL;
    }
    CHECK(position - messages->base < messages->len);
    return messages_slot(messages, (size_t)(position - messages->base));
}

static uint64_t message_release(struct message *message)
{
    if (message->settled) {
        return 0;
    }
    message_unref(message);
    message->settled = true;
    return message_len(message) + message->trail_len + MESSAGE_COST;
}

static void messages_pop(struct messages *messages)
{
    messages->first = (messages->first + 1) & (messages->cap - 1);
    messages->base++;
    messages->len--;
}

/* At a checkpoint an empty ring gives its memory back: queues that are idle keep none. */
static void messages_shrink(struct messages *messages)
{
    if (messages->len == 0) {
        free(messages->slots);
        messages_init(messages, messages->base);
    }
}

static void messages_pop_settled(struct messages *messages)
{
    while (messages->len > 0 && messages_slot(messages, 0)->settled) {
        messages_pop(messages);
    }
}

uint64_t messages_settle(struct messages *messages, uint64_t position)
{
    struct message *message = messages_at(messages, position);
    if (message == NULL) {
        return 0;
    }
    CHECK(!message->settled);
    uint64_t freed = message_release(message);
    messages_pop_settled(messages);
    return freed;
}

uint64_t messages_settle_from(struct messages *messages, uint64_t position)
{
    uint64_t freed = 0;
    size_t offset = position > messages->base ? (size_t)(position - messages->base) : 0;
    for (; offset < messages->len; offset++) {
        freed += message_release(messages_slot(messages, offset));
    }
    messages_pop_settled(messages);
    return freed;
}

uint64_t messages_forget(struct messages *messages, uint64_t position)
{
    uint64_t freed = 0;
    while (messages->len > 0 && messages->base < position) {
        freed += message_release(messages_slot(messages, 0));
        messages_pop(messages);
    }
    messages_shrink(messages);
    return freed;
}

uint64_t messages_done(struct messages *messages)
{
    uint64_t freed = messages_forget(messages, UINT64_MAX);
    free(messages->slots);
    messages_init(messages, messages->base);
    return freed;
}

size_t message_row_len(const struct message *message)
{
    return (message->old ? OLD_FIELDS_LEN : FIELDS_LEN + message->trail_len) + ROW_CHECKSUM_LEN;
}

static void message_encode_fields(const struct message *message, uint8_t *out)
{
    out[0] = ROW_VERSION_NEW;
    put_u64(out + 1, message->enqueued_ms);
    put_u64(out + 9, message->hash);
    put_u32(out + 17, message->head_len);
    put_u32(out + 21, message->body_len);
    put_u64(out + 25, message->expires_ms);
    put_u64(out + 33, message->group);
    put_u64(out + 41, message->shared_body);
    put_u64(out + 49, message->bytes_before);
    put_u32(out + 57, message->trail_len);
    if (message->trail_len > 0) {
        memcpy(out + FIELDS_LEN, message->trail, message->trail_len);
    }
}

void message_row_encode(const struct row_key *key, const struct message *message, uint8_t *out)
{
    size_t len = message_row_len(message) - ROW_CHECKSUM_LEN;
    if (message->old) {
        out[0] = ROW_VERSION;
        put_u64(out + 1, message->enqueued_ms);
        put_u64(out + 9, message->hash);
        put_u32(out + 17, message->body_len);
    } else {
        message_encode_fields(message, out);
    }
    put_u64(out + len, row_checksum(key, out, len));
}

/* How long the row before the content is; 0: longer than the value. */
static size_t message_row_find_end(struct slice value)
{
    size_t len = OLD_FIELDS_LEN + ROW_CHECKSUM_LEN;
    if (value.len > 0 && value.data[0] == ROW_VERSION_NEW) {
        if (value.len < FIELDS_LEN) {
            return 0;
        }
        len = FIELDS_LEN + (size_t)get_u32(value.data + FIELDS_LEN - 4) + ROW_CHECKSUM_LEN;
    }
    return len <= value.len ? len : 0;
}

static void message_decode_fields(struct row_reader *reader, struct message *message)
{
    message->enqueued_ms = row_get_u64(reader);
    message->hash = row_get_u64(reader);
    message->old = reader->version == ROW_VERSION;
    if (message->old) {
        message->body_len = row_get_u32(reader);
        return;
    }
    message->head_len = row_get_u32(reader);
    message->body_len = row_get_u32(reader);
    message->expires_ms = row_get_u64(reader);
    message->group = row_get_u64(reader);
    message->shared_body = row_get_u64(reader);
    message->bytes_before = row_get_u64(reader);
    message->trail_len = row_get_u32(reader);
    message->trail = row_get_bytes(reader, message->trail_len);
}

int message_row_decode(const struct row_key *key, struct slice value, struct message *ret_message)
{
    size_t len = message_row_find_end(value);
    if (len == 0) {
        return ERR_CORRUPT;
    }
    struct row_reader reader;
    int err = row_open(&reader, key, (struct slice){.data = value.data, .len = len});
    if (err != 0) {
        return err;
    }
    struct message message = {.blob = value.blob};
    message_decode_fields(&reader, &message);
    size_t content = message.shared_body == 0 ? (size_t)message.head_len + message.body_len : 0;
    if (row_end(&reader) != 0 || content != value.len - len) {
        return ERR_CORRUPT;
    }
    message.data = message.shared_body == 0 ? value.data + len : NULL;
    *ret_message = message;
    return 0;
}
