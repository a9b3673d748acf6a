/* What a channel has been given and has not settled: delivery tags, to the numbers that the machine settles by. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_UNSETTLED_H
#define HOLDFAST_RPC_AMQP_AMQP_UNSETTLED_H

#include "rpc/amqp/amqp_session_private.h"

struct amqp_unsettled_one {
    uint64_t tag;      /* Of the channel; rising. */
    uint64_t consumer; /* Its number; it may have ended. 0: none, this place is empty. */
    uint64_t number;   /* Of the delivery. */
};

/* In order of tags. What is settled in the middle leaves a place empty, until there are more of those than others. */
struct amqp_unsettled {
    struct amqp_unsettled_one *ones;
    size_t first; /* The first that is not empty, if there is one, */
    size_t last;  /* and behind the last. */
    size_t cap;
    size_t len;                     /* Without the empty places. */
    uint32_t of_consumers;          /* Of those, the deliveries of consumers that are still there: not of fetches. */
    bool makes_room;                /* amqp_settle_makes_room() */
    bool stopped;                   /* amqp_qos.c: there are consumers with less credit than they may have. */
    struct amqp_shared_one *shared; /* amqp_shared.c: deliveries of this turn that are still to be chosen from. */
    unsigned shared_len;
    unsigned shared_cap;
};

/* Of a channel; it is made when there is none. NULL: out of memory. */
struct amqp_unsettled *amqp_unsettled_of(struct amqp_channel *channel);

/* Adds a delivery, of which the client will be told with the tag channel->last_tag + 1. ERR_NOMEM. */
int amqp_unsettled_add(struct amqp_channel *channel, uint64_t consumer, uint64_t number) NODISCARD;

/* Takes out the delivery of that tag, or (multiple) all up to it, 0 being the last; gives each to `each`, in order of tags; when that closes
 * the channel it was the last. ERR_NOT_FOUND: there is none of that tag, and nothing was taken. (§1.8.3.13; as RabbitMQ, all of none is no
 * error.) */
int amqp_unsettled_take(struct amqp_channel *channel, uint64_t tag, bool multiple, void *arg,
                        void (*each)(void *arg, const struct amqp_unsettled_one *one)) NODISCARD;

/* Puts back what was taken out, in order of tags. ERR_NOMEM: nothing was. */
int amqp_unsettled_put_back(struct amqp_channel *channel, const struct amqp_unsettled_one *ones, size_t len) NODISCARD;

/* Whether the client has that delivery, and has not settled it. Takes time in proportion to what it has. */
bool amqp_unsettled_has(const struct amqp_channel *channel, uint64_t consumer, uint64_t number);

#endif
