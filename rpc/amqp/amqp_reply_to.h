/* RabbitMQ's direct reply-to: a client that asks consumes from a queue of this name, with no acknowledgements, and publishes with it as
 * reply-to; who answers finds a name that only it leads to.
 *
 * Here that name is an exclusive queue of the channel, which goes with its consumer: an answer reaches the client through a change of
 * the leader. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_REPLY_TO_H
#define HOLDFAST_RPC_AMQP_AMQP_REPLY_TO_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/message.pb-c.h"
#include "rpc/amqp/amqp_method.h"

struct amqp_channel;

#define AMQP_REPLY_QUEUE "amq.rabbitmq.reply-to"

/* Whether it is that name, or one that stands for it in messages. To most methods there are no such queues. */
bool amqp_reply_to_is(const char *queue);

/* Basic.Consume of AMQP_REPLY_QUEUE, whose tag has been looked at: makes the queue, then amqp_consume_queue(). */
void amqp_reply_to_consume(struct amqp_channel *channel, const struct amqp_basic_consume *method);
/* That consumer has ended, or was cancelled. */
void amqp_reply_to_end(struct amqp_channel *channel);

/* A message that is published with AMQP_REPLY_QUEUE as reply-to is given the name of the channel's queue, which lives as long as the
 * channel is not used further. False: there is no such consumer; the channel closes with an error. */
bool amqp_reply_to_publish(struct amqp_channel *channel, Holdfast__MessageHead *head);

/* Queue.Declare of such a name: answers whether somebody waits there. */
void amqp_reply_to_declare(struct amqp_channel *channel, const struct amqp_queue_declare *method, char *queue);

#endif
