/* Publishing messages with properties. */

#ifndef HOLDFAST_OPS_CLI_PUBLISH_MESSAGE_H
#define HOLDFAST_OPS_CLI_PUBLISH_MESSAGE_H

#include <stdbool.h>

#include "header_option.h"
#include "rpc/client/hf.h"

struct cli;

#define PUBLISH_KEYS_MAX 32u

struct publish_message {
    struct hf_outgoing message; /* `sequence` is that of the message before the first. */
    struct cli_headers headers;
    const char *also_keys[PUBLISH_KEYS_MAX];
    bool given; /* Any of it. */
};

/* Options of its own. */
enum {
    PUBLISH_EXCHANGE = 500, /* Above characters. */
    PUBLISH_KEY,
    PUBLISH_HEADER,
    PUBLISH_TTL,
    PUBLISH_DELAY,
    PUBLISH_PRIORITY,
    PUBLISH_GROUP,
    PUBLISH_ID,
    PUBLISH_MANDATORY,
    PUBLISH_CONTENT_TYPE,
    PUBLISH_CORRELATION_ID,
    PUBLISH_REPLY_TO,
    PUBLISH_ALSO_KEY,
    PUBLISH_DELIVER_AT,
    PUBLISH_FIRST,
    PUBLISH_EPOCH,
    PUBLISH_NO_GAPS,
    PUBLISH_PREPARE,
    PUBLISH_DEADLINE,
    PUBLISH_COMMIT_AT_DEADLINE,
    PUBLISH_ASK,
    PUBLISH_ASK_AFTER,
    PUBLISH_LAST = PUBLISH_ASK_AFTER,
};
#define PUBLISH_MESSAGE_OPTIONS                                                                                        \
    {"exchange", required_argument, NULL, PUBLISH_EXCHANGE}, {"key", required_argument, NULL, PUBLISH_KEY},            \
        {"header", required_argument, NULL, PUBLISH_HEADER}, {"ttl", required_argument, NULL, PUBLISH_TTL},            \
        {"delay", required_argument, NULL, PUBLISH_DELAY}, {"priority", required_argument, NULL, PUBLISH_PRIORITY},    \
        {"group", required_argument, NULL, PUBLISH_GROUP}, {"id", required_argument, NULL, PUBLISH_ID},                \
        {"mandatory", no_argument, NULL, PUBLISH_MANDATORY},                                                           \
        {"content-type", required_argument, NULL, PUBLISH_CONTENT_TYPE},                                               \
        {"correlation-id", required_argument, NULL, PUBLISH_CORRELATION_ID},                                           \
        {"also-key", required_argument, NULL, PUBLISH_ALSO_KEY},                                                       \
        {"deliver-at", required_argument, NULL, PUBLISH_DELIVER_AT},                                                   \
        {"first", required_argument, NULL, PUBLISH_FIRST}, {"epoch", required_argument, NULL, PUBLISH_EPOCH},          \
        {"no-gaps", no_argument, NULL, PUBLISH_NO_GAPS}, {"prepare", required_argument, NULL, PUBLISH_PREPARE},        \
        {"deadline", required_argument, NULL, PUBLISH_DEADLINE},                                                       \
        {"commit-at-deadline", no_argument, NULL, PUBLISH_COMMIT_AT_DEADLINE},                                         \
        {"ask", required_argument, NULL, PUBLISH_ASK}, {"ask-after", required_argument, NULL, PUBLISH_ASK_AFTER},      \
    {                                                                                                                  \
        "reply-to", required_argument, NULL, PUBLISH_REPLY_TO                                                          \
    }

/* Takes one of them. Returns 0 or EXIT_USAGE. */
int publish_message_option(struct publish_message *publish, int option);

/* What does not go together: NULL, or a line for people. `lines`: of several messages. */
const char *publish_message_fault(const struct publish_message *publish, const char *producer, bool lines);

/* Publishes the file (NULL: standard input), or each of its lines, one at a time, to `queue`, or, when that is NULL, to the exchange.
 * Returns the exit code. */
int publish_message_run(const struct cli *cli, struct publish_message *publish, const char *queue, const char *producer,
                        const char *file, bool lines);

#endif
