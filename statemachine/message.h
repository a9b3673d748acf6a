/* The messages of a queue that were published since the last checkpoint: a deque of slots indexed by position.
 *
 * A slot refers to the body within the entry that brought it; nothing is copied. A position below the base is in the
 * store, or nowhere any more.
 *
 * Row 'M' queue position: u64 enqueued_ms, u64 body_hash, u32 body_len, checksum, then the body. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_H
#define HOLDFAST_STATEMACHINE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "statemachine/rows.h"

struct message {
    struct blob *blob; /* An owned reference while the message lives. */
    const uint8_t *data;
    uint64_t hash;
    uint64_t enqueued_ms;
    uint32_t len;
    bool settled;
};

/* Bytes that a message costs beside its body, for accounting. */
#define MESSAGE_COST ((uint64_t)sizeof(struct message))

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

/* Appends at position base + len; takes over the reference. There must be room. */
void messages_push(struct messages *messages, struct message message);

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

/* Length of a message row without its body. */
#define MESSAGE_ROW_LEN (1u + 8u + 8u + 4u + ROW_CHECKSUM_LEN)

/* Writes the row's head for a key of 'M' to `out`. */
void message_row_encode(const struct row_key *key, const struct message *message, uint8_t out[MESSAGE_ROW_LEN]);

/* Reads a row; `ret_message` borrows the body from the value. The body's hash is not checked here. ERR_CORRUPT,
 * ERR_VERSION. */
int message_row_decode(const struct row_key *key, struct slice value, struct message *ret_message) NODISCARD;

#endif
