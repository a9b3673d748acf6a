/* Replies to commands, and how a session remembers them: compactly, with the text for people as a number. */

#ifndef HOLDFAST_STATEMACHINE_REPLY_H
#define HOLDFAST_STATEMACHINE_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

/* X(name, number, text): numbers are stored, so they are never reused. */
/* clang-format off */
#define DETAIL_LIST(X)                                                                                                 \
    X(NONE, 0, "")                                                                                                     \
    X(HEADER, 1, "the command's header cannot be decoded")                                                             \
    X(KIND, 2, "no such kind of command")                                                                              \
    X(BODIES, 3, "this kind of command has no bodies")                                                                 \
    X(NODE_ONLY, 4, "this command is issued by nodes only")                                                            \
    X(SESSION_ONLY, 5, "this command needs a session")                                                                 \
    X(SESSION, 6, "no such session")                                                                                   \
    X(ATTACHMENT, 7, "not the session's current attachment")                                                           \
    X(NUMBER_SKIPPED, 8, "a command number was skipped")                                                               \
    X(REPLY_FORGOTTEN, 9, "this command number is done and its reply forgotten")                                       \
    X(KEY, 10, "a session's key has 16 bytes")                                                                         \
    X(VHOST, 11, "no such virtual host")                                                                               \
    X(CLIENT_NAME, 12, "the client's name is too long or not a name")                                                  \
    X(SESSIONS, 13, "too many sessions")                                                                               \
    X(QUEUE_NAME, 14, "not a name for a queue")                                                                        \
    X(QUEUE, 15, "no such queue")                                                                                      \
    X(QUEUES, 16, "too many queues")                                                                                   \
    X(NOT_EMPTY, 17, "the queue has messages")                                                                         \
    X(MESSAGES, 18, "a publish has 1 to 4096 messages, each with its length and hash")                                 \
    X(BODY_LEN, 19, "a body is too long")                                                                              \
    X(BODIES_LEN, 20, "the bodies are not as long as announced")                                                       \
    X(BODY_HASH, 21, "a body does not match its hash")                                                                 \
    X(PRODUCER_NAME, 22, "not a name for a producer")                                                                  \
    X(SEQUENCE, 23, "sequences start at 1 and end below 2^64")                                                         \
    X(CONSUMER_ZERO, 24, "a consumer is not 0")                                                                        \
    X(CONSUMER_EXISTS, 25, "the session has that consumer already")                                                    \
    X(CONSUMER, 26, "no such consumer")                                                                                \
    X(CONSUMERS, 27, "too many consumers in this session")                                                             \
    X(CREDIT, 28, "credit is out of range")                                                                            \
    X(RANGES, 29, "a settlement has 1 to 4096 ranges of numbers from 1, first to last")                                \
    X(NOT_DELIVERED, 30, "a delivery of that number has not been made")                                                \
    X(OUTCOME, 31, "no such outcome")                                                                                  \
    X(VERSION_ZERO, 32, "versions start at 1")                                                                         \
    X(NODE_ABSENT, 33, "the node that asks is not present with this process")                                          \
    X(OVERTAKEN, 34, "overtaken by a later attachment of the session")                                                 \
    X(DETACHED, 35, "the session is not attached like that any more")                                                  \
    X(NODE_ZERO, 36, "a node's process is not 0")                                                                      \
    X(NODES, 37, "too many nodes")                                                                                     \
    X(NODE_RUN, 38, "the node is not present with this process")                                                       \
    X(NO_SPACE, 39, "new messages are refused: the cluster is short of disk or memory")                                \
    X(NOT_TAKEN, 40, "the leader did not take the command")                                                            \
    X(BEHIND_FAILED, 41, "a publish before it failed, and its client did not know yet")                                \
    X(CONSUMERS_OF_ALL, 42, "too many consumers in all sessions together")                                             \
    X(HEADS, 43, "a publish has as many heads as messages, or none")                                                   \
    X(HEAD, 44, "a message's head is malformed")                                                                       \
    X(HEAD_LEN, 45, "a message's head is too long")                                                                    \
    X(DELAY, 46, "a message is delayed for more than ten years")                                                       \
    X(TARGETS, 47, "the messages of the command would go to too many queues")                                          \
    X(FENCED, 48, "the producer's name has been taken by another since")                                               \
    X(GAP, 49, "a sequence of the producer was skipped")                                                               \
    X(READY_MESSAGES, 50, "the virtual host has as many ready messages as it may")                                     \
    X(QUEUE_FULL, 51, "the queue is full")                                                                             \
    X(QUEUE_EXCLUSIVE, 52, "the queue belongs to another session")                                                     \
    X(PREPARED_ID, 53, "not a name for prepared messages")                                                             \
    X(PREPARED_EXISTS, 54, "messages have been prepared under that id already")                                        \
    X(PREPARED, 55, "no messages are prepared under that id")                                                          \
    X(PREPARED_OTHERWISE, 56, "what was prepared has been resolved in the other way")                                  \
    X(PREPARED_TIMES, 57, "a time is above ten years")                                                                 \
    X(TRANSACTION, 59, "a transaction has 1 to 4096 messages and ranges, in at most 256 publishes and settlements")    \
    X(TRANSACTION_PUBLISH, 60, "a publish in a transaction is all or nothing, and not prepared")                       \
    X(NOT_HELD, 61, "a delivery is not held any more")                                                                 \
    X(VHOST_NAME, 62, "not a name for a virtual host")                                                                 \
    X(VHOSTS, 63, "too many virtual hosts")                                                                            \
    X(VHOST_ROOT, 64, "this virtual host is always there")                                                             \
    X(VHOST_SESSIONS, 65, "there are sessions in the virtual host")                                                    \
    X(USER_NAME, 66, "not a name for a user")                                                                          \
    X(USERS, 67, "too many users with limits")                                                                         \
    X(LIMITS, 68, "limits are of a virtual host or of a user, and of known kinds")                                     \
    X(LIMIT_QUEUES, 69, "the virtual host has as many queues as it may")                                               \
    X(LIMIT_EXCHANGES, 70, "the virtual host has as many exchanges as it may")                                         \
    X(NOTE, 71, "a note is too long or not UTF-8")                                                                     \
    X(PUBLISH_EXCHANGE, 72, "no such exchange to publish to")                                                          \
    X(PUBLISH_INTERNAL, 73, "the exchange is internal")                                                                \
    X(SESSION_VHOST, 74, "the session is in another virtual host")                                                     \
    X(LIMIT_BINDINGS, 75, "the virtual host has as many bindings as it may")                                           \
    X(LIMIT_CONSUMERS, 76, "the virtual host has as many consumers as it may")                                         \
    X(LIMIT_SESSIONS, 77, "the virtual host has as many sessions as it may")                                           \
    X(LIMIT_USER_CONSUMERS, 78, "the user has as many consumers as it may")                                            \
    X(LIMIT_USER_SESSIONS, 79, "the user has as many sessions as it may")                                              \
    X(QUEUE_OPTIONS, 80, "the queue is there with other options")                                                      \
    X(QUEUE_OPTIONS_RANGE, 81, "an option of the queue is out of range")                                               \
    X(QUEUE_PROTECTED, 82, "the queue is protected")                                                                   \
    X(QUEUE_USED, 83, "the queue has consumers")                                                                       \
    X(CONSUMER_OPTIONS, 84, "an option of the consumer is out of range")                                               \
    X(CONSUMER_EXCLUSIVE, 85, "the queue has a consumer, and one of the two is exclusive")                             \
    X(CONSUMER_ACTIVE, 86, "the queue has an active consumer of another session")                                      \
    X(QUEUE_LENGTH, 87, "queues of this virtual host may not be that long")                                            \
    X(CONSUMER_NO_FETCH, 88, "the consumer does not fetch from that queue")                                            \
    X(CONSUMER_FULL, 89, "a consumer may hold 65535 messages")                                                         \
    X(VHOST_PROTECTED, 90, "a queue in the virtual host is protected")                                                 \
    X(EXCHANGE, 100, "no such exchange")                                                                               \
    X(EXCHANGE_NAME, 101, "not a name for an exchange")                                                                \
    X(EXCHANGE_RESERVED, 102, "names that begin with amq. are not given")                                              \
    X(EXCHANGE_DEFAULT, 103, "this cannot be done with the default exchange")                                          \
    X(EXCHANGE_BUILT_IN, 104, "this exchange is always there")                                                         \
    X(EXCHANGE_TYPE, 105, "no such type of exchange")                                                                  \
    X(EXCHANGE_ALTERNATE, 106, "not a name for an alternate exchange")                                                 \
    X(EXCHANGE_PROPERTIES, 107, "the exchange is there with other properties")                                         \
    X(EXCHANGE_PROTECTED, 108, "the exchange is protected")                                                            \
    X(EXCHANGE_USED, 109, "there are bindings from the exchange")                                                      \
    X(EXCHANGES, 110, "too many exchanges")                                                                            \
    X(BINDINGS, 111, "too many bindings")                                                                              \
    X(ROUTING_KEY, 112, "a routing key is too long or not UTF-8")                                                      \
    X(ARGUMENTS, 113, "arguments are malformed, or too many, too long or too deep")                                    \
    X(X_MATCH, 114, "x-match is all, any, all-with-x or any-with-x")                                                   \
    X(WAY, 115, "the way of a message would lead over more than 4096 exchanges")                                       \
    X(LOCK, 120, "a delivery is held for ten years at most")                                                           \
    X(MOVE_MAX, 121, "at most 1024 messages are moved at a time")                                                      \
    X(MOVE_RANGE, 122, "positions go from the first to the last")                                                      \
    X(SETTLE_BACK, 130, "at most 4096 deliveries go back or are kept with one command")
