/* A log on a simulated disk, and what it should hold. */

#include "log_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

static void fixture_stored(void *arg, uint64_t index)
{
    struct log_fixture *fixture = arg;
    fixture->promised = index;
    fixture->reports++;
}

static void fixture_failed(void *arg, int err, const char *what)
{
    struct log_fixture *fixture = arg;
    (void)what;
    fixture->failure = err;
}

void log_fixture_init(struct log_fixture *fixture, uint64_t segment_len)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->sim = sim_disk_new();
    CHECK(fixture->sim != NULL);
    fixture->segment_len = segment_len;
    fixture->cache_len_max = 1 << 20;
}

void log_fixture_done(struct log_fixture *fixture)
{
    log_fixture_close(fixture);
    sim_disk_free(fixture->sim);
}

int log_fixture_open(struct log_fixture *fixture)
{
    struct log_options options = {
        .disk = sim_disk_ops(fixture->sim),
        .dir = LOG_DIR,
        .segment_len = fixture->segment_len,
        .reserve_len = fixture->reserve_len,
        .fill_len = fixture->fill_len,
        .cache_len_max = fixture->cache_len_max,
        .arg = fixture,
        .stored = fixture_stored,
        .failed = fixture_failed,
    };
    return log_open(&options, &fixture->recovery, &fixture->log);
}

void log_fixture_close(struct log_fixture *fixture)
{
    log_close(fixture->log);
    fixture->log = NULL;
}

void log_fixture_start(struct log_fixture *fixture, uint64_t segment_len)
{
    log_fixture_init(fixture, segment_len);
    cr_assert_eq(log_fixture_open(fixture), 0, "%s", fixture->recovery.detail);
}

void log_fixture_reopen(struct log_fixture *fixture)
{
    log_fixture_close(fixture);
    cr_assert_eq(log_fixture_open(fixture), 0, "%s", fixture->recovery.detail);
}

uint32_t log_fixture_len(uint64_t index, uint64_t term)
{
    return (uint32_t)((index * 37 + term * 101) % 400);
}

struct slice log_fixture_payload(uint64_t index, uint64_t term, uint32_t len)
{
    struct blob *blob = blob_new(len);
    CHECK(blob != NULL);
    uint64_t state = index * 1000003 + term;
    for (uint32_t i = 0; i < len; i++) {
        blob->data[i] = (uint8_t)log_fixture_random(&state);
    }
    return slice_of_blob(blob);
}

void log_fixture_append(struct log_fixture *fixture, unsigned count, uint64_t term)
{
    struct log_entry *entries = calloc(count, sizeof *entries);
    CHECK(entries != NULL && fixture->last + count < LOG_MODEL_MAX);
    for (unsigned i = 0; i < count; i++) {
        uint64_t index = ++fixture->last;
        fixture->terms[index] = term;
        entries[i] = (struct log_entry){
            .term = term,
            .type = index % 7 == 0 ? LOG_ENTRY_BARRIER : LOG_ENTRY_COMMAND,
            .payload = log_fixture_payload(index, term, log_fixture_len(index, term)),
        };
    }
    CHECK(log_append(fixture->log, entries, count) == 0);
    for (unsigned i = 0; i < count; i++) {
        slice_unref(&entries[i].payload);
    }
    free(entries);
}

void log_fixture_truncate(struct log_fixture *fixture, uint64_t index)
{
    log_truncate(fixture->log, index);
    fixture->last = index - 1;
    fixture->promised = fixture->promised < index ? fixture->promised : index - 1;
}

void log_fixture_flush(struct log_fixture *fixture)
{
    sim_disk_complete_all(fixture->sim);
}

bool log_fixture_reads(struct log_fixture *fixture, uint64_t index)
{
    struct log_entry entry;
    unsigned count = 0;
    char detail[256] = "";
    if (log_read(fixture->log, index, 1, 1, &entry, &count, detail, sizeof detail) != 0 || count != 1) {
        return false;
    }
    struct slice expected = log_fixture_payload(index, entry.term, (uint32_t)entry.payload.len);
    bool right = entry.term == log_term(fixture->log, index) && (int)entry.type == log_type(fixture->log, index) &&
                 memcmp(expected.data, entry.payload.data, expected.len) == 0;
    slice_unref(&expected);
    slice_unref(&entry.payload);
    return right;
}

bool log_fixture_keeps_promise(struct log_fixture *fixture)
{
    uint64_t first = log_first_index(fixture->log);
    uint64_t last = log_last_index(fixture->log);
    uint64_t term = 0;
    if (last < fixture->promised) {
        return false;
    }
    for (uint64_t i = first; i <= last; i++) {
        uint64_t entry_term = log_term(fixture->log, i);
        if (entry_term < term || !log_fixture_reads(fixture, i)) {
            return false;
        }
        if (i <= fixture->promised && entry_term != fixture->terms[i]) {
            return false;
        }
        term = entry_term;
    }
    return true;
}

uint64_t log_fixture_random(void *state)
{
    uint64_t *s = state;
    uint64_t z = *s += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
