/* A log on a disk that is full: what was made ahead is used up, what does not fit waits, and it can be read. */

#include <criterion/criterion.h>

#include "log_fixture.h"

Test(log_room, no_room_for_a_spare_matters_only_when_it_is_needed)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    sim_disk_set_capacity(f.sim, sim_disk_used(f.sim));
    log_fixture_append(&f, 1, 1);
    log_fixture_flush(&f);
    cr_assert(log_is_short(f.log));
    cr_assert_eq(f.promised, 1);
    while (f.promised == f.last) {
        log_fixture_append(&f, 1, 1);
        log_fixture_flush(&f);
    }
    cr_assert_eq(f.failure, 0, "what does not fit waits");
    cr_assert_gt(f.promised, 3);
    cr_assert_eq(log_room(f.log), 0);
    cr_assert(log_idle(f.log), "and it may wait for ever");
    log_fixture_append(&f, 50, 1);
    cr_assert_eq(sim_disk_pending(f.sim), 0, "without asking again and again");
    sim_disk_set_capacity(f.sim, 0);
    cr_assert_eq(log_prepare(f.log), 0);
    cr_assert_eq(log_prepare(f.log), 0);
    cr_assert_eq(sim_disk_pending(f.sim), 1);
    log_fixture_flush(&f);
    cr_assert_not(log_is_short(f.log));
    cr_assert_eq(f.promised, f.last);
    cr_assert_eq(f.failure, 0);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

static void append_typed(struct log_fixture *f, uint32_t len, enum log_entry_type type)
{
    uint64_t index = ++f->last;
    f->terms[index] = 1;
    struct log_entry entry = {.term = 1, .type = type, .payload = log_fixture_payload(index, 1, len)};
    cr_assert_eq(log_append(f->log, &entry, 1), 0);
    slice_unref(&entry.payload);
}

static void append_large(struct log_fixture *f, uint32_t len)
{
    append_typed(f, len, LOG_ENTRY_COMMAND);
}

/* Three segments are kept ahead, and two entries stored. */
static void start_with_reserve(struct log_fixture *f)
{
    log_fixture_init(f, 4096);
    f->reserve_len = 3 * 4096;
    cr_assert_eq(log_fixture_open(f), 0, "%s", f->recovery.detail);
    log_fixture_append(f, 2, 1);
    log_fixture_flush(f);
}

Test(log_room, an_entry_larger_than_a_spare_waits_for_room)
{
    struct log_fixture f;
    start_with_reserve(&f);
    uint64_t room = log_room(f.log);
    uint64_t used = sim_disk_used(f.sim);
    sim_disk_set_capacity(f.sim, used + 20000);
    append_large(&f, 50000);
    log_fixture_flush(&f);
    cr_assert(log_is_short(f.log));
    cr_assert_eq(f.promised, 2);
    cr_assert_eq(f.failure, 0);
    log_fixture_truncate(&f, 3);
    cr_assert_eq(log_room(f.log), room, "the spares are as before");
    log_fixture_append(&f, 1, 1);
    log_fixture_flush(&f);
    cr_assert_eq(f.promised, 3, "what fits does not wait for what is gone");
    append_large(&f, 50000);
    log_fixture_append(&f, 5, 1);
    log_fixture_flush(&f);
    cr_assert_eq(f.promised, 3);
    sim_disk_set_capacity(f.sim, 0);
    cr_assert_eq(log_prepare(f.log), 0);
    log_fixture_flush(&f);
    cr_assert_eq(f.promised, 9);
    log_fixture_append(&f, 40, 1);
    log_fixture_flush(&f);
    sim_disk_crash_losing_all(f.sim);
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), 49);
    cr_assert_eq(log_stored_index(f.log), 49);
    log_fixture_done(&f);
}

/* Then nothing has to be made any more that would show that there is room. */
Test(log_room, an_entry_that_found_no_room_goes_away_and_there_is_room_again)
{
    struct log_fixture f;
    start_with_reserve(&f);
    sim_disk_set_capacity(f.sim, sim_disk_used(f.sim) + 20000);
    append_large(&f, 50000);
    log_fixture_flush(&f);
    log_fixture_truncate(&f, 3);
    cr_assert_eq(log_prepare(f.log), 0);
    log_fixture_flush(&f);
    cr_assert(log_is_short(f.log), "there is no room yet");
    sim_disk_set_capacity(f.sim, 0);
    cr_assert_eq(log_prepare(f.log), 0);
    log_fixture_flush(&f);
    cr_assert_not(log_is_short(f.log));
    log_fixture_done(&f);
}

