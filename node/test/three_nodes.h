/* A cluster of three in one process: a test says which frame arrives, which disk answers, and what time it is. */

#ifndef HOLDFAST_NODE_TEST_THREE_NODES_H
#define HOLDFAST_NODE_TEST_THREE_NODES_H

#include "client.h"
#include "one_node.h"

#define THREE 3u
#define THREE_ELECTION_MS 300u
#define THREE_HEARTBEAT_MS 30u
#define THREE_PRESENCE_MS 1500u

/* Frames from one node to another, in order. */
struct wire {
    struct blob **frames; /* As they lie on the wire. */
    size_t len;
    size_t cap;
    bool connected;
    bool held;    /* What is sent waits. */
    bool full;    /* What is sent is dropped, and the sender knows. */
    bool swallow; /* What gateways say disappears, and nobody knows. */
};

struct three_node {
    struct home home;
    struct three *three;
    uint64_t id;
    struct one_clock clock;
    struct sim_disk *disk;
    struct store_memory_disk *rows;
    struct shard_options options;
    struct shard *shard; /* NULL: it is down. */
    uint64_t memory_used;
    bool disk_held;
    bool paused; /* Does nothing at all. */
};

struct three {
    struct three_node nodes[THREE];
    struct wire wires[THREE][THREE];
    struct three_node *leader; /* As found by three_find_leader(), and the others in order. */
    struct three_node *a;
    struct three_node *b;
    bool tolerant; /* A frame may be refused: the connection ends then. */
    uint64_t refused;
};

/* Three nodes that know their leader. `options` may be NULL, or give lengths, watermarks and timeouts. */
void three_start(struct three *three, const struct shard_options *options);
void three_stop(struct three *three);

/* Lets everything happen that can happen now: turns, disks, frames. The clock stands still. */
void three_settle(struct three *three);
/* The same while the clock goes on. */
void three_wait(struct three *three, uint64_t ms);
/* Waits until a node that is up and not paused leads, and all others of that kind know it; sets leader, a and b. */
void three_find_leader(struct three *three);
/* Hands leadership over to the node and waits. */
void three_lead(struct three *three, struct three_node *to);

/* Both directions: held frames arrive when they are let go; those of a lost connection never do. */
void three_hold(struct three_node *from, struct three_node *to, bool held);
void three_fill(struct three_node *from, struct three_node *to, bool full);
void three_swallow(struct three_node *from, struct three_node *to, bool swallow);
void three_cut(struct three_node *one, struct three_node *other);
void three_join(struct three_node *one, struct three_node *other);
/* From and to all others. */
void three_isolate(struct three_node *node);
void three_heal(struct three_node *node);

/* Frames of a type that wait on the way. */
size_t three_on_wire(const struct three_node *from, const struct three_node *to, uint8_t type);
/* The first of them arrives, in spite of being held. */
void three_deliver_one(struct three_node *from, struct three_node *to);
/* A turn of one node alone; then what its disk was asked is done, and what comes of it. */
void three_step(struct three_node *node);

/* The process dies, and what is not synced is lost. */
void three_crash(struct three_node *node);
/* The process dies, and nothing is lost that it wrote. */
void three_kill(struct three_node *node);
void three_restart(struct three_node *node);

struct gateway_status three_status(struct three_node *node);

#endif
