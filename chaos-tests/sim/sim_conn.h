/* A client's connection. Frames arrive in order or not at all: a connection that loses a frame carries none after it,
 * until both sides notice, each in its time, that it broke. Either side may be gone before the other notices. */

#ifndef HOLDFAST_CHAOS_SIM_CONN_H
#define HOLDFAST_CHAOS_SIM_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/frame.h"
#include "rpc/native/native_session.h"
#include "sim_wire.h"

struct sim_world;
struct sim_node;
struct sim_client;

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
    uint64_t opened_us;
    uint64_t good_since_us; /* For sim_sessions.c: when nothing stood in its way; 0: something does. */
    uint64_t good_leader;   /* Who led then. */
    uint64_t good_index;    /* The last entry in that leader's log then. */
    struct frame *waiting;  /* Frames that arrived while the node did not read. */
    unsigned waiting_len;
    unsigned waiting_cap;
    struct sim_wire wire;
};

/* A client opens a connection; it hears of it later. */
struct sim_conn *sim_conn_open(struct sim_world *world, struct sim_client *client, unsigned node);
/* The client sends a frame. Takes ownership. */
void sim_conn_send(struct sim_conn *conn, struct frame_out *frame);
/* The client closes its side: it hears nothing any more. */
void sim_conn_close(struct sim_conn *conn);
/* The client's machine is gone without a word: the node notices after that time. */
void sim_conn_abandon(struct sim_conn *conn, uint64_t notice_us);
/* Breaks it: both sides hear of it at some time, apart. */
void sim_conn_break(struct sim_conn *conn);
/* Whether nothing passes between its ends. */
bool sim_conn_cut(const struct sim_conn *conn);
/* The node is gone: frees its sides of all connections, at once. */
void sim_conns_node_gone(struct sim_world *world, struct sim_node *node);
void sim_conns_done(struct sim_world *world);

#endif