/* The disk says that there is room for a segment, and then there is a little less. */
Test(log_room, a_segment_that_was_begun_is_taken_back)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    uint64_t used = sim_disk_used(f.sim);
    sim_disk_set_capacity(f.sim, used + 4096);
    log_fixture_append(&f, 1, 1);
    log_fixture_flush(&f);
    cr_assert(log_is_short(f.log));
    cr_assert_gt(sim_disk_counters(f.sim)->refused, 0u);
    cr_assert_eq(sim_disk_used(f.sim), used, "so that others have what is left");
    sim_disk_set_capacity(f.sim, 0);
    cr_assert_eq(log_prepare(f.log), 0);
    log_fixture_flush(&f);
    cr_assert_not(log_is_short(f.log));
    log_fixture_append(&f, 60, 1);
    log_fixture_flush(&f);
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), 61);
    log_fixture_done(&f);
}

Test(log_room, a_full_disk_lets_an_old_log_be_read)
{
    struct log_fixture f;
    log_fixture_start(&f, 4096);
    log_fixture_append(&f, 40, 1);
    log_fixture_flush(&f);
    log_fixture_close(&f);
    sim_disk_set_capacity(f.sim, 1);
    cr_assert_eq(log_fixture_open(&f), 0, "%s", f.recovery.detail);
    cr_assert(log_is_short(f.log));
    cr_assert_eq(log_room(f.log), 0);
    cr_assert_eq(log_last_index(f.log), 40);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_append(&f, 3, 1);
    cr_assert_eq(log_prepare(f.log), 0);
    log_fixture_flush(&f);
    cr_assert_eq(f.promised, 40);
    sim_disk_set_capacity(f.sim, 0);
    cr_assert_eq(log_prepare(f.log), 0);
    log_fixture_flush(&f);
    cr_assert_eq(f.promised, 43);
    log_fixture_reopen(&f);
    cr_assert_eq(log_last_index(f.log), 43);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

/* Whatever is appended while log_takes() allows for it is stored without another byte of the disk. */
Test(log_room, what_a_short_log_takes_is_stored)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct log_fixture f;
        uint64_t random = seed;
        log_fixture_init(&f, 16384);
        f.reserve_len = 3 * 16384;
        cr_assert_eq(log_fixture_open(&f), 0);
        log_fixture_append(&f, 1, 1);
        log_fixture_flush(&f);
        sim_disk_set_capacity(f.sim, sim_disk_used(f.sim));
        while (!log_is_short(f.log)) {
            log_fixture_append(&f, 1, 1);
            log_fixture_flush(&f);
        }
        cr_assert_gt(log_room(f.log), 2 * 15000u);
        unsigned taken = 0;
        for (unsigned i = 0; i < 2000; i++) {
            uint32_t len = (uint32_t)(log_fixture_random(&random) % (seed % 2 == 0 ? 12000 : 600));
            enum log_entry_type type = seed % 4 < 2 ? LOG_ENTRY_COMMAND : LOG_ENTRY_BARRIER;
            struct log_entry entry = {.type = type, .payload = {.len = len}};
            bool takes = log_takes(f.log, f.last + 1, &entry, 1);
            if (takes) {
                append_typed(&f, len, type);
                taken++;
            }
            if (log_fixture_random(&random) % 3 == 0) {
                log_fixture_flush(&f);
            }
        }
        log_fixture_flush(&f);
        cr_assert(log_is_short(f.log));
        cr_assert_eq(f.promised, f.last, "seed %d: stored %d of %d", (int)seed, (int)f.promised, (int)f.last);
        cr_assert_gt(taken, 3u);
        struct log_entry barrier = {.type = LOG_ENTRY_BARRIER};
        cr_assert(seed % 4 >= 2 || log_takes(f.log, f.last + 1, &barrier, 1), "the margin is for these");
        log_fixture_done(&f);
    }
}
