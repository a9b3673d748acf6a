/* Changing the membership: what is refused, what must be first, and what a leader sends whom meanwhile. */

#include <criterion/criterion.h>
#include <string.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "fixture.h"

static uint64_t term_of(const struct fixture *f)
{
    return raft_current_term(&f->driver->raft);
}

static uint64_t last_of(const struct fixture *f)
{
    return log_last_index(f->driver->log);
}

static int change(struct fixture *f, enum driver_change_kind kind, uint64_t node, const char *address, uint64_t *index)
{
    struct driver_change change = {.kind = kind, .node = node, .address = address};
    const char *why = NULL;
    *index = 99;
    int err = driver_change(f->driver, &change, index, &why);
    cr_assert_not_null(why);
    cr_assert((err == 0) == (why[0] == '\0'), "a refusal, and nothing else, has a reason: %s", why);
    cr_assert(err == 0 || *index == 99, "no output on failure");
    return err;
}

static void expect_refused(struct fixture *f, enum driver_change_kind kind, uint64_t node, const char *address, int err)
{
    uint64_t index;
    uint64_t last = last_of(f);
    cr_assert_eq(change(f, kind, node, address, &index), err, "kind %d of node %d", (int)kind, (int)node);
    cr_assert_eq(last_of(f), last);
}

/* Before it votes it is asked whether it still has what it had stored, and says that its log ends at `last`. */
static void answer_question(struct fixture *f, uint64_t node, uint64_t last)
{
    expect_refused(f, DRIVER_PROMOTE, node, NULL, ERR_BUSY);
    const struct raft_message *asked = fixture_last(f, node, RAFT_APPEND_ENTRIES);
    cr_assert_not_null(asked);
    cr_assert_gt(asked->append_entries.prev_log_index, UINT32_MAX);
    cr_assert_eq(fixture_result(f, node, term_of(f), asked->append_entries.prev_log_index, last), 0);
}

/* It is the last entry, and is committed when those have stored it. */
static void expect_made(struct fixture *f, enum driver_change_kind kind, uint64_t node, const char *address,
                        const uint64_t *storers)
{
    uint64_t index;
    cr_assert_eq(change(f, kind, node, address, &index), 0);
    cr_assert_eq(index, last_of(f));
    cr_assert_eq(fixture_status(f).change_index, index);
    fixture_disk(f);
    for (; *storers != 0; storers++) {
        cr_assert_eq(fixture_result(f, *storers, term_of(f), 0, index), 0);
    }
    driver_step(f->driver);
    cr_assert_eq(fixture_status(f).commit_index, index);
    cr_assert_eq(fixture_status(f).change_index, 0u);
    cr_assert_eq(fixture_status(f).members_index, index);
    fixture_forget(f);
}

static void expect_nothing_to_do(struct fixture *f, enum driver_change_kind kind, uint64_t node, const char *address)
{
    uint64_t index;
    uint64_t last = last_of(f);
    cr_assert_eq(change(f, kind, node, address, &index), 0);
    cr_assert_eq(index, 0u);
    cr_assert_eq(last_of(f), last);
}

static bool votes(const struct fixture *f, uint64_t node)
{
    return configuration_votes(&f->driver->raft.configuration, node);
}

Test(driver_change, a_member_is_added_without_a_vote_promoted_demoted_and_removed)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    expect_made(&f, DRIVER_ADD, 4, "d:1", (uint64_t[]){2, 0});
    cr_assert_eq(fixture_status(&f).members_len, 4u);
    cr_assert_not(fixture_status(&f).members[3].voter);
    cr_assert_str_eq(fixture_status(&f).members[3].address, "d:1");
    expect_nothing_to_do(&f, DRIVER_ADD, 4, "d:1");
    expect_nothing_to_do(&f, DRIVER_DEMOTE, 4, NULL);

    cr_assert_eq(fixture_result(&f, 4, term_of(&f), 0, last_of(&f)), 0);
    answer_question(&f, 4, last_of(&f));
    expect_made(&f, DRIVER_PROMOTE, 4, NULL, (uint64_t[]){2, 3, 0});
    cr_assert(votes(&f, 4));
    expect_nothing_to_do(&f, DRIVER_PROMOTE, 4, NULL);

    expect_made(&f, DRIVER_DEMOTE, 3, NULL, (uint64_t[]){2, 4, 0});
    cr_assert_not(votes(&f, 3));
    expect_made(&f, DRIVER_REMOVE, 3, NULL, (uint64_t[]){2, 4, 0});
    cr_assert_eq(fixture_status(&f).members_len, 3u);
    expect_made(&f, DRIVER_REMOVE, 4, NULL, (uint64_t[]){2, 0});
    fixture_done(&f);
}

