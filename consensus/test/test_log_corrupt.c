/* The log and damage: it is found, named by file and offset, and never taken for a torn write where that can be told.
 */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "consensus/log_format.h"
#include "log_fixture.h"
#include "proto/base/bytes.h"

/* A closed log of a few batches: in segments of a batch or two, or all in one. */
struct scene {
    struct log_fixture f;
    struct sim_disk *sim;
};

static void scene_init_with(struct scene *scene, uint64_t segment_len, uint64_t term)
{
    struct log_fixture *f = &scene->f;
    log_fixture_init(f, segment_len);
    cr_assert_eq(log_fixture_open(f), 0);
    for (unsigned i = 0; i < 6; i++) {
        log_fixture_append(f, 3, term);
        log_fixture_flush(f);
    }
    log_fixture_close(f);
    scene->sim = f->sim;
}

static void scene_init(struct scene *scene)
{
    scene_init_with(scene, 2048, 1);
}

static void scene_done(struct scene *scene)
{
    scene->f.sim = scene->sim;
    log_fixture_done(&scene->f);
}

/* Opens a copy of the scene's disk after `change`, and returns the outcome. */
static int open_copy(struct scene *scene, const char *path, uint64_t offset, uint8_t mask, bool keep_watermark)
{
    struct log_fixture *f = &scene->f;
    f->sim = sim_disk_clone(scene->sim);
    cr_assert(f->sim != NULL);
    if (!keep_watermark) {
        struct disk *disk = sim_disk_ops(f->sim);
        cr_assert_eq(disk->ops->remove(disk, LOG_DIR "/watermark"), 0);
    }
    cr_assert_eq(sim_disk_corrupt(f->sim, path, offset, mask), 0);
    return log_fixture_open(f);
}

static void drop_copy(struct scene *scene)
{
    log_fixture_close(&scene->f);
    sim_disk_free(scene->f.sim);
    scene->f.sim = scene->sim;
}

struct extent {
    char path[64];
    const uint8_t *data;
    uint64_t len;
};

struct extents {
    struct extent extents[16];
    unsigned len;
};

/* The written part of each segment: up to the end of its last batch. */
static void find_extent(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    struct extents *extents = arg;
    if (strstr(path, ".log") == NULL || log_bytes_are_zero(data, len)) {
        return;
    }
    uint64_t at = LOG_SEGMENT_HEAD_LEN;
    struct log_batch_head head;
    while (at + LOG_BATCH_HEAD_LEN <= len && log_batch_head_decode(data + at, &head) == 0) {
        at = log_sector_align(at + head.len);
    }
    struct extent *extent = &extents->extents[extents->len++];
    snprintf(extent->path, sizeof extent->path, "%s", path);
    extent->data = data;
    extent->len = at;
}

/* Where the last batch of the log begins in its segment. */
static uint64_t last_batch(const struct extent *extent)
{
    uint64_t at = LOG_SEGMENT_HEAD_LEN;
    uint64_t last = at;
    struct log_batch_head head;
    while (at < extent->len && log_batch_head_decode(extent->data + at, &head) == 0) {
        last = at;
        at = log_sector_align(at + head.len);
    }
    return last;
}

static void assert_named(const struct scene *scene, const char *path, uint64_t offset)
{
    char name[64];
    snprintf(name, sizeof name, "%s, offset ", strrchr(path, '/') + 1);
    cr_assert_eq(strncmp(scene->f.recovery.detail, name, strlen(name)), 0, "%s at %d: %s", path, (int)offset,
                 scene->f.recovery.detail);
}

