/* The consumers of an AMQP session: its subscriptions, and its fetches (basic.get), by the numbers that the machine knows them by.
 *
 * A consumer is there from its Subscribe until it has ended: because its queue went, because it was cancelled and all that it was given is
 * settled, or with its channel. A delivery for one that is not there any more goes back with it, and is nobody's. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_CONSUMERS_H
#define HOLDFAST_RPC_AMQP_AMQP_CONSUMERS_H

#include "rpc/amqp/amqp_session_private.h"

/* What becomes of a delivery. The first three are those of Settle, with its numbers. */
enum amqp_outcome {
    AMQP_ACCEPT,
    AMQP_REJECT,
    AMQP_RELEASE,
    AMQP_UNSEEN, /* It goes back as if it had never been delivered: the client was not told of it. */
    AMQP_OUTCOMES,
};

/* Whether the client is told how often a message came back: x-delivery-count. */
enum amqp_counting {
    AMQP_COUNT_RETURNS, /* When it did. */
    AMQP_COUNT_ALWAYS,  /* As RabbitMQ does in quorum queues; */
    AMQP_COUNT_NEVER,   /* in classic ones. */
};

struct amqp_getting;

struct amqp_consumer {
    uint64_t number;
    struct amqp_channel *channel; /* A reference. */
    struct list_node of_channel;
    struct amqp_consumer *next;   /* In its bucket. */
    struct amqp_getting *getting; /* amqp_get.c: the answer to basic.get is still to be given. */
    enum amqp_counting counting;  /* amqp_counting_of() its queue, from the reply to Subscribe on. */
    bool fetch;                   /* Of basic.get. */
    bool no_ack;
    bool cancelled;                /* Its tag may be given to another; */
    bool quiet;                    /* and the client was told so: it is given nothing more. */
    uint16_t limit;                /* Deliveries that may be unsettled, as was asked for: 1 to CREDIT_MAX; */
    uint16_t credit;               /* as the machine was told last. */
    uint32_t held;                 /* Deliveries that the client has and has not settled. */
    uint64_t fetched;              /* Deliveries of a fetch so far: the number of the last one. */
    uint64_t turn;                 /* amqp_shared_choose()'s. */
    uint32_t piles[AMQP_OUTCOMES]; /* amqp_settle.c: where its settlements are gathered; 0: there are none. */
    const char *queue;             /* Within `text`, as */
    struct amqp_bytes tag;         /* this; empty: a fetch. */
    char text[];
};

/* ---- The table: amqp_consumers.c ---- */

/* One more, with the next number; it is not known to the machine yet. ERR_NOMEM. */
int amqp_consumer_new(struct amqp_channel *channel, const char *queue, struct amqp_bytes tag,
                      struct amqp_consumer **ret_consumer) NODISCARD;
/* NULL: there is none of that number, or no more. */
struct amqp_consumer *amqp_consumer_find(struct amqp_session *session, uint64_t number);
/* The one of that tag, unless it was cancelled; or NULL. */
struct amqp_consumer *amqp_consumer_tagged(struct amqp_channel *channel, struct amqp_bytes tag);
/* It has ended. What the client has of it stays unsettled there, and can be settled, to no effect. */
void amqp_consumer_free(struct amqp_consumer *consumer);
/* That of a list node of channel->consumers. */
struct amqp_consumer *amqp_consumer_of(struct list_node *node);
/* Of a queue of that name, as it is now. */
enum amqp_counting amqp_counting_of(const struct amqp_session *session, const char *queue);

/* ---- Beginning: amqp_consume.c ---- */

/* Subscribes to the queue as basic.consume asks, and answers it. `method->queue` is not looked at; the tag has been checked, or is
 * empty: one is made up. */
void amqp_consume_queue(struct amqp_channel *channel, const struct amqp_basic_consume *method, const char *queue);
/* What a refused Subscribe is to the client. */
void amqp_consume_refused(struct amqp_channel *channel, uint32_t id, const char *queue,
                          const struct gateway_reply *reply);
/* Ends a subscription for the machine: Unsubscribe. `order` as for amqp_submit(). */
void amqp_unsubscribe(struct amqp_session *session, const struct amqp_order *order, uint64_t consumer, bool drain);

/* ---- What may be out: amqp_qos.c ---- */

/* What a consumer that begins is to have as credit. */
uint16_t amqp_qos_credit(const struct amqp_consumer *consumer);
/* Whether the channel has as many unsettled deliveries of its consumers as basic.qos with `global` allows. */
bool amqp_qos_is_full(const struct amqp_channel *channel);
/* The client has been given a delivery of the consumer, which it is to settle unless there are no acknowledgements. */
void amqp_qos_given(struct amqp_consumer *consumer);
/* A delivery would be the one too many: it goes back, and the consumer is to be given no more until there is room. */
void amqp_qos_refuse(struct amqp_consumer *consumer, uint64_t number);
/* It has settled one (with a transaction: when that is committed); the consumer may have ended. */
void amqp_consumer_settled(struct amqp_session *session, uint64_t consumer);
/* Consumers are given what there is room for again. */
void amqp_qos_restore(struct amqp_channel *channel);

/* ---- Which of several consumers is given what there is room for: amqp_shared.c ---- */

/* Whether the channel's consumers share a limit. */
bool amqp_shared_is(const struct amqp_channel *channel);
/* Keeps a delivery until the turn is over. When there is no memory the session fails. */
void amqp_shared_collect(struct amqp_consumer *consumer, const struct gateway_delivery *delivery);
/* What was kept is delivered, as far as there is room; the rest goes back. */
void amqp_shared_choose(struct amqp_channel *channel);
/* The channel closes. */
void amqp_shared_done(struct amqp_channel *channel);

/* ---- Settling: amqp_settle.c ---- */

/* Gathers a settlement. When there is no memory the session fails. */
void amqp_settle(struct amqp_session *session, uint64_t consumer, uint64_t number, enum amqp_outcome outcome);
/* The channel is to be looked at when the gathered settlements go: amqp_shared_choose() before them, amqp_qos_restore() behind. */
void amqp_settle_makes_room(struct amqp_channel *channel);

/* ---- Deliveries: amqp_deliver.c, amqp_get.c ---- */

/* The client is sent it. The arena is as for amqp_delivered_make(). */
void amqp_deliver_now(struct amqp_consumer *consumer, const struct gateway_delivery *delivery, struct arena *arena);

/* A fetch was given a message, */
void amqp_get_given(struct amqp_consumer *consumer, const struct gateway_delivery *delivery);
/* or that message went back before it could be given: delivery `number`; anything else is not looked at; */
void amqp_get_taken_back(struct amqp_consumer *consumer, uint64_t number);
/* or has ended; it is freed. */
void amqp_get_ended(struct amqp_consumer *consumer);
/* Its channel closes: nobody is answered. */
void amqp_getting_done(struct amqp_consumer *consumer);

#endif