Test(driver_change, what_makes_no_sense_is_refused)
{
    struct fixture f;
    char address[ADDRESS_LEN_MAX + 2];
    fixture_init(&f, 3);
    expect_refused(&f, DRIVER_ADD, 4, "d:1", ERR_NOT_LEADER);
    fixture_lead(&f);
    memset(address, 'a', sizeof address);
    address[ADDRESS_LEN_MAX + 1] = '\0';
    expect_refused(&f, DRIVER_ADD, 4, NULL, ERR_INVALID);
    expect_refused(&f, DRIVER_ADD, 4, "", ERR_INVALID);
    expect_refused(&f, DRIVER_ADD, 4, address, ERR_INVALID);
    expect_refused(&f, DRIVER_ADD, 0, "d:1", ERR_INVALID);
    expect_refused(&f, DRIVER_ADD, 2, "d:1", ERR_REFUSED);
    expect_refused(&f, DRIVER_ADD, 4, "b:1", ERR_REFUSED);
    expect_refused(&f, DRIVER_PROMOTE, 4, NULL, ERR_NOT_FOUND);
    expect_refused(&f, DRIVER_DEMOTE, 4, NULL, ERR_NOT_FOUND);
    expect_refused(&f, DRIVER_REMOVE, 4, NULL, ERR_NOT_FOUND);
    expect_refused(&f, DRIVER_DEMOTE, 1, NULL, ERR_REFUSED);
    expect_refused(&f, DRIVER_REMOVE, 1, NULL, ERR_REFUSED);
    expect_nothing_to_do(&f, DRIVER_ADD, 2, "b:1");
    address[ADDRESS_LEN_MAX] = '\0';
    expect_made(&f, DRIVER_ADD, 4, address, (uint64_t[]){2, 0});
    fixture_done(&f);
}

Test(driver_change, there_are_as_many_members_as_there_can_be)
{
    struct fixture f;
    fixture_init(&f, 5);
    fixture_lead(&f);
    for (uint64_t node = 6; node <= MEMBERS_MAX; node++) {
        char address[8] = {(char)('a' + node), ':', '1', '\0'};
        expect_made(&f, DRIVER_ADD, node, address, (uint64_t[]){2, 3, 0});
    }
    expect_refused(&f, DRIVER_ADD, 10, "z:1", ERR_LIMIT);
    fixture_done(&f);
}

Test(driver_change, one_after_the_other)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t index;
    cr_assert_eq(change(&f, DRIVER_ADD, 4, "d:1", &index), 0);
    expect_refused(&f, DRIVER_ADD, 5, "e:1", ERR_BUSY);
    expect_refused(&f, DRIVER_ADD, 4, "d:1", ERR_BUSY);
    fixture_disk(&f);
    fixture_acknowledge(&f);
    expect_made(&f, DRIVER_ADD, 5, "e:1", (uint64_t[]){2, 0});
    fixture_done(&f);
}

Test(driver_change, not_while_leadership_is_handed_over)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    cr_assert_eq(driver_transfer(f.driver, 2), 0);
    expect_refused(&f, DRIVER_ADD, 4, "d:1", ERR_NOT_LEADER);
    fixture_done(&f);
}

