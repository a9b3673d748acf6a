/* A disk in memory that forgets, in a crash, what was not synced: for tests and for the simulator.
 *
 * Every file has a durable content and a list of changes since, in sectors of 512 bytes; reads see the changes. A sync
 * makes them durable. Names (made, renamed, removed) are durable after sync_dir(). In a crash each unsynced sector is
 * kept, lost or torn on its own, and of the unsynced names a prefix is kept, in the order in which they were changed.
 *
 * It may have a capacity; then what does not fit is refused.
 *
 * Nothing completes by itself: appends and offloaded tasks wait in one queue until the caller completes them, which is
 * where simulated time comes in. Everything is deterministic. One thread. */

#ifndef HOLDFAST_SIM_DISK_H
#define HOLDFAST_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/disk.h"

#define SIM_DISK_SECTOR_LEN 512u
#define SIM_DISK_NAME_LEN 512u /* What a name takes of the disk, besides the content. */

struct sim_disk;

enum sim_disk_kind { SIM_DISK_APPEND, SIM_DISK_OFFLOAD };

struct sim_disk_counters {
    uint64_t crashes;
    uint64_t crashes_with_loss; /* Crashes in which unsynced bytes were lost or torn. */
    uint64_t sectors_lost;
    uint64_t sectors_torn;
    uint64_t names_lost; /* Unsynced directory changes that a crash undid. */
    uint64_t appends;    /* Completed. */
    uint64_t zeroes;     /* Bytes of zeroes that were to be written ahead of need. */
    uint64_t syncs;      /* Files made durable, by sync() or by an append. */
    uint64_t refused;    /* Writes, files and allocations for which there was no space. */
    uint64_t strayed;    /* Writes that went astray. */
};

/* An empty disk. NULL when out of memory. */
struct sim_disk *sim_disk_new(void) NODISCARD;
/* NULL is allowed. Every file must have been closed. */
void sim_disk_free(struct sim_disk *sim);
/* A new disk with the same files as they read now, all of it durable. The source has nothing pending. */
struct sim_disk *sim_disk_clone(const struct sim_disk *sim) NODISCARD;

/* What a node is given; borrowed. */
struct disk *sim_disk_ops(struct sim_disk *sim);

/* Bytes that fit on it; 0, as in the beginning: without end. What is beyond that is refused with ERR_NO_SPACE; bytes that
 * a file has been given (allocated or written) can be written again for ever. */
void sim_disk_set_capacity(struct sim_disk *sim, uint64_t capacity);
/* What others take of the same space, asked for whenever it matters: a store, files of strangers. */
void sim_disk_share(struct sim_disk *sim, uint64_t (*others)(void *arg), void *arg);
/* Bytes taken by its own files, and bytes still to be had (UINT64_MAX without a capacity). */
uint64_t sim_disk_used(const struct sim_disk *sim);
uint64_t sim_disk_room(const struct sim_disk *sim);

/* Operations waiting to be completed. */
size_t sim_disk_pending(const struct sim_disk *sim);
/* The kind of the oldest one; false when none is waiting. */
bool sim_disk_next(const struct sim_disk *sim, enum sim_disk_kind *ret_kind);
/* Completes the oldest one: an append becomes durable, a task runs; then its `done` is called. */
void sim_disk_complete_one(struct sim_disk *sim);
/* Completes the oldest one of that kind, since a real disk runs the two kinds side by side; false when there is none.
 */
bool sim_disk_complete_kind(struct sim_disk *sim, enum sim_disk_kind kind);
/* Completes until nothing is waiting, including what the callbacks start. */
void sim_disk_complete_all(struct sim_disk *sim);

/* The next append completes with this error, with nothing made durable. */
void sim_disk_fail_next_append(struct sim_disk *sim, int err);
/* The next offloaded task is not run and completes with this error. */
void sim_disk_fail_next_offload(struct sim_disk *sim, int err);

/* The `nth` call of sync() or sync_dir() from now (0: the next) fails with this error and makes nothing durable. */
void sim_disk_fail_nth_sync(struct sim_disk *sim, uint64_t nth, int err);

/* The disk fails to write whatever was not synced, as after a failed sync: it reads as it was written, no sync to come
 * writes it, and a crash loses it. */
void sim_disk_fail_writeback(struct sim_disk *sim);

/* The power fails: what is pending is dropped (no `done`), unsynced changes are kept, lost or torn as `random` has it.
 * Open files stay valid for close() alone. */
void sim_disk_crash(struct sim_disk *sim, uint64_t (*random)(void *arg), void *arg);
/* The same, losing everything that was not synced. */
void sim_disk_crash_losing_all(struct sim_disk *sim);
/* The process dies and the machine lives: what is pending is dropped, and what was written stays, still unsynced. */
void sim_disk_kill(struct sim_disk *sim);

const struct sim_disk_counters *sim_disk_counters(const struct sim_disk *sim);

/* Calls `each` for every file, sorted by path, with its content as it reads now; borrowed for the call. */
void sim_disk_each_file(const struct sim_disk *sim,
                        void (*each)(void *arg, const char *path, const uint8_t *data, uint64_t len), void *arg);
/* The content of a file as it reads now; borrowed until the next change. ERR_NOT_FOUND. */
int sim_disk_content(const struct sim_disk *sim, const char *path, const uint8_t **ret_data,
                     uint64_t *ret_len) NODISCARD;
/* Changes a byte behind everybody's back, durably: it becomes its old value XOR `mask`. ERR_NOT_FOUND: no such byte. */
int sim_disk_corrupt(struct sim_disk *sim, const char *path, uint64_t offset, uint8_t mask) NODISCARD;
/* Replaces bytes likewise; they lie within the file. */
int sim_disk_overwrite(struct sim_disk *sim, const char *path, uint64_t offset, const void *data, size_t len) NODISCARD;

/* Damage that no crash explains: sim_disk_damage.c. */

/* From now on the sector at the offset cannot be read (ERR_CORRUPT), until it is written again. ERR_NOT_FOUND: no such byte. */
int sim_disk_lose_sector(struct sim_disk *sim, const char *path, uint64_t offset) NODISCARD;

enum sim_disk_stray {
    SIM_DISK_STRAY_NONE,
    SIM_DISK_STRAY_LOST,      /* What was there before is still there. */
    SIM_DISK_STRAY_LATER,     /* It reads as written until the power fails. */
    SIM_DISK_STRAY_ELSEWHERE, /* It lands on other sectors, durably, of this file or another. */
};
/* The `nth` write from now (0: the next) goes astray, and is reported as done, and as synced. `place` says where to, in any
 * number. */
void sim_disk_stray_write(struct sim_disk *sim, enum sim_disk_stray kind, uint64_t nth, uint64_t place);

/* What would be there after a crash now that loses all that is not synced: to be freed as a disk, and for no other use than: */
struct sim_disk *sim_disk_remember(const struct sim_disk *sim) NODISCARD;
/* A file is as it was then. No file may be open. ERR_NOT_FOUND: it was not there, is not there, or has not changed. */
int sim_disk_roll_back_file(struct sim_disk *sim, const struct sim_disk *memory, const char *path) NODISCARD;
/* All files, and no others, are as they were then. No file may be open. */
void sim_disk_roll_back(struct sim_disk *sim, const struct sim_disk *memory);

#endif
