/* Rejoining with a copy of another node's state: the log follows the copy, whenever the process dies meanwhile, and nothing
 * that may have been acknowledged is lost by it. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "dying_disk.h"
#include "fixture.h"

/* A log of some segments, all of an old term but the first entry. */
#define OLD_LAST 61u
#define OLD_TERM 2u
/* The node's own term, in which it has voted for node 3. */
#define OWN_TERM 5u

static uint64_t random_next(void *arg)
{
    uint64_t *state = arg;
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* A follower with such a log, closed; nothing of it but the first entry is known to be committed. */
static void set(struct fixture *f)
{
    char text[3000];
    memset(text, 'o', sizeof text);
    text[sizeof text - 1] = '\0';
    fixture_init(f, 3);
    for (uint64_t index = 2; index <= OLD_LAST; index++) {
        struct log_entry entry = fixture_entry(OLD_TERM, text);
        cr_assert_eq(fixture_append(f, 2, OLD_TERM, index - 1, index == 2 ? 1 : OLD_TERM, 1, &entry, 1), 0);
        fixture_disk(f);
        fixture_forget(f);
    }
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = OWN_TERM, .candidate_id = 3, .last_log_index = 100, .last_log_term = 4, .disrupt_leader = true};
    cr_assert_eq(fixture_say(f, 3, &vote), 0);
    cr_assert(fixture_last(f, 3, RAFT_REQUEST_VOTE_RESULT)->request_vote_result.vote_granted);
    fixture_disk(f);
}

static void close_driver(struct fixture *f)
{
    sim_disk_kill(f->disk);
    driver_close(f->driver);
    f->driver = NULL;
}

static struct driver_options copy_options(struct fixture *f, uint64_t index, uint64_t term)
{
    struct driver_options options = f->driver->options;
    slice_unref(&f->position);
    f->position = fixture_position(index, term, 1, (uint64_t[]){1, 2, 3}, 3, 0);
    f->applied_start = index;
    options.applied_index = index;
    options.checkpoint = f->position;
    return options;
}

static void rejoin(struct fixture *f, uint64_t index, uint64_t term)
{
    char detail[512];
    struct driver_options options = copy_options(f, index, term);
    close_driver(f);
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), 0, "%s", detail);
}

static void open_again(struct fixture *f, struct driver_options *options)
{
    char detail[512];
    int err = driver_open(options, &f->driver, detail, sizeof detail);
    cr_assert_eq(err, 0, "%s", detail);
}

/* The log goes on after the copy, with entries of another leader, and keeps them when the power fails. */
static void expect_goes_on(struct fixture *f, uint64_t index, uint64_t term)
{
    struct driver_options options = f->driver->options;
    options.applied_index = index;
    options.checkpoint = f->position;
    uint64_t leader_term = OWN_TERM + 3;
    struct log_entry entries[] = {fixture_entry(term, "a"), fixture_entry(leader_term, "b")};
    cr_assert_eq(fixture_append(f, 3, leader_term, index, term, index + 1, entries, 2), 0);
    fixture_disk(f);
    const struct raft_message *answer = fixture_last(f, 3, RAFT_APPEND_ENTRIES_RESULT);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->append_entries_result.rejected, 0u);
    cr_assert_eq(answer->append_entries_result.last_log_index, index + 2);
    driver_step(f->driver);
    cr_assert_eq(f->applied_len, 1u);
    cr_assert_eq(f->applied[0], index + 1);
    sim_disk_crash_losing_all(f->disk);
    driver_close(f->driver);
    open_again(f, &options);
    cr_assert_eq(log_first_index(f->driver->log), index + 1);
    cr_assert_eq(log_last_index(f->driver->log), index + 2);
    cr_assert_eq(log_term(f->driver->log, index + 1), term);
    cr_assert_eq(log_term(f->driver->log, index + 2), leader_term);
}

static void expect_empty_after(struct fixture *f, uint64_t index, uint64_t own_term, uint64_t voted_for)
{
    struct driver_status status = fixture_status(f);
    cr_assert_eq(status.log_first, index + 1);
    cr_assert_eq(status.log_last, index);
    cr_assert_eq(status.log_stored, index);
    cr_assert_eq(status.commit_index, index);
    cr_assert_eq(status.applied_index, index);
    cr_assert_eq(status.term, own_term);
    cr_assert_eq(status.voted_for, voted_for);
}

