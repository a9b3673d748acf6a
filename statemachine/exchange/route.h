/* The way of a message from an exchange to its queues.
 *
 * Bindings between exchanges are followed, each exchange is visited once, and where no binding at all matched the alternate exchange
 * is visited, if there is one. What was found does not depend on anything but exchanges, bindings and queues. */

#ifndef HOLDFAST_STATEMACHINE_EXCHANGE_ROUTE_H
#define HOLDFAST_STATEMACHINE_EXCHANGE_ROUTE_H

#include "statemachine/exchange/exchange.h"

/* Exchanges visited on the way of one message: those behind are not. Publishing such a message is refused; a dead letter, and what was
 * kept aside, goes to the queues that were found by then. */
#define ROUTE_EXCHANGES_MAX 4096u

/* What of a message its way depends on; borrowed. A message with several keys (CC, BCC) goes where any of them leads, and an
 * alternate exchange is for those of which none leads anywhere. */
struct route_message {
    const struct slice *keys;
    size_t keys_len;
    struct slice head; /* The encoded MessageHead, for its headers; empty: there are none. */
};

/* The queues, each once, in order of id. Zeroed at first; keeps its memory from message to message. */
struct route {
    struct queue **queues; /* Valid until a queue goes. */
    size_t len;
    size_t cap;
    bool cut;        /* There were more exchanges than ROUTE_EXCHANGES_MAX. */
    uint64_t looked; /* Keys looked for and bindings looked at; 0 when the way was known. */
};

/* Finds the way of a message that is published to an exchange. ERR_NOMEM. */
int route(struct machine *machine, struct exchange *exchange, const struct route_message *message,
          struct route *ret_route) NODISCARD;
void route_done(struct route *route);

#endif
