/* A client of one node's gateway that writes down what it is told. */

#ifndef HOLDFAST_NODE_TEST_CLIENT_H
#define HOLDFAST_NODE_TEST_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/command.pb-c.h"
#include "rpc/gateway.h"

#define CLIENT_RECORDS_MAX 20000u
#define CLIENT_LEASE_MS 5000u
#define CLIENT_ANSWER_MS 60u /* Within which an answer comes when all is well: two heartbeats. */

/* A node, as its clients know it. */
struct home {
    struct gateway *gateway;
    /* Lets everything happen that can happen now. */
    void (*settle)(struct home *home);
    void (*wait)(struct home *home, uint64_t ms);
};

struct client {
    struct home *home;
    struct gateway_link *link;
    uint8_t key;
    uint64_t attempt; /* Of the last attachment. */
    uint64_t number;  /* Of the last command. */
    unsigned attached;
    uint64_t session;
    uint64_t last_number;
    unsigned replies;
    struct client_reply_record {
        uint64_t number;
        uint32_t error;
        uint64_t count;
        uint64_t repeated_count;
    } * reply;
    unsigned ended; /* Subscriptions that it was told are over, and the last of them. */
    uint64_t ended_consumer;
    int ended_err;
    unsigned ended_after_deliveries;
    unsigned deliveries;
    struct client_delivery_record {
        uint64_t consumer;
        uint64_t number;
        uint32_t delivery_count;
        char body[16];
    } * delivery;
    bool detached;
    int detached_err;
    uint64_t detached_leader;
    unsigned takes; /* Deliveries that it takes before it pauses; 0: all. */
    unsigned resumes;
    unsigned flushes;
    bool unflushed; /* Something was said and not flushed yet. */
};

void client_init(struct client *client, struct home *home, uint8_t key);
/* Detaches, if it is attached. */
void client_done(struct client *client);
/* Its node has crashed, and the link with it. */
void client_cut(struct client *client);
/* Attaches without waiting. With `resume`, consumer 1 has been seen up to `seen`. */
int client_attach_only(struct client *client, bool resume, uint64_t seen);
/* Attaches and waits. */
void client_attach(struct client *client);
/* Resumes its session at another node, from what it says was carried out last. */
void client_move(struct client *client, struct home *home);
void client_detach(struct client *client);
/* Commands return what submit returned. */
int client_submit(struct client *client, const Holdfast__Command *message, struct slice bodies);
int client_declare(struct client *client, const char *queue);
int client_publish(struct client *client, const char *queue, const char *body);
/* It is there after so long, in log time. */
int client_publish_delayed(struct client *client, const char *queue, uint64_t delay_ms);
int client_publish_large(struct client *client, const char *queue, size_t len);
int client_subscribe(struct client *client, const char *queue, uint64_t consumer, uint32_t credit);
int client_unsubscribe(struct client *client, uint64_t consumer);
int client_delete(struct client *client, const char *queue);
int client_accept(struct client *client, uint64_t consumer, uint64_t first, uint64_t last);
int client_close_session(struct client *client);
/* What a protocol submits in place of a publish that is over its limit. */
int client_submit_refused(struct client *client);
/* Attaches, declares "q", and checks that it was done. */
void client_ready(struct client *client);

/* The reply in that place is for that command, with that outcome. */
void client_expect_reply(const struct client *client, unsigned at, uint64_t number, int err);
/* It was told that its link is over, and why. */
void client_expect_detached(const struct client *client, int err);

/* A read, and what came of it. */
struct reading {
    struct gateway_read read;
    struct home *home;
    unsigned done;
    int err;
    uint64_t ready; /* Of queue "q", in that moment; UINT64_MAX: there is none. */
};

void reading_start(struct reading *reading, struct home *home);

/* Ready and unsettled messages of a queue, as the node's replica has it. */
void home_queue(struct home *home, const char *name, uint64_t *ret_ready, uint64_t *ret_unsettled);
void home_expect_queue(struct home *home, uint64_t ready, uint64_t unsettled); /* "q". */

#endif
