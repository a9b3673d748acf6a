/* A disk in memory that forgets, in a crash, what was not synced. */

#include "sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

#define PATH_LEN_MAX 256u
#define FILE_LEN_MAX (UINT64_C(4) << 30)

/* Bytes with a size; beyond the size of the image everything is zero. */
struct image {
    uint8_t *data;
    uint64_t len;
    uint64_t cap;
};

enum change_kind { CHANGE_WRITE, CHANGE_ALLOCATE, CHANGE_TRUNCATE };

/* Something done to a file since it was synced: at most one sector of bytes, or a new size. */
struct change {
    enum change_kind kind;
    uint64_t offset; /* Or the size. */
    size_t len;
    uint8_t data[SIM_DISK_SECTOR_LEN];
};

struct inode {
    unsigned refs; /* Names, in both directories and in pending changes of names, and open files. */
    struct image now;
    struct image durable;
    struct change **changes;
    size_t changes_len;
    size_t changes_cap;
    bool differs; /* What reads differently from what is durable is not all in `changes`. */
};

/* A name in the file system; a directory has no inode. */
struct name {
    char path[PATH_LEN_MAX];
    struct inode *inode;
};

/* All names, sorted. */
struct names {
    struct name *names;
    size_t len;
    size_t cap;
};

enum naming_kind { NAMING_LINK, NAMING_RENAME, NAMING_REMOVE };

/* A change of names that is not durable yet. */
struct naming {
    enum naming_kind kind;
    char path[PATH_LEN_MAX];
    char to[PATH_LEN_MAX]; /* Of a rename. */
    struct inode *inode;   /* Of a link; NULL for a directory. */
};

struct pending {
    enum sim_disk_kind kind;
    struct disk_append *append;
    struct disk_task *task;
    struct inode *inode;
};

struct sim_file {
    struct disk_file file;
    struct inode *inode;
    bool read_only;
};

struct sim_disk {
    struct disk disk;
    struct names now;
    struct names durable;
    struct naming *namings;
    size_t namings_len;
    size_t namings_cap;
    struct pending *pending;
    size_t pending_len;
    size_t pending_cap;
    int append_err;
    int offload_err;
    int sync_err;
    uint64_t syncs_before_err;
    struct sim_disk_counters counters;
};

/* Memory running out is not among the faults simulated here; a test that cannot run says so. */
static void *grown(void *array, size_t elem_len, size_t len, size_t *cap)
{
    if (len < *cap) {
        return array;
    }
    *cap = *cap == 0 ? 16 : *cap * 2;
    void *bigger = realloc(array, *cap * elem_len);
    CHECK(bigger != NULL);
    return bigger;
}

static void image_resize(struct image *image, uint64_t len)
{
    CHECK(len <= FILE_LEN_MAX);
    if (len > image->cap) {
        uint64_t cap = image->cap * 2 > len ? image->cap * 2 : len;
        uint8_t *data = calloc(1, cap);
        CHECK(data != NULL);
        if (image->len > 0) {
            memcpy(data, image->data, image->len);
        }
        free(image->data);
        image->data = data;
        image->cap = cap;
    } else if (len < image->len) {
        memset(image->data + len, 0, image->len - len);
    }
    image->len = len;
}

static void image_write(struct image *image, uint64_t offset, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    if (offset + len > image->len) {
        image_resize(image, offset + len);
    }
    memcpy(image->data + offset, data, len);
}

static void image_copy(struct image *to, const struct image *from)
{
    free(to->data);
    *to = (struct image){0};
    image_resize(to, from->len);
    image_write(to, 0, from->data, from->len);
}

static void image_apply(struct image *image, const struct change *change, size_t len)
{
    switch (change->kind) {
    case CHANGE_WRITE: image_write(image, change->offset, change->data, len); break;
    case CHANGE_ALLOCATE:
        if (change->offset > image->len) {
            image_resize(image, change->offset);
        }
        break;
    case CHANGE_TRUNCATE: image_resize(image, change->offset); break;
    }
}

static struct inode *inode_ref(struct inode *inode)
{
    if (inode != NULL) {
        inode->refs++;
    }
    return inode;
}

static void inode_forget_changes(struct inode *inode, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(inode->changes[i]);
    }
    if (count < inode->changes_len) {
        memmove(inode->changes, inode->changes + count, (inode->changes_len - count) * sizeof *inode->changes);
    }
    inode->changes_len -= count;
}

static void inode_unref(struct inode *inode)
{
    if (inode == NULL || --inode->refs > 0) {
        return;
    }
    inode_forget_changes(inode, inode->changes_len);
    free(inode->changes);
    free(inode->now.data);
    free(inode->durable.data);
    free(inode);
}

