/* The memory that this process uses, and that there is. */

#ifndef HOLDFAST_NODE_SYSTEM_MEMORY_H
#define HOLDFAST_NODE_SYSTEM_MEMORY_H

#include <stdint.h>

/* Bytes of this process that are in memory; 0 when the system does not say. */
uint64_t system_memory_used(void);

/* Bytes of memory that this process may count on: the machine's, or those of its control group where they are fewer. */
uint64_t system_memory_total(void);

/* Sets the allocator up so that what is freed goes back to the system: entries and frames come and go by the hundred
 * kilobytes, among small things that stay. To be called first. */
void system_memory_init(void);

/* Gives back what is free. Costs some milliseconds: for a process that is idle. */
void system_memory_relax(void);

#endif
