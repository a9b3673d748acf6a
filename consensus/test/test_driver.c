/* The driver's promises: what it does before what, and what a restart brings back. */

#include "consensus/driver.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "fixture.h"
#include "proto/base/fault.h"

/* The engine takes it for stored from the start (bootstrap()). */
Test(driver, the_first_entry_is_acknowledged_when_it_is_stored)
{
    struct fixture f;
    fixture_init_unwritten(&f, 3);
    cr_assert_eq(log_stored_index(f.driver->log), 0u);
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, NULL, 0), 0);
    const struct raft_message *answer = fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->append_entries_result.rejected, 0u);
    cr_assert_eq(answer->append_entries_result.last_log_index, 0u);
    fixture_disk(&f);
    fixture_forget(&f);
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, NULL, 0), 0);
    answer = fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT);
    cr_assert_eq(answer->append_entries_result.last_log_index, 1u);
    fixture_done(&f);
}

Test(driver, the_engine_is_the_one_that_the_guards_were_written_for)
{
    cr_assert_eq(RAFT_VERSION_NUMBER, 2201);
    cr_assert_eq(sizeof(struct raft), 992u, "the shared library has the legacy fields");
}

Test(driver, a_new_leader_commits_an_entry_of_its_own_term)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    struct driver_status status;
    driver_status(f.driver, &status);
    cr_assert(status.term_committed);
    cr_assert_eq(log_type(f.driver->log, 2), LOG_ENTRY_BARRIER);
    cr_assert_eq(status.members_len, 3u);
    fixture_done(&f);
}

Test(driver, nothing_is_applied_before_a_majority_has_stored_it)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t index = fixture_submit(&f, "x");
    const struct raft_message *sent = fixture_last(&f, 2, RAFT_APPEND_ENTRIES);
    cr_assert_eq(sent->append_entries.n_entries, 1u, "sent while our own disk writes");
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 0u);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 0u, "ours alone is not a majority");
    cr_assert_eq(fixture_result(&f, 2, raft_current_term(&f.driver->raft), 0, index), 0);
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 1u);
    cr_assert_eq(f.applied[0], index);
    fixture_done(&f);
}

Test(driver, what_others_have_stored_is_applied_here_only_when_it_is_stored_here)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t index = fixture_submit(&f, "x");
    fixture_acknowledge(&f);
    cr_assert_eq(raft_commit_index(&f.driver->raft), index);
    cr_assert_eq(f.applied_len, 0u);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 1u);
    fixture_done(&f);
}

Test(driver, a_follower_answers_only_for_what_is_on_its_disk)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct log_entry entries[] = {fixture_entry(2, "a"), fixture_entry(2, "b")};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, entries, 2), 0);
    cr_assert_null(fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT));
    fixture_disk(&f);
    const struct raft_message *answer = fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->append_entries_result.last_log_index, 3u);
    cr_assert_eq(answer->append_entries_result.rejected, 0u);
    fixture_reopen(&f, true);
    cr_assert_eq(log_last_index(f.driver->log), 3u, "what was answered for survives the power");
    fixture_done(&f);
}

Test(driver, term_and_vote_survive_the_power)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote =
        (struct raft_request_vote){.term = 7, .candidate_id = 3, .last_log_index = 1, .last_log_term = 1};
    cr_assert_eq(fixture_say(&f, 3, &vote), 0);
    cr_assert(fixture_last(&f, 3, RAFT_REQUEST_VOTE_RESULT)->request_vote_result.vote_granted);
    fixture_reopen(&f, true);
    vote.request_vote.candidate_id = 2;
    cr_assert_eq(fixture_say(&f, 2, &vote), 0);
    cr_assert_not(fixture_last(&f, 2, RAFT_REQUEST_VOTE_RESULT)->request_vote_result.vote_granted,
                  "no second vote in one term");
    fixture_done(&f);
}

