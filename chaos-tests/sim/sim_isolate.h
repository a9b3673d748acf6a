/* Runs in processes of their own: for worlds in which a node may end in the middle of something, since its memory cannot be
 * given back, and for runs that may crash. */

#ifndef HOLDFAST_CHAOS_SIM_ISOLATE_H
#define HOLDFAST_CHAOS_SIM_ISOLATE_H

#include "sim_world.h"

/* As sim_world_run(). A process that ends by itself counts as a violation. */
void sim_isolate_run(const struct sim_options *options, struct sim_result *ret_result);
/* In this process, unless the seed wants one of its own. */
void sim_isolate_if_due(const struct sim_options *options, struct sim_result *ret_result);

#endif
