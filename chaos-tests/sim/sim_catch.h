/* Whether the checkers notice it when a safety step is left out. */

#ifndef HOLDFAST_CHAOS_SIM_CATCH_H
#define HOLDFAST_CHAOS_SIM_CATCH_H

#include "proto/base/fault.h"
#include "sim_world.h"

/* For each fault (or, with none named, for each known to be noticed soon; with `all`, for each that there is): runs seeds from
 * `from` on until a checker complains, at most `limit`; of a rare one, from a later seed on that is known to show it. Prints a table
 * (Markdown): what was left out, within how many seeds it was noticed, and what was seen; or which unit test shows what the
 * simulator cannot. 0: all were noticed that should be. */
int sim_catch(const struct sim_options *options, uint64_t from, uint64_t limit, bool all, const enum fault *faults,
              unsigned faults_len);

#endif
