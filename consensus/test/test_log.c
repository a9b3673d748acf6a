/* The log without faults of the disk: append, batches, truncation, reading back, dropping, reset. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/log_format.h"
#include "consensus/log_inspect.h"
#include "log_fixture.h"
#include "proto/base/fault.h"

#define BIG_SEGMENT (UINT64_C(1) << 20)

Test(log, an_empty_log_begins_with_index_1)
{
    struct log_fixture f;
    log_fixture_start(&f, BIG_SEGMENT);
    cr_assert_eq(log_first_index(f.log), 1);
    cr_assert_eq(log_last_index(f.log), 0);
    cr_assert_eq(log_stored_index(f.log), 0);
    cr_assert_eq(log_term(f.log, 0), 0);
    cr_assert_eq(log_term(f.log, 1), 0);
    cr_assert_eq(log_bytes_from(f.log, 1), 0);
    cr_assert(log_idle(f.log));
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), 0);
    log_fixture_done(&f);
}

Test(log, entries_are_read_back_before_and_after_reopening)
{
    struct log_fixture f;
    log_fixture_start(&f, BIG_SEGMENT);
    for (unsigned i = 0; i < 100; i++) {
        log_fixture_append(&f, 1 + i % 3, 1 + i / 10);
        if (i % 5 == 0) {
            log_fixture_flush(&f);
        }
    }
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_flush(&f);
    cr_assert(log_idle(f.log));
    cr_assert_eq(f.promised, f.last);
    cr_assert_eq(log_stored_index(f.log), f.last);
    uint64_t bytes = log_bytes_from(f.log, 50);
    log_fixture_reopen(&f);
    cr_assert_eq(log_first_index(f.log), 1);
    cr_assert_eq(log_last_index(f.log), f.last);
    cr_assert_eq(log_stored_index(f.log), f.last);
    cr_assert_eq(f.recovery.records_read, f.last);
    cr_assert_eq(log_type(f.log, 14), LOG_ENTRY_BARRIER);
    cr_assert_eq(log_bytes_from(f.log, 50), bytes);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log, nothing_is_stored_before_the_disk_says_so)
{
    struct log_fixture f;
    log_fixture_start(&f, BIG_SEGMENT);
    log_fixture_append(&f, 3, 1);
    cr_assert_eq(f.reports, 0);
    cr_assert_eq(log_stored_index(f.log), 0);
    cr_assert_not(log_idle(f.log));
    cr_assert(sim_disk_complete_kind(f.sim, SIM_DISK_APPEND));
    cr_assert_eq(f.promised, 3);
    log_fixture_flush(&f);
    log_fixture_done(&f);
}

Test(log, what_gathers_during_a_write_goes_out_in_one_batch)
{
    struct log_fixture f;
    log_fixture_start(&f, BIG_SEGMENT);
    log_fixture_append(&f, 1, 1);
    for (unsigned i = 0; i < 20; i++) {
        log_fixture_append(&f, 1, 1);
    }
    log_fixture_flush(&f);
    cr_assert_eq(f.reports, 2, "%u", f.reports);
    cr_assert_eq(sim_disk_counters(f.sim)->appends, 2);
    cr_assert_eq(f.promised, 21);
    log_fixture_done(&f);
}

Test(log, bytes_from_counts_records_exactly)
{
    struct log_fixture f;
    log_fixture_start(&f, 8192);
    log_fixture_append(&f, 200, 1);
    uint64_t before = log_bytes_from(f.log, 120);
    log_fixture_flush(&f);
    uint64_t expected = 0;
    for (uint64_t i = 120; i <= 200; i++) {
        expected += LOG_RECORD_HEAD_LEN + log_fixture_len(i, 1);
    }
    cr_assert_eq(before, expected);
    cr_assert_eq(log_bytes_from(f.log, 120), expected);
    log_fixture_truncate(&f, 150);
    log_fixture_append(&f, 10, 2);
    expected = 0;
    for (uint64_t i = 120; i <= 159; i++) {
        expected += LOG_RECORD_HEAD_LEN + log_fixture_len(i, i < 150 ? 1 : 2);
    }
    cr_assert_eq(log_bytes_from(f.log, 120), expected);
    log_fixture_flush(&f);
    cr_assert_eq(log_bytes_from(f.log, 120), expected);
    cr_assert_eq(log_bytes_from(f.log, 160), 0);
    log_fixture_done(&f);
}

Test(log, a_truncated_write_reports_less)
{
    struct log_fixture f;
    log_fixture_start(&f, BIG_SEGMENT);
    log_fixture_append(&f, 10, 1);
    log_fixture_truncate(&f, 6);
    log_fixture_append(&f, 3, 2);
    cr_assert(sim_disk_complete_kind(f.sim, SIM_DISK_APPEND));
    cr_assert_eq(f.promised, 5);
    cr_assert_eq(log_stored_index(f.log), 5);
    log_fixture_flush(&f);
    cr_assert_eq(f.promised, 8);
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), 8);
    cr_assert_eq(log_term(f.log, 5), 1);
    cr_assert_eq(log_term(f.log, 6), 2);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log, without_guard_5_a_truncated_write_reports_entries_that_are_not_stored)
{
    struct log_fixture f;
    log_fixture_start(&f, BIG_SEGMENT);
    fault_set(FAULT_SKIP_G5, true);
    log_fixture_append(&f, 10, 1);
    log_fixture_truncate(&f, 6);
    log_fixture_append(&f, 3, 2);
    cr_assert(sim_disk_complete_kind(f.sim, SIM_DISK_APPEND));
    fault_reset();
    cr_assert_eq(f.promised, 8);
    cr_assert_eq(log_stored_index(f.log), 5);
    log_fixture_flush(&f);
    log_fixture_done(&f);
}

Test(log, truncation_of_stored_entries_takes_the_report_back)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    log_fixture_append(&f, 60, 1);
    log_fixture_flush(&f);
    log_fixture_truncate(&f, 20);
    cr_assert_eq(log_stored_index(f.log), 19);
    cr_assert_eq(log_last_index(f.log), 19);
    log_fixture_append(&f, 5, 3);
    log_fixture_flush(&f);
    log_fixture_truncate(&f, 2);
    log_fixture_append(&f, 40, 4);
    log_fixture_flush(&f);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), 41);
    cr_assert_eq(log_term(f.log, 1), 1);
    cr_assert_eq(log_term(f.log, 2), 4);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log, entries_leave_the_cache_and_are_read_from_disk)
{
    struct log_fixture f;
    log_fixture_init(&f, 16384);
    f.cache_len_max = 2000;
    cr_assert_eq(log_fixture_open(&f), 0);
    for (unsigned i = 0; i < 60; i++) {
        log_fixture_append(&f, 10, 1 + i / 20);
        log_fixture_flush(&f);
        if (i == 30) {
            log_fixture_truncate(&f, 250);
        }
    }
    cr_assert(log_fixture_keeps_promise(&f));
    struct log_entry entries[64];
    unsigned count = 0;
    char detail[256] = "";
    cr_assert_eq(log_read(f.log, 230, 64, UINT64_MAX, entries, &count, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(count, 64);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(entries[i].term, f.terms[230 + i]);
        cr_assert_eq(entries[i].payload.len, log_fixture_len(230 + i, entries[i].term));
        slice_unref(&entries[i].payload);
    }
    cr_assert_eq(log_read(f.log, 230, 64, 1, entries, &count, detail, sizeof detail), 0);
    cr_assert_leq(count, 2);
    for (unsigned i = 0; i < count; i++) {
        slice_unref(&entries[i].payload);
    }
    cr_assert_eq(log_read(f.log, f.last + 1, 1, 1, entries, &count, detail, sizeof detail), ERR_NOT_FOUND);
    log_fixture_done(&f);
}

Test(log, damage_is_noticed_when_reading_from_disk)
{
    struct log_fixture f;
    log_fixture_start(&f, BIG_SEGMENT);
    log_fixture_append(&f, 50, 1);
    log_fixture_flush(&f);
    log_fixture_reopen(&f);
    unsigned noticed = 0;
    for (uint64_t offset = LOG_SEGMENT_HEAD_LEN + LOG_BATCH_HEAD_LEN; offset < 4000; offset++) {
        cr_assert_eq(sim_disk_corrupt(f.sim, LOG_DIR "/00000001.log", offset, 0x10), 0);
        struct log_entry entries[50];
        unsigned count = 0;
        char detail[256] = "";
        int err = log_read(f.log, 1, 50, UINT64_MAX, entries, &count, detail, sizeof detail);
        cr_assert_eq(err, ERR_CORRUPT, "offset %d: %d", (int)offset, err);
        cr_assert_eq(strncmp(detail, "00000001.log, offset ", 21), 0, "%s", detail);
        cr_assert_eq(sim_disk_corrupt(f.sim, LOG_DIR "/00000001.log", offset, 0x10), 0);
        noticed++;
    }
    cr_assert_gt(noticed, 3000);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log, an_entry_larger_than_a_segment_gets_its_own)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    for (unsigned round = 0; round < 3; round++) {
        struct log_entry entry = {.term = 1, .type = LOG_ENTRY_COMMAND};
        entry.payload = log_fixture_payload(++f.last, 1, 100000);
        f.terms[f.last] = 1;
        cr_assert_eq(log_append(f.log, &entry, 1), 0);
        slice_unref(&entry.payload);
        log_fixture_append(&f, 20, 1);
        if (round == 1) {
            log_fixture_flush(&f);
            cr_assert_eq(f.promised, f.last);
            log_fixture_reopen(&f);
        }
    }
    log_fixture_flush(&f);
    cr_assert_eq(f.promised, f.last);
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), f.last);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log, a_large_entry_taken_back_before_it_is_written_leaves_a_working_log)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    struct log_entry entry = {.term = 1, .type = LOG_ENTRY_COMMAND, .payload = log_fixture_payload(1, 1, 50000)};
    cr_assert_eq(log_append(f.log, &entry, 1), 0);
    slice_unref(&entry.payload);
    log_fixture_truncate(&f, 1);
    log_fixture_append(&f, 5, 2);
    log_fixture_flush(&f);
    cr_assert_eq(f.promised, 5);
    log_fixture_reopen(&f);
    entry.payload = log_fixture_payload(6, 2, 50000);
    cr_assert_eq(log_append(f.log, &entry, 1), 0);
    slice_unref(&entry.payload);
    log_fixture_truncate(&f, 6);
    log_fixture_append(&f, 5, 3);
    log_fixture_flush(&f);
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), 10);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log, what_cannot_be_written_is_refused)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    uint8_t byte = 0;
    struct log_entry entry = {.term = 1, .type = LOG_ENTRY_COMMAND};
    entry.payload = (struct slice){.data = &byte, .len = LOG_PAYLOAD_LEN_MAX + 1};
    cr_assert_eq(log_append(f.log, &entry, 1), ERR_TOO_BIG);
    entry = (struct log_entry){.term = 1, .type = (enum log_entry_type)4, .payload = {.data = &byte, .len = 1}};
    cr_assert_eq(log_append(f.log, &entry, 1), ERR_INVALID);
    cr_assert_eq(log_last_index(f.log), 0);
    log_fixture_done(&f);
}

static void store_batches_of_five(struct log_fixture *f, unsigned batches)
{
    for (unsigned i = 0; i < batches; i++) {
        log_fixture_append(f, 5, 1);
        log_fixture_flush(f);
    }
}

Test(log, dropped_segments_stay_away)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    store_batches_of_five(&f, 40);
    cr_assert_eq(log_drop_before(f.log, 100), 0);
    uint64_t first = log_first_index(f.log);
    cr_assert_leq(first, 100);
    cr_assert_gt(first, 60);
    cr_assert_eq(log_term(f.log, first - 1), 0);
    cr_assert(log_fixture_keeps_promise(&f));
    store_batches_of_five(&f, 10); /* So that more segments are made. */
    sim_disk_crash_losing_all(f.sim);
    log_fixture_reopen(&f);
    cr_assert_eq(log_first_index(f.log), first, "%d %d", (int)log_first_index(f.log), (int)first);
    cr_assert_eq(log_last_index(f.log), 250);
    cr_assert(log_fixture_keeps_promise(&f));
    cr_assert_eq(log_drop_before(f.log, 10000), 0);
    cr_assert_leq(log_first_index(f.log), 250, "the last entries are in the last segment, which stays");
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), 250);
    log_fixture_done(&f);
}