static void rejoin_and_go_on(uint64_t index, uint64_t term, uint64_t own_term, uint64_t voted_for)
{
    struct fixture f;
    set(&f);
    struct driver_options options = f.driver->options;
    rejoin(&f, index, term);
    options.applied_index = index;
    options.checkpoint = f.position;
    f.sent_len = 0;
    open_again(&f, &options);
    expect_empty_after(&f, index, own_term, voted_for);
    expect_goes_on(&f, index, term);
    fixture_done(&f);
}

Test(driver_rejoin, a_log_that_ends_before_the_copy_begins_anew)
{
    rejoin_and_go_on(100, 4, OWN_TERM, 3);
}

Test(driver_rejoin, a_tail_that_conflicts_goes)
{
    rejoin_and_go_on(30, 4, OWN_TERM, 3);
    rejoin_and_go_on(OLD_LAST, 4, OWN_TERM, 3);
}

Test(driver_rejoin, an_older_term_rises_to_that_of_the_copy_and_its_vote_goes)
{
    rejoin_and_go_on(100, OWN_TERM + 2, OWN_TERM + 2, 0);
}

/* Raft §7: what follows the copy's last entry is still valid, and may have been acknowledged. */
Test(driver_rejoin, a_log_that_has_the_last_entry_of_the_copy_stays)
{
    struct fixture f;
    set(&f);
    struct driver_options options = f.driver->options;
    rejoin(&f, 30, OLD_TERM);
    options.applied_index = 30;
    options.checkpoint = f.position;
    open_again(&f, &options);
    struct driver_status status = fixture_status(&f);
    cr_assert_eq(status.log_first, 1u);
    cr_assert_eq(status.log_last, OLD_LAST);
    cr_assert_eq(status.applied_index, 30u);
    cr_assert_eq(status.term, OWN_TERM);
    cr_assert_eq(status.voted_for, 3u);
    fixture_done(&f);
}

/* The mark that says that the state is a fresh copy is removed after this: it may be called once too often. */
Test(driver_rejoin, once_more_after_the_log_has_grown_changes_nothing)
{
    struct fixture f;
    set(&f);
    struct driver_options options = f.driver->options;
    rejoin(&f, 100, 4);
    options.applied_index = 100;
    options.checkpoint = f.position;
    f.sent_len = 0;
    open_again(&f, &options);
    expect_goes_on(&f, 100, 4);
    rejoin(&f, 100, 4);
    options.checkpoint = f.position;
    open_again(&f, &options);
    cr_assert_eq(log_first_index(f.driver->log), 101u);
    cr_assert_eq(log_last_index(f.driver->log), 102u);
    fixture_done(&f);
}

Test(driver_rejoin, a_copy_older_than_what_the_log_begins_with_is_refused)
{
    struct fixture f;
    char detail[512];
    set(&f);
    rejoin(&f, 100, 4);
    struct driver_options options = {.id = 1, .disk = sim_disk_ops(f.disk), .journal = &f.journal, .dir = "shard-0"};
    slice_unref(&f.position);
    f.position = fixture_position(40, 4, 1, (uint64_t[]){1, 2, 3}, 3, 0);
    options.applied_index = 40;
    options.checkpoint = f.position;
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), ERR_REFUSED);
    cr_assert_not_null(strstr(detail, "begins at entry 101, but the copy of the state ends at entry 40"), "%s", detail);
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}

Test(driver_rejoin, a_position_that_is_damaged_or_of_another_entry_is_refused)
{
    struct fixture f;
    char detail[512];
    set(&f);
    struct driver_options options = copy_options(&f, 100, 4);
    close_driver(&f);
    options.applied_index = 99;
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), ERR_CORRUPT);
    options.applied_index = 100;
    options.checkpoint = slice_part(options.checkpoint, 0, options.checkpoint.len - 1);
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), ERR_CORRUPT);
    options.checkpoint = (struct slice){0};
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_neq(detail[0], '\0');
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}

/* Nobody knows what a node has acknowledged whose log is damaged. */
Test(driver_rejoin, a_damaged_log_is_not_thrown_away)
{
    struct fixture f;
    char detail[512];
    set(&f);
    struct driver_options options = copy_options(&f, 100, 4);
    close_driver(&f);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/log/00000001.log", 2048, 0xff), 0);
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "00000001.log"), "%s", detail);
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}

Test(driver_rejoin, a_full_disk_is_said_and_changes_nothing)
{
    struct fixture f;
    char detail[512];
    set(&f);
    struct driver_options options = copy_options(&f, 100, 4);
    close_driver(&f);
    struct driver_options large = options;
    large.segment_len = 64 * MIB;
    sim_disk_set_capacity(f.disk, sim_disk_used(f.disk));
    cr_assert_eq(driver_rejoin(&large, detail, sizeof detail), ERR_NO_SPACE);
    cr_assert_neq(detail[0], '\0');
    sim_disk_set_capacity(f.disk, 0);
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), 0, "%s", detail);
    open_again(&f, &options);
    expect_empty_after(&f, 100, OWN_TERM, 3);
    fixture_done(&f);
}

