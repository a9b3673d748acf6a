/* Settling deliveries: how a message that was out with a consumer leaves its queue, or comes back to it. */

#ifndef HOLDFAST_STATEMACHINE_COMMAND_SETTLE_H
#define HOLDFAST_STATEMACHINE_COMMAND_SETTLE_H

#include "proto/wire/command.pb-c.h"
#include "statemachine/session/consumer.h"

/* Settles a delivery that the consumer holds, as `settle` says (its numbers aside). The turn of the consumer is the caller's:
 * consumer_settled(). ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int settle_delivery(struct machine *machine, struct consumer *consumer, struct delivery *delivery,
                    const Holdfast__Settle *settle) NODISCARD;

/* A message that was taken for the consumer is accepted, with what is kept and noted of it. It is not among what the consumer
 * holds (any more). Likewise. */
int settle_accept(struct machine *machine, struct consumer *consumer, const struct delivery *delivery) NODISCARD;

#endif