/* The loop calls it: on a slow disk a sync would keep a leader from its heartbeats. What comes back after the power has
 * failed is a log that begins earlier. */
Test(log, dropping_waits_for_no_sync)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    store_batches_of_five(&f, 40);
    sim_disk_fail_nth_sync(f.sim, 0, ERR_IO);
    cr_assert_eq(log_drop_before(f.log, 100), 0);
    cr_assert_gt(log_first_index(f.log), 60);
    sim_disk_crash_losing_all(f.sim);
    log_fixture_reopen(&f);
    cr_assert_eq(log_first_index(f.log), 1);
    cr_assert_eq(log_last_index(f.log), 200);
    cr_assert(log_fixture_keeps_promise(&f));
    cr_assert_eq(log_drop_before(f.log, 100), 0);
    cr_assert_gt(log_first_index(f.log), 60);
    log_fixture_done(&f);
}

Test(log, a_segment_stays_while_what_replaces_its_end_is_not_stored)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    store_batches_of_five(&f, 8);
    log_fixture_truncate(&f, 3);
    log_fixture_append(&f, 1, 2);
    cr_assert_eq(log_drop_before(f.log, 3), 0);
    cr_assert_eq(log_first_index(f.log), 1);
    sim_disk_crash_losing_all(f.sim);
    log_fixture_reopen(&f);
    cr_assert_eq(log_first_index(f.log), 1);
    cr_assert_eq(log_last_index(f.log), 40);
    log_fixture_truncate(&f, 3);
    log_fixture_append(&f, 1, 2);
    log_fixture_flush(&f);
    cr_assert_eq(log_drop_before(f.log, 3), 0);
    cr_assert_eq(log_first_index(f.log), 3);
    log_fixture_reopen(&f);
    cr_assert_eq(log_first_index(f.log), 3);
    cr_assert_eq(log_last_index(f.log), 3);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log, a_reset_log_continues_where_it_was_told)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    log_fixture_append(&f, 50, 1);
    cr_assert_eq(log_reset(f.log, 1000), ERR_BUSY);
    log_fixture_flush(&f);
    cr_assert_eq(log_reset(f.log, 1000), 0);
    cr_assert_eq(log_first_index(f.log), 1001, "%d", (int)log_first_index(f.log));
    cr_assert_eq(log_last_index(f.log), 1000);
    cr_assert_eq(log_stored_index(f.log), 1000);
    sim_disk_crash_losing_all(f.sim);
    log_fixture_reopen(&f);
    cr_assert_eq(log_first_index(f.log), 1001, "%d", (int)log_first_index(f.log));
    cr_assert_eq(log_last_index(f.log), 1000);
    f.last = 1000;
    log_fixture_append(&f, 30, 5);
    log_fixture_flush(&f);
    log_fixture_reopen(&f);
    cr_assert_eq(log_first_index(f.log), 1001, "%d", (int)log_first_index(f.log));
    cr_assert_eq(log_last_index(f.log), 1030);
    cr_assert(log_fixture_keeps_promise(&f));
    cr_assert_eq(log_reset(f.log, 5), 0);
    log_fixture_reopen(&f);
    cr_assert_eq(log_first_index(f.log), 6);
    log_fixture_done(&f);
}