/* The sector as written a moment ago, which the page cache would replace: so that a slot that is written again and
 * again without a sync takes no more memory. */
static struct change *inode_replaceable(const struct inode *inode, uint64_t offset, size_t len)
{
    for (size_t i = inode->changes_len, looks = 0; i > 0 && looks < 4; i--, looks++) {
        struct change *change = inode->changes[i - 1];
        if (change->kind != CHANGE_WRITE) {
            return NULL;
        }
        if (change->offset / SIM_DISK_SECTOR_LEN == offset / SIM_DISK_SECTOR_LEN) {
            return change->offset == offset && change->len == len ? change : NULL;
        }
    }
    return NULL;
}

static void inode_change(struct inode *inode, enum change_kind kind, uint64_t offset, const void *data, size_t len)
{
    CHECK(len <= SIM_DISK_SECTOR_LEN);
    struct change *change = kind == CHANGE_WRITE ? inode_replaceable(inode, offset, len) : NULL;
    if (change != NULL) {
        memcpy(change->data, data, len);
        image_apply(&inode->now, change, len);
        return;
    }
    change = malloc(sizeof *change);
    CHECK(change != NULL);
    *change = (struct change){.kind = kind, .offset = offset, .len = len};
    if (len > 0) {
        memcpy(change->data, data, len);
    }
    image_apply(&inode->now, change, len);
    inode->changes = grown(inode->changes, sizeof(struct change *), inode->changes_len, &inode->changes_cap);
    inode->changes[inode->changes_len++] = change;
}

/* Cuts a write at the sectors' edges, since each reaches the disk on its own. */
static void inode_write(struct inode *inode, uint64_t offset, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t part = SIM_DISK_SECTOR_LEN - (size_t)(offset % SIM_DISK_SECTOR_LEN);
        part = part < len ? part : len;
        inode_change(inode, CHANGE_WRITE, offset, data, part);
        offset += part;
        data += part;
        len -= part;
    }
}

static void inode_sync(struct inode *inode, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        image_apply(&inode->durable, inode->changes[i], inode->changes[i]->len);
    }
    inode_forget_changes(inode, count);
}

/* The place of a path, or where it belongs. */
static size_t names_place(const struct names *names, const char *path, bool *ret_found)
{
    size_t i = 0;
    int order = 1;
    while (i < names->len && (order = strcmp(names->names[i].path, path)) < 0) {
        i++;
    }
    *ret_found = i < names->len && order == 0;
    return i;
}

static struct name *names_find(const struct names *names, const char *path)
{
    bool found;
    size_t i = names_place(names, path, &found);
    return found ? &names->names[i] : NULL;
}

static void names_remove(struct names *names, const char *path)
{
    bool found;
    size_t i = names_place(names, path, &found);
    if (!found) {
        return;
    }
    inode_unref(names->names[i].inode);
    memmove(names->names + i, names->names + i + 1, (names->len - i - 1) * sizeof *names->names);
    names->len--;
}

/* Takes a reference to the inode, and displaces what had the name. */
static void names_link(struct names *names, const char *path, struct inode *inode)
{
    inode_ref(inode);
    names_remove(names, path);
    bool found;
    size_t i = names_place(names, path, &found);
    names->names = grown(names->names, sizeof *names->names, names->len, &names->cap);
    memmove(names->names + i + 1, names->names + i, (names->len - i) * sizeof *names->names);
    names->names[i].inode = inode;
    snprintf(names->names[i].path, PATH_LEN_MAX, "%s", path);
    names->len++;
}

static void names_apply(struct names *names, const struct naming *naming)
{
    switch (naming->kind) {
    case NAMING_LINK: names_link(names, naming->path, naming->inode); break;
    case NAMING_REMOVE: names_remove(names, naming->path); break;
    case NAMING_RENAME: {
        struct name *name = names_find(names, naming->path);
        if (name != NULL) {
            struct inode *inode = inode_ref(name->inode);
            names_remove(names, naming->path);
            names_link(names, naming->to, inode);
            inode_unref(inode);
        }
        break;
    }
    }
}

static void names_clear(struct names *names)
{
    while (names->len > 0) {
        inode_unref(names->names[--names->len].inode);
    }
}

static void names_copy(struct names *to, const struct names *from)
{
    struct names copy = {0};
    for (size_t i = 0; i < from->len; i++) {
        names_link(&copy, from->names[i].path, from->names[i].inode);
    }
    names_clear(to);
    free(to->names);
    *to = copy;
}

