/* What a queue is like, for people and as JSON. */

#ifndef HOLDFAST_OPS_CLI_QUEUE_OPTIONS_H
#define HOLDFAST_OPS_CLI_QUEUE_OPTIONS_H

#include "rpc/client/hf.h"

/* Counters and options that are not at their defaults, one a line. */
void queue_options_print(const struct client_queue *queue);

/* All of them, as members of an object: `, "waiting": 0, ..., "options": {...}`. Options at their defaults are left out. */
void queue_options_json(const struct client_queue *queue);

#endif
