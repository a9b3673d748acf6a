/* The connections between nodes for what is large: a node dials one when it has something to ask, and both use it.
 *
 * What was taken arrives in order, or the connection ends, with everything under way; then who dialled is told after a while.
 * Some seeds have connections that break often, and some bits that change on the way. */

#ifndef HOLDFAST_CHAOS_SIM_BULK_H
#define HOLDFAST_CHAOS_SIM_BULK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/frame.h"
#include "sim_limits.h"
#include "sim_random.h"

struct sim_world;

/* Dialled by `asker`. */
struct sim_bulk_link {
    struct sim_world *world;
    unsigned asker;
    unsigned source;
    bool dialling;
    bool up;
    uint64_t epoch;      /* Counts connections, and attempts. */
    uint64_t last_us[2]; /* When the last question, and the last answer, arrives. */
};

struct sim_bulk {
    struct sim_random random;
    struct sim_bulk_link links[SIM_NODES_MAX][SIM_NODES_MAX]; /* Asker, source. */
    uint64_t broken;                                          /* Per million frames: the connection ends. */
    uint64_t flipped;                                         /* Per million frames: a bit of the body changes. */
};

void sim_bulk_init(struct sim_world *world);
/* From now on nothing breaks. */
void sim_bulk_heal(struct sim_world *world);

/* As in shard_options. */
bool sim_bulk_send(struct sim_world *world, unsigned from, unsigned to, bool asking, struct frame_out *frame);
/* What was asked before still arrives. */
void sim_bulk_hang_up(struct sim_world *world, unsigned asker, unsigned source);
/* A node is gone: its connections end. */
void sim_bulk_node_down(struct sim_world *world, unsigned node);

#endif
