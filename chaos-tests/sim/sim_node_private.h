/* What the parts of a node share. */

#ifndef HOLDFAST_CHAOS_SIM_NODE_PRIVATE_H
#define HOLDFAST_CHAOS_SIM_NODE_PRIVATE_H

#include "node/core/repair.h"
#include "sim_node.h"
#include "sim_queue.h"

#define SIM_NODE_DIR "shard-0"

/* An event of the node, void in any later life: that is in `b`. */
void sim_node_push(struct sim_node *node, uint64_t at_us, void (*fire)(struct sim_event *event));

/* sim_node_open.c: what the node consists of while it runs. Takes over the store. */
int sim_node_open_shard(struct sim_node *node, struct store *store, const struct repair_plan *plan, char *detail,
                        size_t detail_len) NODISCARD;
int sim_node_open_patient(struct sim_node *node, const struct repair_mark *mark, char *detail,
                          size_t detail_len) NODISCARD;

/* sim_node_life.c. A copy takes the place of the state; what is on disk is damaged: after a turn in which the node said so. */
void sim_node_replace(struct sim_node *node);
void sim_node_withdraw(struct sim_node *node);
void sim_node_treat(struct sim_node *node);

#endif
