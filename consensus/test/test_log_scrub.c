/* Reading the log back: whatever has changed is found, named by file and offset, and what is right is never blamed. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/log_format.h"
#include "consensus/log_scrub.h"
#include "log_scrub_fixture.h"

Test(log_scrub, a_sound_log_is_read_to_its_end_in_pieces_of_any_length)
{
    static struct log_fixture f;
    log_fixture_start(&f, 8192);
    struct scrub_outcome empty = scrub_pass(&f);
    cr_assert(empty.err == 0 && empty.bytes == 0);
    scrub_append_batches(&f, 40, 7, 3);
    struct scrub_extents *extents = scrub_extents_new(&f);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < extents->len; i++) {
        bytes += scrub_extent_end(&extents->items[i]);
    }
    cr_assert_gt(extents->len, 5);
    for (uint64_t piece = 1; piece < 100000; piece = piece * 3 + 1) {
        struct scrub_outcome outcome = scrub_pass_with(&f, piece);
        cr_assert_eq(outcome.err, 0, "%s", outcome.detail);
        cr_assert_eq(outcome.bytes, bytes);
    }
    log_fixture_reopen(&f);
    scrub_append_batches(&f, 3, 2, 4);
    scrub_expect_clean(&f);
    scrub_extents_free(extents);
    log_fixture_done(&f);
}

/* Every byte of heads, records, payloads and the zeroes behind them: the last batch too, which recovery would have to take
 * for a torn one. */
static unsigned flip_all(uint64_t segment_len)
{
    static struct log_fixture f;
    log_fixture_start(&f, segment_len);
    scrub_append_batches(&f, 5, 3, 1);
    log_fixture_truncate(&f, 13);
    scrub_append_batches(&f, 2, 3, 2);
    scrub_expect_clean(&f);
    struct scrub_extents *extents = scrub_extents_new(&f);
    unsigned flips = 0;
    for (unsigned i = 0; i < extents->len; i++) {
        const struct scrub_extent *extent = &extents->items[i];
        for (uint64_t at = 0; at < extent->len; at++) {
            uint8_t mask = (uint8_t)(1u << (at * 5 + i) % 8);
            uint64_t from;
            uint64_t end;
            cr_assert_eq(sim_disk_corrupt(f.sim, extent->path, at, mask), 0);
            if (at < scrub_extent_end(extent)) {
                scrub_extent_part(extent, at, &from, &end);
                scrub_expect_found(&f, extent->path, from, end);
                flips++;
            } else if (at % 64 == 0) {
                scrub_expect_clean(&f); /* Nothing has been written there. */
            }
            scrub_mend(&f, extent, at, 1);
        }
    }
    scrub_expect_clean(&f);
    scrub_extents_free(extents);
    log_fixture_done(&f);
    return flips;
}

Test(log_scrub, every_byte_that_was_written_is_guarded)
{
    cr_assert_gt(flip_all(2048), 5000);
    cr_assert_gt(flip_all(16384), 5000);
}

Test(log_scrub, sectors_that_read_as_zeroes_or_not_at_all_are_found)
{
    static struct log_fixture f;
    static const uint8_t zeroes[LOG_SECTOR_LEN];
    log_fixture_start(&f, 4096);
    scrub_append_batches(&f, 10, 4, 1);
    struct scrub_extents *extents = scrub_extents_new(&f);
    for (unsigned i = 0; i < extents->len; i++) {
        const struct scrub_extent *extent = &extents->items[i];
        for (uint64_t at = 0; at < scrub_extent_end(extent); at += LOG_SECTOR_LEN) {
            uint64_t from;
            uint64_t end;
            scrub_extent_part(extent, at, &from, &end);
            scrub_put(&f, extent, at, zeroes, sizeof zeroes);
            scrub_expect_found(&f, extent->path, from, end);
            scrub_mend(&f, extent, at, sizeof zeroes);
        }
    }
    scrub_expect_clean(&f);
    scrub_extents_free(extents);
    log_fixture_done(&f);
}

Test(log_scrub, what_cannot_be_read_is_named)
{
    static struct log_fixture f;
    log_fixture_start(&f, 65536);
    scrub_append_batches(&f, 60, 4, 1);
    struct scrub_extents *extents = scrub_extents_new(&f);
    const struct scrub_extent *extent = &extents->items[0];
    uint64_t at = extent->starts[40] / 4096 * 4096 + 512;
    cr_assert_lt(at, scrub_extent_end(extent));
    cr_assert_eq(sim_disk_lose_sector(f.sim, extent->path, at), 0);
    struct scrub_outcome outcome = scrub_pass_with(&f, 1 << 20);
    cr_assert_eq(outcome.err, ERR_CORRUPT);
    char expected[128];
    snprintf(expected, sizeof expected, "%s, offset %" PRIu64 ": it cannot be read", extent->path, at / 4096 * 4096);
    cr_assert_str_eq(outcome.detail, expected);
    scrub_extents_free(extents);
    log_fixture_done(&f);
}

