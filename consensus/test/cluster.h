/* Drivers that talk to each other, each on a simulated disk, in virtual time: for what no single driver shows. */

#ifndef HOLDFAST_CONSENSUS_TEST_CLUSTER_H
#define HOLDFAST_CONSENSUS_TEST_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver_internal.h"

#define CLUSTER_NODES 3u
#define CLUSTER_NODES_MAX 6u
#define CLUSTER_FRAMES_MAX 4096u
#define CLUSTER_ENTRIES_MAX 20000u
#define CLUSTER_TERMS_MAX 4096u
#define CLUSTER_LATE_MAX 64u
/* Of the drivers; and how far time goes in a step. */
#define CLUSTER_HEARTBEAT_MS 50u
#define CLUSTER_ELECTION_MS 300u
#define CLUSTER_STEP_MS 5u

struct sim_disk;

/* A state: the last entry in it, a digest of all commands up to there, and what the driver keeps with it. */
struct cluster_state {
    uint64_t index;
    uint64_t digest;
    struct slice position;
};

struct cluster_node {
    struct cluster *cluster;
    uint64_t id;
    struct sim_disk *disk;
    struct driver *driver; /* NULL: it is down. */
    bool cut_off;          /* What it says and what it is told is lost. */
    struct cluster_state now;
    struct cluster_state checkpoint;
    unsigned behind; /* How often it was said to be, and who led. */
    uint64_t behind_leader;
    unsigned offers;   /* Snapshots that it was offered. */
    unsigned refusals; /* AppendEntries of others that it has refused. */
    unsigned removed;  /* How often it was said to be; and since it was opened, that another has forgotten something. */
    unsigned forgot;
    uint64_t forgot_node;
    uint64_t read_round; /* The last one answered. */
};

struct cluster_frame {
    uint64_t from;
    uint64_t to;
    struct blob *bytes;
    struct frame frame;
};

struct cluster {
    struct clock clock;
    struct journal journal;
    uint64_t now_ms;
    uint64_t random;
    struct cluster_node nodes[CLUSTER_NODES_MAX + 1]; /* By id. */
    unsigned voters;                                  /* The first so many nodes are the first members. */
    struct cluster_frame frames[CLUSTER_FRAMES_MAX];
    unsigned frames_len;
    uint64_t submitted;
    unsigned loss;     /* Of a thousand frames. */
    unsigned lateness; /* So many of a thousand are overtaken by others. */
    unsigned slowness; /* Of a thousand times, a disk has not done what it was asked to. */
    struct cluster_frame late[CLUSTER_LATE_MAX];
    unsigned late_len;
    uint64_t leaders[CLUSTER_TERMS_MAX];   /* By term. */
    bool exit_on_violation;                /* For a process of its own, instead of failing the test. */
    uint64_t digests[CLUSTER_ENTRIES_MAX]; /* By index, as whoever applied the entry first had it; 0: nobody has. */
};

/* With CLUSTER_NODES nodes; or with so many that vote, all others being empty, and down. */
void cluster_init(struct cluster *cluster);
void cluster_init_voters(struct cluster *cluster, unsigned voters);
void cluster_done(struct cluster *cluster);

/* Something is so that must never be. */
void cluster_expect(const struct cluster *cluster, bool holds, const char *what);
/* With which status a process ends that has seen it. */
#define CLUSTER_VIOLATION 3

/* What a node is opened with. */
struct driver_options cluster_options(struct cluster *cluster, uint64_t id);
void cluster_open(struct cluster *cluster, uint64_t id);
/* As by kill: what it has said is under way still, what its disk was asked to do is not done. */
void cluster_close(struct cluster *cluster, uint64_t id);

/* Lets time pass. */
void cluster_run(struct cluster *cluster, uint64_t ms);
/* Until some node leads that is not cut off, and an entry of its term is committed; gives it. */
uint64_t cluster_elect(struct cluster *cluster);
/* The leader proposes so many entries, a window at a time, and they are committed. No time passes. */
void cluster_submit(struct cluster *cluster, uint64_t leader, unsigned count);
/* The node makes a checkpoint of what it has applied. */
void cluster_checkpoint(struct cluster *cluster, uint64_t id);
/* Node `to` is given the checkpoint of `from` in place of its own state, as by rejoining. It is down. */
void cluster_copy(struct cluster *cluster, uint64_t from, uint64_t to);
/* The same, with nothing that it had counting. */
void cluster_copy_anew(struct cluster *cluster, uint64_t from, uint64_t to);
/* The leader proposes a change, which is made. No time passes. */
void cluster_change(struct cluster *cluster, uint64_t leader, enum driver_change_kind kind, uint64_t node);
const char *cluster_address(uint64_t id);
struct driver_status cluster_status(const struct cluster *cluster, uint64_t id);

#endif
