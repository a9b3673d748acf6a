/* The messages of a queue that were published since the last checkpoint. */

#include "statemachine/message.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"

#define CAP_MIN 8u

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

void messages_push(struct messages *messages, struct message message)
{
    CHECK(messages->len < messages->cap);
    *messages_slot(messages, messages->len) = message;
    messages->len++;
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
    blob_unref(message->blob);
    message->blob = NULL;
    message->data = NULL;
    message->settled = true;
    return message->len + MESSAGE_COST;
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

void message_row_encode(const struct row_key *key, const struct message *message, uint8_t out[MESSAGE_ROW_LEN])
{
    out[0] = ROW_VERSION;
    put_u64(out + 1, message->enqueued_ms);
    put_u64(out + 9, message->hash);
    put_u32(out + 17, message->len);
    put_u64(out + 21, row_checksum(key, out, 21));
}

int message_row_decode(const struct row_key *key, struct slice value, struct message *ret_message)
{
    if (value.len < MESSAGE_ROW_LEN) {
        return ERR_CORRUPT;
    }
    struct row_reader reader;
    int err = row_open(&reader, key, (struct slice){.data = value.data, .len = MESSAGE_ROW_LEN});
    if (err != 0) {
        return err;
    }
    struct message message = {.blob = value.blob, .data = value.data + MESSAGE_ROW_LEN};
    message.enqueued_ms = row_get_u64(&reader);
    message.hash = row_get_u64(&reader);
    message.len = row_get_u32(&reader);
    if (row_end(&reader) != 0 || message.len != value.len - MESSAGE_ROW_LEN) {
        return ERR_CORRUPT;
    }
    *ret_message = message;
    return 0;
}