/* Batches of one record, all of the same length: whatever lies at one's place looks sound. */
static void same_lengths_start(struct log_fixture *f)
{
    log_fixture_start(f, 16384);
    for (unsigned i = 0; i < 9; i++) {
        scrub_append_one(f, 1, 300);
    }
    log_fixture_truncate(f, 7);
    for (unsigned i = 0; i < 6; i++) {
        scrub_append_one(f, 2, 300);
    }
    scrub_expect_clean(f);
}

Test(log_scrub, a_sound_batch_or_record_at_the_wrong_place_is_found)
{
    static struct log_fixture f;
    same_lengths_start(&f);
    struct scrub_extents *extents = scrub_extents_new(&f);
    const struct scrub_extent *extent = &extents->items[0];
    cr_assert_eq(extent->batches, 15);
    const uint64_t batch_len = LOG_SECTOR_LEN;
    const uint64_t record_len = LOG_RECORD_HEAD_LEN + 300;
    for (unsigned to = 0; to < extent->batches; to++) {
        for (unsigned from = 0; from < extent->batches; from++) {
            uint64_t at = extent->starts[to];
            const uint8_t *other = extent->data + extent->starts[from];
            /* What was truncated before (batches 6 to 8) is nobody's entry: only the batches there are compared. */
            bool past = to >= 6 && to < 9;
            if (from == to) {
                continue;
            }
            scrub_put(&f, extent, at, other, batch_len);
            scrub_expect_found(&f, extent->path, at, at + batch_len);
            scrub_put(&f, extent, at, extent->data + at, LOG_BATCH_HEAD_LEN);
            scrub_put(&f, extent, at + LOG_BATCH_HEAD_LEN, other + LOG_BATCH_HEAD_LEN, record_len);
            if (!past) {
                scrub_expect_found(&f, extent->path, at, at + batch_len);
            }
            scrub_mend(&f, extent, at, batch_len);
        }
    }
    scrub_expect_clean(&f);
    scrub_extents_free(extents);
    log_fixture_done(&f);
}

/* A head that differs from what was written, and is sound: even of the last batch, which nothing follows. */
Test(log_scrub, another_head_of_a_batch_is_found)
{
    static struct log_fixture f;
    log_fixture_start(&f, 16384);
    scrub_append_batches(&f, 5, 3, 1);
    struct scrub_extents *extents = scrub_extents_new(&f);
    const struct scrub_extent *extent = &extents->items[0];
    for (unsigned i = 0; i < extent->batches; i++) {
        struct log_batch_head head;
        uint8_t other[LOG_BATCH_HEAD_LEN];
        cr_assert_eq(log_batch_head_decode(extent->data + extent->starts[i], &head), 0);
        head.stored_index++;
        log_batch_head_encode(&head, other);
        scrub_put(&f, extent, extent->starts[i], other, sizeof other);
        scrub_expect_found(&f, extent->path, extent->starts[i + 1], extent->starts[i + 1] + 1);
        scrub_mend(&f, extent, extent->starts[i], sizeof other);
    }
    scrub_extents_free(extents);
    log_fixture_done(&f);
}

Test(log_scrub, a_write_that_was_lost_is_found)
{
    static struct log_fixture f;
    log_fixture_start(&f, 4096);
    scrub_append_batches(&f, 3, 3, 1);
    for (unsigned i = 0; i < 12; i++) {
        struct scrub_extents *before = scrub_extents_new(&f);
        log_fixture_append(&f, 3, 1);
        log_fixture_flush(&f);
        struct scrub_extents *after = scrub_extents_new(&f);
        const struct scrub_extent *extent = &after->items[after->len - 1];
        if (before->len == after->len) {
            const struct scrub_extent *old = &before->items[before->len - 1];
            scrub_put(&f, extent, 0, old->data, old->len);
        } else {
            uint8_t *zeroes = calloc(1, (size_t)extent->len);
            scrub_put(&f, extent, 0, zeroes, extent->len);
            free(zeroes);
        }
        struct scrub_outcome outcome = scrub_pass(&f);
        cr_assert_eq(outcome.err, ERR_CORRUPT);
        cr_assert_eq(strncmp(outcome.detail, extent->path, strlen(extent->path)), 0, "%s", outcome.detail);
        scrub_mend(&f, extent, 0, extent->len);
        scrub_expect_clean(&f);
        scrub_extents_free(before);
        scrub_extents_free(after);
    }
    log_fixture_done(&f);
}

