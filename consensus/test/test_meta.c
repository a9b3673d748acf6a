/* Term and vote: they survive, a torn write leaves the one before, and damage is not taken for a fresh start. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "consensus/meta.h"
#include "log_fixture.h"
#include "proto/base/bytes.h"
#include "proto/base/fault.h"

#define META_PATH "shard-0/meta"

struct scene {
    struct sim_disk *sim;
    struct meta *meta;
    struct meta_value value;
    char detail[256];
};

static int scene_open(struct scene *scene)
{
    return meta_open(sim_disk_ops(scene->sim), "shard-0", &scene->meta, &scene->value, scene->detail,
                     sizeof scene->detail);
}

static void scene_close(struct scene *scene)
{
    meta_close(scene->meta);
    scene->meta = NULL;
}

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.sim = sim_disk_new()};
    cr_assert(scene->sim != NULL);
    struct disk *disk = sim_disk_ops(scene->sim);
    cr_assert_eq(disk->ops->make_dir(disk, "shard-0"), 0);
    cr_assert_eq(disk->ops->sync_dir(disk, "."), 0);
    cr_assert_eq(scene_open(scene), 0, "%s", scene->detail);
}

static void scene_done(struct scene *scene)
{
    scene_close(scene);
    sim_disk_free(scene->sim);
}

static void save(struct scene *scene, uint64_t term, uint64_t vote)
{
    cr_assert_eq(meta_save(scene->meta, &(struct meta_value){.term = term, .voted_for = vote}), 0);
}

static void crash_and_reopen(struct scene *scene)
{
    sim_disk_crash_losing_all(scene->sim);
    scene_close(scene);
    cr_assert_eq(scene_open(scene), 0, "%s", scene->detail);
}

Test(meta, a_new_file_gives_zeroes)
{
    struct scene s;
    scene_init(&s);
    cr_assert(s.value.term == 0 && s.value.voted_for == 0);
    crash_and_reopen(&s);
    cr_assert(s.value.term == 0 && s.value.voted_for == 0);
    scene_done(&s);
}

Test(meta, what_was_saved_survives_a_power_failure)
{
    struct scene s;
    scene_init(&s);
    for (uint64_t term = 1; term <= 5; term++) {
        save(&s, term, term % 3);
        crash_and_reopen(&s);
        cr_assert(s.value.term == term && s.value.voted_for == term % 3);
    }
    scene_done(&s);
}

/* What is read back is not on disk, and syncing it is not enough. */
Test(meta, what_is_found_after_a_failed_sync_survives_a_power_failure)
{
    struct scene s;
    scene_init(&s);
    save(&s, 4, 1);
    fault_set(FAULT_SKIP_META_SYNC, true);
    save(&s, 5, 2);
    fault_set(FAULT_SKIP_META_SYNC, false);
    sim_disk_fail_writeback(s.sim);
    scene_close(&s);
    cr_assert_eq(scene_open(&s), 0, "%s", s.detail);
    cr_assert(s.value.term == 5 && s.value.voted_for == 2);
    crash_and_reopen(&s);
    cr_assert(s.value.term == 5 && s.value.voted_for == 2);
    scene_done(&s);
}

Test(meta, without_the_sync_it_does_not)
{
    struct scene s;
    scene_init(&s);
    save(&s, 1, 1);
    fault_set(FAULT_SKIP_META_SYNC, true);
    save(&s, 2, 3);
    fault_reset();
    crash_and_reopen(&s);
    cr_assert_eq(s.value.term, 1, "the vote in term 2 should be forgotten");
    scene_done(&s);
}

