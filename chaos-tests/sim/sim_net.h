/* The network between nodes, and how it is cut.
 *
 * As in rpc/peer, each node dials every other and sends on the connection that it dialled. What was taken arrives in
 * order, or the connection ends: then everything under way is lost, the sender is told after a while (until then what it
 * sends is taken and lost too), and dials again, which succeeds once the link and the other node are there. Nothing of
 * an older connection arrives after something of a newer one.
 *
 * On top of that some seeds have a rough network, in which frames of consensus are also lost, repeated or out of order,
 * one by one: Raft asks for nothing better. Frames between gateways never are. */

#ifndef HOLDFAST_CHAOS_SIM_NET_H
#define HOLDFAST_CHAOS_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/frame.h"
#include "sim_limits.h"
#include "sim_random.h"

struct sim_world;

/* From one node to another. */
struct sim_link {
    struct sim_world *world;
    unsigned from;
    unsigned to;
    bool cut;         /* Nothing passes. */
    bool up;          /* As the sender sees it. */
    bool lost;        /* The connection has ended: it carries nothing, and the sender will be told. */
    uint64_t epoch;   /* Counts connections: what was sent on an earlier one does not arrive. */
    uint64_t dial;    /* Counts attempts: an earlier one is void. */
    uint64_t last_us; /* When the last frame arrives. */
};

struct sim_net {
    struct sim_random random;
    struct sim_link links[SIM_NODES_MAX][SIM_NODES_MAX]; /* From, to. */
    bool client_cut[SIM_CLIENTS_MAX][SIM_NODES_MAX];     /* Client, node. */
    uint64_t alone_until_us[SIM_CLIENTS_MAX];            /* A client that reaches no node. */
    uint64_t delay_us;                                   /* Mean, one way. */
    uint64_t broken;                                     /* Per million frames between nodes: the connection ends. */
    uint64_t lost;                                       /* Per million frames of consensus. */
    uint64_t repeated;
    uint64_t reordered;
    struct sim_conn *conns; /* Clients' connections, newest first; all live as long as the world. */
    uint64_t conns_len;
};

/* Draws how the network of this seed behaves. */
void sim_net_init(struct sim_world *world);
/* From now on nothing is lost, repeated or cut. */
void sim_net_heal(struct sim_world *world);

/* Sends a frame between nodes. Takes ownership. False: there is no connection. */
bool sim_net_send(struct sim_world *world, unsigned from, unsigned to, struct frame_out *frame);
/* Ends the connection from one node to another: what is under way is lost. */
void sim_net_break(struct sim_world *world, unsigned from, unsigned to);
/* Who still talks to nobody, over a connection that has ended, soon hears so. */
void sim_net_notice(struct sim_world *world);
/* Cuts or mends a link, one way. */
void sim_net_cut(struct sim_world *world, unsigned from, unsigned to, bool cut);

/* A node is gone, or there: its connections end, or are dialled. */
void sim_net_node_down(struct sim_world *world, unsigned node);
void sim_net_node_up(struct sim_world *world, unsigned node);
/* There is a node that was not there before: the others dial it, too. */
void sim_net_node_new(struct sim_world *world, unsigned node);

#endif