Test(driver_change, who_is_promoted_has_caught_up_and_is_there)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    expect_made(&f, DRIVER_ADD, 4, "d:1", (uint64_t[]){2, 0});
    expect_refused(&f, DRIVER_PROMOTE, 4, NULL, ERR_BUSY);
    for (int i = 0; i < 30; i++) {
        char text[100000] = "";
        memset(text, 'x', sizeof text - 1);
        (void)fixture_submit(&f, text);
        fixture_disk(&f);
        fixture_acknowledge(&f);
        fixture_forget(&f);
    }
    cr_assert_eq(fixture_result(&f, 4, term_of(&f), 0, last_of(&f) - 20), 0);
    expect_refused(&f, DRIVER_PROMOTE, 4, NULL, ERR_BUSY);
    cr_assert_eq(fixture_result(&f, 4, term_of(&f), 0, last_of(&f) - 2), 0);
    f.now_ms += 300;
    fixture_acknowledge(&f);
    expect_refused(&f, DRIVER_PROMOTE, 4, NULL, ERR_BUSY);
    cr_assert_eq(fixture_result(&f, 4, term_of(&f), 0, last_of(&f) - 2), 0);
    answer_question(&f, 4, last_of(&f) - 3);
    answer_question(&f, 4, last_of(&f) - 2);
    driver_peer_lost(f.driver, 4);
    expect_refused(&f, DRIVER_PROMOTE, 4, NULL, ERR_BUSY); /* Not there, until it speaks again. */
    cr_assert_eq(fixture_result(&f, 4, term_of(&f), 0, last_of(&f) - 2), 0);
    answer_question(&f, 4, last_of(&f) - 2);
    expect_made(&f, DRIVER_PROMOTE, 4, NULL, (uint64_t[]){2, 3, 0});
    fixture_done(&f);
}

/* It is not needed for that, and has no say in it. */
Test(driver_change, who_is_demoted_or_removed_may_be_dead)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    (void)fixture_submit(&f, "x");
    fixture_disk(&f);
    f.now_ms += 1000;
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, last_of(&f)), 0);
    driver_step(f.driver);
    expect_made(&f, DRIVER_DEMOTE, 3, NULL, (uint64_t[]){2, 0});
    expect_made(&f, DRIVER_REMOVE, 3, NULL, (uint64_t[]){2, 0});
    expect_refused(&f, DRIVER_REMOVE, 2, NULL, ERR_REFUSED);
    fixture_done(&f);
}

/* Of five voters, three are there. A fourth that is promoted needs four of six; of four, three would do. */
Test(driver_change, a_majority_of_those_that_vote_afterwards_is_there)
{
    struct fixture f;
    fixture_init(&f, 5);
    fixture_lead(&f);
    expect_made(&f, DRIVER_ADD, 6, "f:1", (uint64_t[]){2, 3, 0});
    f.now_ms += 300;
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, last_of(&f)), 0);
    expect_refused(&f, DRIVER_REMOVE, 5, NULL, ERR_BUSY);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, last_of(&f)), 0);
    expect_refused(&f, DRIVER_REMOVE, 3, NULL, ERR_BUSY);
    driver_peer_lost(f.driver, 3);
    expect_refused(&f, DRIVER_REMOVE, 5, NULL, ERR_BUSY);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, last_of(&f)), 0);
    expect_made(&f, DRIVER_REMOVE, 5, NULL, (uint64_t[]){2, 3, 0});
    cr_assert_eq(fixture_result(&f, 6, term_of(&f), 0, last_of(&f)), 0);
    answer_question(&f, 6, last_of(&f));
    expect_made(&f, DRIVER_PROMOTE, 6, NULL, (uint64_t[]){2, 3, 6, 0});
    fixture_done(&f);
}

