/* Damage that no crash explains: bits that change, sectors that cannot be read, writes that go nowhere or elsewhere, files as
 * they were earlier. (What disks do, and how often: Bairavasundaram et al., "An Analysis of Data Corruption in the Storage
 * Stack", FAST'08; what it does to replicated systems: Ganesan et al., "Redundancy Does Not Imply Fault Tolerance", FAST'17.) */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_disk_private.h"

static struct sim_inode *damage_inode(const struct sim_disk *sim, const char *path)
{
    const struct sim_name *name = sim_names_find(&sim->now, path);
    return name == NULL ? NULL : name->inode;
}

/* ---- Sectors that cannot be read ---- */

int sim_disk_lose_sector(struct sim_disk *sim, const char *path, uint64_t offset)
{
    struct sim_inode *inode = damage_inode(sim, path);
    if (inode == NULL || offset >= inode->now.len) {
        return ERR_NOT_FOUND;
    }
    inode->bad = sim_grown(inode->bad, sizeof *inode->bad, inode->bad_len, &inode->bad_cap);
    inode->bad[inode->bad_len++] = offset / SIM_DISK_SECTOR_LEN;
    sim->damaged = true;
    return 0;
}

bool sim_inode_unreadable(const struct sim_inode *inode, uint64_t offset, size_t len)
{
    for (size_t i = 0; i < inode->bad_len; i++) {
        uint64_t from = inode->bad[i] * SIM_DISK_SECTOR_LEN;
        if (len > 0 && from < offset + len && offset < from + SIM_DISK_SECTOR_LEN) {
            return true;
        }
    }
    return false;
}

void sim_inode_rewritten(struct sim_inode *inode, uint64_t offset)
{
    size_t kept = 0;
    for (size_t i = 0; i < inode->bad_len; i++) {
        if (inode->bad[i] != offset / SIM_DISK_SECTOR_LEN) {
            inode->bad[kept++] = inode->bad[i];
        }
    }
    inode->bad_len = kept;
}

/* ---- Writes that go astray ---- */

void sim_disk_stray_write(struct sim_disk *sim, enum sim_disk_stray kind, uint64_t nth, uint64_t place)
{
    sim->stray = kind;
    sim->stray_after = nth;
    sim->stray_place = place;
}

/* Durably: it is on the disk, in the wrong place. A disk writes sectors, so what was in them is gone. */
static void stray_land(struct sim_disk *sim, const struct sim_inode *meant, uint64_t offset, const uint8_t *data,
                       size_t len)
{
    size_t candidates = 0;
    for (size_t i = 0; i < sim->now.len; i++) {
        const struct sim_inode *inode = sim->now.names[i].inode;
        candidates += inode != NULL && inode->now.len >= SIM_DISK_SECTOR_LEN;
    }
    size_t nth = candidates == 0 ? 0 : (size_t)(sim->stray_place % candidates);
    for (size_t i = 0; i < sim->now.len; i++) {
        struct sim_inode *inode = sim->now.names[i].inode;
        if (inode == NULL || inode->now.len < SIM_DISK_SECTOR_LEN || nth-- > 0) {
            continue;
        }
        uint64_t sectors = inode->now.len / SIM_DISK_SECTOR_LEN;
        uint64_t at = (sim->stray_place >> 16) % sectors * SIM_DISK_SECTOR_LEN;
        if (inode == meant && at == offset / SIM_DISK_SECTOR_LEN * SIM_DISK_SECTOR_LEN) {
            return; /* Where it belongs: then it is a lost one. */
        }
        size_t part = inode->now.len - at < len ? (size_t)(inode->now.len - at) : len;
        sim_image_write(&inode->now, at, data, part);
        sim_image_write(&inode->durable, at, data, part);
        return;
    }
}

bool sim_disk_strays(struct sim_disk *sim, struct sim_inode *inode, uint64_t offset, const uint8_t *data, size_t len)
{
    if (sim->stray == SIM_DISK_STRAY_NONE || len == 0) {
        return false;
    }
    if (sim->stray_after > 0) {
        sim->stray_after--;
        return false;
    }
    enum sim_disk_stray kind = sim->stray;
    sim->stray = SIM_DISK_STRAY_NONE;
    sim->damaged = true;
    sim->counters.strayed++;
    if (kind == SIM_DISK_STRAY_LATER) {
        sim_image_write(&inode->now, offset, data, len);
        inode->differs = true;
    } else if (kind == SIM_DISK_STRAY_ELSEWHERE) {
        stray_land(sim, inode, offset, data, len);
    }
    if (offset + len > inode->now.len) {
        sim_inode_change(inode, SIM_CHANGE_ALLOCATE, offset + len, NULL, 0);
    }
    return true;
}

/* ---- Earlier contents ---- */

struct sim_disk *sim_disk_remember(const struct sim_disk *sim)
{
    struct sim_disk *memory = sim_disk_new();
    for (size_t i = 0; memory != NULL && i < sim->durable.len; i++) {
        const struct sim_name *name = &sim->durable.names[i];
        struct sim_inode *inode = NULL;
        if (name->inode != NULL) {
            inode = inode_new();
            sim_image_copy(&inode->now, &name->inode->durable);
            sim_image_copy(&inode->durable, &name->inode->durable);
        }
        sim_names_link(&memory->now, name->path, inode);
        sim_inode_unref(inode);
    }
    return memory;
}

static void memory_link(struct sim_disk *sim, const struct sim_name *name)
{
    struct sim_inode *inode = NULL;
    if (name->inode != NULL) {
        inode = inode_new();
        sim_image_copy(&inode->now, &name->inode->now);
        sim_image_copy(&inode->durable, &name->inode->now);
    }
    sim_names_link(&sim->now, name->path, inode);
    sim_names_link(&sim->durable, name->path, inode);
    sim_inode_unref(inode);
}

int sim_disk_roll_back_file(struct sim_disk *sim, const struct sim_disk *memory, const char *path)
{
    const struct sim_name *then = sim_names_find(&memory->now, path);
    const struct sim_inode *now = damage_inode(sim, path);
    if (then == NULL || then->inode == NULL || now == NULL || sim->namings_len > 0) {
        return ERR_NOT_FOUND;
    }
    if (then->inode->now.len == now->now.len &&
        (now->now.len == 0 || memcmp(then->inode->now.data, now->now.data, (size_t)now->now.len) == 0)) {
        return ERR_NOT_FOUND;
    }
    memory_link(sim, then);
    sim->damaged = true;
    return 0;
}

void sim_disk_roll_back(struct sim_disk *sim, const struct sim_disk *memory)
{
    sim_disk_forget(sim);
    for (size_t i = 0; i < sim->namings_len; i++) {
        sim_naming_done(&sim->namings[i]);
    }
    sim->namings_len = 0;
    sim_names_clear(&sim->now);
    sim_names_clear(&sim->durable);
    for (size_t i = 0; i < memory->now.len; i++) {
        memory_link(sim, &memory->now.names[i]);
    }
    sim->damaged = true;
}
