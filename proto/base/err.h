/* The error codes of the whole project, as one list.
 *
 * Functions return 0 or one of these (negative). The positive number travels on the wire, so a code is never given
 * another meaning, and numbers are never reused. */

#ifndef HOLDFAST_PROTO_BASE_ERR_H
#define HOLDFAST_PROTO_BASE_ERR_H

/* X(name, number, text): `text` is what a person reads. */
/* clang-format off */
#define ERR_LIST(X)                                                                            \
    X(NOMEM, 1, "out of memory")                                                               \
    X(IO, 2, "input or output failed")                                                         \
    X(CORRUPT, 3, "stored data is damaged")                                                    \
    X(NOT_FOUND, 4, "no such thing")                                                           \
    X(EXISTS, 5, "exists already, with other properties")                                      \
    X(INVALID, 6, "malformed")                                                                 \
    X(TOO_BIG, 7, "over the limit")                                                            \
    X(BUSY, 8, "too much in flight, try again")                                                \
    X(NOT_LEADER, 9, "this node is not the leader")                                            \
    X(VERSION, 10, "unsupported version")                                                      \
    X(LOCKED, 11, "in use by another process")                                                 \
    X(NO_SPACE, 12, "no space left")                                                           \
    X(CLOSED, 13, "closed")                                                                    \
    X(TIMEOUT, 14, "timed out")                                                                \
    X(OUTCOME_UNKNOWN, 15, "outcome unknown: it may or may not have been done")                \
    X(STALE, 16, "no longer valid: settled, released or delivered to another since")           \
    X(OUT_OF_ORDER, 17, "a number was skipped or came too late")                               \
    X(SESSION_EXPIRED, 18, "the session has ended; what it held has gone back to its queues")  \
    X(UTF8, 19, "not valid UTF-8")                                                             \
    X(NAME, 20, "a name is empty, too long, or holds a control character")                     \
    X(CHECKSUM, 21, "the checksum does not match")                                             \
    X(FOREIGN, 22, "belongs to another cluster or node")                                       \
    X(LIMIT, 23, "a limit of this server is reached")                                          \
    X(REFUSED, 24, "refused")                                                                  \
    X(UNAVAILABLE, 25, "no leader can be reached")                                             \
    X(DISPLACED, 26, "the session has been taken over by another connection")                  \
    X(BROKEN, 27, "the connection broke a rule of the protocol")                               \
    X(SYSTEM, 28, "the operating system refused")                                              \
    X(FENCED, 29, "somebody else has taken the producer's name since")                         \
    X(EXCLUSIVE, 30, "in exclusive use by another")                                            \
    X(FULL, 31, "the queue is full")                                                           \
    X(GAP, 32, "a sequence number of the producer was skipped")
/* clang-format on */

enum err {
    ERR_NONE = 0,
#define X(name, number, text) ERR_##name = -(number),
    ERR_LIST(X)
#undef X
};

/* The text for a person; "unknown error" for a code that this build does not know. Never NULL. */
const char *err_text(int err);

/* The name without its prefix, such as "NOT_LEADER", for logs. Never NULL. */
const char *err_name(int err);

#define NODISCARD __attribute__((warn_unused_result))

#endif
