/* Reading the log back: whatever has changed is found, named by file and offset, and what is right is never blamed. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/log_format.h"
#include "consensus/log_scrub.h"
#include "log_fixture.h"
#include "proto/base/check.h"

#define PIECE_LEN ((uint64_t)4096)

struct outcome {
    int err;
    char detail[256];
    uint64_t bytes;
};

/* A pass from its beginning to its end. */
static struct outcome scrub_with(struct log_fixture *f, uint64_t bytes_max)
{
    struct outcome outcome = {.err = 0};
    struct log_scrub *scrub;
    cr_assert_eq(log_scrub_open(f->log, &scrub), 0);
    while (outcome.err == 0 && !log_scrub_finished(scrub)) {
        log_scrub_read(scrub, bytes_max);
        outcome.err = log_scrub_settle(scrub, outcome.detail, sizeof outcome.detail);
    }
    outcome.bytes = log_scrub_bytes_done(scrub);
    if (outcome.err == 0) {
        cr_assert_eq(outcome.bytes, log_scrub_bytes(scrub));
    }
    log_scrub_close(scrub);
    return outcome;
}

static struct outcome scrub(struct log_fixture *f)
{
    return scrub_with(f, PIECE_LEN);
}

static void expect_clean(struct log_fixture *f)
{
    struct outcome outcome = scrub(f);
    cr_assert_eq(outcome.err, 0, "%s", outcome.detail);
}

/* Blamed on that file, at a place in [from, end). */
static void expect_found(struct log_fixture *f, const char *path, uint64_t from, uint64_t end)
{
    struct outcome outcome = scrub(f);
    cr_assert_eq(outcome.err, ERR_CORRUPT, "%s, offset %" PRIu64, path, from);
    size_t len = strlen(path);
    unsigned long long at = 0;
    cr_assert(strncmp(outcome.detail, path, len) == 0 && sscanf(outcome.detail + len, ", offset %llu: ", &at) == 1,
              "%s: %s", path, outcome.detail);
    cr_assert(at >= from && at < end, "[%" PRIu64 ", %" PRIu64 "): %s", from, end, outcome.detail);
}

static void append_batches(struct log_fixture *f, unsigned batches, unsigned entries, uint64_t term)
{
    for (unsigned i = 0; i < batches; i++) {
        log_fixture_append(f, entries, term);
        log_fixture_flush(f);
    }
}

/* One entry of a given length, in a batch of its own. */
static void append_one(struct log_fixture *f, uint64_t term, uint32_t len)
{
    uint64_t index = ++f->last;
    f->terms[index] = term;
    struct log_entry entry = {
        .term = term, .type = LOG_ENTRY_COMMAND, .payload = log_fixture_payload(index, term, len)};
    cr_assert_eq(log_append(f->log, &entry, 1), 0);
    slice_unref(&entry.payload);
    log_fixture_flush(f);
}

/* The batches of a segment. */
struct extent {
    char path[64];
    uint8_t *data; /* A copy of the file. */
    uint64_t len;
    uint64_t starts[256]; /* Of batches; behind the last one where it ends. */
    unsigned batches;
};

struct extents {
    struct extent items[64];
    unsigned len;
};

static void find_extent(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    struct extents *extents = arg;
    if (strstr(path, ".log") == NULL || log_bytes_are_zero(data, len)) {
        return;
    }
    cr_assert_lt(extents->len, 64);
    struct extent *extent = &extents->items[extents->len++];
    snprintf(extent->path, sizeof extent->path, "%s", path);
    extent->data = malloc((size_t)len);
    memcpy(extent->data, data, (size_t)len);
    extent->len = len;
    extent->batches = 0;
    extent->starts[0] = LOG_SEGMENT_HEAD_LEN;
    struct log_batch_head head;
    uint64_t at = LOG_SEGMENT_HEAD_LEN;
    while (at + LOG_BATCH_HEAD_LEN <= len && log_batch_head_decode(data + at, &head) == 0) {
        at = log_sector_align(at + head.len);
        extent->starts[++extent->batches] = at;
    }
}

