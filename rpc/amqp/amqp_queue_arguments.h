/* The arguments of Queue.Declare: RabbitMQ's, and ours, to the options of a queue; and how two queues differ, in its words.
 *
 * Unknown arguments are taken and mean nothing, as in RabbitMQ. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_QUEUE_ARGUMENTS_H
#define HOLDFAST_RPC_AMQP_AMQP_QUEUE_ARGUMENTS_H

#include "proto/wire/command.pb-c.h"
#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_table.h"

/* What is wrong with an argument: "invalid arg 'NAME' for queue ...: REASON". */
struct amqp_argument_error {
    const char *name;
    char reason[160];
    bool of_exchange; /* It should name an exchange and is of type REASON: RabbitMQ has other words for that. */
};

/* Sets what the arguments say; strings are copied to the arena. False: one is not as it must be. */
bool amqp_queue_arguments_read(const struct amqp_headers *arguments, struct arena *arena,
                               Holdfast__QueueOptions *options, struct amqp_argument_error *ret_error);

/* Whether they ask for a quorum queue. */
bool amqp_queue_is_quorum(const struct amqp_headers *arguments);

struct amqp_queue_difference {
    const char *name;
    struct amqp_trait received;
    struct amqp_trait current;
};

/* The first thing, in RabbitMQ's order, in which a declaration differs from what is there. False: nothing. */
bool amqp_queue_options_differ(const Holdfast__QueueOptions *received, const Holdfast__QueueOptions *current,
                               struct amqp_queue_difference *ret_difference);
/* Likewise, in that which the machine does not compare. */
bool amqp_queue_durable_differs(const Holdfast__QueueOptions *received, const Holdfast__QueueOptions *current,
                                struct amqp_queue_difference *ret_difference);

#endif