/* clang-format on */

enum detail {
#define X(name, number, text) DETAIL_##name = (number),
    DETAIL_LIST(X)
#undef X
};

/* The text; "" for a number that this build does not know. */
const char *detail_text(unsigned detail);

/* As in the Origin message. All 0: none. */
struct origin {
    uint64_t node;
    uint64_t run;
    uint64_t tag;
};

/* Bits of a reply, of the command's first message in the lowest of the first byte; bytes of zeros at the end are left out. */
struct reply_bits {
    const uint8_t *data; /* Borrowed. */
    size_t len;          /* Bytes; 0: none is set. */
};
#define REPLY_BITS_LEN_MAX (PUBLISH_MESSAGES_MAX / 8u)

struct reply {
    uint32_t error; /* Positive error number, or 0. */
    enum detail detail;
    uint64_t count;
    uint64_t repeated_count;
    struct reply_bits unrouted;
    struct reply_bits refused;
    /* Not remembered: attach and detach only. */
    struct origin origin;
    uint64_t attach_session;
    uint64_t attach_attachment;
    uint64_t last_number;
};

/* Makes the reply to a command that the leader did not let in; any other number than that of an error which the rules of that
 * version know is malformed. */
void reply_refuse(struct reply *reply, uint32_t error, uint32_t version);