/* Flips a bit of every byte before the last batch, one at a time. */
static unsigned flip_all(uint64_t segment_len, unsigned segments_min)
{
    static struct scene scene;
    scene_init_with(&scene, segment_len, 1);
    struct extents extents = {.len = 0};
    sim_disk_each_file(scene.sim, find_extent, &extents);
    cr_assert_geq(extents.len, segments_min);
    unsigned flips = 0;
    for (unsigned i = 0; i < extents.len; i++) {
        struct extent *extent = &extents.extents[i];
        bool last = i + 1 == extents.len;
        uint64_t end = last ? last_batch(extent) : extent->len;
        if (last && end == LOG_SEGMENT_HEAD_LEN) {
            end = 0; /* Head and last batch were one write: a crash may tear both. */
        }
        for (uint64_t offset = 0; offset < end; offset++) {
            uint8_t mask = (uint8_t)(1u << (offset * 5 + i) % 8);
            int err = open_copy(&scene, extent->path, offset, mask, false);
            cr_assert_eq(err, ERR_CORRUPT, "%s at %d: %d", extent->path, (int)offset, err);
            assert_named(&scene, extent->path, offset);
            drop_copy(&scene);
            flips++;
        }
    }
    scene_done(&scene);
    return flips;
}

Test(log_corrupt, every_byte_before_the_last_batch_is_guarded_even_without_the_watermark)
{
    cr_assert_gt(flip_all(2048, 3), 3000);
    cr_assert_gt(flip_all(32768, 1), 3000);
    cr_assert_gt(flip_all(5120, 2), 3000);
}

Test(log_corrupt, batches_begin_at_sectors)
{
    static struct scene scene;
    scene_init_with(&scene, 32768, 1);
    const uint8_t *data = NULL;
    uint64_t len = 0;
    cr_assert_eq(sim_disk_content(scene.sim, LOG_DIR "/00000001.log", &data, &len), 0);
    unsigned batches = 0;
    for (uint64_t at = 0; at + LOG_BATCH_HEAD_LEN <= len; at++) {
        struct log_batch_head head;
        if (log_batch_head_decode(data + at, &head) == 0) {
            cr_assert_eq(at % SIM_DISK_SECTOR_LEN, 0, "offset %d", (int)at);
            batches++;
        }
    }
    cr_assert_eq(batches, 6);
    scene_done(&scene);
}

Test(log_corrupt, a_segment_of_another_log_does_not_fit_in)
{
    static struct scene scene;
    static struct scene other;
    scene_init_with(&scene, 2048, 1);
    scene_init_with(&other, 2048, 2);
    for (unsigned number = 2; number <= 3; number++) {
        char path[64];
        snprintf(path, sizeof path, LOG_DIR "/%08u.log", number);
        const uint8_t *data = NULL;
        uint64_t len = 0;
        cr_assert_eq(sim_disk_content(other.sim, path, &data, &len), 0);
        cr_assert_eq(sim_disk_overwrite(scene.sim, path, 0, data, (size_t)len), 0);
    }
    cr_assert_eq(log_fixture_open(&scene.f), ERR_CORRUPT);
    cr_assert(strstr(scene.f.recovery.detail, "00000002.log, offset 24: ") != NULL, "%s", scene.f.recovery.detail);
    scene_done(&other);
    scene_done(&scene);
}

Test(log_corrupt, the_last_batch_is_guarded_by_the_watermark)
{
    static struct scene scene;
    scene_init(&scene);
    struct extents extents = {.len = 0};
    sim_disk_each_file(scene.sim, find_extent, &extents);
    struct extent *extent = &extents.extents[extents.len - 1];
    unsigned cut = 0;
    uint64_t first = get_u64(extent->data + last_batch(extent) + LOG_BATCH_HEAD_LEN + 8);
    for (uint64_t offset = last_batch(extent); offset < extent->len; offset++) {
        int err = open_copy(&scene, extent->path, offset, 0x40, true);
        cr_assert_eq(err, ERR_CORRUPT, "offset %d: %d", (int)offset, err);
        assert_named(&scene, extent->path, offset);
        drop_copy(&scene);
        err = open_copy(&scene, extent->path, offset, 0x40, false);
        cr_assert_eq(err, 0, "offset %d: %s", (int)offset, scene.f.recovery.detail);
        cr_assert_eq(log_last_index(scene.f.log), first - 1, "all of the batch is cut");
        cr_assert_gt(scene.f.recovery.torn_bytes, 0);
        drop_copy(&scene);
        cut++;
    }
    cr_assert_gt(cut, 500);
    scene_done(&scene);
}

