/* The operations that a node sees. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_disk_private.h"

struct sim_file {
    struct disk_file file;
    struct sim_inode *inode;
    bool read_only;
};

static struct sim_disk *sim_of(struct disk *disk)
{
    return container_of(disk, struct sim_disk, disk);
}

static struct sim_file *file_of(struct disk_file *file)
{
    return container_of(file, struct sim_file, file);
}

static void sim_disk_name(struct sim_disk *sim, enum sim_naming_kind kind, const char *path, const char *to,
                          struct sim_inode *inode)
{
    sim->namings = sim_grown(sim->namings, sizeof *sim->namings, sim->namings_len, &sim->namings_cap);
    struct sim_naming *naming = &sim->namings[sim->namings_len++];
    *naming = (struct sim_naming){.kind = kind, .inode = sim_inode_ref(inode)};
    snprintf(naming->path, SIM_PATH_LEN_MAX, "%s", path);
    snprintf(naming->to, SIM_PATH_LEN_MAX, "%s", to);
    sim_names_apply(&sim->now, naming);
}

static int op_make_dir(struct disk *disk, const char *path)
{
    struct sim_disk *sim = sim_of(disk);
    CHECK(strlen(path) < SIM_PATH_LEN_MAX);
    for (size_t len = 1; !sim_is_root(path) && len <= strlen(path); len++) {
        char part[SIM_PATH_LEN_MAX] = {0};
        memcpy(part, path, len);
        if ((path[len] != '/' && path[len] != '\0') || sim_names_find(&sim->now, part) != NULL) {
            continue;
        }
        sim_disk_name(sim, SIM_NAMING_LINK, part, "", NULL);
    }
    return 0;
}

static int op_list(struct disk *disk, const char *path, void (*each)(void *arg, const char *name), void *arg)
{
    struct sim_disk *sim = sim_of(disk);
    if (!sim_is_root(path) && sim_names_find(&sim->now, path) == NULL) {
        return ERR_NOT_FOUND;
    }
    struct sim_names copy = {0};
    sim_names_copy(&copy, &sim->now);
    for (size_t i = 0; i < copy.len; i++) {
        if (sim_is_parent(path, copy.names[i].path)) {
            size_t len = sim_parent_len(copy.names[i].path);
            each(arg, copy.names[i].path + len + (len > 0));
        }
    }
    sim_names_clear(&copy);
    free(copy.names);
    return 0;
}

static int op_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file)
{
    struct sim_disk *sim = sim_of(disk);
    CHECK(strlen(path) < SIM_PATH_LEN_MAX && strstr(path, "..") == NULL);
    struct sim_name *name = sim_names_find(&sim->now, path);
    if (name != NULL && (flags & DISK_EXCLUSIVE) != 0) {
        return ERR_EXISTS;
    }
    if (name != NULL && name->inode == NULL) {
        return ERR_CORRUPT;
    }
    if (name == NULL && ((flags & DISK_CREATE) == 0 || !sim_parent_exists(&sim->now, path))) {
        return ERR_NOT_FOUND;
    }
    if (name == NULL && !sim_disk_fits(sim, SIM_DISK_NAME_LEN)) {
        return ERR_NO_SPACE;
    }
    struct sim_file *file = calloc(1, sizeof *file);
    CHECK(file != NULL);
    if (name != NULL) {
        file->inode = sim_inode_ref(name->inode);
    } else {
        file->inode = inode_new();
        sim_disk_name(sim, SIM_NAMING_LINK, path, "", file->inode);
    }
    file->file.disk = disk;
    file->read_only = (flags & DISK_READ_ONLY) != 0;
    *ret_file = &file->file;
    return 0;
}

static void op_close(struct disk_file *disk_file)
{
    struct sim_file *file = file_of(disk_file);
    sim_inode_unref(file->inode);
    free(file);
}

static int op_size(struct disk_file *file, uint64_t *ret_size)
{
    *ret_size = file_of(file)->inode->now.len;
    return 0;
}

static int op_read(struct disk_file *file, uint64_t offset, void *data, size_t len, size_t *ret_read)
{
    const struct sim_image *image = &file_of(file)->inode->now;
    uint64_t left = offset < image->len ? image->len - offset : 0;
    size_t part = left < len ? (size_t)left : len;
    if (file_of(file)->inode->bad_len > 0 && sim_inode_unreadable(file_of(file)->inode, offset, part)) {
        return ERR_CORRUPT;
    }
    if (part > 0) {
        memcpy(data, image->data + offset, part);
    }
    *ret_read = part;
    return 0;
}

/* How much more of the disk a file takes that is to have this size; what is allocated is its own for good. */
static uint64_t file_growth(struct disk_file *file, uint64_t size)
{
    uint64_t len = file_of(file)->inode->now.len;
    return size > len ? size - len : 0;
}

