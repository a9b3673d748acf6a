/* The network: frames between nodes, and clients' connections.
 *
 * Between nodes a frame may be late, lost, repeated or out of order, links may be cut one way or both, and a connection
 * may break with all that is under way. Frames of a client's connection arrive in order or not at all: a connection
 * that loses a frame carries none after it, until both sides notice that it broke. */

#ifndef HOLDFAST_CHAOS_SIM_NET_H
#define HOLDFAST_CHAOS_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/frame.h"
#include "rpc/native/native_session.h"
#include "sim_random.h"

struct sim_world;
struct sim_node;
struct sim_client;

struct sim_link {
    bool cut;
    uint64_t epoch;   /* Counts connections: what was sent on an earlier one does not arrive. */
    uint64_t last_us; /* When the last frame arrives. */
};

struct sim_net {
    struct sim_random random;
    struct sim_link links[5][5]; /* From, to. */
    bool client_cut[8][5];       /* Client, node. */
    uint64_t delay_us;           /* Mean, one way. */
    uint64_t lost;               /* Per million frames between nodes. */
    uint64_t repeated;
    uint64_t reordered;
    struct sim_conn *conns; /* Newest first; all live as long as the world. */
    uint64_t conns_len;
};

/* A client's connection. Either side may be gone before the other notices. */
struct sim_conn {
    struct sim_conn *next;
    struct sim_world *world;
    uint64_t id;
    struct sim_client *client; /* NULL: the client's side is over. */
    struct sim_node *node;     /* NULL: the node's side is over. */
    struct native_session *session;
    unsigned client_index;
    unsigned node_index;
    bool lost;    /* Carries nothing any more. */
    bool held;    /* The node does not read. */
    bool closing; /* The node closes it. */
    bool congested;
    uint64_t to_node_us; /* When the last frame each way arrives. */
    uint64_t to_client_us;
    struct frame *waiting; /* Frames that arrived while the node did not read. */
    unsigned waiting_len;
    unsigned waiting_cap;
};

/* Draws how the network of this seed behaves. */
void sim_net_init(struct sim_world *world);
void sim_net_done(struct sim_world *world);
/* From now on nothing is lost, repeated or cut. */
void sim_net_heal(struct sim_world *world);

/* Sends a frame between nodes. Takes ownership. */
void sim_net_send(struct sim_world *world, unsigned from, unsigned to, struct frame_out *frame);
/* Breaks the connection from one node to another: what is under way is lost. */
void sim_net_break(struct sim_world *world, unsigned from, unsigned to);
/* Cuts or mends a link, one way. */
void sim_net_cut(struct sim_world *world, unsigned from, unsigned to, bool cut);

/* A client opens a connection; it hears of it later. */
struct sim_conn *sim_conn_open(struct sim_world *world, struct sim_client *client, unsigned node);
/* The client sends a frame. Takes ownership. */
void sim_conn_send(struct sim_conn *conn, struct frame_out *frame);
/* The client closes its side: it hears nothing any more. */
void sim_conn_close(struct sim_conn *conn);
/* Breaks it: both sides hear of it at some time, apart. */
void sim_conn_break(struct sim_conn *conn);
/* The node is gone: frees its sides of all connections, at once. */
void sim_net_node_gone(struct sim_world *world, struct sim_node *node);

#endif
