/* A full disk: what is there is used up, then no entries are taken, and it goes on when there is room. */

#include <criterion/criterion.h>
#include <string.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "fixture.h"
#include "proto/base/fault.h"

static uint64_t term_of(const struct fixture *f)
{
    return raft_current_term(&f->driver->raft);
}

static void fill_disk(struct fixture *f)
{
    sim_disk_set_capacity(f->disk, sim_disk_used(f->disk));
}

static int submit_len(struct fixture *f, size_t len)
{
    struct blob *blob = blob_new(len);
    uint64_t index;
    uint64_t term;
    memset(blob->data, 'x', len);
    int err = driver_submit(f->driver, slice_of_blob(blob), &index, &term);
    blob_unref(blob);
    return err;
}

static void turn(struct fixture *f)
{
    fixture_disk(f);
    fixture_acknowledge(f);
    fixture_forget(f);
    f->applied_len = 0;
}

/* Proposes until no more is taken; everything taken is stored. Gives the bytes. */
static uint64_t submit_all(struct fixture *f, size_t len)
{
    uint64_t bytes = 0;
    while (driver_ready(f->driver)) {
        cr_assert_eq(submit_len(f, len), 0);
        bytes += len;
        cr_assert_lt(bytes, 10u << 20);
        turn(f);
        cr_assert_eq(fixture_status(f).log_stored, fixture_status(f).log_last);
    }
    return bytes;
}

Test(driver_full, a_leader_uses_its_reserve_and_then_takes_nothing)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    turn(&f);
    fill_disk(&f);
    cr_assert_geq(fixture_status(&f).log_room, 2u * 64 * KIB);
    cr_assert_gt(submit_all(&f, 1000), 70u * 1000);
    struct driver_status status = fixture_status(&f);
    cr_assert(status.log_full);
    cr_assert(status.log_short);
    cr_assert_eq(status.disk_wait_ms, 0u);
    cr_assert_eq(submit_len(&f, 1), ERR_NO_SPACE);
    cr_assert_eq(f.role, DRIVER_LEADER);
    cr_assert_eq(status.applied_index, status.log_last);
    fixture_done(&f);
}

Test(driver_full, it_asks_now_and_then_and_goes_on_when_there_is_room)
{
    struct fixture f;
    fixture_init(&f, 1);
    driver_step(f.driver);
    turn(&f);
    fill_disk(&f);
    submit_all(&f, 1000);
    driver_step(f.driver);
    fixture_disk(&f);
    uint64_t refused = sim_disk_counters(f.disk)->refused;
    for (int i = 0; i < 49; i++) {
        f.now_ms += 10;
        driver_step(f.driver);
        cr_assert_eq(sim_disk_pending(f.disk), 0u);
    }
    uint64_t prepare_ms = f.driver->prepare_ms;
    f.driver->prepare_ms = f.now_ms + 3;
    cr_assert_leq(driver_deadline_ms(f.driver), f.now_ms + 3, "it is among the driver's deadlines");
    f.driver->prepare_ms = prepare_ms;
    sim_disk_set_capacity(f.disk, 0);
    unsigned steps = 0;
    while (!driver_ready(f.driver)) {
        uint64_t before_ms = f.now_ms;
        fixture_until_due(&f);
        fixture_disk(&f);
        cr_assert_lt(f.now_ms, before_ms + 501);
        cr_assert_lt(++steps, 200u);
    }
    cr_assert_leq(sim_disk_counters(f.disk)->refused, refused + 1);
    cr_assert_not(fixture_status(&f).log_full);
    cr_assert_not(fixture_status(&f).log_short);
    driver_step(f.driver);
    fixture_disk(&f);
    cr_assert_geq(fixture_status(&f).log_room, 2u * 60 * KIB, "and the reserve is there again");
    cr_assert_eq(submit_len(&f, 50000), 0);
    fixture_done(&f);
}

Test(driver_full, a_checkpoint_makes_room)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    for (int i = 0; i < 800; i++) {
        cr_assert_eq(submit_len(&f, 500), 0);
        turn(&f);
    }
    fill_disk(&f);
    submit_all(&f, 500);
    cr_assert(fixture_status(&f).log_full);
    struct slice position;
    uint64_t checkpoint;
    cr_assert_eq(driver_checkpoint(f.driver, &checkpoint, &position), 0);
    cr_assert_eq(driver_checkpoint_stored(f.driver, checkpoint, position), 0);
    slice_unref(&position);
    cr_assert_gt(log_first_index(f.driver->log), 1u);
    driver_step(f.driver);
    fixture_disk(&f);
    cr_assert(driver_ready(f.driver), "at once");
    cr_assert_eq(submit_len(&f, 500), 0);
    turn(&f);
    cr_assert_eq(fixture_status(&f).log_stored, fixture_status(&f).log_last);
    fixture_done(&f);
}