Test(driver, without_the_sync_of_the_vote_there_would_be_two)
{
    struct fixture f;
    fixture_init(&f, 3);
    fault_set(FAULT_SKIP_META_SYNC, true);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote =
        (struct raft_request_vote){.term = 7, .candidate_id = 3, .last_log_index = 1, .last_log_term = 1};
    cr_assert_eq(fixture_say(&f, 3, &vote), 0);
    fixture_reopen(&f, true);
    fault_reset();
    vote.request_vote.candidate_id = 2;
    cr_assert_eq(fixture_say(&f, 2, &vote), 0);
    cr_assert(fixture_last(&f, 2, RAFT_REQUEST_VOTE_RESULT)->request_vote_result.vote_granted);
    fixture_done(&f);
}

Test(driver, the_window_bounds_what_is_in_flight)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    for (int i = 0; i < 4; i++) {
        cr_assert(driver_ready(f.driver));
        fixture_submit(&f, "x");
    }
    cr_assert_not(driver_ready(f.driver));
    struct log_entry entry = fixture_entry(0, "y");
    uint64_t index;
    uint64_t term;
    cr_assert_eq(driver_submit(f.driver, entry.payload, &index, &term), ERR_BUSY);
    fixture_disk(&f);
    fixture_acknowledge(&f);
    cr_assert(driver_ready(f.driver));
    slice_unref(&entry.payload);
    fixture_done(&f);
}

Test(driver, a_follower_takes_no_proposals)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct log_entry entry = fixture_entry(0, "y");
    uint64_t index;
    uint64_t term;
    cr_assert_eq(driver_submit(f.driver, entry.payload, &index, &term), ERR_NOT_LEADER);
    cr_assert_eq(driver_transfer(f.driver, 0), ERR_NOT_LEADER);
    slice_unref(&entry.payload);
    fixture_done(&f);
}

Test(driver, a_restart_replays_what_is_not_in_the_checkpoint)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    for (int i = 0; i < 10; i++) {
        fixture_submit(&f, "x");
        fixture_disk(&f);
        fixture_acknowledge(&f);
    }
    uint64_t last = log_last_index(f.driver->log);
    fixture_reopen(&f, true);
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 0u, "nothing is known to be committed yet");
    fixture_lead(&f);
    struct driver_status status;
    driver_status(f.driver, &status);
    cr_assert_eq(f.applied_len, 10u);
    cr_assert_eq(status.replayed, last, "the commands, the barrier and the membership");
    cr_assert_eq(status.applied_index, last + 1, "and the barrier of the new term");
    fixture_done(&f);
}

Test(driver, after_a_checkpoint_the_log_before_it_goes_and_is_not_replayed)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    char big[2049];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    uint64_t checkpoint = 0;
    for (int i = 0; i < 700; i++) {
        uint64_t index = fixture_submit(&f, big);
        fixture_disk(&f);
        fixture_acknowledge(&f);
        f.applied_len = 0;
        if (i == 690) {
            struct slice position;
            cr_assert_eq(driver_checkpoint(f.driver, &checkpoint, &position), 0);
            cr_assert_eq(checkpoint, index);
            cr_assert_eq(driver_checkpoint_stored(f.driver, checkpoint, position), 0);
            f.applied_start = checkpoint;
            f.position = position;
        }
        fixture_forget(&f);
    }
    uint64_t last = log_last_index(f.driver->log);
    cr_assert_gt(log_first_index(f.driver->log), 1u, "whole segments have gone");
    cr_assert_leq(log_first_index(f.driver->log) + DRIVER_INFLIGHT_MAX, checkpoint, "but not what may be in flight");
    fixture_reopen(&f, true);
    cr_assert_eq(raft_commit_index(&f.driver->raft), checkpoint);
    fixture_lead(&f);
    struct driver_status status;
    driver_status(f.driver, &status);
    cr_assert_eq(status.replayed, last - checkpoint);
    fixture_done(&f);
}

