/* A bit of an entry that changes in memory: nobody is given what has become of it. */

#include <criterion/criterion.h>
#include <string.h>

#include "cluster.h"
#include "consensus/log_internal.h"
#include "log_fixture.h"

#define ENTRIES 20u
#define VICTIM 12u

/* Changes a bit where the log holds the entry. */
static void flip(struct log *log, uint64_t index)
{
    struct slice payload = log_cache_get(&log->cache, index)->payload;
    cr_assert_gt(payload.len, 0);
    ((uint8_t *)payload.data)[payload.len / 2] ^= 4;
}

static int read_checked(struct log_fixture *f, uint64_t index, unsigned *ret_count)
{
    struct log_entry entries[ENTRIES];
    char detail[256] = "";
    int err = log_read_checked(f->log, index, ENTRIES, UINT64_MAX, entries, ret_count, detail, sizeof detail);
    for (unsigned i = 0; err == 0 && i < *ret_count; i++) {
        struct slice right = log_fixture_payload(index + i, entries[i].term, (uint32_t)entries[i].payload.len);
        cr_assert_eq(memcmp(right.data, entries[i].payload.data, right.len), 0, "entry %d", (int)(index + i));
        slice_unref(&right);
        slice_unref(&entries[i].payload);
    }
    return err;
}

Test(log_memory, a_stored_entry_that_has_changed_is_read_from_disk)
{
    struct log_fixture f;
    log_fixture_start(&f, 1 << 20);
    log_fixture_append(&f, ENTRIES, 3);
    log_fixture_flush(&f);
    flip(f.log, VICTIM);
    flip(f.log, VICTIM + 3);
    cr_assert(!log_fixture_reads(&f, VICTIM), "the test changes what is read");
    unsigned count = 0;
    cr_assert_eq(read_checked(&f, VICTIM + 4, &count), 0);
    cr_assert_eq(count, ENTRIES - VICTIM - 3);
    cr_assert_eq(f.log->cache.first, 1, "as long as only others are asked for, it stays");
    cr_assert_eq(read_checked(&f, 1, &count), 0);
    cr_assert_eq(count, VICTIM + 3, "what is on disk");
    cr_assert_eq(f.log->cache.first, VICTIM + 4);
    cr_assert_eq(read_checked(&f, VICTIM + 4, &count), 0, "and what is in memory");
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_append(&f, ENTRIES, 4);
    log_fixture_flush(&f);
    log_fixture_reopen(&f);
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

/* Records that are written anew, of other segments and terms, and by a later start. */
Test(log_memory, what_has_not_changed_is_given_from_memory)
{
    struct log_fixture f;
    log_fixture_start(&f, 16384);
    unsigned count = 0;
    for (uint64_t round = 1; round <= 30; round++) {
        log_fixture_append(&f, ENTRIES, round);
        if (round % 3 == 0) {
            log_fixture_truncate(&f, f.last - 5);
            log_fixture_append(&f, 2, round + 1);
        }
        log_fixture_flush(&f);
        uint64_t first = f.log->cache.first;
        for (uint64_t index = log_first_index(f.log); index <= f.last; index += count) {
            cr_assert_eq(read_checked(&f, index, &count), 0);
        }
        cr_assert_eq(f.log->cache.first, first, "round %d", (int)round);
        if (round % 10 == 0) {
            log_fixture_reopen(&f);
        }
    }
    cr_assert(log_fixture_keeps_promise(&f));
    log_fixture_done(&f);
}

Test(log_memory, what_is_not_written_yet_is_given_as_it_is)
{
    struct log_fixture f;
    log_fixture_start(&f, 1 << 20);
    log_fixture_append(&f, 4, 3);
    log_fixture_append(&f, 4, 3); /* Waits until the first four are written. */
    unsigned count = 0;
    cr_assert_eq(read_checked(&f, 1, &count), 0);
    cr_assert_eq(count, 8);
    log_fixture_done(&f);
}

/* The follower was down when the leader got what then changes in its memory. Replicas that differ fail the test (cluster.c). */
Test(log_memory, a_follower_that_was_down_gets_what_was_proposed)
{
    static struct cluster c;
    cluster_init(&c);
    uint64_t leader = cluster_elect(&c);
    uint64_t down = leader == 1 ? 2 : 1;
    cluster_close(&c, down);
    cluster_submit(&c, leader, 50);
    cluster_run(&c, 500);
    uint64_t last = log_last_index(c.nodes[leader].driver->log);
    cr_assert_eq(cluster_status(&c, leader).applied_index, last);
    for (uint64_t index = last - 40; index < last; index += 10) {
        flip(c.nodes[leader].driver->log, index);
    }
    cluster_open(&c, down);
    cluster_run(&c, 3000);
    cr_assert_geq(cluster_status(&c, down).applied_index, last);
    cluster_done(&c);
}
