/* A disk in memory that forgets, in a crash, what was not synced: its life, its space, and what it is asked to do. */

#include "sim_disk.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_disk_private.h"

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *sim = calloc(1, sizeof *sim);
    if (sim != NULL) {
        sim->disk.ops = &sim_disk_operations;
    }
    return sim;
}

void sim_disk_forget(struct sim_disk *sim)
{
    for (size_t i = 0; i < sim->pending_len; i++) {
        sim_inode_unref(sim->pending[i].inode);
    }
    sim->pending_len = 0;
    sim->append_err = 0;
    sim->offload_err = 0;
    sim->sync_err = 0;
}

void sim_disk_free(struct sim_disk *sim)
{
    if (sim == NULL) {
        return;
    }
    sim_disk_forget(sim);
    for (size_t i = 0; i < sim->namings_len; i++) {
        sim_naming_done(&sim->namings[i]);
    }
    sim_names_clear(&sim->now);
    sim_names_clear(&sim->durable);
    free(sim->now.names);
    free(sim->durable.names);
    free(sim->namings);
    free(sim->pending);
    free(sim);
}

struct sim_disk *sim_disk_clone(const struct sim_disk *sim)
{
    CHECK(sim->pending_len == 0);
    struct sim_disk *clone = sim_disk_new();
    if (clone == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sim->now.len; i++) {
        const struct sim_name *name = &sim->now.names[i];
        if (name->inode == NULL) {
            sim_names_link(&clone->now, name->path, NULL);
            continue;
        }
        struct sim_inode *inode = inode_new();
        sim_image_copy(&inode->now, &name->inode->now);
        sim_image_copy(&inode->durable, &name->inode->now);
        sim_names_link(&clone->now, name->path, inode);
        sim_inode_unref(inode);
    }
    sim_names_copy(&clone->durable, &clone->now);
    return clone;
}

struct disk *sim_disk_ops(struct sim_disk *sim)
{
    return &sim->disk;
}

size_t sim_disk_pending(const struct sim_disk *sim)
{
    return sim->pending_len;
}

bool sim_disk_next(const struct sim_disk *sim, enum sim_disk_kind *ret_kind)
{
    if (sim->pending_len == 0) {
        return false;
    }
    *ret_kind = sim->pending[0].kind;
    return true;
}

/* Appends are synced in order, so that everything the file had unsynced goes with the oldest: as a real sync does. */
static void append_complete(struct sim_disk *sim, struct sim_pending *pending)
{
    int err = sim->append_err != 0 ? sim->append_err : pending->err;
    sim->append_err = 0;
    if (err == 0) {
        sim->counters.appends++;
    }
    if (err == 0 && !pending->append->skip_sync) {
        sim->counters.syncs++;
        sim_inode_sync(pending->inode, pending->inode->changes_len);
    }
    sim_inode_unref(pending->inode);
    pending->append->done(pending->append, err);
}

static void task_complete(struct sim_disk *sim, struct sim_pending *pending)
{
    int err = sim->offload_err;
    sim->offload_err = 0;
    if (err == 0) {
        err = pending->task->run(pending->task);
    }
    pending->task->done(pending->task, err);
}

static void sim_complete(struct sim_disk *sim, size_t i)
{
    struct sim_pending pending = sim->pending[i];
    memmove(sim->pending + i, sim->pending + i + 1, (sim->pending_len - i - 1) * sizeof *sim->pending);
    sim->pending_len--;
    if (pending.kind == SIM_DISK_APPEND) {
        append_complete(sim, &pending);
    } else {
        task_complete(sim, &pending);
    }
}

void sim_disk_complete_one(struct sim_disk *sim)
{
    CHECK(sim->pending_len > 0);
    sim_complete(sim, 0);
}

bool sim_disk_complete_kind(struct sim_disk *sim, enum sim_disk_kind kind)
{
    for (size_t i = 0; i < sim->pending_len; i++) {
        if (sim->pending[i].kind == kind) {
            sim_complete(sim, i);
            return true;
        }
    }
    return false;
}

void sim_disk_complete_all(struct sim_disk *sim)
{
    while (sim->pending_len > 0) {
        sim_complete(sim, 0);
    }
}

const struct sim_disk_counters *sim_disk_counters(const struct sim_disk *sim)
{
    return &sim->counters;
}

/* ---- Space ---- */

void sim_disk_set_capacity(struct sim_disk *sim, uint64_t capacity)
{
    sim->capacity = capacity;
}

void sim_disk_share(struct sim_disk *sim, uint64_t (*others)(void *arg), void *arg)
{
    sim->others = others;
    sim->others_arg = arg;
}

uint64_t sim_disk_used(const struct sim_disk *sim)
{
    uint64_t used = 0;
    for (size_t i = 0; i < sim->now.len; i++) {
        const struct sim_inode *inode = sim->now.names[i].inode;
        used += SIM_DISK_NAME_LEN + (inode != NULL ? inode->now.len : 0);
    }
    return used;
}

uint64_t sim_disk_room(const struct sim_disk *sim)
{
    if (sim->capacity == 0) {
        return UINT64_MAX;
    }
    uint64_t used = sim_disk_used(sim) + (sim->others != NULL ? sim->others(sim->others_arg) : 0);
    return used < sim->capacity ? sim->capacity - used : 0;
}

bool sim_disk_fits(struct sim_disk *sim, uint64_t more)
{
    bool fits = more == 0 || more <= sim_disk_room(sim);
    sim->counters.refused += !fits;
    return fits;
}