Test(driver, a_follower_behind_gets_old_entries_from_disk)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    for (int i = 0; i < 50; i++) {
        fixture_submit(&f, "payload");
        fixture_disk(&f);
        cr_assert_eq(fixture_result(&f, 2, raft_current_term(&f.driver->raft), 0, log_last_index(f.driver->log)), 0);
        driver_step(f.driver);
    }
    fixture_reopen(&f, false);
    fixture_lead(&f);
    fixture_forget(&f);
    /* Node 3 has lost its place: it rejects what follows the barrier. */
    uint64_t last = log_last_index(f.driver->log);
    (void)last;
    for (int i = 0; i < 20 && fixture_last(&f, 3, RAFT_APPEND_ENTRIES) == NULL; i++) {
        f.now_ms += 50;
        cr_assert_eq(fixture_result(&f, 2, raft_current_term(&f.driver->raft), 0, last), 0);
        driver_step(f.driver);
    }
    cr_assert_not_null(fixture_last(&f, 3, RAFT_APPEND_ENTRIES));
    fixture_done(&f);
}

Test(driver, a_malformed_frame_changes_nothing)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct blob *blob = blob_new(64);
    memset(blob->data, 0xff, 64);
    struct frame frame = {.type = FRAME_PEER_RAFT, .header = slice_part(slice_of_blob(blob), 0, 64)};
    cr_assert_eq(driver_receive(f.driver, 2, &frame), ERR_BROKEN);
    frame.type = FRAME_HELLO;
    cr_assert_eq(driver_receive(f.driver, 2, &frame), ERR_BROKEN);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE_RESULT};
    vote.request_vote_result = (struct raft_request_vote_result){.term = 99, .vote_granted = true, .pre_vote = true};
    cr_assert_eq(fixture_say(&f, 2, &vote), ERR_BROKEN, "a pre-vote that nobody asked for");
    cr_assert_eq(raft_current_term(&f.driver->raft), 1u);
    blob_unref(blob);
    fixture_done(&f);
}

Test(driver, a_snapshot_that_cannot_be_taken_is_said_and_dropped)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct raft_message install = {.type = RAFT_INSTALL_SNAPSHOT};
    install.install_snapshot =
        (struct raft_install_snapshot){.term = 2, .last_index = 500, .last_term = 2, .conf_index = 1};
    cr_assert_eq(fixture_say(&f, 2, &install), 0);
    cr_assert_not(f.driver->raft.snapshot.installing);
    cr_assert_eq(log_last_index(f.driver->log), 1u);
    cr_assert_eq(f.errors, 1u);
    for (int heartbeat = 0; heartbeat < 10; heartbeat++) {
        f.now_ms += 50;
        cr_assert_eq(fixture_append(&f, 2, 2, 500, 2, 500, NULL, 0), 0);
        cr_assert_eq(fixture_say(&f, 2, &install), 0);
    }
    cr_assert_eq(f.errors, 1u, "the leader asks at every heartbeat");
    install.install_snapshot.term = 3;
    cr_assert_eq(fixture_say(&f, 3, &install), 0);
    cr_assert_eq(f.errors, 2u, "another leader has not got them either");
    fixture_done(&f);
}

Test(driver, one_member_leads_at_once)
{
    struct fixture f;
    fixture_init(&f, 1);
    driver_step(f.driver);
    cr_assert_eq(f.role, DRIVER_LEADER);
    fixture_disk(&f);
    driver_step(f.driver);
    uint64_t index = fixture_submit(&f, "x");
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 0u);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 1u);
    cr_assert_eq(f.applied[0], index);
    fixture_done(&f);
}

static int ask_vote(struct fixture *fixture, uint64_t from, uint64_t candidate, uint64_t term)
{
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = term, .candidate_id = candidate, .last_log_index = 1, .last_log_term = 1, .disrupt_leader = true};
    return fixture_say(fixture, from, &vote);
}

Test(driver, a_term_beyond_all_measure_is_refused)
{
    struct fixture f;
    fixture_init(&f, 3);
    uint64_t term = raft_current_term(&f.driver->raft);
    cr_assert_eq(ask_vote(&f, 2, 2, UINT64_MAX), ERR_BROKEN);
    cr_assert_eq(ask_vote(&f, 2, 2, term + (UINT64_C(1) << 32) + 1), ERR_BROKEN);
    cr_assert_eq(fixture_append(&f, 2, UINT64_MAX, 1, 1, 1, NULL, 0), ERR_BROKEN);
    cr_assert_eq(fixture_result(&f, 2, UINT64_MAX, 0, 1), ERR_BROKEN);
    cr_assert_eq(raft_current_term(&f.driver->raft), term);
    cr_assert_eq(ask_vote(&f, 2, 2, term + (UINT64_C(1) << 32)), 0);
    cr_assert_eq(raft_current_term(&f.driver->raft), term + (UINT64_C(1) << 32));
    fixture_done(&f);
}

