/* A node on a thread of its own for tests of the client library on real sockets: confirms every command, and delivers one
 * message to every subscription. */

#ifndef HOLDFAST_RPC_TEST_HF_NODE_H
#define HOLDFAST_RPC_TEST_HF_NODE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fake_gateway.h"
#include "net_fixture.h"
#include "rpc/client/hf.h"
#include "rpc/native/native_server.h"

struct hf_node {
    uv_loop_t loop;
    uv_check_t check;
    uv_async_t stop;
    struct fake_gateway fake;
    const struct gateway_ops *fake_ops; /* Its own, when a test puts others before them. */
    struct native_server *server;
    bool greeted;
    unsigned replied;
    uint64_t last_number;
    unsigned settled;
    char address[32];
    /* Answers a command in the test's way, on the node's thread; false: in the usual one. NULL: always. */
    bool (*script)(struct hf_node *node, uint64_t number, const Holdfast__Command *command);
    atomic_int scripted; /* For the script. */
    atomic_bool full;    /* Refuses commands. */
    atomic_bool mute;    /* Leaves commands unanswered. Deliveries go out all the same. */
    pthread_t thread;
};

void hf_node_start(struct hf_node *node);
/* The same with a node that lets clients go when it has not heard of them for so long. */
void hf_node_start_strict(struct hf_node *node, uint64_t idle_timeout_ms);
void hf_node_stop(struct hf_node *node);

/* For scripts: an answer without an error; and a delivery, under a lock. */
void hf_node_reply(struct hf_node *node, uint64_t number, uint64_t count, uint64_t repeated);
void hf_node_deliver(struct hf_node *node, uint64_t consumer, uint64_t number);

/* A blocking client of it. */
struct hf *hf_node_client(const struct hf_node *node);

#endif
