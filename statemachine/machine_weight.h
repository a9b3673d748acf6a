/* How much work commands are, before they are in an entry.
 *
 * An entry is applied as a whole, and a node does nothing else meanwhile. What a single command may do is bounded; a leader asks here how
 * many of those that wait it may put into one entry. It is no part of the rules: a leader that weighs otherwise makes other entries,
 * which are applied like any. */

#ifndef HOLDFAST_STATEMACHINE_MACHINE_WEIGHT_H
#define HOLDFAST_STATEMACHINE_MACHINE_WEIGHT_H

#include <stdint.h>

#include "proto/wire/entry.h"

struct machine;

/* What one entry is to weigh at most, unless it is a single command: in units of about a microsecond or two, as in work.h. */
#define ENTRY_WEIGHT_MAX 16384u

/* What the command weighs at most, in units, found with hardly a look at it; mostly too much. Publishes alone are estimated; others
 * are weighed. */
uint64_t machine_weigh_roughly(struct machine *machine, const struct entry_command *command);

/* What it weighs in the present state: copies of messages and the search for their queues, settlements, messages that are fetched or
 * moved. Weighing ends above `most` units. What is malformed, or will be refused, weighs 1. It changes nothing but what routing
 * remembers. */
uint64_t machine_weigh(struct machine *machine, const struct entry_command *command, uint64_t most);

#endif
