/* What goes wrong with the simulated disk: errors on demand, crashes, damage. */

#include <string.h>

#include "proto/base/check.h"
#include "sim_disk_private.h"

void sim_disk_fail_next_append(struct sim_disk *sim, int err)
{
    sim->append_err = err;
}

void sim_disk_fail_next_offload(struct sim_disk *sim, int err)
{
    sim->offload_err = err;
}

void sim_disk_fail_nth_sync(struct sim_disk *sim, uint64_t nth, int err)
{
    sim->sync_err = err;
    sim->syncs_before_err = nth;
}

void sim_disk_fail_writeback(struct sim_disk *sim)
{
    for (size_t i = 0; i < sim->now.len; i++) {
        struct sim_inode *inode = sim->now.names[i].inode;
        if (inode != NULL && inode->changes_len > 0) {
            sim_inode_forget(inode, inode->changes_len);
            inode->differs = true;
        }
    }
}

/* How much of a change reaches the disk: nothing, all of it, or, of a sector, a part from its start. */
static size_t change_survives(struct sim_disk *sim, const struct sim_change *change, uint64_t (*random)(void *arg),
                              void *arg, bool *ret_lost)
{
    uint64_t dice = random == NULL ? 0 : random(arg) % 3;
    if (dice == 1) {
        return change->len;
    }
    if (dice == 0 || change->kind != SIM_CHANGE_WRITE || change->len < 2) {
        *ret_lost = true;
        sim->counters.sectors_lost++;
        return 0;
    }
    *ret_lost = true;
    sim->counters.sectors_torn++;
    return 1 + (size_t)(random(arg) % (change->len - 1));
}

static bool inode_crash(struct sim_disk *sim, struct sim_inode *inode, uint64_t (*random)(void *arg), void *arg)
{
    bool lost_any = false;
    for (size_t i = 0; i < inode->changes_len; i++) {
        bool lost = false;
        const struct sim_change *change = inode->changes[i];
        size_t len = change_survives(sim, change, random, arg, &lost);
        if (len > 0 || !lost) {
            sim_image_apply(&inode->durable, change, len);
        }
        lost_any = lost_any || lost;
    }
    if (inode->changes_len > 0 || inode->differs) {
        sim_inode_forget(inode, inode->changes_len);
        sim_image_copy(&inode->now, &inode->durable);
        inode->differs = false;
    }
    return lost_any;
}

/* A name in a directory that is gone is gone too. */
static void names_drop_orphans(struct sim_names *names)
{
    for (size_t i = 0; i < names->len;) {
        if (sim_parent_exists(names, names->names[i].path)) {
            i++;
        } else {
            char path[SIM_PATH_LEN_MAX];
            memcpy(path, names->names[i].path, sizeof path);
            sim_names_remove(names, path);
            i = 0;
        }
    }
}

static void namings_crash(struct sim_disk *sim, uint64_t (*random)(void *arg), void *arg)
{
    size_t kept = 0;
    if (random != NULL && sim->namings_len > 0) {
        kept = (size_t)(random(arg) % (sim->namings_len + 1));
    }
    sim->counters.names_lost += sim->namings_len - kept;
    for (size_t i = 0; i < sim->namings_len; i++) {
        if (i < kept) {
            sim_names_apply(&sim->durable, &sim->namings[i]);
        }
        sim_naming_done(&sim->namings[i]);
    }
    sim->namings_len = 0;
    names_drop_orphans(&sim->durable);
}

void sim_disk_crash(struct sim_disk *sim, uint64_t (*random)(void *arg), void *arg)
{
    sim_disk_forget(sim);
    namings_crash(sim, random, arg);
    bool lost = false;
    for (size_t i = 0; i < sim->durable.len; i++) {
        struct sim_inode *inode = sim->durable.names[i].inode;
        if (inode != NULL && inode_crash(sim, inode, random, arg)) {
            lost = true;
        }
    }
    sim_names_copy(&sim->now, &sim->durable);
    sim->counters.crashes++;
    sim->counters.crashes_with_loss += lost;
}

void sim_disk_crash_losing_all(struct sim_disk *sim)
{
    sim_disk_crash(sim, NULL, NULL);
}

void sim_disk_kill(struct sim_disk *sim)
{
    sim_disk_forget(sim);
}

void sim_disk_each_file(const struct sim_disk *sim,
                        void (*each)(void *arg, const char *path, const uint8_t *data, uint64_t len), void *arg)
{
    for (size_t i = 0; i < sim->now.len; i++) {
        const struct sim_name *name = &sim->now.names[i];
        if (name->inode != NULL) {
            each(arg, name->path, name->inode->now.data, name->inode->now.len);
        }
    }
}

int sim_disk_content(const struct sim_disk *sim, const char *path, const uint8_t **ret_data, uint64_t *ret_len)
{
    const struct sim_name *name = sim_names_find(&sim->now, path);
    if (name == NULL || name->inode == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_data = name->inode->now.data;
    *ret_len = name->inode->now.len;
    return 0;
}

int sim_disk_overwrite(struct sim_disk *sim, const char *path, uint64_t offset, const void *data, size_t len)
{
    sim->damaged = true;
    const struct sim_name *name = sim_names_find(&sim->now, path);
    if (name == NULL || name->inode == NULL || offset > name->inode->now.len || len > name->inode->now.len - offset) {
        return ERR_NOT_FOUND;
    }
    sim_image_write(&name->inode->now, offset, data, len);
    sim_image_write(&name->inode->durable, offset, data, len);
    return 0;
}

int sim_disk_corrupt(struct sim_disk *sim, const char *path, uint64_t offset, uint8_t mask)
{
    const uint8_t *data = NULL;
    uint64_t len = 0;
    int err = sim_disk_content(sim, path, &data, &len);
    if (err != 0 || offset >= len) {
        return ERR_NOT_FOUND;
    }
    uint8_t byte = data[offset] ^ mask;
    return sim_disk_overwrite(sim, path, offset, &byte, 1);
}
