/* What the tests of the connections between nodes share: nodes of one cluster on one loop, which note what happens. */

#ifndef HOLDFAST_RPC_TEST_PEER_FIXTURE_H
#define HOLDFAST_RPC_TEST_PEER_FIXTURE_H

#include "net_fixture.h"
#include "rpc/peer/peer_bulk.h"
#include "rpc/peer/peer_links.h"

#define NODES_MAX 3u

/* What came from one node over connections of one kind, or in one direction. */
struct heard {
    unsigned count;
    uint64_t next; /* The number that the next frame should carry. */
};

/* One node, which notes what happens. */
struct node {
    struct peer_links *links;
    struct test_journal journal;
    bool connected[NODES_MAX + 1];
    unsigned changes;
    char client_address[NODES_MAX + 1][64];
    struct heard received[NODES_MAX + 1];
    unsigned of_gateways; /* Frames of that type. */
    bool disorder;        /* A number was lower than one before it. */
    int received_err;
    uint64_t foreign; /* An incarnation that is not known, */
    uint8_t stale;    /* and what histories begin with that are over. */
    unsigned asked_known;
    uint64_t barred; /* A node that is kept out. */
    size_t history_len[NODES_MAX + 1];
    bool begun; /* It refuses who founds. */
    unsigned refused[NODES_MAX + 1];
    int refused_err;
    char refused_detail[300];
    unsigned doubled[NODES_MAX + 1];
    char doubled_detail[300];
    bool closed;

    bool calling; /* It is within a function of the links: no callback may come. */
    bool bulk_ready[NODES_MAX + 1];
    unsigned bulk_changes;
    struct heard asked[NODES_MAX + 1];    /* Questions from that node, */
    struct heard answered[NODES_MAX + 1]; /* and its answers. */
    bool answers;                         /* It answers each question with its number. */
    int bulk_err;
    bool hangs_up;     /* At an answer, */
    bool redials;      /* at the end of a connection, */
    bool closes_links; /* at a question or an answer. */
};

struct cluster {
    uv_loop_t loop;
    struct node nodes[NODES_MAX + 1]; /* By id, from 1. */
    uint16_t ports[NODES_MAX + 1];
    uint64_t handshake_timeout_ms;         /* Of nodes started from now on; 0: the default. */
    size_t queue_max;                      /* The same; 0: 4 MiB. */
    bool no_bulk;                          /* They take no bulk connections. */
    uint64_t clone_wait_ms;                /* Of nodes started from now on; 0: the default. */
    uint8_t history[PEER_HISTORY_LEN_MAX]; /* The same. */
    size_t history_len;
    uint64_t founding; /* That one says so. */
};

/* Starts a node on its port (0: a free one). cluster_introduce() tells all nodes where the others are. */
void node_start(struct cluster *cluster, uint64_t id, unsigned count, const char *name);
void node_stop(struct cluster *cluster, uint64_t id);
/* On another port: the old one may belong to a test beside this one by now. */
void node_restart(struct cluster *cluster, uint64_t id, unsigned count, const char *name);
void node_set_address(struct cluster *cluster, uint64_t id, uint64_t of, uint16_t port);

void cluster_introduce(struct cluster *cluster, unsigned count);
void cluster_open(struct cluster *cluster, unsigned count);
void cluster_close(struct cluster *cluster);
bool cluster_is_connected(void *cluster);

/* A message that carries a number. Whether it was taken. */
bool node_send(struct cluster *cluster, uint64_t from, uint64_t to, uint64_t number, size_t body_len);

/* The same on bulk connections: dials; a question or an answer; ends what was dialled. */
int node_bulk_dial(struct cluster *cluster, uint64_t from, uint64_t to);
bool node_bulk_send(struct cluster *cluster, uint64_t from, uint64_t to, bool asking, uint64_t number, size_t body_len);
void node_bulk_hang_up(struct cluster *cluster, uint64_t from, uint64_t to);
/* Dials, and runs the loop until it is ready. */
void node_bulk_connect(struct cluster *cluster, uint64_t from, uint64_t to);

/* Conditions for loop_until(). */
struct wanted {
    const unsigned *count;
    unsigned at_least;
};
bool wanted_is_there(void *wanted);
bool flag_is_set(void *flag);
bool flag_is_clear(void *flag);

/* A stream that says hello as node 2 to node 1, and has been answered. */
void impostor_open(struct cluster *cluster, struct end *end, bool bulk);
/* The same as a process of that number, not answered yet. */
void impostor_begin(struct cluster *cluster, struct end *end, uint64_t run, bool bulk);
void impostor_end(struct end *end);

/* Runs the loop until the count is reached. */
void wait_for(struct cluster *cluster, const unsigned *count, unsigned at_least);

/* Whoever sits where node 2 should be: takes some connections, and says nothing of its own. */
#define ACCEPTS_MAX 6u
struct acceptor {
    uv_loop_t *loop;
    struct listener *listener;
    struct end ends[ACCEPTS_MAX];
    unsigned count;
};
void acceptor_open(struct acceptor *acceptor, struct cluster *cluster);
void acceptor_close(struct acceptor *acceptor);
/* Answers the hello that comes on that connection. */
void acceptor_greet(struct cluster *cluster, struct end *end, bool bulk);

/* Node 1 alone, which reaches nobody for its messages. */
void cluster_open_one(struct cluster *cluster, uint64_t handshake_timeout_ms);
/* Its bulk connection goes to the acceptor. */
void node_bulk_dial_acceptor(struct cluster *cluster, struct acceptor *acceptor);

#endif