Test(meta, a_torn_write_leaves_the_one_before)
{
    unsigned kept = 0;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct scene s;
        scene_init(&s);
        save(&s, 7, 2);
        fault_set(FAULT_SKIP_META_SYNC, true);
        save(&s, 8, 1);
        fault_reset();
        uint64_t random = seed;
        sim_disk_crash(s.sim, log_fixture_random, &random);
        scene_close(&s);
        cr_assert_eq(scene_open(&s), 0, "%s", s.detail);
        bool old = s.value.term == 7 && s.value.voted_for == 2;
        bool new = s.value.term == 8 && s.value.voted_for == 1;
        cr_assert(old || new, "seed %d", (int)seed);
        kept += new;
        lost += old;
        scene_done(&s);
    }
    cr_assert(kept > 10 && lost > 10);
}

/* The copy that is written after the sync may be torn at any time; what was synced is there. */
Test(meta, a_torn_copy_leaves_what_was_synced)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct scene s;
        scene_init(&s);
        save(&s, 7, 2);
        save(&s, 8, 1);
        uint64_t random = seed;
        sim_disk_crash(s.sim, log_fixture_random, &random);
        scene_close(&s);
        cr_assert_eq(scene_open(&s), 0, "%s", s.detail);
        cr_assert(s.value.term == 8 && s.value.voted_for == 1, "seed %d", (int)seed);
        scene_done(&s);
    }
}

Test(meta, a_crash_while_it_is_made_leaves_a_fresh_start)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct scene s = {.sim = sim_disk_new()};
        struct disk *disk = sim_disk_ops(s.sim);
        cr_assert_eq(disk->ops->make_dir(disk, "shard-0"), 0);
        struct disk_file *file = NULL;
        cr_assert_eq(disk->ops->open(disk, META_PATH, DISK_CREATE, &file), 0);
        uint8_t part[40];
        memset(part, 0x5a, sizeof part);
        cr_assert_eq(disk->ops->write(file, 512, part, (size_t)(seed % 40) + 1), 0);
        disk->ops->close(file);
        cr_assert_eq(scene_open(&s), 0, "%s", s.detail);
        cr_assert_eq(s.value.term, 0);
        scene_done(&s);
    }
}

/* Not even the vote before: a damaged slot must not be taken for one that a crash has torn. */
Test(meta, damage_in_one_slot_costs_nothing_and_in_both_is_corruption)
{
    struct scene s;
    scene_init(&s);
    save(&s, 4, 1);
    save(&s, 5, 2);
    scene_close(&s);
    for (uint64_t offset = 0; offset < 40; offset++) {
        for (unsigned slots = 1; slots <= 3; slots++) {
            if ((slots & 1) != 0) {
                cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, offset, 4), 0);
            }
            if ((slots & 2) != 0) {
                cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, 512 + offset, 4), 0);
            }
            int err = scene_open(&s);
            if (slots == 3) {
                cr_assert_eq(err, ERR_CORRUPT, "offset %d", (int)offset);
                cr_assert(strstr(s.detail, META_PATH ", offset 0") != NULL, "%s", s.detail);
            } else {
                cr_assert_eq(err, 0);
                cr_assert_eq(s.value.term, 5);
                cr_assert_eq(s.value.voted_for, 2);
            }
            scene_close(&s);
            if (slots == 3) { /* As it was. One slot alone has been mended. */
                cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, offset, 4), 0);
                cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, 512 + offset, 4), 0);
            }
        }
    }
    scene_done(&s);
}

/* A crash tears one slot at most; damage that comes later must not look like that, and bring back an older vote. */
Test(meta, either_slot_alone_has_what_was_saved_last)
{
    for (uint64_t slot = 0; slot < 2; slot++) {
        struct scene s;
        scene_init(&s);
        save(&s, 4, 1);
        save(&s, 5, 2);
        scene_close(&s);
        cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, slot * 512 + 16, 4), 0);
        cr_assert_eq(scene_open(&s), 0, "%s", s.detail);
        cr_assert_eq(s.value.term, 5, "slot %d", (int)slot);
        cr_assert_eq(s.value.voted_for, 2);
        scene_done(&s);
    }
}

