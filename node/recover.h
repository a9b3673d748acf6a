/* Forced recovery of a stopped node, by an operator, when the majority of the cluster is gone for good: it says what there is
 * and what will be lost, asks, and makes the node the only voter of its cluster (consensus/driver_recover.h).
 *
 * It runs in a process of its own and never by itself. Everything is refused before anything is changed. */

#ifndef HOLDFAST_NODE_RECOVER_H
#define HOLDFAST_NODE_RECOVER_H

#include <stdbool.h>

struct recover_options {
    const char *data;    /* The data directory. */
    bool accept_loss;    /* Without it nothing is done. */
    bool accept_damage;  /* Nor without this one when messages or rows of the state are damaged. */
    const char *confirm; /* The cluster's name, for those who cannot be asked; NULL: ask on the terminal. */
};

/* Reports on standard output, errors and the question on standard error. Returns the exit status: 0 done, also when it was so
 * already; 1 refused, also when the report cannot be written, or it failed (said so, with what to do); 2 wrong usage. SIGPIPE must
 * be ignored. */
int recover_run(const struct recover_options *options);

#endif
