/* A cluster of one on simulated disk, store and clock, and clients that write down what they are told. */

#ifndef HOLDFAST_NODE_TEST_ONE_NODE_H
#define HOLDFAST_NODE_TEST_ONE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/core/shard.h"
#include "sim/sim_disk.h"
#include "sim/store_memory.h"

struct one_clock {
    struct clock base;
    uint64_t now_ms;
    uint64_t wall_jump_ms;
    uint64_t random;
};

struct one_node {
    struct one_clock clock;
    struct sim_disk *disk;
    struct store_memory_disk *rows;
    struct shard_options options;
    struct shard *shard;
    struct gateway *gateway;
};

/* A new node that has become leader. `options` may be NULL, or give lengths and members. */
void one_node_start(struct one_node *node, const struct shard_options *options);
/* Opens the shard on what disk and store hold, without waiting for anything. */
void one_node_open(struct one_node *node);
/* Loses what is not synced, and opens again; waits until it leads. */
void one_node_crash(struct one_node *node);
void one_node_stop(struct one_node *node);
/* Steps and completes what the disk was asked to do, until nothing moves. */
void one_node_settle(struct one_node *node);
/* The same after the clock has moved on. */
void one_node_wait(struct one_node *node, uint64_t ms);
/* Ready and unsettled messages of a queue. */
void one_node_queue(struct one_node *node, const char *name, uint64_t *ret_ready, uint64_t *ret_unsettled);

#define CLIENT_RECORDS_MAX 20000u

struct client {
    struct one_node *node;
    struct gateway_link *link;
    uint8_t key;
    uint64_t number; /* Of the last command. */
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
    unsigned resumes;
    unsigned flushes;
    bool unflushed; /* Something was said and not flushed yet. */
};

void client_init(struct client *client, struct one_node *node, uint8_t key);
void client_done(struct client *client);
/* Attaches and waits. With `resume`, consumer 1 has been seen up to `seen`. */
int client_attach_only(struct client *client, bool resume, uint64_t seen);
void client_attach(struct client *client);
/* Commands return what submit returned. */
int client_declare(struct client *client, const char *queue);
int client_publish(struct client *client, const char *queue, const char *body);
int client_publish_large(struct client *client, const char *queue, size_t len);
int client_subscribe(struct client *client, const char *queue, uint64_t consumer, uint32_t credit);
int client_unsubscribe(struct client *client, uint64_t consumer);
int client_delete(struct client *client, const char *queue);
int client_accept(struct client *client, uint64_t consumer, uint64_t first, uint64_t last);
int client_close_session(struct client *client);
/* What a protocol submits in place of a publish that is over its limit. */
int client_submit_refused(struct client *client);
/* Sends the last publish again under its number. */
int client_publish_again(struct client *client, const char *queue, const char *body);
/* Attaches, declares "q", and checks that it was done. */
void client_ready(struct client *client);

#endif
