/* Damage to the data of a few nodes: never of so many that the others are no majority.
 *
 * Who is hit is settled when a world begins, since what was damaged may be noticed much later. What such a node does is up to it,
 * but no promise of the cluster may break by it, and what it serves must be right.
 *
 * Some damage cannot be noticed by the node itself: its data are sound, and not the latest, so that it has forgotten what it has
 * promised. No cluster of 2 n + 1 survives n nodes that forget unnoticed while others are away, since that is what majorities are
 * made of. The simulator knows what was promised: it counts such nodes and takes them away before they take part, unless
 * told not to (`sim_options.forgetful`). */

#ifndef HOLDFAST_CHAOS_SIM_DAMAGE_H
#define HOLDFAST_CHAOS_SIM_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim_random.h"

struct sim_node;
struct sim_world;

enum sim_damage_kind {
    SIM_DAMAGE_FLIP,       /* A bit changes. */
    SIM_DAMAGE_UNREADABLE, /* A sector cannot be read. */
    SIM_DAMAGE_LOST,       /* A write is acknowledged, synced, and not there. */
    SIM_DAMAGE_LATER,      /* The same, after the power has failed. */
    SIM_DAMAGE_ELSEWHERE,  /* A write lands in another place. */
    SIM_DAMAGE_OLD_FILE,   /* After a crash one file is as it was earlier. */
    SIM_DAMAGE_OLD_ROWS,   /* The same of the store. */
    SIM_DAMAGE_OLD_ALL,    /* The same of everything. */
    SIM_DAMAGE_KINDS
};

#define SIM_VICTIMS_MAX 2u
#define SIM_STRIKES_MAX 3u

struct sim_damage {
    struct sim_random random;
    unsigned victims[SIM_VICTIMS_MAX];
    unsigned victims_len;
};

/* Whether a world of that seed has damage: then a node may end in the middle of something, and its memory stay behind. */
bool sim_damage_chosen(uint64_t seed);
void sim_damage_init(struct sim_world *world);

/* Whether damage explains that a node ends with this error. */
bool sim_damage_explains(const struct sim_node *node, int err);
/* The node finds its data damaged when it starts. Whether that is so. */
bool sim_damage_found(struct sim_node *node, int err, const char *what);
/* The copy in that directory of the node's is not what its source's store is. Whether damage to one of the two explains that. */
bool sim_damage_explains_copy(const struct sim_node *node, const char *name);
/* The node has started, and does not know what it had promised: `what` it was. Whether that is to be expected of it; then it may be
 * down now. */
bool sim_damage_forgot(struct sim_node *node, const char *what);
/* A node computes something else than the others, and has not begun anew since: nothing else may go wrong with nodes then, since a
 * majority must be there to notice. */
bool sim_damage_unseen(const struct sim_world *world);
/* Nodes that have a state to go on from. */
unsigned sim_damage_left(const struct sim_world *world);

#endif
