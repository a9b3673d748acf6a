/* Publishing messages with properties. */

#ifndef HOLDFAST_OPS_CLI_PUBLISH_MESSAGE_H
#define HOLDFAST_OPS_CLI_PUBLISH_MESSAGE_H

#include <stdbool.h>

#include "header_option.h"
#include "rpc/client/hf.h"

struct cli;

struct publish_message {
    struct hf_outgoing message;
    struct cli_headers headers;
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
    PUBLISH_LAST = PUBLISH_REPLY_TO,
};
#define PUBLISH_MESSAGE_OPTIONS                                                                                        \
    {"exchange", required_argument, NULL, PUBLISH_EXCHANGE}, {"key", required_argument, NULL, PUBLISH_KEY},            \
        {"header", required_argument, NULL, PUBLISH_HEADER}, {"ttl", required_argument, NULL, PUBLISH_TTL},            \
        {"delay", required_argument, NULL, PUBLISH_DELAY}, {"priority", required_argument, NULL, PUBLISH_PRIORITY},    \
        {"group", required_argument, NULL, PUBLISH_GROUP}, {"id", required_argument, NULL, PUBLISH_ID},                \
        {"mandatory", no_argument, NULL, PUBLISH_MANDATORY},                                                           \
        {"content-type", required_argument, NULL, PUBLISH_CONTENT_TYPE},                                               \
        {"correlation-id", required_argument, NULL, PUBLISH_CORRELATION_ID},                                           \
    {                                                                                                                  \
        "reply-to", required_argument, NULL, PUBLISH_REPLY_TO                                                          \
    }

/* Takes one of them. Returns 0 or EXIT_USAGE. */
int publish_message_option(struct publish_message *publish, int option);

/* Publishes the file (NULL: standard input), or each of its lines, one at a time, to `queue`, or, when that is NULL, to the exchange.
 * Returns the exit code. */
int publish_message_run(const struct cli *cli, struct publish_message *publish, const char *queue, const char *producer,
                        const char *file, bool lines);

#endif
