/* Replies to commands, and how a session remembers them: compactly, with the text for people as a number. */

#ifndef HOLDFAST_STATEMACHINE_REPLY_H
#define HOLDFAST_STATEMACHINE_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

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
    X(CONSUMERS_OF_ALL, 42, "too many consumers in all sessions together")
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

struct reply {
    uint32_t error; /* Positive error number, or 0. */
    enum detail detail;
    uint64_t count;
    uint64_t repeated_count;
    /* Not remembered: attach and detach only. */
    struct origin origin;
    uint64_t attach_session;
    uint64_t attach_attachment;
    uint64_t last_number;
};

/* Makes the reply to a command that the leader did not let in; any other number than that of an error is malformed. */
void reply_refuse(struct reply *reply, uint32_t error);

/* Makes an error reply of it. */
void reply_fail(struct reply *reply, int err, enum detail detail);

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
};

/* Remembers the reply to number last + 1; past SESSION_WINDOW_MAX the oldest is forgotten. ERR_NOMEM. */
int replies_push(struct replies *replies, const struct reply *reply) NODISCARD;
/* Forgets those up to a number. */
void replies_forget(struct replies *replies, uint64_t number);
/* ERR_NOT_FOUND: forgotten. */
int replies_get(const struct replies *replies, uint64_t number, struct reply *ret_reply) NODISCARD;
void replies_done(struct replies *replies);

#endif
