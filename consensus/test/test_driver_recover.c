/* Forced recovery: the survivor goes on alone with all that it has, whenever the process dies meanwhile, and nothing is changed
 * before somebody wants it. */

#include "consensus/driver_recover.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "dying_disk.h"
#include "fixture.h"

#define LAST 61u
#define ENTRY_TERM 2u
/* The node's own term, in which it has voted for node 3. */
#define OWN_TERM 5u
#define TEXT "forced recovery of node 1"

static uint64_t random_next(void *arg)
{
    uint64_t *state = arg;
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void append_one(struct fixture *f, uint64_t index, uint64_t term, uint64_t prev_term, struct log_entry entry)
{
    cr_assert_eq(fixture_append(f, 2, term, index - 1, prev_term, 1, &entry, 1), 0);
    fixture_disk(f);
    fixture_forget(f);
}

/* A follower with a log of some segments, of which nothing but the first entry is known to be committed. */
static void set(struct fixture *f)
{
    char text[3000];
    memset(text, 'o', sizeof text);
    text[sizeof text - 1] = '\0';
    fixture_init(f, 3);
    for (uint64_t index = 2; index <= LAST; index++) {
        append_one(f, index, ENTRY_TERM, index == 2 ? 1 : ENTRY_TERM, fixture_entry(ENTRY_TERM, text));
    }
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = OWN_TERM, .candidate_id = 3, .last_log_index = 100, .last_log_term = 4, .disrupt_leader = true};
    cr_assert_eq(fixture_say(f, 3, &vote), 0);
    fixture_disk(f);
    fixture_forget(f);
}

static void close_driver(struct fixture *f)
{
    sim_disk_kill(f->disk);
    driver_close(f->driver);
    f->driver = NULL;
}

static void done_closed(struct fixture *f)
{
    sim_disk_free(f->disk);
    slice_unref(&f->position);
}

/* As if a checkpoint had been made there. */
static void set_checkpoint(struct fixture *f, uint64_t index, uint64_t term)
{
    slice_unref(&f->position);
    f->position = fixture_position(index, term, 1, (uint64_t[]){1, 2, 3}, 3, 0);
    f->applied_start = index;
}

static struct driver_options options_of(struct fixture *f)
{
    return (struct driver_options){
        .id = 1,
        .disk = sim_disk_ops(f->disk),
        .clock = &f->clock,
        .journal = &f->journal,
        .dir = "shard-0",
        .segment_len = 64 * KIB,
        .applied_index = f->applied_start,
        .checkpoint = f->position,
    };
}

static void hash_file(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    uint64_t *hash = arg;
    *hash = XXH3_64bits_withSeed(path, strlen(path), *hash);
    *hash = XXH3_64bits_withSeed(data, len, *hash);
}

static uint64_t hash_of(const struct sim_disk *disk)
{
    uint64_t hash = 0;
    sim_disk_each_file(disk, hash_file, &hash);
    return hash;
}

static void recover(struct fixture *f)
{
    char detail[512];
    uint64_t index = 0;
    struct driver_options options = options_of(f);
    int err = driver_recover(&options, TEXT, &index, detail, sizeof detail);
    cr_assert_eq(err, 0, "%s", detail);
    cr_assert_eq(index, LAST + 1);
}

static void open_again(struct fixture *f, const struct driver_options *before)
{
    struct driver_options options = *before;
    char detail[512];
    options.disk = sim_disk_ops(f->disk);
    options.applied_index = f->applied_start;
    options.checkpoint = f->position;
    options.host.arg = f;
    f->applied_len = 0;
    f->role = DRIVER_FOLLOWER;
    int err = driver_open(&options, &f->driver, detail, sizeof detail);
    cr_assert_eq(err, 0, "%s", detail);
}

/* Alone, and with everything: of the others nothing is asked. */
static void expect_leads_alone(struct fixture *f)
{
    for (unsigned i = 0; i < 20; i++) {
        driver_step(f->driver);
        fixture_disk(f);
    }
    struct driver_status status = fixture_status(f);
    cr_assert_eq(status.role, DRIVER_LEADER);
    cr_assert_geq(status.term, OWN_TERM + DRIVER_RECOVER_TERMS);
    cr_assert_eq(status.members_len, 1u);
    cr_assert_eq(status.members[0].id, 1u);
    cr_assert(status.members[0].voter);
    cr_assert_geq(status.commit_index, LAST + 1);
    cr_assert_eq(f->applied_len, LAST - (f->applied_start > 0 ? f->applied_start : 1));
    cr_assert_eq(f->applied[f->applied_len - 1], LAST);
    cr_assert_eq(f->sent_len, 0u, "there is nobody to send to");
    uint64_t index = fixture_submit(f, "more");
    fixture_disk(f);
    driver_step(f->driver);
    cr_assert_eq(f->applied[f->applied_len - 1], index);
}

