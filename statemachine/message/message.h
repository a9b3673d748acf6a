/* The messages of a lane that came in since the last checkpoint: a deque of slots indexed by position.
 *
 * A slot refers to the head and body within the entry that brought it; nothing is copied. A position below the base is in the
 * store, or nowhere any more.
 *
 * Row 'M' queue position, ROW_VERSION (of messages that came in under version 1 of the machine, for as long as they are there):
 * u64 enqueued_ms, u64 hash, u32 body_len, checksum, then the body.
 * ROW_VERSION_NEW: u64 enqueued_ms, u64 hash, u32 head_len, u32 body_len, u64 expires_ms, u64 group, u64 shared body, u64
 * bytes_before, u32 length of the trail, trail, checksum, then head and body, unless they are a shared body (body.h). */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_MESSAGE_H
#define HOLDFAST_STATEMACHINE_MESSAGE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/check.h"
#include "statemachine/store/rows.h"

struct message {
    struct blob *blob;   /* An owned reference while the message lives. */
    const uint8_t *data; /* The head, and the body behind it. */
    uint64_t hash;       /* Of both. */
    uint64_t enqueued_ms;
    uint64_t expires_ms;     /* Log time at which it expires; 0: never. */
    uint64_t group;          /* A hash; 0: it is in none. */
    uint64_t shared_body;    /* The id of its body when other messages have the same; 0: it is its own. */
    uint64_t bytes_before;   /* Of those that came into the lane before it, since version 2: queue_push() sets it. */
    struct blob *trail_blob; /* An owned reference; NULL when the trail is within `blob`. */
    const uint8_t *trail;    /* An encoded Trail. */
    uint32_t trail_len;
    uint32_t head_len;
    uint32_t body_len;
    bool settled;
    bool old; /* It came in under version 1. */
};

/* Bytes that a message costs beside its content, for accounting. */
#define MESSAGE_COST ((uint64_t)sizeof(struct message))

/* Of head and body. */
static inline uint32_t message_len(const struct message *message)
{
    return message->head_len + message->body_len;
}

/* What counts towards a queue's max_bytes: the body, as in RabbitMQ; nothing of a message from before there were such limits. */
static inline uint32_t message_counted_len(const struct message *message)
{
    return message->old ? 0 : message->body_len;
}

/* Takes, and drops, references to what the message refers to. */
void message_ref(const struct message *message);
void message_unref(struct message *message);

/* A ring; `cap` is a power of two or 0. */
struct messages {
    struct message *slots;
    size_t cap;
    size_t first;
    size_t len;
    uint64_t base; /* Position of the first slot. */
};

void messages_init(struct messages *messages, uint64_t base);

/* Makes room for `extra` more, so that pushing them cannot fail. ERR_NOMEM. */
int messages_reserve(struct messages *messages, size_t extra) NODISCARD;

/* Appends at position base + len; takes over the references. There must be room. */
void messages_push(struct messages *messages, const struct message *message);
/* Likewise; the caller fills the slot, which has what was there before. */
static inline struct message *messages_add(struct messages *messages)
{
    CHECK(messages->len < messages->cap);
    return &messages->slots[(messages->first + messages->len++) & (messages->cap - 1)];
}

/* The slot of a position at or above the base; NULL below. */
struct message *messages_at(const struct messages *messages, uint64_t position);

/* Lets go of a settled message and of settled slots at the front. Returns the bytes that became free. */
uint64_t messages_settle(struct messages *messages, uint64_t position);

/* Lets go of the messages from a position on, as settled. Returns the bytes that became free. */
uint64_t messages_settle_from(struct messages *messages, uint64_t position);

/* Lets go of everything below a position. Returns the bytes that became free. */
uint64_t messages_forget(struct messages *messages, uint64_t position);

/* Lets go of everything. Returns the bytes that became free. */
uint64_t messages_done(struct messages *messages);

/* Length of a message's row without its content. */
size_t message_row_len(const struct message *message);

/* Writes the row, without its content, for a key of 'M' to `out`: message_row_len() bytes. */
void message_row_encode(const struct row_key *key, const struct message *message, uint8_t *out);

/* Reads a row of either format; `ret_message` borrows from the value, and has no reference. A shared body is not in it: `data` is
 * NULL then. The content's hash is not checked here. ERR_CORRUPT, ERR_VERSION. */
int message_row_decode(const struct row_key *key, struct slice value, struct message *ret_message) NODISCARD;

#endif
