/* What clients were told, against what they then saw.
 *
 * A message is known by its producer and sequence, which stand in its body. The rules need no global clock:
 *   - a message that was confirmed is consumed in the end, and no message is at two positions of a queue (so none is
 *     enqueued twice);
 *   - sequences of a producer have rising positions;
 *   - the deliveries of a message are counted: two tokens with the same count would be two valid holders;
 *   - once an acceptance is confirmed there is no delivery with a higher count, before or after;
 *   - a message that its holder has not given up is delivered to nobody else while the holder's session lives;
 *   - a message whose publish was refused is in no queue, unless it was sent once more. */

#ifndef HOLDFAST_CHAOS_SIM_HISTORY_H
#define HOLDFAST_CHAOS_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "rpc/client/client_core.h"
#include "sim_limits.h"

struct sim_world;

#define SIM_BODY_LEN_MIN 16u

/* Who holds a delivery: consumers are numbered through the whole run. */
struct sim_token {
    uint64_t consumer;
    uint64_t number;
    uint64_t session;
    bool given_up; /* Its holder has settled it or ended the subscription. */
};

struct sim_message {
    bool sent;
    bool confirmed;
    bool refused; /* Never in a queue. */
    bool absent;  /* Refused, and not sent again yet. */
    bool was_refused;
    bool known;               /* Confirmed or delivered: counted for reads. */
    unsigned loose;           /* Publishes of it whose outcome is not known. */
    uint64_t settled_us;      /* When its acceptance was confirmed. */
    bool maybe_settled;       /* A settlement of it has an unknown outcome. */
    int64_t settled_count;    /* Delivery count of the token whose settlement was confirmed; -1: none. */
    uint64_t position;        /* 0: not delivered yet. */
    struct sim_token *tokens; /* By delivery count. */
    unsigned tokens_len;
};

struct sim_producer_history {
    struct sim_message *messages; /* By sequence - 1. */
    uint64_t len;
    uint64_t cap;
    unsigned queue;
    bool named;
};

struct sim_history {
    struct sim_producer_history producers[SIM_CLIENTS_MAX];
    uint64_t missing; /* At the end, of the queue that is purged: confirmed, and accepted by nobody. */
};

void sim_history_done(struct sim_history *history);

/* The body of a message. The caller owns the slice. */
struct slice sim_history_body(const struct sim_world *world, unsigned producer, uint64_t sequence);

void sim_history_sent(struct sim_world *world, unsigned producer, uint64_t first, uint64_t count);
void sim_history_published(struct sim_world *world, unsigned producer, uint64_t first, uint64_t count, int err,
                           uint64_t enqueued, uint64_t repeated);

/* A delivery arrived. Gives the message it is of. */
void sim_history_delivered(struct sim_world *world, unsigned queue, uint64_t session,
                           const struct client_delivery *delivery, uint64_t *ret_message);
/* The holder lets go of a delivery. */
void sim_history_given_up(struct sim_world *world, uint64_t message, uint32_t delivery_count);
/* A look into the queue, asked for at that time, found it. */
void sim_history_browsed(struct sim_world *world, unsigned queue, uint64_t position, struct slice body,
                         uint64_t asked_us);
/* A settlement ended; `message` is what sim_history_delivered() gave, for each delivery named. */
struct sim_settled {
    uint64_t message;
    uint32_t delivery_count;
};
void sim_history_settled(struct sim_world *world, const struct sim_settled *items, size_t len, bool final, int err,
                         uint64_t settled, uint64_t stale);

/* All is drained: holds everything against everything. */
void sim_history_end(struct sim_world *world);

#endif