Test(driver_recover, what_there_is_is_told_and_nothing_changed)
{
    struct fixture f;
    struct driver_recover_report report;
    char detail[512];
    set(&f);
    close_driver(&f);
    struct driver_options options = options_of(&f);
    uint64_t before = hash_of(f.disk);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(hash_of(f.disk), before);
    cr_assert_eq(report.term, OWN_TERM);
    cr_assert_eq(report.checkpoint_index, 0u);
    cr_assert_eq(report.log_first, 1u);
    cr_assert_eq(report.log_last, LAST);
    cr_assert_eq(report.known, 1u);
    cr_assert_eq(report.members_len, 3u);
    cr_assert_eq(report.members_index, 1u);
    cr_assert_str_eq(report.members[1].address, "b:1");
    cr_assert(report.members[1].voter);
    cr_assert(!report.alone);
    set_checkpoint(&f, 30, ENTRY_TERM);
    options = options_of(&f);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(report.checkpoint_index, 30u);
    cr_assert_eq(report.known, 30u);
    done_closed(&f);
}

Test(driver_recover, the_survivor_leads_alone_with_all_that_it_had)
{
    struct fixture f;
    set(&f);
    struct driver_options options = f.driver->options;
    close_driver(&f);
    recover(&f);
    sim_disk_crash_losing_all(f.disk);
    open_again(&f, &options);
    expect_leads_alone(&f);
    /* And again: a start later. */
    fixture_reopen(&f, true);
    struct driver_status status = fixture_status(&f);
    cr_assert_eq(status.role, DRIVER_LEADER);
    cr_assert_eq(status.members_len, 1u);
    fixture_done(&f);
}

Test(driver_recover, a_survivor_with_a_checkpoint_goes_on_from_it)
{
    struct fixture f;
    set(&f);
    struct driver_options options = f.driver->options;
    close_driver(&f);
    set_checkpoint(&f, 30, ENTRY_TERM);
    recover(&f);
    open_again(&f, &options);
    expect_leads_alone(&f);
    fixture_done(&f);
}

Test(driver_recover, the_log_says_what_was_done)
{
    struct fixture f;
    struct log_entry entry;
    unsigned count;
    char detail[512];
    set(&f);
    struct driver_options options = f.driver->options;
    close_driver(&f);
    recover(&f);
    open_again(&f, &options);
    cr_assert_eq(log_read(f.driver->log, LAST + 1, 1, UINT64_MAX, &entry, &count, detail, sizeof detail), 0);
    cr_assert_eq(entry.type, LOG_ENTRY_CHANGE);
    cr_assert_eq(entry.term, OWN_TERM + DRIVER_RECOVER_TERMS);
    const char *text;
    cr_assert_eq(driver_recover_text(entry.payload.data, entry.payload.len, &text), strlen(TEXT));
    cr_assert_arr_eq(text, TEXT, strlen(TEXT));
    slice_unref(&entry.payload);
    entry = fixture_change(1, (uint64_t[]){1, 2, 3}, 3, 4);
    cr_assert_eq(driver_recover_text(entry.payload.data, entry.payload.len, &text), 0u);
    cr_assert_eq(driver_recover_text((const uint8_t *)"anything", 8, &text), 0u);
    slice_unref(&entry.payload);
    fixture_done(&f);
}

Test(driver_recover, once_more_adds_nothing)
{
    struct fixture f;
    struct driver_recover_report report;
    char detail[512];
    set(&f);
    close_driver(&f);
    recover(&f);
    recover(&f);
    struct driver_options options = options_of(&f);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), 0, "%s", detail);
    cr_assert(report.alone);
    cr_assert_eq(report.log_last, LAST + 1);
    cr_assert_eq(report.members_len, 1u);
    cr_assert_eq(report.term, OWN_TERM + DRIVER_RECOVER_TERMS);
    done_closed(&f);
}

