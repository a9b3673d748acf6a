/* RabbitMQ's words for what the machine refuses: clients depend on them. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_REFUSAL_H
#define HOLDFAST_RPC_AMQP_AMQP_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "rpc/gateway.h"

struct amqp_channel;
struct amqp_order;
struct amqp_session;

/* What the machine says of a refusal (statemachine/reply.h), where the error alone does not say enough: */
/* EXCLUSIVE: a queue has an exclusive consumer, or is to get one and has others; its other EXCLUSIVE is about exclusive queues; */
#define AMQP_SAID_EXCLUSIVE_USE "the queue has a consumer, and one of the two is exclusive"
/* or a fetch meets the active consumer of another session; */
#define AMQP_SAID_ACTIVE_CONSUMER "the queue has an active consumer of another session"
/* REFUSED: a publish was sent behind one that was not let in (Publish.in_order); */
#define AMQP_SAID_BEHIND "a publish before it failed, and its client did not know yet"
/* LIMIT: the virtual host has too many messages, so that all of a publish are refused. */
#define AMQP_SAID_READY_MESSAGES "the virtual host has as many ready messages as it may"

/* Whether a reply is that error, with these words. */
bool amqp_said(const struct gateway_reply *reply, int err, const char *words);

/* What a declaration says of one thing, or what is there. */
struct amqp_trait {
    enum { AMQP_TRAIT_NONE, AMQP_TRAIT_NUMBER, AMQP_TRAIT_FLAG, AMQP_TRAIT_TEXT } type;
    uint64_t number; /* A number; a flag: 0 or 1. */
    const char *text;
};

struct amqp_trait amqp_trait_flag(bool flag);
/* NULL: none. */
struct amqp_trait amqp_trait_text(const char *text);
struct amqp_trait amqp_trait_number(bool has, uint64_t number);
/* As a note has it (amqp_note.h); none, when it does not say. */
struct amqp_trait amqp_trait_durable(const char *note);
bool amqp_trait_equal(const struct amqp_trait *a, const struct amqp_trait *b);

/* 406: `what` ("queue", "exchange") of that name is there, with another `trait`. */
void amqp_inequivalent(struct amqp_channel *channel, uint32_t id, const char *what, const char *name, const char *trait,
                       const struct amqp_trait *received, const struct amqp_trait *current);

/* An error of a command about that queue: 404, 405, or amqp_reply_error(). */
void amqp_queue_refused(struct amqp_channel *channel, uint32_t id, const char *queue,
                        const struct gateway_reply *reply);
void amqp_queue_missing(struct amqp_channel *channel, uint32_t id, const char *queue);
void amqp_queue_locked(struct amqp_channel *channel, uint32_t id, const char *queue);
void amqp_exchange_missing(struct amqp_channel *channel, uint32_t id, const char *exchange);

/* ---- What there is: this node's replica. Within an order's done() it holds what was replied, and perhaps what came after ---- */

/* For done() of an order with `keep`: what it had asked for, in the session's arena, until that is reset. NULL: nobody is to be
 * answered, or there is no memory, and the session has failed. */
const Holdfast__Command *amqp_answered(const struct amqp_order *order, const struct gateway_reply *reply);

/* The queue of that name in the session's virtual host; false: there is none. Valid until the next look. */
bool amqp_queue_look(const struct amqp_session *session, const char *name, struct gateway_queue *ret_queue);
/* Likewise an exchange, which `see` is given, if it is not NULL. */
bool amqp_exchange_look(const struct amqp_session *session, const char *name, void *arg,
                        void (*see)(void *arg, const Holdfast__DeclareExchange *declared));

#endif
