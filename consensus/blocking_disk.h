/* A disk on which everything is done by the thread that asks for it: for work on the log of a node that is stopped, where there
 * is no loop that would complete what the log asks of other threads. */

#ifndef HOLDFAST_CONSENSUS_BLOCKING_DISK_H
#define HOLDFAST_CONSENSUS_BLOCKING_DISK_H

#include <stdbool.h>

#include "proto/base/disk.h"

struct blocking_disk {
    struct disk disk;  /* What is given to the log. */
    struct disk *base; /* Borrowed. */
    struct disk_append *appends;
    struct disk_append **appends_end;
    struct disk_task *tasks;
    struct disk_task **tasks_end;
};

void blocking_disk_init(struct blocking_disk *disk, struct disk *base);

/* Does the oldest thing that was asked for, and calls its `done`. False: there was none. */
bool blocking_disk_run(struct blocking_disk *disk);

#endif
