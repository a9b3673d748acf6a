/* Making a history that shows something short: steps are left out and numbers made smaller, as long as it shows the same. */

#ifndef HOLDFAST_STATEMACHINE_TEST_SHRINK_H
#define HOLDFAST_STATEMACHINE_TEST_SHRINK_H

#include "step.h"

/* Until nothing more can be left out nor made plainer. `shows` says whether a history shows it; the given one does. */
void shrink(struct history *history, bool (*shows)(const void *arg, const struct history *history), const void *arg);

#endif