Test(driver_change, a_change_that_finds_no_room_in_the_log_is_not_made)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    sim_disk_set_capacity(f.disk, sim_disk_used(f.disk));
    struct slice payload = {0};
    uint8_t bytes[1000] = {0};
    cr_assert_eq(slice_copy(bytes, sizeof bytes, &payload), 0);
    uint64_t index;
    uint64_t term;
    int err;
    /* Barriers may take what is kept free for them. */
    for (int i = 0; i < 2000; i++) {
        err = driver_submit(f.driver, payload, &index, &term);
        fixture_disk(&f);
        fixture_acknowledge(&f);
        fixture_forget(&f);
        if (err == ERR_NO_SPACE) {
            break;
        }
    }
    cr_assert_eq(err, ERR_NO_SPACE);
    slice_unref(&payload);
    for (int i = 0; i < 1000; i++) {
        bool add = i % 2 == 0;
        err = change(&f, add ? DRIVER_ADD : DRIVER_REMOVE, 4, "d:1", &index);
        fixture_disk(&f);
        fixture_acknowledge(&f);
        fixture_forget(&f);
        if (err != 0) {
            break;
        }
    }
    cr_assert_eq(err, ERR_NO_SPACE);
    cr_assert_eq(fixture_status(&f).change_index, 0u);
    fixture_done(&f);
}

/* A node that believes to have lost its vote does not stand: it must not be the only one that holds the CHANGE. */
Test(driver_change, who_is_demoted_hears_of_it_when_it_is_committed)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t before = fixture_submit(&f, "x");
    uint64_t index;
    fixture_forget(&f);
    cr_assert_eq(change(&f, DRIVER_DEMOTE, 3, NULL, &index), 0);
    cr_assert_eq(fixture_last(&f, 2, RAFT_APPEND_ENTRIES)->append_entries.n_entries, 1u);
    cr_assert_eq(fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries.n_entries, 0u);
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), index, before), 0);
    cr_assert_eq(fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries.prev_log_index +
                     fixture_last(&f, 3, RAFT_APPEND_ENTRIES)->append_entries.n_entries,
                 before);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    cr_assert_eq(fixture_status(&f).commit_index, index);
    fixture_forget(&f);
    f.now_ms += 60;
    driver_step(f.driver);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, before), 0);
    const struct raft_message *told = fixture_last(&f, 3, RAFT_APPEND_ENTRIES);
    cr_assert_not_null(told);
    cr_assert_geq(told->append_entries.prev_log_index + told->append_entries.n_entries, index);
    fixture_done(&f);
}

Test(driver_change, the_host_is_told_of_the_membership_in_force)
{
    struct fixture f;
    fixture_init(&f, 3);
    driver_step(f.driver);
    cr_assert_eq(f.members_changed, 0u, "it knows them from its options");
    struct log_entry add = fixture_change(2, (uint64_t[]){1, 2, 3}, 3, 4);
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, &add, 1), 0);
    cr_assert_eq(f.members_changed, 1u);
    cr_assert_eq(fixture_status(&f).members_len, 4u);
    cr_assert_eq(fixture_status(&f).change_index, 2u);
    fixture_disk(&f);
    fixture_reopen(&f, true);
    driver_step(f.driver);
    cr_assert_eq(f.members_changed, 2u, "after a start it is told of what its options do not say");
    driver_step(f.driver);
    cr_assert_eq(f.members_changed, 2u);
    struct log_entry other = fixture_entry(3, "x");
    cr_assert_eq(fixture_append(&f, 3, 3, 1, 1, 1, &other, 1), 0);
    cr_assert_eq(f.members_changed, 3u, "it was never committed, and is taken back");
    cr_assert_eq(fixture_status(&f).members_len, 3u);
    fixture_done(&f);
}

/* A committed CHANGE that lacks node 1, which is at the end of what the leader knows to be committed. */
Test(driver_change, a_node_is_told_that_it_is_removed)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct log_entry entries[] = {fixture_change(2, (uint64_t[]){2, 3}, 2, 0)};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 1, entries, 1), 0);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(f.removed, 0u, "it is not committed");
    cr_assert_eq(fixture_append(&f, 2, 2, 2, 2, 2, NULL, 0), 0);
    driver_step(f.driver);
    cr_assert_eq(f.removed, 1u);
    for (int i = 0; i < 20; i++) {
        fixture_until_due(&f);
    }
    cr_assert_null(fixture_last(&f, 2, RAFT_REQUEST_VOTE), "it does not stand");
    cr_assert_eq(f.removed, 1u);
    fixture_done(&f);
}

