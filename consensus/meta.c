/* Term and vote, in two slots.
 *
 * A slot is one sector, little-endian: magic "HFM" and a zero (4), version (2), 2 zero bytes, counter (8), term (8),
 * vote (8), XXH3 of those 32 bytes (8). Counter n is written to slot n % 2 and synced, and then, without a sync, to the
 * other one, which is the next to be overwritten: so there is always a slot that nothing is under way to, and soon damage
 * to either leaves the newest. Otherwise a newest slot that is damaged later would be taken for one that a crash has torn,
 * and a vote forgotten. A new file is written with counter 1 and zeroes before it is used. Both slots damaged is
 * corruption, but for one case: slot 0 was never written. Then nothing was ever saved, and slot 1 is the torn beginning. */

#include "consensus/meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

#define SLOT_LEN META_SLOT_LEN
#define SLOT_USED 40u
#define META_VERSION 1u
#define PATH_LEN_MAX 256

static const uint8_t meta_magic[4] = {'H', 'F', 'M', 0};

struct meta {
    struct disk_file *file;
    uint64_t counter;
    struct meta_value value; /* What was written last. */
};

static bool slot_is_whole(const uint8_t *slot)
{
    return memcmp(slot, meta_magic, sizeof meta_magic) == 0 && get_u64(slot + 32) == XXH3_64bits(slot, 32);
}

static bool slot_is_blank(const uint8_t *slot)
{
    static const uint8_t blank[SLOT_LEN];
    return memcmp(slot, blank, SLOT_LEN) == 0;
}

static void slot_encode(uint64_t counter, const struct meta_value *value, uint8_t slot[SLOT_USED])
{
    memset(slot, 0, SLOT_USED);
    memcpy(slot, meta_magic, sizeof meta_magic);
    put_u16(slot + 4, META_VERSION);
    put_u64(slot + 8, counter);
    put_u64(slot + 16, value->term);
    put_u64(slot + 24, value->voted_for);
    put_u64(slot + 32, XXH3_64bits(slot, 32));
}

static int slot_write(struct meta *meta, uint64_t at, uint64_t counter, const struct meta_value *value)
{
    uint8_t slot[SLOT_USED];
    slot_encode(counter, value, slot);
    struct disk_file *file = meta->file;
    return file->disk->ops->write(file, at % 2 * SLOT_LEN, slot, sizeof slot);
}

/* The newer of the whole slots; *ret_counter is 0 for a file that was never completed. */
static int slots_decode(const uint8_t *slots, uint64_t *ret_counter, struct meta_value *ret_value)
{
    uint64_t counter = 0;
    struct meta_value value = {0};
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *slot = slots + i * SLOT_LEN;
        if (!slot_is_whole(slot)) {
            continue;
        }
        if (get_u16(slot + 4) != META_VERSION) {
            return ERR_VERSION;
        }
        if (get_u64(slot + 8) > counter) {
            counter = get_u64(slot + 8);
            value = (struct meta_value){.term = get_u64(slot + 16), .voted_for = get_u64(slot + 24)};
        }
    }
    if (counter == 0 && !slot_is_blank(slots)) {
        return ERR_CORRUPT;
    }
    *ret_counter = counter;
    *ret_value = value;
    return 0;
}

/* A file that was never completed gets its first slot, and its name made durable. */
static int meta_begin(struct meta *meta, struct disk *disk, const char *dir)
{
    const struct meta_value none = {0};
    int err = slot_write(meta, 1, 1, &none);
    if (err == 0) {
        err = disk->ops->sync(meta->file);
    }
    if (err == 0) {
        err = disk->ops->sync_dir(disk, dir);
    }
    if (err == 0) {
        meta->counter = 1;
    }
    return err;
}

/* What was read may be in memory only, if the process died between writing and syncing. It is written again, since after a
 * sync that failed memory is taken for written, and another sync alone would do nothing (Rebello et al., ATC'20). */
static int meta_settle(struct meta *meta, const struct meta_value *value)
{
    int err = slot_write(meta, meta->counter, meta->counter, value);
    if (err == 0 && !fault_fires(FAULT_SKIP_META_SETTLE)) {
        err = meta->file->disk->ops->sync(meta->file);
    }
    return err == 0 ? slot_write(meta, meta->counter + 1, meta->counter, value) : err;
}

/* Slot by slot, so that one that cannot be read does not hide the other. It is not blank, which only one that was never
 * written is. */
static int slots_read(struct disk_file *file, uint8_t slots[2 * SLOT_LEN])
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *slot = slots + (size_t)i * SLOT_LEN;
        size_t got = 0;
        int err = file->disk->ops->read(file, (uint64_t)i * SLOT_LEN, slot, SLOT_LEN, &got);
        if (err == ERR_CORRUPT) {
            memset(slot, 0xff, SLOT_LEN);
        } else if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* In one line. A file that could not be opened has no slots. */
static void meta_explain(int err, bool opened, const char *path, char *detail, size_t detail_len)
{
    const char *what = err != ERR_CORRUPT ? err_text(err)
                       : opened           ? "term and vote are damaged in both slots"
                                          : "it is not a file, or cannot be read";
    (void)snprintf(detail, detail_len, "%s%s: %s", path, err == ERR_CORRUPT && opened ? ", offset 0" : "", what);
}

