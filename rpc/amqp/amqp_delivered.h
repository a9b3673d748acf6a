/* What a consumer is told of a message beside its body: where it was published to, and its properties. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_DELIVERED_H
#define HOLDFAST_RPC_AMQP_AMQP_DELIVERED_H

#include "rpc/amqp/amqp_consumers.h"

struct amqp_delivered {
    struct amqp_bytes exchange;
    struct amqp_bytes routing_key;
    struct amqp_bytes properties; /* Flags and values. */
    struct bytes encoded;         /* They lie here, */
    struct arena *arena;          /* the others there, or in the delivery. */
    struct arena own;             /* When there is much of it. */
};

/* Of a delivery to that consumer. The arena must be empty; it is emptied again when this is ended. ERR_NOMEM. */
int amqp_delivered_make(const struct amqp_consumer *consumer, const struct gateway_delivery *delivery,
                        struct arena *arena, struct amqp_delivered *ret_delivered) NODISCARD;
void amqp_delivered_done(struct amqp_delivered *delivered);

#endif