static int op_write(struct disk_file *file, uint64_t offset, const void *data, size_t len)
{
    CHECK(!file_of(file)->read_only);
    if (!sim_disk_fits(sim_of(file->disk), file_growth(file, offset + len))) {
        return ERR_NO_SPACE;
    }
    if (!sim_disk_strays(sim_of(file->disk), file_of(file)->inode, offset, data, len)) {
        sim_inode_write(file_of(file)->inode, offset, data, len);
    }
    return 0;
}

/* The error that was asked for, when its turn has come. */
static int sim_sync_err(struct sim_disk *sim)
{
    if (sim->sync_err == 0 || sim->syncs_before_err-- > 0) {
        return 0;
    }
    int err = sim->sync_err;
    sim->sync_err = 0;
    return err;
}

static int op_sync(struct disk_file *file)
{
    int err = sim_sync_err(sim_of(file->disk));
    if (err != 0) {
        return err;
    }
    struct sim_inode *inode = file_of(file)->inode;
    sim_of(file->disk)->counters.syncs++;
    sim_inode_sync(inode, inode->changes_len);
    return 0;
}

static int op_allocate(struct disk_file *file, uint64_t size)
{
    CHECK(!file_of(file)->read_only);
    if (size > SIM_FILE_LEN_MAX || !sim_disk_fits(sim_of(file->disk), file_growth(file, size))) {
        return ERR_NO_SPACE;
    }
    sim_inode_change(file_of(file)->inode, SIM_CHANGE_ALLOCATE, size, NULL, 0);
    return 0;
}

static int op_truncate(struct disk_file *file, uint64_t size)
{
    CHECK(!file_of(file)->read_only);
    sim_inode_change(file_of(file)->inode, SIM_CHANGE_TRUNCATE, size, NULL, 0);
    return 0;
}

static int op_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *sim = sim_of(disk);
    struct sim_name *name = sim_names_find(&sim->now, from);
    if (name == NULL || name->inode == NULL || !sim_parent_exists(&sim->now, to)) {
        return ERR_NOT_FOUND;
    }
    CHECK(strlen(to) < SIM_PATH_LEN_MAX);
    sim_disk_name(sim, SIM_NAMING_RENAME, from, to, NULL);
    return 0;
}

static int op_remove_dir(struct disk *disk, const char *path)
{
    struct sim_disk *sim = sim_of(disk);
    const struct sim_name *name = sim_names_find(&sim->now, path);
    if (name == NULL || name->inode != NULL) {
        return name == NULL ? ERR_NOT_FOUND : ERR_IO;
    }
    for (size_t i = 0; i < sim->now.len; i++) {
        if (sim_is_parent(path, sim->now.names[i].path)) {
            return ERR_IO;
        }
    }
    sim_disk_name(sim, SIM_NAMING_REMOVE, path, "", NULL);
    return 0;
}

static int op_remove(struct disk *disk, const char *path)
{
    struct sim_disk *sim = sim_of(disk);
    const struct sim_name *name = sim_names_find(&sim->now, path);
    if (name == NULL || name->inode == NULL) {
        return name == NULL ? ERR_NOT_FOUND : op_remove_dir(disk, path);
    }
    sim_disk_name(sim, SIM_NAMING_REMOVE, path, "", NULL);
    return 0;
}