/* The newest membership counts although nobody knows whether it was committed; the one before it was. */
Test(driver_recover, memberships_in_the_log_are_followed)
{
    struct fixture f;
    struct driver_recover_report report;
    char detail[512];
    set(&f);
    append_one(&f, LAST + 1, OWN_TERM + 1, ENTRY_TERM, fixture_change(OWN_TERM + 1, (uint64_t[]){1, 2, 3}, 3, 4));
    append_one(&f, LAST + 2, OWN_TERM + 1, OWN_TERM + 1, fixture_entry(OWN_TERM + 1, "x"));
    append_one(&f, LAST + 3, OWN_TERM + 1, OWN_TERM + 1, fixture_change(OWN_TERM + 1, (uint64_t[]){2, 3, 4}, 3, 1));
    struct driver_options driver_options = f.driver->options;
    close_driver(&f);
    struct driver_options options = options_of(&f);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(report.known, LAST + 1);
    cr_assert_eq(report.members_index, LAST + 3);
    cr_assert_eq(report.members_len, 4u);
    cr_assert(!report.alone);
    uint64_t index = 0;
    cr_assert_eq(driver_recover(&options, TEXT, &index, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(index, LAST + 4);
    open_again(&f, &driver_options);
    struct driver_status status = fixture_status(&f);
    cr_assert_eq(status.role, DRIVER_LEADER, "although it did not vote before");
    cr_assert_eq(status.members_len, 1u);
    fixture_done(&f);
}

Test(driver_recover, a_change_that_was_taken_back_does_not_count)
{
    struct fixture f;
    struct driver_recover_report report;
    char detail[512];
    set(&f);
    append_one(&f, LAST + 1, OWN_TERM + 1, ENTRY_TERM, fixture_change(OWN_TERM + 1, (uint64_t[]){1, 2}, 2, 0));
    struct log_entry entry = fixture_entry(OWN_TERM + 2, "another leader's");
    cr_assert_eq(fixture_append(&f, 3, OWN_TERM + 2, LAST, ENTRY_TERM, 1, &entry, 1), 0);
    fixture_disk(&f);
    close_driver(&f);
    struct driver_options options = options_of(&f);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(report.log_last, LAST + 1);
    cr_assert_eq(report.members_len, 3u);
    cr_assert_eq(report.known, 1u);
    done_closed(&f);
}

Test(driver_recover, what_is_damaged_is_not_recovered_from)
{
    struct fixture f;
    struct driver_recover_report report;
    char detail[512];
    uint64_t index;
    set(&f);
    close_driver(&f);
    struct driver_options options = options_of(&f);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/log/00000001.log", 2048, 0xff), 0);
    uint64_t before = hash_of(f.disk);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "00000001.log"), "%s", detail);
    cr_assert_eq(driver_recover(&options, TEXT, &index, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_eq(hash_of(f.disk), before);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/log/00000001.log", 2048, 0xff), 0);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/meta", 20, 0xff), 0);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/meta", 532, 0xff), 0);
    cr_assert_eq(driver_recover(&options, TEXT, &index, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "shard-0/meta"), "%s", detail);
    done_closed(&f);
}

/* Somebody else is the only voter, and gone: this one has not been recovered. */
Test(driver_recover, a_learner_beside_the_only_voter_is_not_alone_yet)
{
    struct fixture f;
    struct driver_recover_report report;
    char detail[512];
    set(&f);
    append_one(&f, LAST + 1, OWN_TERM, ENTRY_TERM, fixture_change(OWN_TERM, (uint64_t[]){2}, 1, 1));
    close_driver(&f);
    struct driver_options options = options_of(&f);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(report.members_len, 2u);
    cr_assert_not(report.alone);
    done_closed(&f);
}

/* The term that is there is none that the log can have come from: whom it has voted for is not known. */
Test(driver_recover, a_term_before_that_of_the_log_is_refused)
{
    struct fixture f;
    struct driver_recover_report report;
    struct meta *meta;
    struct meta_value value;
    char detail[512];
    set(&f);
    close_driver(&f);
    struct driver_options options = options_of(&f);
    cr_assert_eq(options.disk->ops->remove(options.disk, "shard-0/meta"), 0);
    cr_assert_eq(meta_open(options.disk, "shard-0", &meta, &value, detail, sizeof detail), 0);
    cr_assert_eq(meta_save(meta, &(struct meta_value){.term = ENTRY_TERM - 1}), 0);
    meta_close(meta);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "term and vote are lost"), "%s", detail);
    done_closed(&f);
}