static void digest_file(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    uint64_t *digest = arg;
    *digest = XXH3_64bits_withSeed(path, strlen(path), *digest);
    if (len > 0) {
        *digest = XXH3_64bits_withSeed(data, (size_t)len, *digest);
    }
}

Test(log_corrupt, a_damaged_log_is_left_as_it_is)
{
    static struct scene scene;
    scene_init(&scene);
    cr_assert_eq(sim_disk_corrupt(scene.sim, LOG_DIR "/00000001.log", 600, 1), 0);
    uint64_t before = 0;
    sim_disk_each_file(scene.sim, digest_file, &before);
    cr_assert_eq(log_fixture_open(&scene.f), ERR_CORRUPT);
    uint64_t after = 0;
    sim_disk_each_file(scene.sim, digest_file, &after);
    cr_assert_eq(before, after);
    scene_done(&scene);
}

Test(log_corrupt, a_missing_segment_is_corruption)
{
    static struct scene scene;
    scene_init(&scene);
    struct disk *disk = sim_disk_ops(scene.sim);
    cr_assert_eq(disk->ops->remove(disk, LOG_DIR "/00000002.log"), 0);
    cr_assert_eq(log_fixture_open(&scene.f), ERR_CORRUPT);
    assert_named(&scene, "/00000002.log", 0);
    scene_done(&scene);
}

Test(log_corrupt, a_log_that_is_gone_although_batches_were_acknowledged_is_corruption)
{
    static struct scene scene;
    scene_init(&scene);
    struct disk *disk = sim_disk_ops(scene.sim);
    struct extents extents = {.len = 0};
    sim_disk_each_file(scene.sim, find_extent, &extents);
    cr_assert_eq(disk->ops->remove(disk, extents.extents[extents.len - 1].path), 0);
    cr_assert_eq(log_fixture_open(&scene.f), ERR_CORRUPT, "the last segment is gone");
    for (unsigned i = 0; i + 1 < extents.len; i++) {
        cr_assert_eq(disk->ops->remove(disk, extents.extents[i].path), 0);
    }
    cr_assert_eq(log_fixture_open(&scene.f), ERR_CORRUPT, "all are gone");
    scene_done(&scene);
}

Test(log_corrupt, a_damaged_watermark_protects_less_and_says_nothing_wrong)
{
    static struct scene scene;
    scene_init(&scene);
    cr_assert_eq(sim_disk_corrupt(scene.sim, LOG_DIR "/watermark", 10, 1), 0);
    cr_assert_eq(sim_disk_corrupt(scene.sim, LOG_DIR "/watermark", 512 + 10, 1), 0);
    cr_assert_eq(log_fixture_open(&scene.f), 0);
    cr_assert_eq(log_last_index(scene.f.log), 18);
    scene_done(&scene);
}

Test(log_corrupt, a_watermark_that_cannot_be_read_is_made_anew)
{
    static struct scene scene;
    for (unsigned i = 0; i < 2; i++) {
        scene_init(&scene);
        struct disk *disk = sim_disk_ops(scene.sim);
        if (i == 0) {
            cr_assert_eq(sim_disk_lose_sector(scene.sim, LOG_DIR "/watermark", 0), 0);
            cr_assert_eq(sim_disk_lose_sector(scene.sim, LOG_DIR "/watermark", 512), 0);
        } else {
            cr_assert_eq(disk->ops->remove(disk, LOG_DIR "/watermark"), 0);
            cr_assert_eq(disk->ops->make_dir(disk, LOG_DIR "/watermark"), 0);
        }
        cr_assert_eq(log_fixture_open(&scene.f), 0);
        cr_assert_eq(log_last_index(scene.f.log), 18);
        log_fixture_close(&scene.f);
        struct disk_file *file;
        uint8_t bytes[1024];
        size_t got;
        cr_assert_eq(disk->ops->open(disk, LOG_DIR "/watermark", DISK_READ_ONLY, &file), 0);
        cr_assert_eq(disk->ops->read(file, 0, bytes, sizeof bytes, &got), 0);
        disk->ops->close(file);
        scene_done(&scene);
    }
}

