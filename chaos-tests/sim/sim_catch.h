/* Whether the simulator notices when a safety step is left out. */

#ifndef HOLDFAST_CHAOS_SIM_CATCH_H
#define HOLDFAST_CHAOS_SIM_CATCH_H

#include <stdint.h>

#include "proto/base/fault.h"
#include "sim_world.h"

/* Runs seeds from `from` on with each fault, until it is noticed or `limit` seeds have passed, and prints a table. With
 * no faults given, takes those that are known to be within reach. Returns 0, or 1 when one was not noticed. */
int sim_catch(const struct sim_options *options, uint64_t from, uint64_t limit, const enum fault *faults,
              unsigned faults_len);

#endif
