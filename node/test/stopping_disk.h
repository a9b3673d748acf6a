/* A disk in front of another, which stops the process, as far as that disk can tell, before an operation of one's choice: this
 * one and all later ones fail and do nothing. */

#ifndef HOLDFAST_NODE_TEST_STOPPING_DISK_H
#define HOLDFAST_NODE_TEST_STOPPING_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/disk.h"

struct stopping_disk {
    struct disk base;
    struct disk *inner;
    uint64_t left; /* Operations that are carried out still. */
    bool stopped;
};

void stopping_disk_init(struct stopping_disk *disk, struct disk *inner, uint64_t left);

#endif