static struct extents *extents_new(const struct log_fixture *f)
{
    struct extents *extents = calloc(1, sizeof *extents);
    sim_disk_each_file(f->sim, find_extent, extents);
    return extents;
}

static void extents_free(struct extents *extents)
{
    for (unsigned i = 0; i < extents->len; i++) {
        free(extents->items[i].data);
    }
    free(extents);
}

static uint64_t extent_end(const struct extent *extent)
{
    return extent->starts[extent->batches];
}

/* The batch or head that a place belongs to. */
static void extent_part(const struct extent *extent, uint64_t at, uint64_t *ret_from, uint64_t *ret_end)
{
    *ret_from = 0;
    *ret_end = LOG_SEGMENT_HEAD_LEN;
    for (unsigned i = 0; i < extent->batches && at >= LOG_SEGMENT_HEAD_LEN; i++) {
        if (at >= extent->starts[i]) {
            *ret_from = extent->starts[i];
            *ret_end = extent->starts[i + 1];
        }
    }
}

static void put(struct log_fixture *f, const struct extent *extent, uint64_t at, const void *data, uint64_t len)
{
    cr_assert_eq(sim_disk_overwrite(f->sim, extent->path, at, data, (size_t)len), 0);
}

/* Puts back what was there. */
static void mend(struct log_fixture *f, const struct extent *extent, uint64_t at, uint64_t len)
{
    put(f, extent, at, extent->data + at, len);
}

Test(log_scrub, a_sound_log_is_read_to_its_end_in_pieces_of_any_length)
{
    static struct log_fixture f;
    log_fixture_start(&f, 8192);
    struct outcome empty = scrub(&f);
    cr_assert(empty.err == 0 && empty.bytes == 0);
    append_batches(&f, 40, 7, 3);
    struct extents *extents = extents_new(&f);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < extents->len; i++) {
        bytes += extent_end(&extents->items[i]);
    }
    cr_assert_gt(extents->len, 5);
    for (uint64_t piece = 1; piece < 100000; piece = piece * 3 + 1) {
        struct outcome outcome = scrub_with(&f, piece);
        cr_assert_eq(outcome.err, 0, "%s", outcome.detail);
        cr_assert_eq(outcome.bytes, bytes);
    }
    log_fixture_reopen(&f);
    append_batches(&f, 3, 2, 4);
    expect_clean(&f);
    extents_free(extents);
    log_fixture_done(&f);
}

/* Every byte of heads, records, payloads and the zeroes behind them: the last batch too, which recovery would have to take
 * for a torn one. */
static unsigned flip_all(uint64_t segment_len)
{
    static struct log_fixture f;
    log_fixture_start(&f, segment_len);
    append_batches(&f, 5, 3, 1);
    log_fixture_truncate(&f, 13);
    append_batches(&f, 2, 3, 2);
    expect_clean(&f);
    struct extents *extents = extents_new(&f);
    unsigned flips = 0;
    for (unsigned i = 0; i < extents->len; i++) {
        const struct extent *extent = &extents->items[i];
        for (uint64_t at = 0; at < extent->len; at++) {
            uint8_t mask = (uint8_t)(1u << (at * 5 + i) % 8);
            uint64_t from;
            uint64_t end;
            cr_assert_eq(sim_disk_corrupt(f.sim, extent->path, at, mask), 0);
            if (at < extent_end(extent)) {
                extent_part(extent, at, &from, &end);
                expect_found(&f, extent->path, from, end);
                flips++;
            } else if (at % 64 == 0) {
                expect_clean(&f); /* Nothing has been written there. */
            }
            mend(&f, extent, at, 1);
        }
    }
    expect_clean(&f);
    extents_free(extents);
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
    append_batches(&f, 10, 4, 1);
    struct extents *extents = extents_new(&f);
    for (unsigned i = 0; i < extents->len; i++) {
        const struct extent *extent = &extents->items[i];
        for (uint64_t at = 0; at < extent_end(extent); at += LOG_SECTOR_LEN) {
            uint64_t from;
            uint64_t end;
            extent_part(extent, at, &from, &end);
            put(&f, extent, at, zeroes, sizeof zeroes);
            expect_found(&f, extent->path, from, end);
            mend(&f, extent, at, sizeof zeroes);
        }
    }
    expect_clean(&f);
    extents_free(extents);
    log_fixture_done(&f);
}

