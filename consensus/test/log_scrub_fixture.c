/* Passes, and the batches of a segment. */

#include "log_scrub_fixture.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/log_format.h"
#include "consensus/log_scrub.h"

struct scrub_outcome scrub_pass_with(struct log_fixture *f, uint64_t bytes_max)
{
    struct scrub_outcome outcome = {.err = 0};
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

struct scrub_outcome scrub_pass(struct log_fixture *f)
{
    return scrub_pass_with(f, PIECE_LEN);
}

void scrub_expect_clean(struct log_fixture *f)
{
    struct scrub_outcome outcome = scrub_pass(f);
    cr_assert_eq(outcome.err, 0, "%s", outcome.detail);
}

void scrub_expect_found(struct log_fixture *f, const char *path, uint64_t from, uint64_t end)
{
    struct scrub_outcome outcome = scrub_pass(f);
    cr_assert_eq(outcome.err, ERR_CORRUPT, "%s, offset %" PRIu64, path, from);
    size_t len = strlen(path);
    unsigned long long at = 0;
    cr_assert(strncmp(outcome.detail, path, len) == 0 && sscanf(outcome.detail + len, ", offset %llu: ", &at) == 1,
              "%s: %s", path, outcome.detail);
    cr_assert(at >= from && at < end, "[%" PRIu64 ", %" PRIu64 "): %s", from, end, outcome.detail);
}

void scrub_append_batches(struct log_fixture *f, unsigned batches, unsigned entries, uint64_t term)
{
    for (unsigned i = 0; i < batches; i++) {
        log_fixture_append(f, entries, term);
        log_fixture_flush(f);
    }
}

void scrub_append_one(struct log_fixture *f, uint64_t term, uint32_t len)
{
    uint64_t index = ++f->last;
    f->terms[index] = term;
    struct log_entry entry = {
        .term = term, .type = LOG_ENTRY_COMMAND, .payload = log_fixture_payload(index, term, len)};
    cr_assert_eq(log_append(f->log, &entry, 1), 0);
    slice_unref(&entry.payload);
    log_fixture_flush(f);
}

static void scrub_find_extent(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    struct scrub_extents *extents = arg;
    if (strstr(path, ".log") == NULL || log_bytes_are_zero(data, len)) {
        return;
    }
    cr_assert_lt(extents->len, 64);
    struct scrub_extent *extent = &extents->items[extents->len++];
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

struct scrub_extents *scrub_extents_new(const struct log_fixture *f)
{
    struct scrub_extents *extents = calloc(1, sizeof *extents);
    sim_disk_each_file(f->sim, scrub_find_extent, extents);
    return extents;
}

void scrub_extents_free(struct scrub_extents *extents)
{
    for (unsigned i = 0; i < extents->len; i++) {
        free(extents->items[i].data);
    }
    free(extents);
}

uint64_t scrub_extent_end(const struct scrub_extent *extent)
{
    return extent->starts[extent->batches];
}

void scrub_extent_part(const struct scrub_extent *extent, uint64_t at, uint64_t *ret_from, uint64_t *ret_end)
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

void scrub_put(struct log_fixture *f, const struct scrub_extent *extent, uint64_t at, const void *data, uint64_t len)
{
    cr_assert_eq(sim_disk_overwrite(f->sim, extent->path, at, data, (size_t)len), 0);
}

void scrub_mend(struct log_fixture *f, const struct scrub_extent *extent, uint64_t at, uint64_t len)
{
    scrub_put(f, extent, at, extent->data + at, len);
}
