/* A node's insides, shared by its files: node.c is its life, node_shard.c what its shard asks for, node_peers.c the other
 * nodes. */

#ifndef HOLDFAST_NODE_NODE_PRIVATE_H
#define HOLDFAST_NODE_NODE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "node/config.h"
#include "node/core/shard.h"
#include "node/core/state_dir.h"
#include "node/data_dir.h"
#include "node/node.h"
#include "node/posix_disk.h"
#include "node/system_clock.h"
#include "rpc/native/native_server.h"
#include "rpc/peer/peer_links.h"

#define SHARD_DIR "shard-0"

struct node {
    uv_loop_t *loop;
    const struct config *config;
    struct journal *journal;
    void *arg;
    void (*stopped)(void *arg, bool again);
    struct system_clock clock;
    struct data_dir *data_dir;
    struct posix_disk *disk;
    struct shard *shard;
    struct peer_links *peers;
    struct native_server *server;
    uv_timer_t due;      /* The shard's deadline. */
    uv_timer_t patience; /* The end of handing over. */
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uint64_t due_ms;
    uint64_t stranger_said_ms;         /* When a peer's foreign directory was complained of. */
    unsigned handles;                  /* Of the four above that are not closed. */
    struct state_dir state;            /* Which directory is the state's. */
    char copy[STATE_DIR_NAME_LEN_MAX]; /* That of one which is to take its place; "": none. */
    bool stopping;
    bool closing;
};

/* node.c: closes everything; `stopped` follows. Harmless when it has been called before. */
void node_close(struct node *node);
/* The process ends, with a line in the journal. */
_Noreturn void node_fatal(struct node *node, int err, const char *what);

/* node_shard.c: opens the state and the shard on it; one step after which the state is the copy that was fetched. `detail` gets
 * one line on error. */
int node_shard_open(struct node *node, char *detail, size_t detail_len) NODISCARD;
void node_shard_switch_state(struct node *node);

/* node_peers.c: listens, and begins to dial. `detail` gets one line on error. */
int node_peers_listen(struct node *node, char *detail, size_t detail_len) NODISCARD;

#endif
