/* A cluster of one on simulated disk, store and clock. */

#ifndef HOLDFAST_NODE_TEST_ONE_NODE_H
#define HOLDFAST_NODE_TEST_ONE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "node/core/shard.h"
#include "sim/sim_disk.h"
#include "sim/store_memory.h"

struct one_clock {
    struct clock base;
    uint64_t now_ms;
    uint64_t wall_jump_ms;
    uint64_t random;
};

void one_clock_init(struct one_clock *clock, uint64_t seed);

struct one_node {
    struct home home;
    struct one_clock clock;
    struct sim_disk *disk;
    struct store_memory_disk *rows;
    struct shard_options options;
    struct shard *shard;
    struct gateway *gateway;
    uint64_t memory_used;
    /* May be NULL. From the next opening on, what the shard is given in place of its store. */
    struct store *(*wrap)(struct store *store);
};

/* A new node that has become leader. `options` may be NULL, or give lengths and members. */
void one_node_start(struct one_node *node, const struct shard_options *options);
/* Opens the shard on what disk and store hold, without waiting for anything. */
void one_node_open(struct one_node *node);
/* Loses what is not synced, and opens again; waits until it leads. */
void one_node_crash(struct one_node *node);
/* The process dies, and nothing is lost that it wrote; so much later it is started again, and leads. */
void one_node_kill(struct one_node *node, uint64_t down_ms);
void one_node_stop(struct one_node *node);
/* Steps and completes what the disk was asked to do, until nothing moves. */
void one_node_settle(struct one_node *node);
/* The same after the clock has moved on. */
void one_node_wait(struct one_node *node, uint64_t ms);

#endif
