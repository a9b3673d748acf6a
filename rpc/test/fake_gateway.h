/* A gateway that does what a test tells it and notes what it is asked. */

#ifndef HOLDFAST_RPC_TEST_FAKE_GATEWAY_H
#define HOLDFAST_RPC_TEST_FAKE_GATEWAY_H

#include "rpc/gateway.h"

#define FAKE_COMMANDS_MAX 256u

struct fake_gateway {
    struct gateway base;
    struct gateway_link link;
    struct gateway_sink sink; /* Of the attached session. */
    bool attached;
    int leader_err; /* What leader() says. */
    struct gateway_leader leader;
    int attach_err;
    int submit_err;
    unsigned queues; /* How many there are. */
    int queues_err;

    struct gateway_attach last_attach; /* Without its pointers. */
    char last_virtual_host[256];
    char last_client[256];
    uint64_t last_seen;
    unsigned attaches;
    unsigned detaches;
    unsigned pauses;
    bool paused;
    unsigned commands;
    uint64_t numbers[FAKE_COMMANDS_MAX];
    uint64_t last_answered;
    struct slice last_header; /* With a reference. */
    struct slice last_bodies; /* With a reference. */
};

void fake_gateway_init(struct fake_gateway *fake);
void fake_gateway_done(struct fake_gateway *fake);

/* The link ends from the gateway's side. */
void fake_gateway_detach(struct fake_gateway *fake, int err, const char *detail, const struct gateway_leader *leader);

#endif