/* It was removed, and has been added again since: of that it does not know yet. */
Test(driver_change, a_removal_on_the_way_to_a_return_is_none)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct log_entry removal[] = {fixture_change(2, (uint64_t[]){2, 3}, 2, 0)};
    cr_assert_eq(fixture_append(&f, 2, 2, 1, 1, 3, removal, 1), 0);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(fixture_status(&f).members_index, 2u);
    cr_assert_eq(f.removed, 0u);
    struct log_entry again[] = {fixture_change(2, (uint64_t[]){2, 3}, 2, 1)};
    cr_assert_eq(fixture_append(&f, 2, 2, 2, 2, 3, again, 1), 0);
    fixture_disk(&f);
    driver_step(f.driver);
    cr_assert_eq(fixture_status(&f).members_index, 3u);
    cr_assert_eq(f.removed, 0u);
    fixture_done(&f);
}

/* The engine says nothing to it any more; the leader tells it the entry, and no more. */
Test(driver_change, a_node_that_is_removed_is_told_so)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    uint64_t known = last_of(&f);
    (void)fixture_submit(&f, "x");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, last_of(&f)), 0);
    uint64_t index;
    fixture_forget(&f);
    cr_assert_eq(change(&f, DRIVER_REMOVE, 3, NULL, &index), 0);
    driver_step(f.driver);
    cr_assert_null(fixture_last(&f, 3, RAFT_APPEND_ENTRIES), "it is not committed");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, index), 0);
    uint64_t later = fixture_submit(&f, "not for node 3");
    fixture_disk(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, later), 0);
    cr_assert_eq(fixture_status(&f).commit_index, later);
    driver_step(f.driver);
    const struct raft_message *told = fixture_last(&f, 3, RAFT_APPEND_ENTRIES);
    cr_assert_not_null(told);
    cr_assert_eq(told->append_entries.prev_log_index, known);
    cr_assert_eq(told->append_entries.n_entries, index - known);
    cr_assert_eq(told->append_entries.leader_commit, index);
    /* It lacks more than the leader knew. */
    fixture_forget(&f);
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), known, known - 1), 0);
    driver_step(f.driver);
    told = fixture_last(&f, 3, RAFT_APPEND_ENTRIES);
    cr_assert_not_null(told);
    cr_assert_eq(told->append_entries.prev_log_index, known - 1);
    /* Again, until it has it. */
    fixture_forget(&f);
    f.now_ms += 50;
    driver_step(f.driver);
    cr_assert_not_null(fixture_last(&f, 3, RAFT_APPEND_ENTRIES));
    cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, index), 0);
    fixture_forget(&f);
    f.now_ms += 50;
    driver_step(f.driver);
    cr_assert_null(fixture_last(&f, 3, RAFT_APPEND_ENTRIES));
    fixture_done(&f);
}

/* Nor does what it answers, from a later term, depose anybody. */
Test(driver_change, a_node_that_is_removed_disturbs_nobody)
{
    struct fixture f;
    fixture_init(&f, 3);
    fixture_lead(&f);
    expect_made(&f, DRIVER_REMOVE, 3, NULL, (uint64_t[]){2, 0});
    cr_assert_null(driver_peer_find(f.driver, 3), "what was known of it is forgotten");
    uint64_t term = term_of(&f);
    cr_assert_eq(fixture_result(&f, 3, term + 5, 1, 0), 0);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = term + 6, .candidate_id = 3, .last_log_index = 99, .last_log_term = term, .disrupt_leader = true};
    cr_assert_eq(fixture_say(&f, 3, &vote), 0);
    cr_assert_eq(fixture_status(&f).role, DRIVER_LEADER);
    cr_assert_eq(term_of(&f), term);
    for (int i = 0; i < 200; i++) {
        f.now_ms += 50;
        driver_step(f.driver);
        cr_assert_eq(fixture_result(&f, 2, term, 0, last_of(&f)), 0);
        fixture_forget(&f);
    }
    f.now_ms += 50;
    driver_step(f.driver);
    cr_assert_null(fixture_last(&f, 3, RAFT_APPEND_ENTRIES), "it is not told for ever");
    fixture_done(&f);
}
