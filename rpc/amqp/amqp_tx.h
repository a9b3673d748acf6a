/* Transactions of a channel (§1.9): what it publishes and settles waits for Commit, which is one command, carried out as a whole or not at
 * all. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_TX_H
#define HOLDFAST_RPC_AMQP_AMQP_TX_H

#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_unsettled.h"

struct amqp_message;

/* A settlement, on a channel with channel->tx set; the delivery has been taken out of what is unsettled, and is put back by Rollback.
 * ERR_NOMEM. When it is one too many the channel is closed with an error, which is no error here. */
int amqp_tx_settle(struct amqp_channel *channel, const struct amqp_unsettled_one *one,
                   enum amqp_outcome outcome) NODISCARD;

/* A message that was published, on such a channel, with its content whole; takes copies. As above. */
int amqp_tx_publish(struct amqp_channel *channel, const struct amqp_message *message) NODISCARD;

#endif
