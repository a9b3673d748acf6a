/* Contents of files, with and without what a crash may lose. */

#include "sim_disk_inode.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

void *sim_grown(void *array, size_t elem_len, size_t len, size_t *cap)
{
    if (len < *cap) {
        return array;
    }
    *cap = *cap == 0 ? 16 : *cap * 2;
    void *bigger = realloc(array, *cap * elem_len);
    CHECK(bigger != NULL);
    return bigger;
}

void sim_image_resize(struct sim_image *image, uint64_t len)
{
    CHECK(len <= SIM_FILE_LEN_MAX);
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

void sim_image_write(struct sim_image *image, uint64_t offset, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    if (offset + len > image->len) {
        sim_image_resize(image, offset + len);
    }
    memcpy(image->data + offset, data, len);
}

void sim_image_copy(struct sim_image *to, const struct sim_image *from)
{
    free(to->data);
    *to = (struct sim_image){0};
    sim_image_resize(to, from->len);
    sim_image_write(to, 0, from->data, from->len);
}

void sim_image_apply(struct sim_image *image, const struct sim_change *change, size_t len)
{
    switch (change->kind) {
    case SIM_CHANGE_WRITE: sim_image_write(image, change->offset, change->data, len); break;
    case SIM_CHANGE_ALLOCATE:
        if (change->offset > image->len) {
            sim_image_resize(image, change->offset);
        }
        break;
    case SIM_CHANGE_TRUNCATE: sim_image_resize(image, change->offset); break;
    }
}

struct sim_inode *inode_new(void)
{
    struct sim_inode *inode = calloc(1, sizeof *inode);
    CHECK(inode != NULL);
    inode->refs = 1;
    return inode;
}

struct sim_inode *sim_inode_ref(struct sim_inode *inode)
{
    if (inode != NULL) {
        inode->refs++;
    }
    return inode;
}

void sim_inode_forget(struct sim_inode *inode, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(inode->changes[i]);
    }
    if (count < inode->changes_len) {
        memmove(inode->changes, inode->changes + count, (inode->changes_len - count) * sizeof *inode->changes);
    }
    inode->changes_len -= count;
}

void sim_inode_unref(struct sim_inode *inode)
{
    if (inode == NULL || --inode->refs > 0) {
        return;
    }
    sim_inode_forget(inode, inode->changes_len);
    free(inode->changes);
    free(inode->bad);
    free(inode->now.data);
    free(inode->durable.data);
    free(inode);
}

/* The sector as written a moment ago, which the page cache would replace: so that a slot that is written again and
 * again without a sync takes no more memory. */
static struct sim_change *inode_replaceable(const struct sim_inode *inode, uint64_t offset, size_t len)
{
    for (size_t i = inode->changes_len, looks = 0; i > 0 && looks < 4; i--, looks++) {
        struct sim_change *change = inode->changes[i - 1];
        if (change->kind != SIM_CHANGE_WRITE) {
            return NULL;
        }
        if (change->offset / SIM_DISK_SECTOR_LEN == offset / SIM_DISK_SECTOR_LEN) {
            return change->offset == offset && change->len == len ? change : NULL;
        }
    }
    return NULL;
}

void sim_inode_change(struct sim_inode *inode, enum sim_change_kind kind, uint64_t offset, const void *data, size_t len)
{
    CHECK(len <= SIM_DISK_SECTOR_LEN);
    if (kind == SIM_CHANGE_WRITE && inode->bad_len > 0) {
        sim_inode_rewritten(inode, offset);
    }
    struct sim_change *change = kind == SIM_CHANGE_WRITE ? inode_replaceable(inode, offset, len) : NULL;
    if (change != NULL) {
        memcpy(change->data, data, len);
        sim_image_apply(&inode->now, change, len);
        return;
    }
    change = malloc(sizeof *change);
    CHECK(change != NULL);
    *change = (struct sim_change){.kind = kind, .offset = offset, .len = len};
    if (len > 0) {
        memcpy(change->data, data, len);
    }
    sim_image_apply(&inode->now, change, len);
    inode->changes = sim_grown(inode->changes, sizeof(struct sim_change *), inode->changes_len, &inode->changes_cap);
    inode->changes[inode->changes_len++] = change;
}

void sim_inode_write(struct sim_inode *inode, uint64_t offset, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t part = SIM_DISK_SECTOR_LEN - (size_t)(offset % SIM_DISK_SECTOR_LEN);
        part = part < len ? part : len;
        sim_inode_change(inode, SIM_CHANGE_WRITE, offset, data, part);
        offset += part;
        data += part;
        len -= part;
    }
}

void sim_inode_sync(struct sim_inode *inode, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sim_image_apply(&inode->durable, inode->changes[i], inode->changes[i]->len);
    }
    sim_inode_forget(inode, count);
}