Test(log_scrub, a_missing_segment_is_found_and_a_dropped_one_is_not_missed)
{
    static struct log_fixture f;
    log_fixture_start(&f, 4096);
    scrub_append_batches(&f, 12, 4, 1);
    struct disk *disk = sim_disk_ops(f.sim);
    struct log_scrub *pass;
    char detail[256];
    cr_assert_eq(log_scrub_open(f.log, &pass), 0);
    log_scrub_read(pass, PIECE_LEN);
    cr_assert_eq(log_drop_before(f.log, 30), 0);
    cr_assert_gt(log_first_index(f.log), 10);
    while (!log_scrub_finished(pass)) {
        cr_assert_eq(log_scrub_settle(pass, detail, sizeof detail), 0, "%s", detail);
        if (!log_scrub_finished(pass)) {
            log_scrub_read(pass, PIECE_LEN);
        }
    }
    cr_assert_eq(log_scrub_bytes_done(pass), log_scrub_bytes(pass));
    log_scrub_close(pass);
    struct scrub_extents *extents = scrub_extents_new(&f);
    const struct scrub_extent *extent = &extents->items[1];
    cr_assert_eq(disk->ops->remove(disk, extent->path), 0);
    scrub_expect_found(&f, extent->path, 0, 1);
    scrub_extents_free(extents);
    log_fixture_done(&f);
}

Test(log_scrub, what_is_not_stored_yet_is_left_to_the_next_pass)
{
    static struct log_fixture f;
    struct log_scrub *pass;
    char detail[256];
    log_fixture_start(&f, 16384);
    log_fixture_append(&f, 3, 1); /* In flight, with the head of the segment. */
    cr_assert_eq(log_scrub_open(f.log, &pass), 0);
    cr_assert(log_scrub_finished(pass) && log_scrub_bytes(pass) == 0);
    log_scrub_close(pass);
    log_fixture_flush(&f);
    scrub_append_batches(&f, 2, 3, 1);
    struct scrub_outcome before = scrub_pass(&f);
    log_fixture_append(&f, 3, 1); /* In flight. */
    cr_assert_eq(log_scrub_open(f.log, &pass), 0);
    cr_assert_eq(log_scrub_bytes(pass), before.bytes);
    log_fixture_flush(&f);
    scrub_append_batches(&f, 3, 3, 1);
    while (!log_scrub_finished(pass)) {
        log_scrub_read(pass, PIECE_LEN);
        cr_assert_eq(log_scrub_settle(pass, detail, sizeof detail), 0, "%s", detail);
    }
    log_scrub_close(pass);
    cr_assert_gt(scrub_pass(&f).bytes, before.bytes);
    log_fixture_done(&f);
}

Test(log_scrub, after_a_reset_only_what_follows_counts)
{
    static struct log_fixture f;
    log_fixture_start(&f, 4096);
    scrub_append_batches(&f, 6, 4, 1);
    struct log_scrub *pass;
    char detail[256];
    cr_assert_eq(log_scrub_open(f.log, &pass), 0);
    log_scrub_read(pass, PIECE_LEN);
    cr_assert_eq(log_reset(f.log, 100), 0);
    cr_assert_eq(log_scrub_settle(pass, detail, sizeof detail), 0, "%s", detail);
    while (!log_scrub_finished(pass)) {
        log_scrub_read(pass, PIECE_LEN);
        cr_assert_eq(log_scrub_settle(pass, detail, sizeof detail), 0, "%s", detail);
    }
    log_scrub_close(pass);
    scrub_expect_clean(&f);
    f.last = 100;
    scrub_append_batches(&f, 6, 4, 5);
    scrub_expect_clean(&f);
    struct scrub_extents *extents = scrub_extents_new(&f);
    cr_assert_eq(sim_disk_corrupt(f.sim, extents->items[0].path, 6, 1), 0);
    scrub_expect_found(&f, extents->items[0].path, 0, LOG_SEGMENT_HEAD_LEN);
    scrub_extents_free(extents);
    log_fixture_done(&f);
}

Test(log_scrub, a_reader_of_the_log_says_where_it_met_damage)
{
    static struct log_fixture f;
    log_fixture_init(&f, 4096);
    f.cache_len_max = 0;
    cr_assert_eq(log_fixture_open(&f), 0);
    scrub_append_batches(&f, 8, 3, 1);
    struct scrub_extents *extents = scrub_extents_new(&f);
    const struct scrub_extent *extent = &extents->items[1];
    struct log_entry entry;
    unsigned count;
    char detail[256];
    char name[64];
    uint64_t at = extent->starts[0] + LOG_BATCH_HEAD_LEN;
    struct log_record_head head;
    cr_assert_eq(log_record_head_decode(extent->data + at, &head), 0);
    snprintf(name, sizeof name, "%s, offset %" PRIu64 ": ", strrchr(extent->path, '/') + 1, at);
    cr_assert_eq(sim_disk_corrupt(f.sim, extent->path, at + 20, 1), 0);
    cr_assert_eq(log_read(f.log, head.index, 1, 1, &entry, &count, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_eq(strncmp(detail, name, strlen(name)), 0, "%s", detail);
    scrub_mend(&f, extent, at, 64);
    cr_assert_eq(sim_disk_lose_sector(f.sim, extent->path, at), 0);
    detail[0] = '\0';
    cr_assert_eq(log_read(f.log, head.index, 1, 1, &entry, &count, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_eq(strncmp(detail, name, strlen(name)), 0, "%s", detail);
    scrub_extents_free(extents);
    log_fixture_done(&f);
}
