/* What a leader asks a node that it has offered a snapshot. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"

static bool asked_for(const struct fixture *f, uint64_t index)
{
    for (unsigned i = 0; i < f->sent_len; i++) {
        const struct raft_message *sent = &f->sent[i].raft;
        if (f->sent[i].node == 3 && sent->type == RAFT_APPEND_ENTRIES && sent->append_entries.prev_log_index == index) {
            return sent->append_entries.n_entries == 0 && sent->append_entries.prev_log_term > 0;
        }
    }
    return false;
}

/* Node 3 refuses what follows the checkpoint at `index`, with a log that ends at `last`. */
static void refuse(struct fixture *f, uint64_t index, uint64_t last)
{
    fixture_forget(f);
    cr_assert_eq(fixture_result(f, 3, raft_current_term(&f->driver->raft), index, last), 0);
}

static void submit_without_3(struct fixture *f, unsigned count)
{
    char big[2049];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (unsigned i = 0; i < count; i++) {
        uint64_t index = fixture_submit(f, big);
        fixture_disk(f);
        cr_assert_eq(fixture_result(f, 2, raft_current_term(&f->driver->raft), 0, index), 0);
        driver_step(f->driver);
        fixture_forget(f);
        f->applied_len = 0;
    }
}

static uint64_t store_checkpoint(struct fixture *f)
{
    uint64_t index;
    struct slice position;
    cr_assert_eq(driver_checkpoint(f->driver, &index, &position), 0);
    cr_assert_eq(driver_checkpoint_stored(f->driver, index, position), 0);
    slice_unref(&position);
    return index;
}

/* The question where a log ends may be lost: it is asked again with each offer, and not with each refusal. */
Test(driver_probe, a_node_is_asked_for_its_last_entry_after_each_offer)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    submit_without_3(&f, DRIVER_TRAILING_MIN + 300);
    uint64_t index = store_checkpoint(&f);
    uint64_t last = index - 10;
    refuse(&f, index, 2);
    cr_assert_not_null(fixture_last(&f, 3, RAFT_INSTALL_SNAPSHOT));
    cr_assert_not(asked_for(&f, 2), "it is gone");
    for (int i = 0; i < 3; i++) {
        refuse(&f, index, last);
        cr_assert(asked_for(&f, last), "round %d", i);
        cr_assert_not_null(fixture_last(&f, 3, RAFT_INSTALL_SNAPSHOT));
    }
    submit_without_3(&f, 1);
    uint64_t next = store_checkpoint(&f);
    refuse(&f, next, last);
    cr_assert(asked_for(&f, last));
    cr_assert_null(fixture_last(&f, 3, RAFT_INSTALL_SNAPSHOT), "the engine waits for the other one");
    refuse(&f, next, last);
    cr_assert_not(asked_for(&f, last));
    refuse(&f, next, last - 1);
    cr_assert(asked_for(&f, last - 1), "the entry there was another");
    driver_peer_lost(f.driver, 3);
    refuse(&f, next, last - 1);
    cr_assert(asked_for(&f, last - 1), "it may not have got the question");
    fixture_done(&f);
}
