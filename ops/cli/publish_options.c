/* What goes with messages that holdfast publish publishes, as options. */

#include <string.h>

#include "cli.h"
#include "duration.h"
#include "proto/base/limits.h"
#include "publish_message.h"

static int take_number(const char *name, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    return cli_number(name, optarg, min, max, ret_number);
}

static int take_also_key(struct publish_message *publish)
{
    struct client_properties *properties = &publish->message.properties;
    if (properties->also_keys_len == PUBLISH_KEYS_MAX) {
        return cli_usage("publish: too many times --also-key", "holdfast publish");
    }
    publish->also_keys[properties->also_keys_len++] = optarg;
    return 0;
}

static int take_priority(struct client_properties *properties)
{
    uint64_t number = 0;
    int result = take_number("--priority", 0, 255, &number);
    properties->priority = (uint32_t)number;
    return result;
}

static int take_first(struct hf_outgoing *message)
{
    int result = take_number("--first", 1, UINT64_MAX, &message->sequence);
    message->sequence -= result == 0 ? 1 : 0;
    return result;
}

/* Of its producer, and of the two phases. */
static int take_of_command(struct publish_message *publish, int option)
{
    struct hf_outgoing *message = &publish->message;
    switch (option) {
    case PUBLISH_FIRST: return take_first(message);
    case PUBLISH_EPOCH: return take_number("--epoch", 1, UINT64_MAX, &message->epoch);
    case PUBLISH_NO_GAPS: message->no_gaps = true; return 0;
    case PUBLISH_PREPARE: message->prepare = optarg; return 0;
    case PUBLISH_DEADLINE: return cli_duration("--deadline", optarg, &message->deadline_ms);
    case PUBLISH_COMMIT_AT_DEADLINE: message->commit_at_deadline = true; return 0;
    case PUBLISH_ASK: message->prepare_group = optarg; return 0;
    default: return cli_duration("--ask-after", optarg, &message->ask_after_ms);
    }
}

int publish_message_option(struct publish_message *publish, int option)
{
    struct client_properties *properties = &publish->message.properties;
    publish->given = true;
    switch (option) {
    case PUBLISH_EXCHANGE: properties->exchange = optarg; return 0;
    case PUBLISH_KEY: properties->routing_key = optarg; return 0;
    case PUBLISH_ALSO_KEY: return take_also_key(publish);
    case PUBLISH_HEADER: return cli_header_add(&publish->headers, optarg);
    case PUBLISH_TTL: properties->has_ttl = true; return cli_duration("--ttl", optarg, &properties->ttl_ms);
    case PUBLISH_DELAY: return cli_duration("--delay", optarg, &properties->delay_ms);
    case PUBLISH_DELIVER_AT: return cli_time("--deliver-at", optarg, &properties->deliver_at_ms);
    case PUBLISH_PRIORITY: return take_priority(properties);
    case PUBLISH_GROUP: properties->group = optarg; return 0;
    case PUBLISH_ID: properties->message_id = optarg; return 0;
    case PUBLISH_MANDATORY: properties->mandatory = true; return 0;
    case PUBLISH_CONTENT_TYPE: properties->content_type = optarg; return 0;
    case PUBLISH_CORRELATION_ID: properties->correlation_id = optarg; return 0;
    case PUBLISH_REPLY_TO: properties->reply_to = optarg; return 0;
    default: return take_of_command(publish, option);
    }
}

const char *publish_message_fault(const struct publish_message *publish, const char *producer, bool lines)
{
    const struct hf_outgoing *message = &publish->message;
    bool prepares = message->prepare != NULL;
    if (producer == NULL && (message->sequence > 0 || message->epoch > 0 || message->no_gaps)) {
        return "publish: --first, --epoch and --no-gaps are of a --producer";
    }
    if (!prepares && (message->deadline_ms > 0 || message->commit_at_deadline || message->prepare_group != NULL ||
                      message->ask_after_ms > 0)) {
        return "publish: --deadline, --commit-at-deadline, --ask and --ask-after are of --prepare";
    }
    if (prepares && lines) {
        return "publish: --prepare is for one message, not for --lines";
    }
    if (message->commit_at_deadline && message->deadline_ms == 0) {
        return "publish: --commit-at-deadline needs a --deadline";
    }
    if ((message->prepare_group == NULL) != (message->ask_after_ms == 0)) {
        return "publish: --ask and --ask-after, both or none";
    }
    if (message->properties.delay_ms > 0 && message->properties.deliver_at_ms > 0) {
        return "publish: --delay or --deliver-at";
    }
    if (message->properties.also_keys_len > 0 && message->properties.exchange == NULL) {
        return "publish: --also-key is of an --exchange";
    }
    return NULL;
}
