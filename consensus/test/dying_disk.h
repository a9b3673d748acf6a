/* A disk that fails from its nth change on, as for a process that dies there. One at a time. */

#ifndef HOLDFAST_CONSENSUS_TEST_DYING_DISK_H
#define HOLDFAST_CONSENSUS_TEST_DYING_DISK_H

#include <stdint.h>

#include "proto/base/disk.h"

/* So many changes succeed from now on: files made, written, synced, removed... What is asked of the other thread, or of the
 * writer, is not counted. */
void dying_disk_begin(struct disk *disk, uint64_t after);
/* It works again. */
void dying_disk_end(struct disk *disk);
/* How many changes were asked for since the last beginning. */
uint64_t dying_disk_changes(void);

#endif