/* Makes an error reply of it. */
void reply_fail(struct reply *reply, int err, enum detail detail);

/* The bits of a remembered reply that has some. */
struct reply_kept_bits {
    struct reply_kept_bits *next;
    uint64_t number;
    uint16_t unrouted_len;
    uint16_t refused_len;
    uint8_t data[]; /* Of the first, then of the second. */
};

/* The last replies of a session: those to numbers (last - len, last]. */
struct replies {
    struct reply_kept {
        uint64_t count;
        uint64_t repeated_count;
        uint16_t error;
        uint16_t detail;
    } * items; /* By number modulo `cap`, a power of two or 0. */
    size_t cap;
    size_t len;
    uint64_t last;
    struct reply_kept_bits *bits; /* In order of number. */
    struct reply_kept_bits *bits_last;
};

/* Remembers the reply to number last + 1; past SESSION_WINDOW_MAX the oldest is forgotten. ERR_NOMEM. */
int replies_push(struct replies *replies, const struct reply *reply) NODISCARD;
/* Forgets those up to a number. */
void replies_forget(struct replies *replies, uint64_t number);
/* ERR_NOT_FOUND: forgotten. The bits are borrowed from the remembered ones. */
int replies_get(const struct replies *replies, uint64_t number, struct reply *ret_reply) NODISCARD;
void replies_done(struct replies *replies);

#endif
