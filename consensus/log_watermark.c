/* The last acknowledged batch, kept apart from the log. */

#include "consensus/log_watermark.h"

#include <string.h>
#include <xxhash.h>

#include "consensus/log_path.h"
#include "proto/base/bytes.h"

#define SLOT_LEN 512u
#define SLOT_USED 32u
#define WATERMARK_VERSION 1u

static const uint8_t watermark_magic[4] = {'H', 'F', 'L', 'W'};

static uint64_t slot_decode(const uint8_t *slot)
{
    if (memcmp(slot, watermark_magic, sizeof watermark_magic) != 0 || get_u16(slot + 4) != WATERMARK_VERSION ||
        get_u64(slot + 24) != XXH3_64bits(slot, 24)) {
        return 0;
    }
    return get_u64(slot + 8);
}

/* Slot by slot, so that one that cannot be read does not hide the other: as a damaged one, it says nothing. */
static int slots_read(struct disk_file *file, uint64_t *ret_batch)
{
    uint64_t highest = 0;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t slot[SLOT_LEN] = {0};
        size_t len = 0;
        int err = file->disk->ops->read(file, (uint64_t)i * SLOT_LEN, slot, sizeof slot, &len);
        if (err != 0 && err != ERR_CORRUPT) {
            return err;
        }
        uint64_t batch = err == 0 ? slot_decode(slot) : 0;
        highest = batch > highest ? batch : highest;
    }
    *ret_batch = highest;
    return 0;
}

int log_watermark_read(struct disk *disk, const char *dir, uint64_t *ret_batch)
{
    char path[LOG_PATH_LEN_MAX];
    int err = log_path(dir, LOG_WATERMARK_NAME, path);
    if (err != 0) {
        return err;
    }
    struct disk_file *file = NULL;
    err = disk->ops->open(disk, path, DISK_READ_ONLY, &file);
    if (err == ERR_NOT_FOUND || err == ERR_CORRUPT) {
        *ret_batch = 0;
        return 0;
    }
    if (err != 0) {
        return err;
    }
    err = slots_read(file, ret_batch);
    disk->ops->close(file);
    return err;
}

/* What is no file, or has a slot that cannot be read, is made anew: to write a part of what cannot be read fails as well. */
static int open_readable(struct disk *disk, const char *path, struct disk_file **ret_file)
{
    uint8_t slots[2 * SLOT_LEN];
    size_t len = 0;
    int err = disk->ops->open(disk, path, DISK_CREATE, ret_file);
    if (err == 0 && disk->ops->read(*ret_file, 0, slots, sizeof slots, &len) == ERR_CORRUPT) {
        disk->ops->close(*ret_file);
        *ret_file = NULL;
        err = ERR_CORRUPT;
    }
    if (err == ERR_CORRUPT) {
        err = disk->ops->remove(disk, path);
        err = err == 0 ? disk->ops->open(disk, path, DISK_CREATE, ret_file) : err;
    }
    return err;
}

int log_watermark_open(struct log_watermark *watermark, struct disk *disk, const char *dir)
{
    char path[LOG_PATH_LEN_MAX];
    int err = log_path(dir, LOG_WATERMARK_NAME, path);
    if (err != 0) {
        return err;
    }
    err = open_readable(disk, path, &watermark->file);
    /* Both slots now: no write to come needs more of the disk. */
    return err == 0 ? disk->ops->allocate(watermark->file, 2 * SLOT_LEN) : err;
}

int log_watermark_write(struct log_watermark *watermark, uint64_t batch, uint64_t stored_index)
{
    uint8_t slot[SLOT_USED] = {0};
    memcpy(slot, watermark_magic, sizeof watermark_magic);
    put_u16(slot + 4, WATERMARK_VERSION);
    put_u64(slot + 8, batch);
    put_u64(slot + 16, stored_index);
    put_u64(slot + 24, XXH3_64bits(slot, 24));
    struct disk_file *file = watermark->file;
    return file->disk->ops->write(file, batch % 2 * SLOT_LEN, slot, sizeof slot);
}

int log_watermark_sync(struct log_watermark *watermark)
{
    return watermark->file->disk->ops->sync(watermark->file);
}

void log_watermark_close(struct log_watermark *watermark)
{
    if (watermark->file != NULL) {
        watermark->file->disk->ops->close(watermark->file);
        watermark->file = NULL;
    }
}
