/* Errors about queues and exchanges, in RabbitMQ's words. */

#include "rpc/amqp/amqp_refusal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rpc/amqp/amqp_note.h"
#include "rpc/amqp/amqp_session_private.h"

bool amqp_said(const struct gateway_reply *reply, int err, const char *words)
{
    return reply->error == (uint32_t)-err && reply->detail != NULL && strcmp(reply->detail, words) == 0;
}

/* ---- Inequivalent arguments ---- */

struct amqp_trait amqp_trait_flag(bool flag)
{
    return (struct amqp_trait){.type = AMQP_TRAIT_FLAG, .number = flag};
}

struct amqp_trait amqp_trait_text(const char *text)
{
    return (struct amqp_trait){.type = text != NULL ? AMQP_TRAIT_TEXT : AMQP_TRAIT_NONE, .text = text};
}

struct amqp_trait amqp_trait_number(bool has, uint64_t number)
{
    return (struct amqp_trait){.type = has ? AMQP_TRAIT_NUMBER : AMQP_TRAIT_NONE, .number = has ? number : 0};
}

struct amqp_trait amqp_trait_durable(const char *note)
{
    struct amqp_note read = amqp_note_read(note);
    return read.known ? amqp_trait_flag(read.durable) : (struct amqp_trait){.type = AMQP_TRAIT_NONE};
}

bool amqp_trait_equal(const struct amqp_trait *a, const struct amqp_trait *b)
{
    if (a->type != b->type) {
        return false;
    }
    return a->type == AMQP_TRAIT_TEXT ? strcmp(a->text, b->text) == 0 : a->number == b->number;
}

/* Names of up to 255 bytes, and what they are the value of, in words that are cut at 255 anyway. */
#define TRAIT_WORDS_MAX 320u
#define TRAIT_NUMBER_MAX 24u

static const char *trait_value(const struct amqp_trait *trait, char number[TRAIT_NUMBER_MAX])
{
    switch (trait->type) {
    case AMQP_TRAIT_TEXT: return trait->text;
    case AMQP_TRAIT_FLAG: return trait->number != 0 ? "true" : "false";
    case AMQP_TRAIT_NUMBER: (void)snprintf(number, TRAIT_NUMBER_MAX, "%" PRIu64, trait->number); return number;
    default: return "none";
    }
}

/* As RabbitMQ calls the type in which its clients send such a value. */
static const char *trait_type(const struct amqp_trait *trait)
{
    switch (trait->type) {
    case AMQP_TRAIT_TEXT: return "longstr";
    case AMQP_TRAIT_FLAG: return "bool";
    default: return trait->number <= INT32_MAX ? "signedint" : "long";
    }
}

/* When one side has none: "none", or "the value '1000' of type 'signedint'". */
static void trait_describe(const struct amqp_trait *trait, char words[TRAIT_WORDS_MAX])
{
    char value[TRAIT_NUMBER_MAX];
    if (trait->type == AMQP_TRAIT_NONE) {
        (void)snprintf(words, TRAIT_WORDS_MAX, "none");
    } else {
        (void)snprintf(words, TRAIT_WORDS_MAX, "the value '%s' of type '%s'", trait_value(trait, value),
                       trait_type(trait));
    }
}

void amqp_inequivalent(struct amqp_channel *channel, uint32_t id, const char *what, const char *name, const char *trait,
                       const struct amqp_trait *received, const struct amqp_trait *current)
{
    const char *host = channel->session->virtual_host;
    if (received->type != AMQP_TRAIT_NONE && current->type != AMQP_TRAIT_NONE) {
        char ours[TRAIT_NUMBER_MAX];
        char theirs[TRAIT_NUMBER_MAX];
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id,
                           "inequivalent arg '%s' for %s '%s' in vhost '%s': received '%s' but current is '%s'", trait,
                           what, name, host, trait_value(received, theirs), trait_value(current, ours));
        return;
    }
    char ours[TRAIT_WORDS_MAX];
    char theirs[TRAIT_WORDS_MAX];
    trait_describe(received, theirs);
    trait_describe(current, ours);
    amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id,
                       "inequivalent arg '%s' for %s '%s' in vhost '%s': received %s but current is %s", trait, what,
                       name, host, theirs, ours);
}

