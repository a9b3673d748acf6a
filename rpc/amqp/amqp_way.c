/* Whether the exchange that a message names is there and can be published to. What this node knows is looked at first; when that says no, the
 * cluster is asked: the node may be behind. */

#include <string.h>

#include "rpc/amqp/amqp_publishing.h"

static bool is_built_in(const char *name)
{
    static const char *const names[] = {"", "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

struct looking {
    const char *name;
    struct amqp_exchange_seen seen;
};

static bool look_at(void *arg, const struct gateway_exchange *exchange)
{
    struct looking *looking = arg;
    if (strcmp(exchange->declared->exchange, looking->name) == 0) {
        looking->seen = (struct amqp_exchange_seen){
            .there = true, .internal = exchange->declared->internal, .delayed = exchange->declared->delayed};
    }
    return false;
}

/* What this node knows now. */
static struct amqp_exchange_seen exchange_see(struct amqp_session *session, const char *name)
{
    if (is_built_in(name)) {
        return (struct amqp_exchange_seen){.there = true};
    }
    /* Right before it there is no other name: 0xff is in none. */
    char before[NAME_LEN_MAX + 2];
    size_t len = strlen(name);
    memcpy(before, name, len);
    before[len - 1]--;
    before[len] = (char)0xff;
    before[len + 1] = '\0';
    struct looking looking = {.name = name};
    bool more;
    (void)session->gateway->ops->exchanges(session->gateway, session->virtual_host, before, &looking, look_at, &more);
    return looking.seen;
}

static void missing(struct amqp_channel *channel, const char *exchange)
{
    amqp_channel_error(channel, AMQP_NOT_FOUND, AMQP_basic_publish, "no exchange '%s' in vhost '%s'", exchange,
                       channel->session->virtual_host);
}

static void internal(struct amqp_channel *channel, const char *exchange)
{
    amqp_channel_error(channel, AMQP_ACCESS_REFUSED, AMQP_basic_publish,
                       "cannot publish to internal exchange '%s' in vhost '%s'", exchange,
                       channel->session->virtual_host);
}

bool amqp_exchange_was_closed(struct amqp_channel *channel, const char *exchange)
{
    struct amqp_exchange_seen seen = exchange_see(channel->session, exchange);
    if (!seen.there) {
        missing(channel, exchange);
    } else if (seen.internal) {
        internal(channel, exchange);
    }
    return !seen.there || seen.internal;
}

/* ---- Asking ---- */

static void on_asked(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_channel *channel = order->channel;
    struct amqp_incoming *incoming = channel->incoming;
    if (reply == NULL || !amqp_channel_is_open(channel) || incoming == NULL || incoming->state != AMQP_INCOMING_ASKS) {
        return;
    }
    if (reply->error == (uint32_t)-ERR_NOT_FOUND) {
        missing(channel, incoming->exchange);
    } else if (reply->error != 0) {
        amqp_reply_error(channel, AMQP_basic_publish, reply);
    } else {
        incoming->asked = true;
        amqp_content_answered(channel);
        arena_reset(&channel->session->arena);
    }
}

static void ask(struct amqp_incoming *incoming)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = incoming->exchange;
    declare.passive = true;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    incoming->state = AMQP_INCOMING_ASKS;
    amqp_submit(
        incoming->channel->session,
        &(struct amqp_order){.channel = incoming->channel, .id = AMQP_basic_publish, .blocks = true, .done = on_asked},
        &command, (struct slice){0});
}

bool amqp_exchange_is_open(struct amqp_incoming *incoming, bool *ret_delayed)
{
    struct amqp_session *session = incoming->channel->session;
    if (is_built_in(incoming->exchange)) {
        return true;
    }
    struct amqp_batch *batch = amqp_batch_of(session);
    if (batch == NULL) {
        return false;
    }
    if (!batch->has_seen || incoming->asked || strcmp(batch->seen_name, incoming->exchange) != 0) {
        batch->seen = exchange_see(session, incoming->exchange);
        batch->has_seen = true;
        (void)strcpy(batch->seen_name, incoming->exchange);
    }
    if (incoming->asked && batch->seen.internal) {
        internal(incoming->channel, incoming->exchange);
        return false;
    }
    if (!incoming->asked && (!batch->seen.there || batch->seen.internal)) {
        ask(incoming);
        return false;
    }
    *ret_delayed = batch->seen.delayed;
    return true;
}
