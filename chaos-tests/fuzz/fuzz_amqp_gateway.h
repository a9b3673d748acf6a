/* A gateway for the fuzzer of AMQP sessions: it takes commands as the cluster's would, and answers and delivers as chance has it, within
 * what the gateway promises (rpc/gateway.h): one reply for each command, in order; deliveries of consumers that there are, by number. */

#ifndef HOLDFAST_CHAOS_TESTS_FUZZ_AMQP_GATEWAY_H
#define HOLDFAST_CHAOS_TESTS_FUZZ_AMQP_GATEWAY_H

#include "fake_gateway.h"

#define FUZZ_AMQP_PENDING_MAX 200u
#define FUZZ_AMQP_CONSUMERS_MAX 64u

/* A command that is not answered. */
struct fuzz_amqp_pending {
    uint64_t number;
    Holdfast__Command__KindCase kind;
    uint64_t consumer; /* Of Subscribe and Unsubscribe. */
    bool fetch;
    bool more;
    bool auto_accept;
    bool drain;
    unsigned messages; /* Of Publish. */
};

struct fuzz_amqp_consumer {
    uint64_t id; /* 0: none. */
    uint64_t deliveries;
    bool fetch;
    bool given; /* A fetch: its message. */
    bool drained;
};

struct fuzz_amqp_gateway {
    struct fake_gateway fake;
    uint64_t chance; /* The state of the random numbers. */
    unsigned seen;   /* Commands of the fake. */
    struct fuzz_amqp_pending pending[FUZZ_AMQP_PENDING_MAX];
    unsigned pending_len;
    struct fuzz_amqp_consumer consumers[FUZZ_AMQP_CONSUMERS_MAX];
    bool busy;
    struct blob *messages[3]; /* Heads with bodies behind them, */
    size_t head_len[3];
    struct blob *trail; /* and a trail. */
};

/* The first numbers come from `seed`. */
void fuzz_amqp_gateway_init(struct fuzz_amqp_gateway *gateway, uint64_t seed);
void fuzz_amqp_gateway_done(struct fuzz_amqp_gateway *gateway);

uint64_t fuzz_amqp_chance(struct fuzz_amqp_gateway *gateway, uint64_t below);
/* Does something, or nothing. */
void fuzz_amqp_gateway_act(struct fuzz_amqp_gateway *gateway);
/* Answers all that is not answered, with and without errors, and the commands that follow from these; takes commands again. */
void fuzz_amqp_gateway_settle(struct fuzz_amqp_gateway *gateway);

#endif
