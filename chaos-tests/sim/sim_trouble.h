/* What each trouble does. When they come, and that they end, is the nemesis' affair. */

#ifndef HOLDFAST_CHAOS_SIM_TROUBLE_H
#define HOLDFAST_CHAOS_SIM_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim_nemesis.h"

struct sim_node;
struct sim_world;

void sim_trouble_strike(struct sim_world *world, enum sim_trouble trouble);
/* NULL is allowed, and a node that is down. `dirty`: at the next moment at which there is something to lose. */
void sim_trouble_crash(struct sim_world *world, struct sim_node *node, bool dirty);
void sim_trouble_mend_all(struct sim_world *world);

/* How long one lasts, and whom it hits. */
uint64_t sim_trouble_while(struct sim_world *world);
struct sim_node *sim_trouble_node(struct sim_world *world);

/* Disks and memory: sim_trouble_disk.c. */
void sim_trouble_slow(struct sim_world *world);
void sim_trouble_fill(struct sim_world *world, struct sim_node *node);
void sim_trouble_fill_all(struct sim_world *world);
void sim_trouble_stall(struct sim_world *world, struct sim_node *node);
void sim_trouble_memory(struct sim_world *world, struct sim_node *node);
/* The node's disk answers quickly again and has room, and so has its memory. */
void sim_trouble_calm_disk(struct sim_node *node);

#endif