Test(log_corrupt, a_slot_of_the_watermark_that_cannot_be_read_does_not_hide_the_other)
{
    static struct scene scene;
    scene_init(&scene);
    struct extents extents = {.len = 0};
    sim_disk_each_file(scene.sim, find_extent, &extents);
    struct disk *disk = sim_disk_ops(scene.sim);
    cr_assert_eq(disk->ops->remove(disk, extents.extents[extents.len - 1].path), 0);
    cr_assert_eq(sim_disk_lose_sector(scene.sim, LOG_DIR "/watermark", 512), 0); /* The batches are six. */
    cr_assert_eq(log_fixture_open(&scene.f), ERR_CORRUPT, "the last segment is gone");
    scene_done(&scene);
}

Test(log_corrupt, a_segment_that_cannot_be_read_or_is_no_file_is_corruption)
{
    for (unsigned i = 0; i < 3; i++) {
        static struct scene scene;
        scene_init(&scene);
        struct disk *disk = sim_disk_ops(scene.sim);
        if (i < 2) {
            cr_assert_eq(sim_disk_lose_sector(scene.sim, LOG_DIR "/00000002.log", i * 512), 0);
        } else {
            cr_assert_eq(disk->ops->remove(disk, LOG_DIR "/00000002.log"), 0);
            cr_assert_eq(disk->ops->make_dir(disk, LOG_DIR "/00000002.log"), 0);
        }
        cr_assert_eq(log_fixture_open(&scene.f), ERR_CORRUPT);
        assert_named(&scene, "/00000002.log", 0);
        scene_done(&scene);
    }
}

/* Gives a head another version and a checksum that fits. */
static void bump_version(struct sim_disk *sim, const char *path, uint64_t offset)
{
    const uint8_t *data = NULL;
    uint64_t len = 0;
    cr_assert_eq(sim_disk_content(sim, path, &data, &len), 0);
    uint8_t head[64];
    memcpy(head, data + offset, sizeof head);
    put_u16(head + 4, LOG_FORMAT_VERSION + 1);
    put_u64(head + 56, XXH3_64bits(head, 56));
    cr_assert_eq(sim_disk_overwrite(sim, path, offset, head, sizeof head), 0);
}

Test(log_corrupt, a_newer_version_is_refused)
{
    static struct scene scene;
    scene_init(&scene);
    scene.f.sim = sim_disk_clone(scene.sim);
    bump_version(scene.f.sim, LOG_DIR "/00000001.log", 0);
    cr_assert_eq(log_fixture_open(&scene.f), ERR_VERSION);
    assert_named(&scene, "/00000001.log", 0);
    drop_copy(&scene);
    scene.f.sim = sim_disk_clone(scene.sim);
    bump_version(scene.f.sim, LOG_DIR "/00000001.log", LOG_SEGMENT_HEAD_LEN);
    cr_assert_eq(log_fixture_open(&scene.f), ERR_VERSION);
    drop_copy(&scene);
    scene_done(&scene);
}

Test(log_corrupt, a_segment_under_another_name_is_corruption)
{
    static struct scene scene;
    scene_init(&scene);
    struct disk *disk = sim_disk_ops(scene.sim);
    cr_assert_eq(disk->ops->rename(disk, LOG_DIR "/00000001.log", LOG_DIR "/00000002.log"), 0);
    cr_assert_eq(log_fixture_open(&scene.f), ERR_CORRUPT);
    assert_named(&scene, "/00000002.log", 8);
    scene_done(&scene);
}
