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
    unsigned queues; /* How many there are: q000000 and so on. */
    int queues_err;
    unsigned messages;   /* In each queue, at positions from 1 on, */
    struct slice body;   /* each with this body. Borrowed. */
    unsigned things;     /* How many exchanges, bindings, virtual hosts, consumers and so on there are. */
    char last_look[256]; /* What was looked at of these: which name. */
    int transfer_err;
    uint64_t last_transfer;
    int repair_err;
    uint64_t last_repair;
    struct list_node changing; /* struct gateway_change: not done. */
    unsigned changes;          /* Asked for so far, */
    unsigned cancels;          /* and cancelled. */
    struct list_node reading;  /* Reads that are not done. */
    unsigned reads;            /* Asked for so far. */
    unsigned looks;            /* At queues and messages, outside of a read: a mistake. */
    bool in_read;

    struct gateway_attach last_attach; /* Without its pointers. */
    char last_virtual_host[256];
    char last_user[256];
    char last_client[256];
    uint64_t last_seen;
    unsigned attaches;
    unsigned detaches;
    unsigned pauses;
    bool paused;
    unsigned commands;
    uint64_t numbers[FAKE_COMMANDS_MAX];
    uint64_t last_answered;
    uint64_t answered[FAKE_COMMANDS_MAX]; /* As said with each of `numbers`. */
    struct slice last_header;             /* With a reference. */
    struct slice last_bodies;             /* With a reference. */
    bool keeps;                           /* All commands, in the order of `numbers`: */
    struct slice headers[FAKE_COMMANDS_MAX];
    struct slice bodies[FAKE_COMMANDS_MAX];
    const struct gateway_queue *queue_is;         /* The only queue, instead of `queues`, by its name; NULL: not so. */
    const Holdfast__DeclareExchange *exchange_is; /* Likewise the only exchange, instead of `things`. */
};

void fake_gateway_init(struct fake_gateway *fake);
void fake_gateway_done(struct fake_gateway *fake);

/* Ends the reads that are pending; returns how many. */
unsigned fake_gateway_read_done(struct fake_gateway *fake, int err);

/* Ends the oldest change that is pending. */
void fake_gateway_change_done(struct fake_gateway *fake, int err, const char *detail);
/* It, or NULL. */
const struct gateway_change *fake_gateway_changing(struct fake_gateway *fake);

/* The link ends from the gateway's side. */
void fake_gateway_detach(struct fake_gateway *fake, int err, const char *detail, const struct gateway_leader *leader);

#endif
