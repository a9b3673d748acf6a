/* What the parts of the simulated disk share. */

#ifndef HOLDFAST_SIM_DISK_PRIVATE_H
#define HOLDFAST_SIM_DISK_PRIVATE_H

#include "sim_disk.h"
#include "sim_disk_names.h"

struct sim_pending {
    enum sim_disk_kind kind;
    struct disk_append *append;
    struct disk_task *task;
    struct sim_inode *inode;
    int err; /* Of an append that did not fit. */
};

struct sim_disk {
    struct disk disk;
    struct sim_names now;
    struct sim_names durable;
    struct sim_naming *namings;
    size_t namings_len;
    size_t namings_cap;
    struct sim_pending *pending;
    size_t pending_len;
    size_t pending_cap;
    int append_err;
    int offload_err;
    int sync_err;
    uint64_t syncs_before_err;
    uint64_t capacity; /* 0: without end. */
    uint64_t (*others)(void *arg);
    void *others_arg;
    bool damaged; /* Something in it is not what was written. */
    enum sim_disk_stray stray;
    uint64_t stray_after; /* So many writes still go where they should. */
    uint64_t stray_place;
    struct sim_disk_counters counters;
};

extern const struct disk_ops sim_disk_operations;

/* Whether `more` bytes fit; counts when they do not. */
bool sim_disk_fits(struct sim_disk *sim, uint64_t more);
/* Whether this write goes astray; then that is done, and it must not be carried out. */
bool sim_disk_strays(struct sim_disk *sim, struct sim_inode *inode, uint64_t offset, const uint8_t *data, size_t len);
/* Drops what is pending, and the errors that were asked for. */
void sim_disk_forget(struct sim_disk *sim);

#endif