Test(log_scrub, what_cannot_be_read_is_named)
{
    static struct log_fixture f;
    log_fixture_start(&f, 65536);
    append_batches(&f, 60, 4, 1);
    struct extents *extents = extents_new(&f);
    const struct extent *extent = &extents->items[0];
    uint64_t at = extent->starts[40] / 4096 * 4096 + 512;
    cr_assert_lt(at, extent_end(extent));
    cr_assert_eq(sim_disk_lose_sector(f.sim, extent->path, at), 0);
    struct outcome outcome = scrub_with(&f, 1 << 20);
    cr_assert_eq(outcome.err, ERR_CORRUPT);
    char expected[128];
    snprintf(expected, sizeof expected, "%s, offset %" PRIu64 ": it cannot be read", extent->path, at / 4096 * 4096);
    cr_assert_str_eq(outcome.detail, expected);
    extents_free(extents);
    log_fixture_done(&f);
}

/* Batches of one record, all of the same length: whatever lies at one's place looks sound. */
static void same_lengths_start(struct log_fixture *f)
{
    log_fixture_start(f, 16384);
    for (unsigned i = 0; i < 9; i++) {
        append_one(f, 1, 300);
    }
    log_fixture_truncate(f, 7);
    for (unsigned i = 0; i < 6; i++) {
        append_one(f, 2, 300);
    }
    expect_clean(f);
}

Test(log_scrub, a_sound_batch_or_record_at_the_wrong_place_is_found)
{
    static struct log_fixture f;
    same_lengths_start(&f);
    struct extents *extents = extents_new(&f);
    const struct extent *extent = &extents->items[0];
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
            put(&f, extent, at, other, batch_len);
            expect_found(&f, extent->path, at, at + batch_len);
            put(&f, extent, at, extent->data + at, LOG_BATCH_HEAD_LEN);
            put(&f, extent, at + LOG_BATCH_HEAD_LEN, other + LOG_BATCH_HEAD_LEN, record_len);
            if (!past) {
                expect_found(&f, extent->path, at, at + batch_len);
            }
            mend(&f, extent, at, batch_len);
        }
    }
    expect_clean(&f);
    extents_free(extents);
    log_fixture_done(&f);
}

/* A head that differs from what was written, and is sound: even of the last batch, which nothing follows. */
Test(log_scrub, another_head_of_a_batch_is_found)
{
    static struct log_fixture f;
    log_fixture_start(&f, 16384);
    append_batches(&f, 5, 3, 1);
    struct extents *extents = extents_new(&f);
    const struct extent *extent = &extents->items[0];
    for (unsigned i = 0; i < extent->batches; i++) {
        struct log_batch_head head;
        uint8_t other[LOG_BATCH_HEAD_LEN];
        cr_assert_eq(log_batch_head_decode(extent->data + extent->starts[i], &head), 0);
        head.stored_index++;
        log_batch_head_encode(&head, other);
        put(&f, extent, extent->starts[i], other, sizeof other);
        expect_found(&f, extent->path, extent->starts[i + 1], extent->starts[i + 1] + 1);
        mend(&f, extent, extent->starts[i], sizeof other);
    }
    extents_free(extents);
    log_fixture_done(&f);
}