static int op_sync_dir(struct disk *disk, const char *path)
{
    struct sim_disk *sim = sim_of(disk);
    int err = sim_sync_err(sim);
    if (err != 0) {
        return err;
    }
    size_t kept = 0;
    for (size_t i = 0; i < sim->namings_len; i++) {
        struct sim_naming *naming = &sim->namings[i];
        if (!sim_is_parent(path, naming->path)) {
            sim->namings[kept++] = *naming;
            continue;
        }
        sim_names_apply(&sim->durable, naming);
        sim_naming_done(naming);
    }
    sim->namings_len = kept;
    return 0;
}

static int op_free_space(struct disk *disk, uint64_t *ret_free)
{
    *ret_free = sim_disk_room(sim_of(disk));
    return 0;
}

static void sim_enqueue(struct sim_disk *sim, struct sim_pending pending)
{
    sim->pending = sim_grown(sim->pending, sizeof *sim->pending, sim->pending_len, &sim->pending_cap);
    sim->pending[sim->pending_len++] = pending;
}

static uint64_t append_len(const struct disk_append *append)
{
    uint64_t len = 0;
    for (unsigned i = 0; i < append->vectors_len; i++) {
        len += append->vectors[i].len;
    }
    return len;
}

/* Zeroes make no difference here, but must not fall on anything, nor beyond the end. */
static void sim_check_zeroes(struct sim_disk *sim, const struct sim_inode *inode, const struct disk_append *append)
{
    const struct sim_image *image = &inode->now;
    CHECK(append->vectors_len == 0 && append->skip_sync && append->offset + append->zeroes_len <= image->len);
    for (uint64_t i = append->offset; i < append->offset + append->zeroes_len; i++) {
        CHECK(image->data[i] == 0 || sim->damaged);
    }
    sim->counters.zeroes += append->zeroes_len;
}

/* All vectors go astray together: they are one write. */
static bool append_strays(struct sim_disk *sim, struct sim_inode *inode, const struct disk_append *append)
{
    size_t len = (size_t)append_len(append);
    if (sim->stray == SIM_DISK_STRAY_NONE || len == 0) {
        return false;
    }
    uint8_t *data = malloc(len);
    CHECK(data != NULL);
    size_t at = 0;
    for (unsigned i = 0; i < append->vectors_len; i++) {
        memcpy(data + at, append->vectors[i].data, append->vectors[i].len);
        at += append->vectors[i].len;
    }
    bool strays = sim_disk_strays(sim, inode, append->offset, data, len);
    free(data);
    return strays;
}

static void op_append(struct disk *disk, struct disk_append *append)
{
    struct sim_inode *inode = file_of(append->file)->inode;
    struct sim_pending pending = {.kind = SIM_DISK_APPEND, .append = append, .inode = sim_inode_ref(inode)};
    uint64_t offset = append->offset;
    CHECK(!file_of(append->file)->read_only);
    if (append->zeroes_len > 0) {
        sim_check_zeroes(sim_of(disk), inode, append);
    }
    if (!sim_disk_fits(sim_of(disk), file_growth(append->file, offset + append_len(append)))) {
        pending.err = ERR_NO_SPACE;
    }
    bool strays = pending.err == 0 && append_strays(sim_of(disk), inode, append);
    for (unsigned i = 0; pending.err == 0 && !strays && i < append->vectors_len; i++) {
        sim_inode_write(inode, offset, append->vectors[i].data, append->vectors[i].len);
        offset += append->vectors[i].len;
    }
    sim_enqueue(sim_of(disk), pending);
}

static void op_offload(struct disk *disk, struct disk_task *task)
{
    sim_enqueue(sim_of(disk), (struct sim_pending){.kind = SIM_DISK_OFFLOAD, .task = task});
}

const struct disk_ops sim_disk_operations = {
    .make_dir = op_make_dir,
    .list = op_list,
    .open = op_open,
    .close = op_close,
    .size = op_size,
    .read = op_read,
    .write = op_write,
    .sync = op_sync,
    .allocate = op_allocate,
    .truncate = op_truncate,
    .rename = op_rename,
    .remove = op_remove,
    .remove_dir = op_remove_dir,
    .sync_dir = op_sync_dir,
    .free_space = op_free_space,
    .append = op_append,
    .offload = op_offload,
};