static int meta_load(struct meta *meta, struct disk *disk, const char *dir, struct meta_value *ret_value)
{
    uint8_t slots[2 * SLOT_LEN] = {0};
    struct meta_value value = {0};
    int err = slots_read(meta->file, slots);
    if (err == 0) {
        err = slots_decode(slots, &meta->counter, &value);
    }
    if (err == 0) {
        err = meta->counter == 0 ? meta_begin(meta, disk, dir) : meta_settle(meta, &value);
    }
    if (err == 0) {
        meta->value = value;
        *ret_value = value;
    }
    return err;
}

int meta_open(struct disk *disk, const char *dir, struct meta **ret_meta, struct meta_value *ret_value, char *detail,
              size_t detail_len)
{
    char path[PATH_LEN_MAX];
    int len = snprintf(path, sizeof path, "%s/meta", dir);
    if (len < 0 || len >= PATH_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    struct meta *meta = calloc(1, sizeof *meta);
    if (meta == NULL) {
        return ERR_NOMEM;
    }
    int err = disk->ops->open(disk, path, DISK_CREATE, &meta->file);
    if (err == 0) {
        /* Both slots now: no write to come needs more of the disk. */
        err = disk->ops->allocate(meta->file, 2 * SLOT_LEN);
    }
    if (err == 0) {
        err = meta_load(meta, disk, dir, ret_value);
    }
    if (err != 0) {
        meta_explain(err, meta->file != NULL, path, detail, detail_len);
        meta_close(meta);
        return err;
    }
    *ret_meta = meta;
    return 0;
}

int meta_peek(struct disk *disk, const char *dir, struct meta_value *ret_value, char *detail, size_t detail_len)
{
    char path[PATH_LEN_MAX];
    uint8_t slots[2 * SLOT_LEN] = {0};
    struct disk_file *file;
    uint64_t counter = 0;
    bool opened = false;
    int len = snprintf(path, sizeof path, "%s/meta", dir);
    if (len < 0 || len >= PATH_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    int err = disk->ops->open(disk, path, DISK_READ_ONLY, &file);
    if (err == 0) {
        opened = true;
        err = slots_read(file, slots);
        disk->ops->close(file);
    }
    if (err == 0) {
        err = slots_decode(slots, &counter, ret_value);
    }
    err = err == 0 && counter == 0 ? ERR_NOT_FOUND : err;
    if (err != 0) {
        meta_explain(err, opened, path, detail, detail_len);
    }
    return err;
}

int meta_save(struct meta *meta, const struct meta_value *value)
{
    int err = slot_write(meta, meta->counter + 1, meta->counter + 1, value);
    if (err == 0 && !fault_fires(FAULT_SKIP_META_SYNC)) {
        err = meta->file->disk->ops->sync(meta->file);
        err = err == 0 ? slot_write(meta, meta->counter, meta->counter + 1, value) : err;
    }
    if (err == 0) {
        meta->counter++;
        meta->value = *value;
    }
    return err;
}

void meta_close(struct meta *meta)
{
    if (meta == NULL) {
        return;
    }
    if (meta->file != NULL) {
        meta->file->disk->ops->close(meta->file);
    }
    free(meta);
}

void meta_scrub_begin(const struct meta *meta, struct meta_scrub *scrub)
{
    scrub->counter = meta->counter;
}

/* Slot by slot, so that one that cannot be read does not hide the other. What is missing reads as zeroes. */
int meta_scrub_read(struct disk *disk, const char *dir, struct meta_scrub *scrub)
{
    char path[PATH_LEN_MAX];
    struct disk_file *file;
    int len = snprintf(path, sizeof path, "%s/meta", dir);
    CHECK(len > 0 && len < PATH_LEN_MAX); /* It was opened under this name. */
    memset(scrub->slots, 0, sizeof scrub->slots);
    int err = disk->ops->open(disk, path, DISK_READ_ONLY | DISK_UNCACHED, &file);
    if (err != 0) {
        return err == ERR_NOMEM ? err : 0;
    }
    for (unsigned i = 0; i < 2 && err == 0; i++) {
        uint8_t *slot = scrub->slots + (size_t)i * SLOT_LEN;
        size_t got = 0;
        int read_err = disk->ops->read(file, (uint64_t)i * SLOT_LEN, slot, SLOT_LEN, &got);
        err = read_err == ERR_NOMEM ? ERR_NOMEM : 0;
        if (read_err != 0) {
            memset(slot, 0, SLOT_LEN);
        }
    }
    disk->ops->close(file);
    return err;
}

int meta_scrub_settle(struct meta *meta, const struct meta_scrub *scrub, bool *ret_mended)
{
    uint8_t newest[SLOT_USED];
    *ret_mended = false;
    if (scrub->counter != meta->counter) {
        return 0;
    }
    slot_encode(meta->counter, &meta->value, newest);
    bool newest_whole = memcmp(scrub->slots + meta->counter % 2 * SLOT_LEN, newest, SLOT_USED) == 0;
    const uint8_t *older = scrub->slots + (meta->counter + 1) % 2 * SLOT_LEN;
    uint64_t older_counter = slot_is_whole(older) ? get_u64(older + 8) : 0;
    bool older_whole = older_counter == meta->counter || (older_counter != 0 && older_counter == meta->counter - 1);
    bool never_written = meta->counter == 1 && slot_is_blank(older);
    if (!newest_whole && !older_whole) {
        return ERR_CORRUPT;
    }
    *ret_mended = !newest_whole || (!older_whole && !never_written);
    bool same = older_whole && memcmp(older + 16, newest + 16, 16) == 0;
    if (newest_whole && (same || never_written)) {
        return 0;
    }
    struct meta_value value = meta->value;
    int err = meta_settle(meta, &value);
    return err == 0 ? meta->file->disk->ops->sync(meta->file) : err;
}