Test(driver, a_vote_is_asked_for_by_the_candidate_itself)
{
    struct fixture f;
    fixture_init(&f, 3);
    cr_assert_eq(ask_vote(&f, 2, 3, 7), ERR_BROKEN);
    cr_assert_eq(ask_vote(&f, 2, 0, 7), ERR_BROKEN, "0 is nobody: the vote would be free again");
    cr_assert_null(fixture_last(&f, 2, RAFT_REQUEST_VOTE_RESULT));
    cr_assert_eq(ask_vote(&f, 2, 2, 7), 0);
    cr_assert(fixture_last(&f, 2, RAFT_REQUEST_VOTE_RESULT)->request_vote_result.vote_granted);
    fixture_done(&f);
}

/* Two leaders in one term: what is left is to stop, and to say so (see host_fatal() of the fixture). */
Test(driver, a_second_leader_of_our_term_that_appends_ends_the_process, .signal = SIGABRT)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    (void)fixture_append(&f, 2, raft_current_term(&f.driver->raft), 1, 1, 1, NULL, 0);
}

Test(driver, a_second_leader_of_our_term_that_offers_a_snapshot_ends_the_process, .signal = SIGABRT)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    struct raft_message install = {.type = RAFT_INSTALL_SNAPSHOT};
    install.install_snapshot = (struct raft_install_snapshot){
        .term = raft_current_term(&f.driver->raft), .last_index = 1, .last_term = 1, .conf_index = 1};
    (void)fixture_say(&f, 2, &install);
}

/* As after a crash during a checkpoint: a long log of which nothing but the membership is known to be committed. A checkpoint
 * now would hold nothing that the last one does not, and would be made again and again. */
Test(driver, what_is_not_applied_calls_for_no_checkpoint)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct log_entry entries[] = {fixture_entry(2, "a"), fixture_entry(2, "b")};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 0, entries, 2), 0);
    fixture_disk(&f);
    fixture_reopen(&f, true);
    driver_step(f.driver);
    cr_assert_eq(log_last_index(f.driver->log), 3u);
    cr_assert_eq(f.applied_len, 0u);
    cr_assert_eq(driver_log_bytes_since_checkpoint(f.driver),
                 log_bytes_from(f.driver->log, 1) - log_bytes_from(f.driver->log, 2));

    cr_assert_eq(fixture_append(&f, 2, 2, 3, 2, 3, NULL, 0), 0);
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, 2u);
    cr_assert_eq(driver_log_bytes_since_checkpoint(f.driver), log_bytes_from(f.driver->log, 1));
    fixture_done(&f);
}

/* A log begun by nodes 1 to 3 and a configuration of others: there would be majorities that do not overlap. Nodes that are
 * configured and not added yet are no obstacle: the log counts. */