/* A follower with `count` entries of a leader in term 2, on a disk that is then full. */
static uint64_t follow_until_full(struct fixture *f)
{
    static char text[1000];
    memset(text, 'x', sizeof text - 1);
    fixture_init(f, 3);
    uint64_t last = 1;
    for (unsigned i = 0; i < 1000; i++) {
        struct log_entry entry = fixture_entry(2, text);
        cr_assert_eq(fixture_append(f, 2, 2, last, last == 1 ? 1 : 2, last, &entry, 1), 0);
        fixture_disk(f);
        driver_step(f->driver);
        fixture_forget(f);
        f->applied_len = 0;
        if (i == 0) {
            fill_disk(f);
        }
        if (log_last_index(f->driver->log) == last) {
            return last;
        }
        last++;
        cr_assert_eq(log_stored_index(f->driver->log), last, "what is taken is stored");
    }
    cr_assert_fail("it never was full");
    return 0;
}

Test(driver_full, a_follower_takes_no_entries_and_goes_on_following)
{
    struct fixture f;
    uint64_t last = follow_until_full(&f);
    cr_assert_gt(last, 100u);
    cr_assert(fixture_status(&f).log_full);
    for (int i = 0; i < 20; i++) {
        f.now_ms += 100;
        struct log_entry entry = fixture_entry(2, "more and more and more");
        struct log_entry large = fixture_entry(2, "x");
        slice_unref(&large.payload);
        struct blob *blob = blob_new(40000);
        memset(blob->data, 0, blob->len);
        large.payload = slice_of_blob(blob);
        cr_assert_eq(fixture_append(&f, 2, 2, last, 2, last, (struct log_entry[]){entry, large}, 2), 0);
        driver_step(f.driver);
    }
    cr_assert_eq(log_last_index(f.driver->log), last);
    cr_assert_eq(f.role, DRIVER_FOLLOWER);
    cr_assert_eq(f.leader, 2u, "it hears its leader");
    const struct raft_append_entries_result *answer =
        &fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT)->append_entries_result;
    cr_assert_eq(answer->rejected, 0u);
    cr_assert_eq(answer->last_log_index, last, "no entry is acknowledged that it does not hold");
    /* It still votes. */
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = 9, .candidate_id = 3, .last_log_index = last + 5, .last_log_term = 2, .disrupt_leader = true};
    cr_assert_eq(fixture_say(&f, 3, &vote), 0);
    cr_assert(fixture_last(&f, 3, RAFT_REQUEST_VOTE_RESULT)->request_vote_result.vote_granted);
    fixture_done(&f);
}

/* They would wait in memory for room, and what is not stored keeps a follower from standing for election. */
Test(driver_full, without_the_check_entries_wait_for_room_that_is_not_there)
{
    struct fixture f;
    uint64_t last = follow_until_full(&f);
    fault_set(FAULT_SKIP_ROOM_CHECK, true);
    for (uint64_t i = last; i < last + 100; i++) {
        struct log_entry entry = fixture_entry(2, "more and more and more");
        slice_unref(&entry.payload);
        struct blob *blob = blob_new(2000);
        memset(blob->data, 0, blob->len);
        entry.payload = slice_of_blob(blob);
        cr_assert_eq(fixture_append(&f, 2, 2, i, 2, last, &entry, 1), 0);
        fixture_disk(&f);
        fixture_forget(&f);
    }
    fault_reset();
    uint64_t stored = log_stored_index(f.driver->log);
    cr_assert_eq(log_last_index(f.driver->log), last + 100);
    cr_assert_lt(stored, last + 100);
    fixture_time_out(&f);
    cr_assert_eq(f.driver->raft.state, RAFT_FOLLOWER);
    /* What it holds already needs no room. */
    struct log_entry known = fixture_entry(2, "x");
    cr_assert_eq(fixture_append(&f, 2, 2, last - 1, 2, last, &known, 1), 0);
    cr_assert_eq(fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT)->append_entries_result.last_log_index, last);
    /* What waits for room counts only if it stays: a later leader's entry takes the place of all of it. */
    struct log_entry barrier = {.term = 3, .type = LOG_ENTRY_BARRIER};
    cr_assert_eq(fixture_append(&f, 3, 3, last, 2, last, &barrier, 1), 0);
    cr_assert_eq(log_last_index(f.driver->log), last + 1);
    fixture_done(&f);
}

Test(driver_full, a_follower_takes_a_new_leaders_first_entry)
{
    struct fixture f;
    uint64_t last = follow_until_full(&f);
    struct log_entry barrier = {.term = 3, .type = LOG_ENTRY_BARRIER};
    cr_assert_eq(fixture_append(&f, 3, 3, last, 2, last, &barrier, 1), 0);
    fixture_disk(&f);
    cr_assert_eq(log_stored_index(f.driver->log), last + 1);
    fixture_done(&f);
}

Test(driver_full, a_full_follower_leads_when_it_must)
{
    struct fixture f;
    uint64_t last = follow_until_full(&f);
    fixture_lead(&f);
    struct driver_status status = fixture_status(&f);
    cr_assert(status.term_committed);
    cr_assert_eq(status.log_stored, last + 1, "with its first entry stored");
    cr_assert(status.log_full);
    cr_assert_eq(submit_len(&f, 1), ERR_NO_SPACE);
    fixture_done(&f);
}