Test(log_scrub, a_write_that_was_lost_is_found)
{
    static struct log_fixture f;
    log_fixture_start(&f, 4096);
    append_batches(&f, 3, 3, 1);
    for (unsigned i = 0; i < 12; i++) {
        struct extents *before = extents_new(&f);
        log_fixture_append(&f, 3, 1);
        log_fixture_flush(&f);
        struct extents *after = extents_new(&f);
        const struct extent *extent = &after->items[after->len - 1];
        if (before->len == after->len) {
            const struct extent *old = &before->items[before->len - 1];
            put(&f, extent, 0, old->data, old->len);
        } else {
            uint8_t *zeroes = calloc(1, (size_t)extent->len);
            put(&f, extent, 0, zeroes, extent->len);
            free(zeroes);
        }
        struct outcome outcome = scrub(&f);
        cr_assert_eq(outcome.err, ERR_CORRUPT);
        cr_assert_eq(strncmp(outcome.detail, extent->path, strlen(extent->path)), 0, "%s", outcome.detail);
        mend(&f, extent, 0, extent->len);
        expect_clean(&f);
        extents_free(before);
        extents_free(after);
    }
    log_fixture_done(&f);
}

Test(log_scrub, a_missing_segment_is_found_and_a_dropped_one_is_not_missed)
{
    static struct log_fixture f;
    log_fixture_start(&f, 4096);
    append_batches(&f, 12, 4, 1);
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
    struct extents *extents = extents_new(&f);
    const struct extent *extent = &extents->items[1];
    cr_assert_eq(disk->ops->remove(disk, extent->path), 0);
    expect_found(&f, extent->path, 0, 1);
    extents_free(extents);
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
    append_batches(&f, 2, 3, 1);
    struct outcome before = scrub(&f);
    log_fixture_append(&f, 3, 1); /* In flight. */
    cr_assert_eq(log_scrub_open(f.log, &pass), 0);
    cr_assert_eq(log_scrub_bytes(pass), before.bytes);
    log_fixture_flush(&f);
    append_batches(&f, 3, 3, 1);
    while (!log_scrub_finished(pass)) {
        log_scrub_read(pass, PIECE_LEN);
        cr_assert_eq(log_scrub_settle(pass, detail, sizeof detail), 0, "%s", detail);
    }
    log_scrub_close(pass);
    cr_assert_gt(scrub(&f).bytes, before.bytes);
    log_fixture_done(&f);
}

Test(log_scrub, after_a_reset_only_what_follows_counts)
{
    static struct log_fixture f;
    log_fixture_start(&f, 4096);
    append_batches(&f, 6, 4, 1);
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
    expect_clean(&f);
    f.last = 100;
    append_batches(&f, 6, 4, 5);
    expect_clean(&f);
    struct extents *extents = extents_new(&f);
    cr_assert_eq(sim_disk_corrupt(f.sim, extents->items[0].path, 6, 1), 0);
    expect_found(&f, extents->items[0].path, 0, LOG_SEGMENT_HEAD_LEN);
    extents_free(extents);
    log_fixture_done(&f);
}

/* A pass that goes on beside everything that a log does. */
struct history {
    struct log_fixture f;
    uint64_t random;
    uint64_t term;
    struct log_scrub *pass;
    bool read;
    unsigned passes;
};

static uint64_t pick(struct history *h, uint64_t count)
{
    return log_fixture_random(&h->random) % count;
}

static void history_scrub(struct history *h)
{
    char detail[256] = "";
    if (h->pass == NULL) {
        cr_assert_eq(log_scrub_open(h->f.log, &h->pass), 0);
        h->read = false;
    }
    if (log_scrub_finished(h->pass)) {
        log_scrub_close(h->pass);
        h->pass = NULL;
        h->passes++;
    } else if (!h->read) {
        log_scrub_read(h->pass, 1 + pick(h, 6000));
        h->read = true;
    } else {
        cr_assert_eq(log_scrub_settle(h->pass, detail, sizeof detail), 0, "%s", detail);
        h->read = false;
    }
}

