/* Files below a directory, for reading only: what a look at a stopped node needs of a disk. */

#ifndef HOLDFAST_OPS_CLI_READ_ONLY_DISK_H
#define HOLDFAST_OPS_CLI_READ_ONLY_DISK_H

#include "proto/base/disk.h"

/* list, open (with DISK_READ_ONLY), close, size and read work; whatever would write is ERR_REFUSED. */
struct read_only_disk {
    struct disk disk;
    int root_fd;
};

/* ERR_NOT_FOUND, ERR_IO. */
int read_only_disk_init(struct read_only_disk *disk, const char *root) NODISCARD;
void read_only_disk_done(struct read_only_disk *disk);

#endif
