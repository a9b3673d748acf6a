/* A file of the simulated disk: its durable content, and what was changed since. */

#ifndef HOLDFAST_SIM_DISK_INODE_H
#define HOLDFAST_SIM_DISK_INODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_disk.h"

#define SIM_FILE_LEN_MAX (UINT64_C(4) << 30)

/* Bytes with a size; beyond the size of the image everything is zero. */
struct sim_image {
    uint8_t *data;
    uint64_t len;
    uint64_t cap;
};

enum sim_change_kind { SIM_CHANGE_WRITE, SIM_CHANGE_ALLOCATE, SIM_CHANGE_TRUNCATE };

/* Something done to a file since it was synced: at most one sector of bytes, or a new size. */
struct sim_change {
    enum sim_change_kind kind;
    uint64_t offset; /* Or the size. */
    size_t len;
    uint8_t data[SIM_DISK_SECTOR_LEN];
};

struct sim_inode {
    unsigned refs; /* Names, in both directories and in pending changes of names, and open files. */
    struct sim_image now;
    struct sim_image durable;
    struct sim_change **changes;
    size_t changes_len;
    size_t changes_cap;
    bool differs;  /* What reads differently from what is durable is not all in `changes`. */
    uint64_t *bad; /* Sectors that cannot be read, by number. */
    size_t bad_len;
    size_t bad_cap;
};

/* Memory running out is not among the faults simulated here; a test that cannot run says so. */
void *sim_grown(void *array, size_t elem_len, size_t len, size_t *cap);

void sim_image_resize(struct sim_image *image, uint64_t len);
void sim_image_write(struct sim_image *image, uint64_t offset, const void *data, size_t len);
void sim_image_copy(struct sim_image *to, const struct sim_image *from);
void sim_image_apply(struct sim_image *image, const struct sim_change *change, size_t len);

/* NULL is allowed: a directory has none. */
struct sim_inode *inode_new(void);
struct sim_inode *sim_inode_ref(struct sim_inode *inode);
void sim_inode_unref(struct sim_inode *inode);

/* A change of at most one sector, or of the size. */
void sim_inode_change(struct sim_inode *inode, enum sim_change_kind kind, uint64_t offset, const void *data,
                      size_t len);
/* Cuts a write at the sectors' edges, since each reaches the disk on its own. */
void sim_inode_write(struct sim_inode *inode, uint64_t offset, const uint8_t *data, size_t len);
/* Makes the first `count` changes durable; or forgets them. */
void sim_inode_sync(struct sim_inode *inode, size_t count);
void sim_inode_forget(struct sim_inode *inode, size_t count);
/* Whether one of these bytes cannot be read; and that the sector has been written, and can be read again. */
bool sim_inode_unreadable(const struct sim_inode *inode, uint64_t offset, size_t len);
void sim_inode_rewritten(struct sim_inode *inode, uint64_t offset);

#endif
