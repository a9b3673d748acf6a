/* How large a world may be. */

#ifndef HOLDFAST_CHAOS_SIM_LIMITS_H
#define HOLDFAST_CHAOS_SIM_LIMITS_H

#define SIM_NODES_MAX 8u /* All that ever were, under their numbers: 3 or 5 in the beginning. */
#define SIM_CLIENTS_MAX 8u
#define SIM_QUEUES_MAX 3u

#endif