Test(driver, a_log_of_other_members_is_refused)
{
    struct fixture f;
    char detail[512];
    fixture_init(&f, 3);
    fixture_disk(&f);
    struct driver_options options = f.driver->options;
    f.members[2] = (struct driver_member){.id = 4, .address = "d:1"};
    driver_close(f.driver);
    f.driver = NULL;
    cr_assert_eq(driver_open(&options, &f.driver, detail, sizeof detail), ERR_FOREIGN);
    cr_assert_not_null(strstr(detail, "of the nodes 1 2 3, and not of the 3 that"), "%s", detail);
    options.members_len = 2;
    cr_assert_eq(driver_open(&options, &f.driver, detail, sizeof detail), ERR_FOREIGN);
    f.members[3] = (struct driver_member){.id = 3, .address = "c:1"};
    options.members_len = 4;
    cr_assert_eq(driver_open(&options, &f.driver, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(fixture_status(&f).members_len, 3u);
    fixture_done(&f);
}

/* A node that is to be added must not begin a log of its own: it would be another cluster. */
Test(driver, a_node_that_is_not_configured_begins_no_log)
{
    struct fixture f;
    char detail[512];
    fixture_init(&f, 3);
    struct driver_options options = f.driver->options;
    driver_close(f.driver);
    f.driver = NULL;
    options.id = 4;
    options.dir = "shard-1";
    cr_assert_eq(driver_open(&options, &f.driver, detail, sizeof detail), ERR_FOREIGN);
    cr_assert_not_null(strstr(detail, "begins with a copy"), "%s", detail);
    sim_disk_free(f.disk);
}

static bool heap_is_full;

static void *heap_malloc(void *data, size_t len)
{
    (void)data;
    return heap_is_full ? NULL : malloc(len);
}

static void heap_free(void *data, void *at)
{
    (void)data;
    free(at);
}

static void *heap_calloc(void *data, size_t count, size_t len)
{
    (void)data;
    return heap_is_full ? NULL : calloc(count, len);
}

static void *heap_realloc(void *data, void *at, size_t len)
{
    (void)data;
    return heap_is_full ? NULL : realloc(at, len);
}

/* The engine takes over the term before it finds that it has no memory; when it has some again, the term is not new. */
Test(driver, a_term_taken_over_without_memory_for_the_rest_survives_the_power)
{
    struct raft_heap heap = {.malloc = heap_malloc, .free = heap_free, .calloc = heap_calloc, .realloc = heap_realloc};
    raft_heap_set(&heap);
    struct fixture f;
    fixture_init(&f, 3);
    heap_is_full = true;
    cr_assert_eq(fixture_append(&f, 2, 7, 1, 1, 1, NULL, 0), ERR_NOMEM);
    heap_is_full = false;
    struct log_entry entry = fixture_entry(7, "a");
    cr_assert_eq(fixture_append(&f, 2, 7, 1, 1, 1, &entry, 1), 0);
    fixture_disk(&f);
    cr_assert_eq(fixture_last(&f, 2, RAFT_APPEND_ENTRIES_RESULT)->append_entries_result.term, 7u);
    fixture_reopen(&f, true);
    cr_assert_eq(raft_current_term(&f.driver->raft), 7u);
    fixture_done(&f);
    raft_heap_set_default();
}

/* Two others are a majority without us: what our own disk has not written yet must be bounded all the same. */
Test(driver, a_leader_whose_own_disk_hangs_takes_no_more_than_it_can_hold)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    struct slice payload = {.data = (const uint8_t *)"x", .len = 1};
    uint64_t index;
    uint64_t term;
    unsigned submitted = 0;
    while (submitted < 1000 && driver_submit(f.driver, payload, &index, &term) == 0) {
        submitted++;
        fixture_forget(&f);
        cr_assert_eq(fixture_result(&f, 2, term, 0, index), 0);
        cr_assert_eq(fixture_result(&f, 3, term, 0, index), 0);
    }
    cr_assert_eq(submitted, DRIVER_UNSTORED_MAX);
    cr_assert_eq(driver_submit(f.driver, payload, &index, &term), ERR_BUSY);
    fixture_disk(&f);
    cr_assert_eq(driver_submit(f.driver, payload, &index, &term), 0);
    fixture_done(&f);
}

Test(driver, applying_leaves_time_for_the_rest)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    for (int i = 0; i < 4; i++) {
        fixture_submit(&f, "x");
    }
    fixture_disk(&f);
    unsigned before = f.applied_len;
    f.apply_ms = 15;
    fixture_acknowledge(&f);
    cr_assert_eq(f.applied_len, before + 2, "the second ends later than it should, and no third begins");
    cr_assert_eq(driver_deadline_ms(f.driver), 0u);
    f.apply_ms = 1000;
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, before + 3, "one at least");
    f.apply_ms = 0;
    driver_step(f.driver);
    cr_assert_eq(f.applied_len, before + 4);
    cr_assert_gt(driver_deadline_ms(f.driver), 0u);
    fixture_done(&f);
}