/* What a crash left: all of the old log, or nothing of it and a term that fits the copy. */
static bool crash_left_one_of_two(const struct sim_disk *disk, uint64_t index, uint64_t term)
{
    struct sim_disk *clone = sim_disk_clone(disk);
    struct log_options options = {.disk = sim_disk_ops(clone), .dir = "shard-0/log", .segment_len = 64 * KIB};
    struct log_recovery recovery;
    struct log *log;
    struct meta *meta;
    struct meta_value value;
    char detail[512];
    cr_assert_eq(meta_open(sim_disk_ops(clone), "shard-0", &meta, &value, detail, sizeof detail), 0, "%s", detail);
    int err = log_open(&options, &recovery, &log);
    cr_assert_eq(err, 0, "%s", recovery.detail);
    bool old = log_first_index(log) == 1 && log_last_index(log) == OLD_LAST;
    bool new = log_first_index(log) == index + 1 && log_last_index(log) == index;
    cr_assert(old || new, "%d to %d", (int)log_first_index(log), (int)log_last_index(log));
    cr_assert(old || value.term >= term, "the log is of a later term than the node knows");
    cr_assert_geq(value.term, OWN_TERM);
    cr_assert_eq(value.voted_for, value.term == OWN_TERM ? 3u : 0u);
    log_close(log);
    meta_close(meta);
    sim_disk_free(clone);
    return new;
}

static void crash(struct sim_disk *disk, uint64_t kind, uint64_t *random)
{
    if (kind == 0) {
        sim_disk_crash_losing_all(disk);
    } else if (kind == 1) {
        sim_disk_kill(disk);
    } else {
        sim_disk_crash(disk, random_next, random);
    }
}

/* Dies before the nth change; true when it has not got that far. */
static bool die_and_do_it_again(const struct fixture *from, const struct driver_options *options, uint64_t nth,
                                uint64_t kind, unsigned *new_logs)
{
    struct fixture f = *from;
    struct driver_options again = *options;
    uint64_t random = nth * 100 + kind;
    char detail[512];
    uint64_t index = options->applied_index;
    uint64_t term = options->applied_index == 100 ? OWN_TERM + 2 : 4;
    f.disk = sim_disk_clone(from->disk);
    again.disk = sim_disk_ops(f.disk);
    again.host.arg = &f;
    for (uint64_t twice = 0; twice < 2; twice++) {
        dying_disk_begin(again.disk, twice == 0 ? nth : nth / 2);
        int err = driver_rejoin(&again, detail, sizeof detail);
        dying_disk_end(again.disk);
        if (twice == 0 && err == 0 && dying_disk_changes() <= nth) {
            sim_disk_free(f.disk);
            return true;
        }
        crash(f.disk, kind, &random);
        *new_logs += crash_left_one_of_two(f.disk, index, term);
    }
    int err = driver_rejoin(&again, detail, sizeof detail);
    cr_assert_eq(err, 0, "%s", detail);
    sim_disk_crash_losing_all(f.disk);
    open_again(&f, &again);
    uint64_t own_term = term > OWN_TERM ? term : OWN_TERM;
    expect_empty_after(&f, index, own_term, own_term == OWN_TERM ? 3 : 0);
    expect_goes_on(&f, index, term);
    sim_disk_kill(f.disk);
    driver_close(f.driver);
    sim_disk_free(f.disk);
    return false;
}

static void die_everywhere(uint64_t index, uint64_t term)
{
    struct fixture f;
    set(&f);
    struct driver_options options = copy_options(&f, index, term);
    close_driver(&f);
    f.sent_len = 0;
    f.applied_len = 0;
    uint64_t nth = 0;
    unsigned new_logs = 0;
    for (bool done = false; !done; nth++) {
        for (uint64_t kind = 0; kind < 12 && !done; kind++) {
            done = die_and_do_it_again(&f, &options, nth, kind, &new_logs);
        }
    }
    cr_assert_gt(nth, 15u, "it does more than that: %d", (int)nth);
    cr_assert_gt(new_logs, 0u);
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}

Test(driver_rejoin, it_may_die_at_any_moment)
{
    die_everywhere(100, OWN_TERM + 2);
}

Test(driver_rejoin, it_may_die_at_any_moment_when_the_old_log_is_longer)
{
    die_everywhere(30, 4);
}
