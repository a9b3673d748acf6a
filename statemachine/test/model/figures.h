/* A queue's figures and options, as the model has them and as the machine shows them. (Apart, since both have names of their own for
 * what they are made of.) */

#ifndef HOLDFAST_STATEMACHINE_TEST_FIGURES_H
#define HOLDFAST_STATEMACHINE_TEST_FIGURES_H

#include "model.h"
#include "statemachine/machine.h"

#define FIGURES_SAID_MAX 160u

/* Whether one of them differs; then `said` (of FIGURES_SAID_MAX bytes) says which. */
bool figures_differ(const struct model_queue *queue, const struct machine_queue *found, char *said);

#endif