Test(driver_recover, a_state_that_the_log_does_not_go_on_from_is_refused)
{
    struct fixture f;
    struct driver_recover_report report;
    char detail[512];
    set(&f);
    close_driver(&f);
    set_checkpoint(&f, 30, ENTRY_TERM + 1);
    struct driver_options options = options_of(&f);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), ERR_CORRUPT);
    set_checkpoint(&f, LAST + 9, ENTRY_TERM + 1);
    options = options_of(&f);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, "entries 1 to 61 do not go on from the state"), "%s", detail);
    done_closed(&f);
}

Test(driver_recover, a_node_that_is_no_member_is_refused_and_so_is_an_empty_one)
{
    struct fixture f;
    struct driver_recover_report report;
    char detail[512];
    set(&f);
    close_driver(&f);
    struct driver_options options = options_of(&f);
    options.id = 9;
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), ERR_FOREIGN);
    cr_assert_not_null(strstr(detail, "node 9 is no member"), "%s", detail);
    sim_disk_free(f.disk);
    f.disk = sim_disk_new();
    options = options_of(&f);
    cr_assert_eq(driver_recover_look(&options, &report, detail, sizeof detail), ERR_NOT_FOUND);
    cr_assert_neq(detail[0], '\0');
    done_closed(&f);
}

Test(driver_recover, a_full_disk_is_said_and_it_can_be_done_when_there_is_room)
{
    struct fixture f;
    char detail[512];
    uint64_t index;
    set(&f);
    struct driver_options driver_options = f.driver->options;
    close_driver(&f);
    struct driver_options options = options_of(&f);
    options.segment_len = 64 * MIB;
    sim_disk_set_capacity(f.disk, sim_disk_used(f.disk));
    int err = driver_recover(&options, TEXT, &index, detail, sizeof detail);
    cr_assert(err == ERR_NO_SPACE || err == 0, "%s", detail);
    if (err == ERR_NO_SPACE) {
        cr_assert_neq(detail[0], '\0');
        sim_disk_set_capacity(f.disk, 0);
        recover(&f);
    }
    open_again(&f, &driver_options);
    expect_leads_alone(&f);
    fixture_done(&f);
}

/* What a crash left: the log as it was, or with the CHANGE; and a term that is none before that of the last entry. */
static void expect_before_or_after(const struct sim_disk *disk, unsigned *afters)
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
    uint64_t last = log_last_index(log);
    cr_assert(last == LAST || last == LAST + 1);
    cr_assert_geq(value.term, log_term(log, last));
    cr_assert_eq(value.voted_for, value.term == OWN_TERM ? 3u : 0u);
    cr_assert_eq(log_term(log, LAST), ENTRY_TERM);
    *afters += last == LAST + 1;
    log_close(log);
    meta_close(meta);
    sim_disk_free(clone);
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
static bool die_and_do_it_again(struct fixture *from, const struct driver_options *opened, uint64_t nth, uint64_t kind,
                                unsigned *afters)
{
    struct fixture f = *from;
    uint64_t random = nth * 100 + kind;
    uint64_t index = 0;
    char detail[512];
    f.disk = sim_disk_clone(from->disk);
    struct driver_options options = options_of(&f);
    for (uint64_t twice = 0; twice < 2; twice++) {
        dying_disk_begin(options.disk, twice == 0 ? nth : nth / 2);
        int err = driver_recover(&options, TEXT, &index, detail, sizeof detail);
        dying_disk_end(options.disk);
        if (twice == 0 && err == 0 && dying_disk_changes() <= nth) {
            sim_disk_free(f.disk);
            return true;
        }
        crash(f.disk, kind, &random);
        expect_before_or_after(f.disk, afters);
    }
    recover(&f);
    sim_disk_crash_losing_all(f.disk);
    open_again(&f, opened);
    expect_leads_alone(&f);
    sim_disk_kill(f.disk);
    driver_close(f.driver);
    sim_disk_free(f.disk);
    return false;
}

Test(driver_recover, it_may_die_at_any_moment)
{
    struct fixture f;
    set(&f);
    struct driver_options opened = f.driver->options;
    close_driver(&f);
    uint64_t nth = 0;
    unsigned afters = 0;
    for (bool done = false; !done; nth++) {
        for (uint64_t kind = 0; kind < 8 && !done; kind++) {
            done = die_and_do_it_again(&f, &opened, nth, kind, &afters);
        }
    }
    cr_assert_gt(nth, 10u, "it does more than that: %d", (int)nth);
    cr_assert_gt(afters, 0u);
    done_closed(&f);
}