/* The length of the path of the directory that holds `path`; 0 is the root. */
static size_t parent_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

static bool parent_exists(const struct names *names, const char *path)
{
    size_t len = parent_len(path);
    char parent[PATH_LEN_MAX];
    memcpy(parent, path, len);
    parent[len] = '\0';
    return len == 0 || names_find(names, parent) != NULL;
}

static bool is_root(const char *path)
{
    return path[0] == '\0' || strcmp(path, ".") == 0;
}

static bool is_parent(const char *dir, const char *path)
{
    size_t len = is_root(dir) ? 0 : strlen(dir);
    return parent_len(path) == len && strncmp(dir, path, len) == 0;
}

static struct sim_disk *sim_of(struct disk *disk)
{
    return container_of(disk, struct sim_disk, disk);
}

static struct sim_file *file_of(struct disk_file *file)
{
    return container_of(file, struct sim_file, file);
}

static void naming_done(struct naming *naming)
{
    inode_unref(naming->inode);
}

static void sim_rename_names(struct sim_disk *sim, enum naming_kind kind, const char *path, const char *to,
                             struct inode *inode)
{
    sim->namings = grown(sim->namings, sizeof *sim->namings, sim->namings_len, &sim->namings_cap);
    struct naming *naming = &sim->namings[sim->namings_len++];
    *naming = (struct naming){.kind = kind, .inode = inode_ref(inode)};
    snprintf(naming->path, PATH_LEN_MAX, "%s", path);
    snprintf(naming->to, PATH_LEN_MAX, "%s", to);
    names_apply(&sim->now, naming);
}

static int op_make_dir(struct disk *disk, const char *path)
{
    struct sim_disk *sim = sim_of(disk);
    CHECK(strlen(path) < PATH_LEN_MAX);
    for (size_t len = 1; !is_root(path) && len <= strlen(path); len++) {
        char part[PATH_LEN_MAX] = {0};
        memcpy(part, path, len);
        if ((path[len] != '/' && path[len] != '\0') || names_find(&sim->now, part) != NULL) {
            continue;
        }
        sim_rename_names(sim, NAMING_LINK, part, "", NULL);
    }
    return 0;
}

static int op_list(struct disk *disk, const char *path, void (*each)(void *arg, const char *name), void *arg)
{
    struct sim_disk *sim = sim_of(disk);
    if (!is_root(path) && names_find(&sim->now, path) == NULL) {
        return ERR_NOT_FOUND;
    }
    struct names copy = {0};
    names_copy(&copy, &sim->now);
    for (size_t i = 0; i < copy.len; i++) {
        if (is_parent(path, copy.names[i].path)) {
            size_t len = parent_len(copy.names[i].path);
            each(arg, copy.names[i].path + len + (len > 0));
        }
    }
    names_clear(&copy);
    free(copy.names);
    return 0;
}

static int op_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file)
{
    struct sim_disk *sim = sim_of(disk);
    CHECK(strlen(path) < PATH_LEN_MAX && strstr(path, "..") == NULL);
    struct name *name = names_find(&sim->now, path);
    if (name != NULL && (flags & DISK_EXCLUSIVE) != 0) {
        return ERR_EXISTS;
    }
    if (name != NULL && name->inode == NULL) {
        return ERR_IO;
    }
    if (name == NULL && ((flags & DISK_CREATE) == 0 || !parent_exists(&sim->now, path))) {
        return ERR_NOT_FOUND;
    }
    struct sim_file *file = calloc(1, sizeof *file);
    CHECK(file != NULL);
    if (name != NULL) {
        file->inode = inode_ref(name->inode);
    } else {
        file->inode = calloc(1, sizeof *file->inode);
        CHECK(file->inode != NULL);
        file->inode->refs = 1;
        sim_rename_names(sim, NAMING_LINK, path, "", file->inode);
    }
    file->file.disk = disk;
    file->read_only = (flags & DISK_READ_ONLY) != 0;
    *ret_file = &file->file;
    return 0;
}

static void op_close(struct disk_file *disk_file)
{
    struct sim_file *file = file_of(disk_file);
    inode_unref(file->inode);
    free(file);
}

static int op_size(struct disk_file *file, uint64_t *ret_size)
{
    *ret_size = file_of(file)->inode->now.len;
    return 0;
}

static int op_read(struct disk_file *file, uint64_t offset, void *data, size_t len, size_t *ret_read)
{
    const struct image *image = &file_of(file)->inode->now;
    uint64_t left = offset < image->len ? image->len - offset : 0;
    size_t part = left < len ? (size_t)left : len;
    if (part > 0) {
        memcpy(data, image->data + offset, part);
    }
    *ret_read = part;
    return 0;
}

