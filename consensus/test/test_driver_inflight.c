/* How much a follower may have unanswered: many entries that are small, few that are large. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "proto/base/check.h"

/* Proposes entries of that length, which node 2 stores and node 3 does not answer. Returns how many node 3 was sent. */
static unsigned sent_to_silent(unsigned entries, size_t len)
{
    struct fixture f;
    static char text[48 * 1024];
    CHECK(len < sizeof text);
    memset(text, 'x', len);
    fixture_init(&f, 3);
    fixture_lead(&f);
    unsigned sent = 0;
    for (unsigned i = 0; i < entries; i++) {
        fixture_forget(&f);
        uint64_t index = fixture_submit(&f, text);
        for (unsigned j = 0; j < f.sent_len; j++) {
            bool append = f.sent[j].node == 3 && f.sent[j].raft.type == RAFT_APPEND_ENTRIES;
            sent += append ? f.sent[j].raft.append_entries.n_entries : 0;
        }
        fixture_disk(&f);
        cr_assert_eq(fixture_result(&f, 2, raft_current_term(&f.driver->raft), 0, index), 0);
        driver_step(f.driver);
        f.applied_len = 0;
    }
    fixture_done(&f);
    return sent;
}

/* With a disk that takes 100 ms for a sync, and two round trips of that for each full window, the follower would otherwise
 * fall behind a leader that makes a thousand small entries a second, for good. */
Test(driver_inflight, a_follower_with_a_slow_disk_is_sent_many_small_entries)
{
    cr_assert_eq(sent_to_silent(600, 100), DRIVER_INFLIGHT_MAX);
}

/* Those that one is behind are read on the loop, and queued at once. */
Test(driver_inflight, large_entries_are_few)
{
    size_t bytes = sent_to_silent(600, 47 * 1024) * (size_t)47 * 1024;
    cr_assert_leq(bytes, DRIVER_INFLIGHT_BYTES + 48 * KIB, "and the one with which there were too many");
    cr_assert_geq(bytes, DRIVER_INFLIGHT_BYTES / 2);
}
