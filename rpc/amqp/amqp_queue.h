/* What declaring a queue leaves behind. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_QUEUE_H
#define HOLDFAST_RPC_AMQP_AMQP_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct amqp_channel;

/* The queue is there: the channel remembers it, and says so with these numbers, unless the client does not want to hear it. */
void amqp_queue_declared(struct amqp_channel *channel, const char *queue, uint64_t ready, uint64_t consumers,
                         bool no_wait);

#endif