/* ---- What is not there, or not for everybody ---- */

void amqp_queue_missing(struct amqp_channel *channel, uint32_t id, const char *queue)
{
    amqp_channel_error(channel, AMQP_NOT_FOUND, id, "no queue '%s' in vhost '%s'", queue,
                       channel->session->virtual_host);
}

void amqp_queue_locked(struct amqp_channel *channel, uint32_t id, const char *queue)
{
    amqp_channel_error(channel, AMQP_RESOURCE_LOCKED, id,
                       "cannot obtain exclusive access to locked queue '%s' in vhost '%s'. It could be originally "
                       "declared on another connection or the exclusive property value does not match that of the "
                       "original declaration.",
                       queue, channel->session->virtual_host);
}

void amqp_exchange_missing(struct amqp_channel *channel, uint32_t id, const char *exchange)
{
    amqp_channel_error(channel, AMQP_NOT_FOUND, id, "no exchange '%s' in vhost '%s'", exchange,
                       channel->session->virtual_host);
}

void amqp_queue_refused(struct amqp_channel *channel, uint32_t id, const char *queue, const struct gateway_reply *reply)
{
    switch (-(int)reply->error) {
    case ERR_NOT_FOUND: amqp_queue_missing(channel, id, queue); break;
    case ERR_EXCLUSIVE: amqp_queue_locked(channel, id, queue); break;
    default: amqp_reply_error(channel, id, reply);
    }
}

/* ---- Looking ---- */

const Holdfast__Command *amqp_answered(const struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_session *session = order->channel->session;
    if (reply == NULL || !amqp_channel_is_open(order->channel)) {
        return NULL;
    }
    const Holdfast__Command *command =
        holdfast__command__unpack(&session->arena.protobuf, order->header.len, order->header.data);
    if (command == NULL) {
        amqp_session_fail(session, ERR_NOMEM); /* It was encoded here. */
    }
    return command;
}

bool amqp_queue_look(const struct amqp_session *session, const char *name, struct gateway_queue *ret_queue)
{
    struct gateway *gateway = session->gateway;
    return gateway->ops->queue(gateway, session->virtual_host, name, ret_queue) == 0 && ret_queue->options != NULL;
}

struct exchange_look {
    const char *name;
    void *arg;
    void (*see)(void *arg, const Holdfast__DeclareExchange *declared);
    bool found;
};

static bool look_each(void *arg, const struct gateway_exchange *exchange)
{
    struct exchange_look *look = arg;
    look->found = strcmp(exchange->declared->exchange, look->name) == 0;
    if (look->found && look->see != NULL) {
        look->see(look->arg, exchange->declared);
    }
    return false;
}

bool amqp_exchange_look(const struct amqp_session *session, const char *name, void *arg,
                        void (*see)(void *arg, const Holdfast__DeclareExchange *declared))
{
    /* A list begins behind a name. What stands right before this one is no name: 0xff is never part of UTF-8. */
    char before[NAME_LEN_MAX + 2];
    size_t len = strlen(name);
    if (len == 0 || len > NAME_LEN_MAX) {
        return len == 0;
    }
    memcpy(before, name, len);
    before[len - 1] = (char)(before[len - 1] - 1);
    before[len] = (char)0xff;
    before[len + 1] = '\0';
    struct exchange_look look = {.name = name, .arg = arg, .see = see};
    struct gateway *gateway = session->gateway;
    bool more;
    int err = gateway->ops->exchanges(gateway, session->virtual_host, before, &look, look_each, &more);
    return err == 0 && look.found;
}