static void history_restart(struct history *h, bool crash)
{
    log_scrub_close(h->pass);
    h->pass = NULL;
    uint64_t promised = h->f.promised;
    if (crash) {
        sim_disk_crash(h->f.sim, log_fixture_random, &h->random);
    } else {
        log_fixture_flush(&h->f);
    }
    log_fixture_reopen(&h->f);
    cr_assert_geq(log_last_index(h->f.log), promised);
    h->f.last = log_last_index(h->f.log);
    for (uint64_t i = log_first_index(h->f.log); i <= h->f.last; i++) {
        h->f.terms[i] = log_term(h->f.log, i);
    }
    h->f.promised = h->f.last;
}

static void history_step(struct history *h)
{
    struct log_fixture *f = &h->f;
    uint64_t what = pick(h, 100);
    if (what < 30 && f->last + 40 < LOG_MODEL_MAX) {
        log_fixture_append(f, 1 + (unsigned)pick(h, 12), h->term);
    } else if (what < 36 && f->last > log_first_index(f->log) + 20) {
        log_fixture_truncate(f, f->last - pick(h, 20));
        h->term++;
    } else if (what < 40 && log_stored_index(f->log) > log_first_index(f->log)) {
        cr_assert_eq(log_drop_before(f->log, log_first_index(f->log) +
                                                 pick(h, log_stored_index(f->log) - log_first_index(f->log))),
                     0);
    } else if (what < 41) {
        history_restart(h, pick(h, 2) == 0);
        h->term++;
    } else if (what < 70) {
        history_scrub(h);
    } else if (sim_disk_pending(f->sim) > 0) {
        sim_disk_complete_one(f->sim);
    }
}

Test(log_scrub, no_history_gives_a_false_alarm)
{
    static struct history h;
    unsigned passes = 0;
    unsigned found = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        memset(&h, 0, sizeof h);
        h.random = seed * 7919;
        h.term = 1;
        log_fixture_init(&h.f, 2048u << pick(&h, 4));
        h.f.fill_len = pick(&h, 2) * 65536;
        h.f.cache_len_max = 1024;
        cr_assert_eq(log_fixture_open(&h.f), 0);
        for (unsigned i = 0; i < 1500; i++) {
            history_step(&h);
        }
        log_scrub_close(h.pass);
        h.pass = NULL;
        log_fixture_flush(&h.f);
        expect_clean(&h.f);
        struct extents *extents = extents_new(&h.f);
        for (unsigned i = 0; i < extents->len; i++) {
            const struct extent *extent = &extents->items[i];
            uint64_t at = pick(&h, extent_end(extent));
            cr_assert_eq(sim_disk_corrupt(h.f.sim, extent->path, at, (uint8_t)(1u << pick(&h, 8))), 0);
            cr_assert_eq(scrub(&h.f).err, ERR_CORRUPT, "seed %" PRIu64 ": %s, offset %" PRIu64, seed, extent->path, at);
            mend(&h.f, extent, at, 1);
            found++;
        }
        expect_clean(&h.f);
        extents_free(extents);
        passes += h.passes;
        log_fixture_done(&h.f);
    }
    cr_assert_gt(passes, 500);
    cr_assert_gt(found, 100);
}

Test(log_scrub, a_reader_of_the_log_says_where_it_met_damage)
{
    static struct log_fixture f;
    log_fixture_init(&f, 4096);
    f.cache_len_max = 0;
    cr_assert_eq(log_fixture_open(&f), 0);
    append_batches(&f, 8, 3, 1);
    struct extents *extents = extents_new(&f);
    const struct extent *extent = &extents->items[1];
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
    mend(&f, extent, at, 64);
    cr_assert_eq(sim_disk_lose_sector(f.sim, extent->path, at), 0);
    detail[0] = '\0';
    cr_assert_eq(log_read(f.log, head.index, 1, 1, &entry, &count, detail, sizeof detail), ERR_IO);
    cr_assert_eq(strncmp(detail, name, strlen(name)), 0, "%s", detail);
    extents_free(extents);
    log_fixture_done(&f);
}