Test(meta, a_newer_version_is_refused)
{
    struct scene s;
    scene_init(&s);
    save(&s, 4, 1);
    scene_close(&s);
    const uint8_t *data = NULL;
    uint64_t len = 0;
    cr_assert_eq(sim_disk_content(s.sim, META_PATH, &data, &len), 0);
    uint8_t slot[40];
    memcpy(slot, data, sizeof slot);
    put_u16(slot + 4, 2);
    put_u64(slot + 32, XXH3_64bits(slot, 32));
    cr_assert_eq(sim_disk_overwrite(s.sim, META_PATH, 0, slot, sizeof slot), 0);
    cr_assert_eq(scene_open(&s), ERR_VERSION);
    scene_done(&s);
}

static int scrub(struct scene *scene, bool *ret_mended)
{
    struct meta_scrub scrub;
    meta_scrub_begin(scene->meta, &scrub);
    cr_assert_eq(meta_scrub_read(sim_disk_ops(scene->sim), "shard-0", &scrub), 0);
    return meta_scrub_settle(scene->meta, &scrub, ret_mended);
}

static void expect_sound(struct scene *scene)
{
    bool mended = true;
    cr_assert_eq(scrub(scene, &mended), 0);
    cr_assert_not(mended);
}

Test(meta, a_damaged_slot_is_mended_and_both_are_corruption)
{
    struct scene s;
    bool mended;
    scene_init(&s);
    expect_sound(&s);
    for (uint64_t term = 1; term <= 4; term++) {
        save(&s, term, 2);
        for (unsigned at = 0; at < 40; at++) {
            for (unsigned slot = 0; slot < 2; slot++) {
                cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, slot * 512 + at, 16), 0);
                cr_assert_eq(scrub(&s, &mended), 0);
                cr_assert(mended, "term %d, slot %d, offset %d", (int)term, (int)slot, (int)at);
                expect_sound(&s);
                crash_and_reopen(&s);
                cr_assert(s.value.term == term && s.value.voted_for == 2);
            }
        }
    }
    cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, 20, 16), 0);
    cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, 512 + 20, 16), 0);
    cr_assert_eq(scrub(&s, &mended), ERR_CORRUPT);
    scene_done(&s);
}

Test(meta, once_read_back_either_slot_has_term_and_vote)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        struct scene s;
        scene_init(&s);
        save(&s, 7, 1);
        save(&s, 8, 3);
        expect_sound(&s);
        scene_close(&s);
        cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, slot * 512 + 33, 1), 0);
        cr_assert_eq(scene_open(&s), 0, "%s", s.detail);
        cr_assert(s.value.term == 8 && s.value.voted_for == 3, "slot %u", slot);
        scene_done(&s);
    }
}

Test(meta, a_slot_that_cannot_be_read_or_was_not_written_is_mended)
{
    struct scene s;
    bool mended;
    const uint8_t *data;
    uint64_t len;
    uint8_t before[1024];
    scene_init(&s);
    save(&s, 5, 1);
    cr_assert_eq(sim_disk_lose_sector(s.sim, META_PATH, 0), 0);
    cr_assert(scrub(&s, &mended) == 0 && mended);
    expect_sound(&s);
    cr_assert(sim_disk_content(s.sim, META_PATH, &data, &len) == 0 && len == sizeof before);
    memcpy(before, data, sizeof before);
    save(&s, 6, 2);
    cr_assert_eq(sim_disk_overwrite(s.sim, META_PATH, 0, before, sizeof before), 0); /* The write was lost. */
    cr_assert(scrub(&s, &mended) == 0 && mended);
    expect_sound(&s);
    crash_and_reopen(&s);
    cr_assert(s.value.term == 6 && s.value.voted_for == 2);
    save(&s, 7, 1);
    save(&s, 8, 1);
    cr_assert_eq(sim_disk_overwrite(s.sim, META_PATH, 0, before, sizeof before), 0); /* As it was long ago. */
    cr_assert_eq(scrub(&s, &mended), ERR_CORRUPT);
    scene_done(&s);
}

