/* What a queue is like, for people. */

#ifndef HOLDFAST_OPS_CLI_QUEUE_OPTIONS_H
#define HOLDFAST_OPS_CLI_QUEUE_OPTIONS_H

#include "rpc/client/hf.h"

/* A line for each option that is not the default, and for each further counter that is not 0. */
void queue_options_print(const struct client_queue *queue);

#endif