/* There is room again, and so it takes the entry after the last one. */
static void expect_more_with_room(struct fixture *f, uint64_t last)
{
    sim_disk_set_capacity(f->disk, 0);
    f->now_ms += 1000;
    driver_step(f->driver);
    fixture_disk(f);
    struct log_entry entry = fixture_entry(2, "x");
    cr_assert_eq(fixture_append(f, 2, 2, last, 2, last, &entry, 1), 0);
    fixture_disk(f);
    cr_assert_eq(log_stored_index(f->driver->log), last + 1);
}

Test(driver_full, a_follower_takes_entries_again_when_there_is_room)
{
    struct fixture f;
    uint64_t last = follow_until_full(&f);
    expect_more_with_room(&f, last);
    fixture_done(&f);
}

Test(driver_full, a_node_starts_on_a_full_disk)
{
    struct fixture f;
    uint64_t last = follow_until_full(&f);
    sim_disk_set_capacity(f.disk, 1);
    fixture_reopen(&f, true);
    struct driver_status status = fixture_status(&f);
    cr_assert(status.log_full);
    cr_assert_eq(status.log_room, 0u);
    cr_assert_eq(status.log_last, last);
    cr_assert_eq(fixture_append(&f, 2, 2, last, 2, last, NULL, 0), 0);
    for (int i = 0; i < 200 && f.applied_len < last - 1; i++) {
        driver_step(f.driver);
        f.applied_len = f.applied_len > 200 ? 0 : f.applied_len;
    }
    cr_assert_eq(fixture_status(&f).applied_index, last, "what it has is applied");
    expect_more_with_room(&f, last);
    fixture_done(&f);
}

Test(driver_full, term_and_vote_need_nothing_more_of_the_disk)
{
    struct fixture f;
    fixture_init(&f, 3);
    sim_disk_set_capacity(f.disk, 1);
    for (uint64_t term = 2; term < 50; term++) {
        struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
        vote.request_vote = (struct raft_request_vote){
            .term = term, .candidate_id = 2, .last_log_index = 1, .last_log_term = 1, .disrupt_leader = true};
        cr_assert_eq(fixture_say(&f, 2, &vote), 0);
        fixture_forget(&f);
    }
    fixture_reopen(&f, true);
    cr_assert_eq(raft_current_term(&f.driver->raft), 49u);
    fixture_done(&f);
}

/* It is offered the entries again and again, which must not take the whole network. */
Test(driver_full, a_follower_that_takes_no_entries_is_offered_them_less_often)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t match = log_last_index(f.driver->log);
    fixture_submit(&f, "x");
    uint64_t index = fixture_submit(&f, "y");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), index, match), 0); /* Back to probing. */
    fixture_forget(&f);
    unsigned offered = 0;
    unsigned said = 0;
    for (int i = 0; i < 200; i++) {
        f.now_ms += 50;
        cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
        driver_step(f.driver);
        const struct raft_message *sent = fixture_last(&f, 3, RAFT_APPEND_ENTRIES);
        if (sent != NULL) {
            said++;
            offered += sent->append_entries.n_entries > 0;
            cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, match), 0);
        }
        fixture_forget(&f);
    }
    cr_assert_geq(said, 190u, "it hears its leader at each heartbeat");
    cr_assert_geq(offered, 25u, "at first, and then one time in eight");
    cr_assert_leq(offered, 30u);
    for (int i = 0; i < 8; i++) {
        f.now_ms += 50;
        fixture_forget(&f);
        driver_step(f.driver);
        cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
        const struct raft_message *sent = fixture_last(&f, 3, RAFT_APPEND_ENTRIES);
        bool taken = sent != NULL && sent->append_entries.n_entries > 0;
        cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, taken ? index : match), 0);
    }
    raft_index now;
    cr_assert_eq(raft_match_index(&f.driver->raft, 3, &now), 0);
    cr_assert_eq(now, index);
    fixture_done(&f);
}

/* The node may not have got them. */
Test(driver_full, a_silent_follower_is_offered_the_entries_at_each_heartbeat)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t match = log_last_index(f.driver->log);
    uint64_t index = fixture_submit(&f, "x");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), index, match), 0);
    for (int i = 0; i < 20; i++) {
        f.now_ms += 50;
        fixture_forget(&f);
        cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
        driver_step(f.driver);
        cr_assert_eq(fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries.n_entries, 1u);
    }
    fixture_done(&f);
}

Test(driver_full, what_is_offered_again_is_one_frame)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t match = log_last_index(f.driver->log);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(submit_len(&f, 800 * KIB), 0);
    }
    fixture_disk(&f);
    fixture_forget(&f);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), match + 1, match), 0); /* Back to probing. */
    unsigned first = f.sent_len;
    cr_assert_eq(first, 2u, "two entries in each");
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, match), 0);
    f.now_ms += 50;
    fixture_forget(&f);
    driver_step(f.driver);
    unsigned again = 0;
    for (unsigned i = 0; i < f.sent_len; i++) {
        again += f.sent[i].node == 3;
    }
    cr_assert_eq(again, 1u);
    cr_assert_eq(fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries.n_entries, 2u);
    fixture_done(&f);
}
