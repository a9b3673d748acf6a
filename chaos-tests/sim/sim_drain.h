/* Whether everything is done that was begun, and nothing is left over. */

#ifndef HOLDFAST_CHAOS_SIM_DRAIN_H
#define HOLDFAST_CHAOS_SIM_DRAIN_H

#include <stdbool.h>
#include <stddef.h>

struct sim_world;

/* All clients are idle; all nodes are up and have applied the same; their queues are empty, nobody waits for them, none
 * refuses anything, and the only sessions left are those of the clients that live. `why` says what is not so. */
bool sim_drain_done(struct sim_world *world, char *why, size_t why_len);

#endif