Test(log, a_failed_write_is_reported_and_nothing_is_promised)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    log_fixture_append(&f, 2, 1);
    log_fixture_flush(&f);
    sim_disk_fail_next_append(f.sim, ERR_IO);
    log_fixture_append(&f, 2, 1);
    log_fixture_flush(&f);
    cr_assert_eq(f.failure, ERR_IO);
    cr_assert_eq(f.promised, 2);
    log_fixture_append(&f, 2, 1);
    cr_assert_eq(sim_disk_pending(f.sim), 0, "nothing is written after a failure");
    log_fixture_done(&f);
}

Test(log, a_spare_that_was_not_synced_ends_the_process_although_it_is_not_needed)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    sim_disk_fail_next_offload(f.sim, ERR_IO);
    log_fixture_append(&f, 1, 1);
    log_fixture_flush(&f);
    cr_assert_eq(f.failure, ERR_IO);
    log_fixture_done(&f);
}

Test(log, segments_are_numbered_by_name)
{
    char name[LOG_NAME_LEN_MAX];
    log_segment_name(1, name);
    cr_assert_str_eq(name, "00000001.log");
    cr_assert_eq(log_segment_number("00000001.log"), 1);
    cr_assert_eq(log_segment_number("123456789.log"), 123456789);
    cr_assert_eq(log_segment_number("0000001.log"), 0);
    cr_assert_eq(log_segment_number("00000000.log"), 0);
    cr_assert_eq(log_segment_number("00000001.log2"), 0);
    cr_assert_eq(log_segment_number("watermark"), 0);
    cr_assert_eq(log_segment_number(""), 0);
}

static void count_record(void *arg, const struct log_inspect_record *record)
{
    uint64_t *sum = arg;
    *sum += record->index;
}

Test(log, inspection_sees_every_record)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    log_fixture_append(&f, 60, 1);
    log_fixture_flush(&f);
    log_fixture_close(&f);
    uint64_t sum = 0;
    struct log_inspect_callbacks callbacks = {.arg = &sum, .record = count_record};
    struct log_inspect_report report;
    cr_assert_eq(log_inspect(sim_disk_ops(f.sim), LOG_DIR, &callbacks, &report), 0, "%s", report.detail);
    cr_assert_eq(report.records, 60);
    cr_assert_eq(report.last_index, 60);
    cr_assert_eq(sum, 60 * 61 / 2);
    cr_assert_eq(sim_disk_corrupt(f.sim, LOG_DIR "/00000002.log", 700, 1), 0);
    cr_assert_eq(log_inspect(sim_disk_ops(f.sim), LOG_DIR, &callbacks, &report), ERR_CORRUPT);
    cr_assert_str_eq(report.file, "00000002.log");
    log_fixture_done(&f);
}
