/* Whether everything is done that was begun, and nothing is left over. */

#ifndef HOLDFAST_CHAOS_SIM_DRAIN_H
#define HOLDFAST_CHAOS_SIM_DRAIN_H

#include <stdbool.h>
#include <stddef.h>

struct sim_world;

/* All clients are idle; all nodes are up and have applied the same; their queues are empty, nobody waits for them, none
 * refuses anything, and the only sessions left are those of the clients that live. `why` says what is not so. */
/* Once the faults have ended, a command on a connection that lives is answered soon: a node that waits for what was
 * lost, and finds itself stuck in the end, has not sent it again when it should have. */
void sim_drain_watch(struct sim_world *world);
bool sim_drain_done(struct sim_world *world, char *why, size_t why_len);

#endif
