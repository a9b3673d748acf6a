/* Clusters whose nodes are not all of one build: in some worlds some begin as an old one, which knows version 1 of the machine's
 * rules, and are restarted as the new one, one after the other. Until all have been, version 2 must not be in force. Sometimes one
 * becomes of the old build again, long before the last one is new, and reads what the new build wrote. */

#ifndef HOLDFAST_CHAOS_SIM_UPGRADE_H
#define HOLDFAST_CHAOS_SIM_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim_random.h"

struct sim_node;
struct sim_world;

struct sim_upgrade {
    struct sim_random random;
    unsigned old;     /* Nodes that are still of the old build, a bit each. */
    uint32_t version; /* In force, as far as any node has applied. */
};

/* Which of the first nodes are old; before they start. */
void sim_upgrade_init(struct sim_world *world);
/* The newest version that the node knows: 0: all. */
uint32_t sim_upgrade_version(const struct sim_node *node);
/* Upgrades begin; once the nodes run. */
void sim_upgrade_begin(struct sim_world *world);
/* The node has applied an entry, by the rules of that version since. */
void sim_upgrade_applied(struct sim_node *node, uint32_t version);
/* Whether nodes of both builds are there. */
bool sim_upgrade_mixed(const struct sim_world *world);
/* Whether version 2 is in force everywhere, as it must be in the end unless a node is gone for good. */
bool sim_upgrade_done(const struct sim_world *world);

#endif
