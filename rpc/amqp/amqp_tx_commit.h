/* A transaction that is being committed. For the files of amqp_tx.h only. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_TX_COMMIT_H
#define HOLDFAST_RPC_AMQP_AMQP_TX_COMMIT_H

#include "rpc/amqp/amqp_publishing.h"
#include "rpc/amqp/amqp_tx.h"

/* What one command may have of them: the machine's limits. */
#define AMQP_TX_PARTS_MAX 256u

struct amqp_tx_settlement {
    struct amqp_unsettled_one one;
    enum amqp_outcome outcome;
};

struct amqp_tx {
    struct list_node publishes; /* struct amqp_gathered, by `kept`: each a Publish. */
    unsigned publishes_len;
    unsigned messages;
    size_t bytes; /* Of the messages, counted in the session's budget. */
    struct amqp_tx_settlement *settlements;
    size_t settlements_len;
    size_t settlements_cap;
};

/* Takes what is in the transaction, and submits it; Commit-Ok, or an error, follows. */
void amqp_tx_commit(struct amqp_channel *channel, struct amqp_tx *tx);
/* Makes it empty. */
void amqp_tx_empty(struct amqp_session *session, struct amqp_tx *tx);

#endif