static int op_write(struct disk_file *file, uint64_t offset, const void *data, size_t len)
{
    CHECK(!file_of(file)->read_only);
    inode_write(file_of(file)->inode, offset, data, len);
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
    struct inode *inode = file_of(file)->inode;
    sim_of(file->disk)->counters.syncs++;
    inode_sync(inode, inode->changes_len);
    return 0;
}

static int op_allocate(struct disk_file *file, uint64_t size)
{
    CHECK(!file_of(file)->read_only);
    if (size > FILE_LEN_MAX) {
        return ERR_NO_SPACE;
    }
    inode_change(file_of(file)->inode, CHANGE_ALLOCATE, size, NULL, 0);
    return 0;
}

static int op_truncate(struct disk_file *file, uint64_t size)
{
    CHECK(!file_of(file)->read_only);
    inode_change(file_of(file)->inode, CHANGE_TRUNCATE, size, NULL, 0);
    return 0;
}

static int op_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *sim = sim_of(disk);
    struct name *name = names_find(&sim->now, from);
    if (name == NULL || name->inode == NULL || !parent_exists(&sim->now, to)) {
        return ERR_NOT_FOUND;
    }
    CHECK(strlen(to) < PATH_LEN_MAX);
    sim_rename_names(sim, NAMING_RENAME, from, to, NULL);
    return 0;
}

static int op_remove(struct disk *disk, const char *path)
{
    struct sim_disk *sim = sim_of(disk);
    if (names_find(&sim->now, path) == NULL) {
        return ERR_NOT_FOUND;
    }
    sim_rename_names(sim, NAMING_REMOVE, path, "", NULL);
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
        struct naming *naming = &sim->namings[i];
        if (!is_parent(path, naming->path)) {
            sim->namings[kept++] = *naming;
            continue;
        }
        names_apply(&sim->durable, naming);
        naming_done(naming);
    }
    sim->namings_len = kept;
    return 0;
}

static void sim_enqueue(struct sim_disk *sim, struct pending pending)
{
    sim->pending = grown(sim->pending, sizeof *sim->pending, sim->pending_len, &sim->pending_cap);
    sim->pending[sim->pending_len++] = pending;
}

static void op_append(struct disk *disk, struct disk_append *append)
{
    struct inode *inode = file_of(append->file)->inode;
    CHECK(!file_of(append->file)->read_only);
    uint64_t offset = append->offset;
    for (unsigned i = 0; i < append->vectors_len; i++) {
        inode_write(inode, offset, append->vectors[i].data, append->vectors[i].len);
        offset += append->vectors[i].len;
    }
    sim_enqueue(sim_of(disk), (struct pending){.kind = SIM_DISK_APPEND, .append = append, .inode = inode_ref(inode)});
}

static void op_offload(struct disk *disk, struct disk_task *task)
{
    sim_enqueue(sim_of(disk), (struct pending){.kind = SIM_DISK_OFFLOAD, .task = task});
}

static const struct disk_ops sim_ops = {
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
    .sync_dir = op_sync_dir,
    .append = op_append,
    .offload = op_offload,
};

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *sim = calloc(1, sizeof *sim);
    if (sim != NULL) {
        sim->disk.ops = &sim_ops;
    }
    return sim;
}

static void sim_forget(struct sim_disk *sim)
{
    for (size_t i = 0; i < sim->pending_len; i++) {
        inode_unref(sim->pending[i].inode);
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
    sim_forget(sim);
    for (size_t i = 0; i < sim->namings_len; i++) {
        naming_done(&sim->namings[i]);
    }
    names_clear(&sim->now);
    names_clear(&sim->durable);
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
        const struct name *name = &sim->now.names[i];
        if (name->inode == NULL) {
            names_link(&clone->now, name->path, NULL);
            continue;
        }
        struct inode *inode = calloc(1, sizeof *inode);
        CHECK(inode != NULL);
        inode->refs = 1;
        image_copy(&inode->now, &name->inode->now);
        image_copy(&inode->durable, &name->inode->now);
        names_link(&clone->now, name->path, inode);
        inode_unref(inode);
    }
    names_copy(&clone->durable, &clone->now);
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
static void append_complete(struct sim_disk *sim, struct pending *pending)
{
    int err = sim->append_err;
    sim->append_err = 0;
    if (err == 0) {
        sim->counters.appends++;
    }
    if (err == 0 && !pending->append->skip_sync) {
        sim->counters.syncs++;
        inode_sync(pending->inode, pending->inode->changes_len);
    }
    inode_unref(pending->inode);
    pending->append->done(pending->append, err);
}

static void task_complete(struct sim_disk *sim, struct pending *pending)
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
    struct pending pending = sim->pending[i];
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
        struct inode *inode = sim->now.names[i].inode;
        if (inode != NULL && inode->changes_len > 0) {
            inode_forget_changes(inode, inode->changes_len);
            inode->differs = true;
        }
    }
}

