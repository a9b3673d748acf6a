/* All that can be asked of a machine, as one number: what replicas agree on beside digests. */

#ifndef HOLDFAST_STATEMACHINE_TEST_VIEW_H
#define HOLDFAST_STATEMACHINE_TEST_VIEW_H

#include <stdint.h>

#include "statemachine/machine.h"

/* Asks every question, and checks that the answers fit each other (Criterion's assertions). */
uint64_t machine_view(struct machine *machine);

#endif