Test(meta, a_slot_that_cannot_be_read_counts_for_itself_at_a_start)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        struct scene s;
        struct meta_value peeked;
        scene_init(&s);
        save(&s, 7, 1);
        save(&s, 8, 3);
        cr_assert_eq(sim_disk_lose_sector(s.sim, META_PATH, slot * 512), 0);
        scene_close(&s);
        cr_assert_eq(meta_peek(sim_disk_ops(s.sim), "shard-0", &peeked, s.detail, sizeof s.detail), 0, "%s", s.detail);
        cr_assert(peeked.term == 8 && peeked.voted_for == 3, "slot %u", slot);
        cr_assert_eq(scene_open(&s), 0, "%s", s.detail);
        cr_assert(s.value.term == 8 && s.value.voted_for == 3, "slot %u", slot);
        expect_sound(&s);
        cr_assert(sim_disk_lose_sector(s.sim, META_PATH, 0) == 0 && sim_disk_lose_sector(s.sim, META_PATH, 512) == 0);
        scene_close(&s);
        cr_assert_eq(scene_open(&s), ERR_CORRUPT);
        cr_assert_not_null(strstr(s.detail, META_PATH), "%s", s.detail);
        scene_done(&s);
    }
}

/* Where slot 0 was never written nothing was saved; one that cannot be read may have been. */
Test(meta, what_cannot_be_read_is_not_taken_for_what_was_never_written)
{
    struct scene s;
    scene_init(&s);
    save(&s, 7, 1);
    scene_close(&s);
    cr_assert_eq(sim_disk_lose_sector(s.sim, META_PATH, 0), 0);
    cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, 512 + 33, 1), 0);
    cr_assert_eq(scene_open(&s), ERR_CORRUPT);
    scene_done(&s);
}

Test(meta, what_is_no_file_is_damage)
{
    struct scene s;
    scene_init(&s);
    scene_close(&s);
    struct disk *disk = sim_disk_ops(s.sim);
    cr_assert_eq(disk->ops->remove(disk, META_PATH), 0);
    cr_assert_eq(disk->ops->make_dir(disk, META_PATH), 0);
    cr_assert_eq(scene_open(&s), ERR_CORRUPT);
    cr_assert_not_null(strstr(s.detail, META_PATH ": it is not a file"), "%s", s.detail);
    scene_done(&s);
}

Test(meta, what_is_mended_is_on_disk_and_so_is_what_reads_as_zeroes)
{
    static const uint8_t zeroes[512];
    struct scene s;
    bool mended;
    scene_init(&s);
    save(&s, 5, 1);
    save(&s, 6, 2);
    cr_assert_eq(sim_disk_overwrite(s.sim, META_PATH, 0, zeroes, sizeof zeroes), 0); /* The older one. */
    cr_assert(scrub(&s, &mended) == 0 && mended);
    sim_disk_crash_losing_all(s.sim);
    scene_close(&s);
    cr_assert_eq(sim_disk_corrupt(s.sim, META_PATH, 512 + 16, 4), 0);
    cr_assert_eq(scene_open(&s), 0, "%s", s.detail);
    cr_assert(s.value.term == 6 && s.value.voted_for == 2);
    scene_done(&s);
}

Test(meta, what_is_saved_while_it_is_read_back_stays)
{
    struct scene s;
    struct meta_scrub pass;
    bool mended;
    scene_init(&s);
    save(&s, 5, 1);
    meta_scrub_begin(s.meta, &pass);
    cr_assert_eq(meta_scrub_read(sim_disk_ops(s.sim), "shard-0", &pass), 0);
    save(&s, 6, 2);
    memset(pass.slots, 0xff, sizeof pass.slots);
    cr_assert(meta_scrub_settle(s.meta, &pass, &mended) == 0 && !mended);
    crash_and_reopen(&s);
    cr_assert(s.value.term == 6 && s.value.voted_for == 2);
    scene_done(&s);
}