/* How much of a change reaches the disk: nothing, all of it, or, of a sector, a part from its start. */
static size_t change_survives(struct sim_disk *sim, const struct change *change, uint64_t (*random)(void *arg),
                              void *arg, bool *ret_lost)
{
    uint64_t dice = random == NULL ? 0 : random(arg) % 3;
    if (dice == 1) {
        return change->len;
    }
    if (dice == 0 || change->kind != CHANGE_WRITE || change->len < 2) {
        *ret_lost = true;
        sim->counters.sectors_lost++;
        return 0;
    }
    *ret_lost = true;
    sim->counters.sectors_torn++;
    return 1 + (size_t)(random(arg) % (change->len - 1));
}

static bool inode_crash(struct sim_disk *sim, struct inode *inode, uint64_t (*random)(void *arg), void *arg)
{
    bool lost_any = false;
    for (size_t i = 0; i < inode->changes_len; i++) {
        bool lost = false;
        const struct change *change = inode->changes[i];
        size_t len = change_survives(sim, change, random, arg, &lost);
        if (len > 0 || !lost) {
            image_apply(&inode->durable, change, len);
        }
        lost_any = lost_any || lost;
    }
    if (inode->changes_len > 0 || inode->differs) {
        inode_forget_changes(inode, inode->changes_len);
        image_copy(&inode->now, &inode->durable);
        inode->differs = false;
    }
    return lost_any;
}

/* A name in a directory that is gone is gone too. */
static void names_drop_orphans(struct names *names)
{
    for (size_t i = 0; i < names->len;) {
        if (parent_exists(names, names->names[i].path)) {
            i++;
        } else {
            char path[PATH_LEN_MAX];
            memcpy(path, names->names[i].path, sizeof path);
            names_remove(names, path);
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
            names_apply(&sim->durable, &sim->namings[i]);
        }
        naming_done(&sim->namings[i]);
    }
    sim->namings_len = 0;
    names_drop_orphans(&sim->durable);
}

void sim_disk_crash(struct sim_disk *sim, uint64_t (*random)(void *arg), void *arg)
{
    sim_forget(sim);
    namings_crash(sim, random, arg);
    bool lost = false;
    for (size_t i = 0; i < sim->durable.len; i++) {
        struct inode *inode = sim->durable.names[i].inode;
        if (inode != NULL && inode_crash(sim, inode, random, arg)) {
            lost = true;
        }
    }
    names_copy(&sim->now, &sim->durable);
    sim->counters.crashes++;
    sim->counters.crashes_with_loss += lost;
}

void sim_disk_crash_losing_all(struct sim_disk *sim)
{
    sim_disk_crash(sim, NULL, NULL);
}

void sim_disk_kill(struct sim_disk *sim)
{
    sim_forget(sim);
}

const struct sim_disk_counters *sim_disk_counters(const struct sim_disk *sim)
{
    return &sim->counters;
}

void sim_disk_each_file(const struct sim_disk *sim,
                        void (*each)(void *arg, const char *path, const uint8_t *data, uint64_t len), void *arg)
{
    for (size_t i = 0; i < sim->now.len; i++) {
        const struct name *name = &sim->now.names[i];
        if (name->inode != NULL) {
            each(arg, name->path, name->inode->now.data, name->inode->now.len);
        }
    }
}

int sim_disk_content(const struct sim_disk *sim, const char *path, const uint8_t **ret_data, uint64_t *ret_len)
{
    const struct name *name = names_find(&sim->now, path);
    if (name == NULL || name->inode == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_data = name->inode->now.data;
    *ret_len = name->inode->now.len;
    return 0;
}

int sim_disk_overwrite(struct sim_disk *sim, const char *path, uint64_t offset, const void *data, size_t len)
{
    const struct name *name = names_find(&sim->now, path);
    if (name == NULL || name->inode == NULL || offset > name->inode->now.len || len > name->inode->now.len - offset) {
        return ERR_NOT_FOUND;
    }
    image_write(&name->inode->now, offset, data, len);
    image_write(&name->inode->durable, offset, data, len);
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
