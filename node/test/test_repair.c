/* What a node knows of its own repair, whatever happens to its disk, and what its start does with that. */

#include "node/core/repair.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/limits.h"
#include "sim/sim_disk.h"
#include "stopping_disk.h"

#define DIR "shard-0"
#define COPY "incoming-2-00000000000000aa"
#define REASON "shard-0/log/000001: entry 7: the checksum does not match"

static struct sim_disk *sim;
static struct disk *disk;
static char detail[200];
static uint64_t dice;

static uint64_t throw_dice(void *arg)
{
    uint64_t z = (*(uint64_t *)arg += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ (z >> 31);
}

static void put_dir(const char *dir)
{
    char path[128];
    struct disk_file *file;
    cr_assert_eq(disk->ops->make_dir(disk, dir), 0);
    (void)snprintf(path, sizeof path, "%s/000001.sst", dir);
    cr_assert_eq(disk->ops->open(disk, path, DISK_CREATE, &file), 0);
    cr_assert_eq(disk->ops->write(file, 0, dir, strlen(dir)), 0);
    cr_assert_eq(disk->ops->sync(file), 0);
    disk->ops->close(file);
    cr_assert_eq(disk->ops->sync_dir(disk, dir), 0);
}

static bool has_dir(const char *dir)
{
    char path[128];
    const uint8_t *data;
    uint64_t len;
    (void)snprintf(path, sizeof path, "%s/000001.sst", dir);
    return sim_disk_content(sim, path, &data, &len) == 0 && len == strlen(dir) && memcmp(data, dir, len) == 0;
}

static void make_disk(bool empty)
{
    sim_disk_free(sim);
    sim = sim_disk_new();
    disk = sim_disk_ops(sim);
    cr_assert_eq(disk->ops->make_dir(disk, DIR), 0);
    if (!empty) {
        put_dir(DIR "/log");
        put_dir(DIR "/state");
        put_dir(DIR "/" COPY);
    }
    cr_assert_eq(disk->ops->sync_dir(disk, DIR), 0);
    cr_assert_eq(disk->ops->sync_dir(disk, "."), 0);
}

static void setup(void)
{
    sim = NULL;
    dice = 1;
    make_disk(false);
}

static void teardown(void)
{
    sim_disk_free(sim);
}

TestSuite(repair, .init = setup, .fini = teardown);

static struct repair_mark mark_now(void)
{
    struct repair_mark mark;
    cr_assert_eq(repair_mark_read(disk, DIR, &mark), 0);
    return mark;
}

static struct state_dir current_now(void)
{
    struct state_dir current;
    cr_assert_eq(state_dir_read(disk, DIR, &current, detail, sizeof detail), 0, "%s", detail);
    return current;
}

static void expect_mark(enum repair_state state, bool voter, const char *reason)
{
    struct repair_mark mark = mark_now();
    cr_assert_eq(mark.state, state);
    cr_assert_eq(mark.voter, voter);
    cr_assert_str_eq(mark.reason, reason);
}

/* ---- The mark ---- */

Test(repair, the_mark_is_there_after_a_crash_and_gone_after_another)
{
    struct repair_mark mark = {.state = REPAIR_NEEDED, .voter = true, .reason = REASON};
    expect_mark(REPAIR_NONE, false, "");
    cr_assert_eq(repair_mark_clear(disk, DIR), 0);
    cr_assert_eq(repair_mark_write(disk, DIR, &mark), 0);
    sim_disk_crash_losing_all(sim);
    expect_mark(REPAIR_NEEDED, true, REASON);
    mark = (struct repair_mark){.state = REPAIR_RETURNING};
    cr_assert_eq(repair_mark_write(disk, DIR, &mark), 0);
    sim_disk_crash_losing_all(sim);
    expect_mark(REPAIR_RETURNING, false, "");
    mark.state = REPAIR_NONE;
    cr_assert_eq(repair_mark_write(disk, DIR, &mark), 0);
    sim_disk_crash_losing_all(sim);
    expect_mark(REPAIR_NONE, false, "");
}

Test(repair, a_damaged_mark_counts_as_needed)
{
    struct repair_mark mark = {.state = REPAIR_RETURNING, .reason = REASON};
    cr_assert_eq(repair_mark_write(disk, DIR, &mark), 0);
    for (uint64_t i = 0; i < 272; i++) {
        cr_assert_eq(sim_disk_corrupt(sim, DIR "/repair", i, 0x20), 0);
        mark = mark_now();
        cr_assert(mark.state == REPAIR_NEEDED && mark.voter && mark.damaged);
        cr_assert_not_null(strstr(mark.reason, DIR "/repair"));
        cr_assert_eq(sim_disk_corrupt(sim, DIR "/repair", i, 0x20), 0);
    }
    expect_mark(REPAIR_RETURNING, false, REASON);
    struct disk_file *file;
    cr_assert_eq(disk->ops->open(disk, DIR "/repair", DISK_CREATE, &file), 0);
    cr_assert_eq(disk->ops->truncate(file, 0), 0);
    disk->ops->close(file);
    cr_assert(mark_now().damaged);
}

Test(repair, the_reason_is_one_line_of_text)
{
    char out[REPAIR_REASON_LEN_MAX + 1];
    char longest[1000];
    repair_reason(out, "a\nb\tc\x7f"
                       "d \xc3\xa4");
    cr_assert_str_eq(out, "a?b?c?d \xc3\xa4");
    repair_reason(out, "bad \xff\xfe bytes");
    cr_assert_str_eq(out, "bad ?? bytes");
    for (size_t at = 250; at <= 256; at++) {
        memset(longest, 'x', sizeof longest);
        memcpy(longest + at, "\xe2\x82\xac", 3);
        longest[sizeof longest - 1] = '\0';
        repair_reason(out, longest);
        cr_assert_leq(strlen(out), REPAIR_REASON_LEN_MAX);
        cr_assert_geq(strlen(out), 250u);
        for (size_t i = 0; i < strlen(out); i++) {
            cr_assert(out[i] == 'x' || (i >= at && i < at + 3));
        }
        bool whole = at + 3 <= REPAIR_REASON_LEN_MAX;
        cr_assert_eq(strstr(out, "\xe2\x82\xac") != NULL, whole);
        cr_assert(whole || strlen(out) == (at < REPAIR_REASON_LEN_MAX ? at : REPAIR_REASON_LEN_MAX));
    }
    struct repair_mark mark = {.state = REPAIR_NEEDED, .reason = "two\nlines"};
    cr_assert_eq(repair_mark_write(disk, DIR, &mark), 0);
    expect_mark(REPAIR_NEEDED, false, "two?lines");
}

/* ---- The plan ---- */

struct expected {
    struct repair_facts facts;
    enum repair_state state;
    bool voter;
    bool damaged;
    struct repair_plan plan;
};

/* Word by word what repair.h says. */
static struct repair_plan plan_by_the_book(const struct expected *e)
{
    if (e->damaged) {
        return (struct repair_plan){.patient = true, .begins = true};
    }
    if (e->facts.unknown) {
        return (struct repair_plan){.patient = true, .begins = e->state != REPAIR_NEEDED};
    }
    switch (e->state) {
    case REPAIR_NEEDED:
        return e->facts.fresh ? (struct repair_plan){.rejoin = true, .discard = true, .wants_vote = e->voter}
                              : (struct repair_plan){.patient = true};
    case REPAIR_RETURNING: return (struct repair_plan){.rejoin = e->facts.fresh, .wants_vote = true};
    case REPAIR_NONE: break;
    }
    if (e->facts.join && e->facts.empty) {
        return (struct repair_plan){.patient = true, .begins = true};
    }
    return (struct repair_plan){.rejoin = e->facts.fresh};
}

Test(repair, the_plan_of_every_start)
{
    unsigned patients = 0;
    unsigned discards = 0;
    for (unsigned i = 0; i < 3 * 64; i++) {
        struct expected e = {
            .facts = {.fresh = i & 1, .unknown = i & 2, .empty = i & 4, .join = i & 8},
            .state = (enum repair_state)(i / 64),
            .voter = i & 16,
            .damaged = i & 32,
        };
        struct repair_mark mark = {
            .state = e.damaged ? REPAIR_NEEDED : e.state, .voter = e.voter, .damaged = e.damaged};
        struct repair_plan plan = repair_plan(&e.facts, &mark);
        struct repair_plan book = plan_by_the_book(&e);
        cr_assert_eq(plan.patient, book.patient, "%u", i);
        cr_assert_eq(plan.rejoin, book.rejoin, "%u", i);
        cr_assert_eq(plan.discard, book.discard, "%u", i);
        cr_assert_eq(plan.wants_vote, book.wants_vote, "%u", i);
        cr_assert_eq(plan.begins, book.begins, "%u", i);
        cr_assert(!plan.patient || (!plan.rejoin && !plan.discard && !plan.wants_vote));
        cr_assert(!plan.discard || plan.rejoin);
        patients += plan.patient;
        discards += plan.discard;
    }
    cr_assert(patients > 0 && discards > 0);
}

/* ---- Starts ---- */

static struct repair_plan begin(bool join)
{
    struct state_dir current;
    struct repair_mark mark;
    struct repair_plan plan;
    cr_assert_eq(repair_begin(disk, DIR, join, &current, &mark, &plan, detail, sizeof detail), 0, "%s", detail);
    struct state_dir again = current_now();
    cr_assert(strcmp(again.name, current.name) == 0 && again.fresh == current.fresh);
    struct repair_mark mark_again = mark_now();
    cr_assert(mark_again.state == mark.state && mark_again.voter == mark.voter && !mark_again.damaged);
    return plan;
}

Test(repair, a_new_node_is_a_patient_until_it_has_a_copy)
{
    cr_assert_not(begin(true).patient, "there is something: the configuration does not matter");
    make_disk(true);
    cr_assert_not(begin(false).patient);
    expect_mark(REPAIR_NONE, false, "");
    cr_assert(begin(true).patient);
    sim_disk_crash_losing_all(sim);
    expect_mark(REPAIR_NEEDED, false, "");
    cr_assert(begin(false).patient);
    put_dir(DIR "/" COPY);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    struct repair_plan plan = begin(true);
    cr_assert(!plan.patient && plan.rejoin && plan.discard && !plan.wants_vote);
    struct repair_mark mark = mark_now();
    cr_assert_eq(repair_rejoined(disk, DIR, &mark), 0);
    expect_mark(REPAIR_NONE, false, "");
    cr_assert_eq(mark.state, REPAIR_NONE);
    plan = begin(true);
    cr_assert(!plan.patient && plan.rejoin && !plan.discard);
}

Test(repair, a_voter_comes_back_as_one_that_wants_its_vote)
{
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0);
    cr_assert_eq(repair_mark_needed(disk, DIR, "something else", false, false), 0);
    expect_mark(REPAIR_NEEDED, true, REASON);
    cr_assert(begin(false).patient);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    struct repair_plan plan = begin(false);
    cr_assert(plan.rejoin && plan.discard && plan.wants_vote);
    struct repair_mark mark = mark_now();
    cr_assert_eq(repair_rejoined(disk, DIR, &mark), 0);
    expect_mark(REPAIR_RETURNING, true, REASON);
    plan = begin(false);
    cr_assert(plan.rejoin && !plan.discard && plan.wants_vote);
    struct state_dir current = current_now();
    cr_assert_eq(state_dir_settle(disk, DIR, &current), 0);
    plan = begin(false);
    cr_assert(!plan.rejoin && !plan.discard && plan.wants_vote && !plan.patient);
    cr_assert_eq(repair_mark_needed(disk, DIR, "again", false, false), 0);
    expect_mark(REPAIR_NEEDED, true, "again");
}

static bool withdraw(void)
{
    bool done = false;
    cr_assert_eq(repair_withdraw(disk, DIR, &done), 0);
    return done;
}

Test(repair, an_order_can_be_withdrawn_until_there_is_a_copy)
{
    cr_assert_not(withdraw(), "there is none");
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, true), 0);
    sim_disk_crash_losing_all(sim);
    cr_assert(mark_now().ordered);
    cr_assert(begin(false).patient);
    cr_assert(withdraw());
    sim_disk_crash_losing_all(sim);
    expect_mark(REPAIR_RETURNING, true, REASON);
    cr_assert_not(mark_now().ordered);
    struct repair_plan plan = begin(false);
    cr_assert(!plan.patient && !plan.rejoin && !plan.discard, "with what it has");
    cr_assert(plan.wants_vote, "it may have been taken away for the copy");
    cr_assert_not(withdraw());

    cr_assert_eq(repair_mark_needed(disk, DIR, "again", false, true), 0);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_not(withdraw());
    expect_mark(REPAIR_NEEDED, true, "again");
    cr_assert(begin(false).discard);
}

/* What the node knew of its vote may be old. */
Test(repair, the_leader_says_whether_it_votes)
{
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0);
    struct repair_mark mark = mark_now();
    cr_assert_eq(repair_vote(&mark), REBUILD_VOTE_ASKED);
    cr_assert_eq(repair_note_vote(disk, DIR, false), 0);
    sim_disk_crash_losing_all(sim);
    expect_mark(REPAIR_NEEDED, false, REASON);
    mark = mark_now();
    cr_assert_eq(repair_vote(&mark), REBUILD_VOTE_NONE);
    cr_assert_eq(repair_note_vote(disk, DIR, true), 0, "once");
    expect_mark(REPAIR_NEEDED, false, REASON);
    cr_assert_eq(repair_rejoined(disk, DIR, &mark), 0);
    expect_mark(REPAIR_NONE, false, "");
}

/* It may have been taken away by then: it is not asked for once more. */
Test(repair, what_the_leader_has_said_of_its_vote_stays_until_it_votes)
{
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, false, false), 0);
    cr_assert_eq(repair_note_vote(disk, DIR, true), 0);
    struct repair_mark mark = mark_now();
    cr_assert_eq(repair_rejoined(disk, DIR, &mark), 0);
    expect_mark(REPAIR_RETURNING, true, REASON);
    cr_assert_eq(repair_mark_needed(disk, DIR, "again", false, false), 0);
    mark = mark_now();
    cr_assert_eq(repair_vote(&mark), REBUILD_VOTE_HAD);
    sim_disk_crash_losing_all(sim);
    cr_assert_eq(repair_mark_clear(disk, DIR), 0);
    cr_assert_eq(repair_mark_needed(disk, DIR, "years later", true, false), 0);
    mark = mark_now();
    cr_assert_eq(repair_vote(&mark), REBUILD_VOTE_ASKED);
}

Test(repair, a_learner_whose_order_is_withdrawn_is_as_before)
{
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, false, true), 0);
    cr_assert(withdraw());
    expect_mark(REPAIR_NONE, false, "");
}

Test(repair, damage_is_never_withdrawn)
{
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0);
    cr_assert_not(withdraw());
    cr_assert_eq(repair_mark_needed(disk, DIR, "asked for", true, true), 0);
    cr_assert_not(withdraw());
    expect_mark(REPAIR_NEEDED, true, REASON);

    make_disk(false);
    cr_assert_eq(repair_mark_needed(disk, DIR, "asked for", true, true), 0);
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, false, false), 0);
    expect_mark(REPAIR_NEEDED, true, REASON);
    cr_assert_not(withdraw(), "damage was found after the order");

    make_disk(false);
    cr_assert_eq(repair_mark_needed(disk, DIR, "asked for", true, true), 0);
    cr_assert_eq(sim_disk_corrupt(sim, DIR "/repair", 5, 1), 0);
    cr_assert_not(withdraw());

    make_disk(false);
    cr_assert_eq(repair_mark_needed(disk, DIR, "asked for", true, true), 0);
    cr_assert_eq(repair_failed(disk, DIR, REASON, true), 0);
    cr_assert_not(withdraw());
}

Test(repair, a_copy_that_is_no_good_makes_a_patient_again)
{
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(repair_failed(disk, DIR, "the copy is damaged", true), 0);
    cr_assert(begin(false).patient);
    expect_mark(REPAIR_NEEDED, true, REASON);
    cr_assert(has_dir(DIR "/state"));
    cr_assert_not(has_dir(DIR "/" COPY));
}

/* A state that is fresh since the disk was full has been worked with, and the node may have voted: it must not be taken for a
 * copy that a patient fetched. */
Test(repair, a_state_that_was_worked_with_is_never_discarded_for)
{
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0);
    cr_assert(begin(false).patient);
    cr_assert_str_eq(current_now().name, COPY);
    cr_assert(has_dir(DIR "/" COPY));

    make_disk(false);
    struct repair_mark mark = {.state = REPAIR_RETURNING, .voter = true};
    cr_assert_eq(repair_mark_write(disk, DIR, &mark), 0);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(sim_disk_corrupt(sim, DIR "/repair", 4, 1), 0);
    struct repair_plan plan = begin(false);
    cr_assert(plan.patient && !plan.discard);
    cr_assert_not(current_now().fresh);
}

Test(repair, a_node_that_cannot_tell_which_its_state_is_is_a_patient)
{
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert_eq(sim_disk_corrupt(sim, DIR "/current", 4, 1), 0);
    cr_assert(begin(false).patient);
    struct repair_mark mark = mark_now();
    cr_assert(mark.state == REPAIR_NEEDED && mark.voter);
    cr_assert_not_null(strstr(mark.reason, DIR "/current"));
    cr_assert(has_dir(DIR "/state") && has_dir(DIR "/" COPY), "whichever it is, it is kept");
    cr_assert(begin(false).patient);
}

/* A shard that was behind has its copy, and is found damaged before that is the state. */
Test(repair, only_a_patients_copy_becomes_the_state_of_a_patient)
{
    bool done = true;
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0);
    cr_assert_eq(repair_switch(disk, DIR, COPY, false, &done), 0);
    cr_assert_not(done);
    cr_assert(begin(false).patient);
    cr_assert_eq(repair_switch(disk, DIR, COPY, true, &done), 0);
    cr_assert(done);
    cr_assert(begin(false).discard);
    make_disk(false);
    cr_assert_eq(repair_switch(disk, DIR, COPY, true, &done), 0);
    cr_assert_not(done);
    cr_assert_eq(repair_switch(disk, DIR, COPY, false, &done), 0);
    cr_assert(done);
    cr_assert(begin(false).rejoin && !begin(false).discard);
}

/* ---- Crashes ---- */

/* A node that is damaged, fetches a copy, and settles with it, through a disk that stops. */
static void go_through(struct disk *through)
{
    struct state_dir current;
    struct repair_mark mark;
    struct repair_plan plan;
    int err = repair_mark_needed(through, DIR, REASON, true, false);
    if (err == 0) {
        err = repair_begin(through, DIR, false, &current, &mark, &plan, detail, sizeof detail);
    }
    if (err == 0 && plan.patient) {
        err = state_dir_switch(through, DIR, COPY);
        if (err == 0) {
            err = repair_begin(through, DIR, false, &current, &mark, &plan, detail, sizeof detail);
        }
    }
    if (err == 0 && plan.discard) {
        err = repair_rejoined(through, DIR, &mark);
    }
    if (err == 0 && plan.rejoin) {
        err = state_dir_settle(through, DIR, &current);
    }
}

enum crash { CRASH_KILL, CRASH_ALL, CRASH_SOME, CRASH_KINDS };

static void crash(enum crash kind)
{
    if (kind == CRASH_KILL) {
        sim_disk_kill(sim);
    } else if (kind == CRASH_ALL) {
        sim_disk_crash_losing_all(sim);
    } else {
        sim_disk_crash(sim, throw_dice, &dice);
    }
}

/* In the order of a repair. */
enum step { STEP_WELL, STEP_PATIENT, STEP_HERE, STEP_REJOINED, STEP_DONE, STEPS };

static enum step step_now(void)
{
    struct repair_mark mark = mark_now();
    struct state_dir current = current_now();
    cr_assert_not(mark.damaged);
    cr_assert(has_dir(strcmp(current.name, "state") == 0 ? DIR "/state" : DIR "/" COPY));
    if (mark.state == REPAIR_NONE) {
        cr_assert_not(current.fresh);
        return STEP_WELL;
    }
    if (mark.state == REPAIR_NEEDED) {
        cr_assert(has_dir(DIR "/state"), "the old state is there until the log follows the new one");
        return current.fresh ? STEP_HERE : STEP_PATIENT;
    }
    cr_assert_str_eq(current.name, COPY, "it comes back with the copy alone");
    return current.fresh ? STEP_REJOINED : STEP_DONE;
}

static bool crash_after(uint64_t operations, enum crash kind, unsigned seen[STEPS])
{
    struct stopping_disk stopping;
    make_disk(false);
    stopping_disk_init(&stopping, disk, operations);
    go_through(&stopping.base);
    crash(kind);
    enum step step = step_now();
    seen[step]++;
    sim_disk_crash_losing_all(sim);
    cr_assert_eq(step_now(), step, "what was read is durable");
    return stopping.stopped;
}

Test(repair, a_crash_at_any_operation_leaves_a_patient_or_the_copy)
{
    unsigned seen[STEPS] = {0};
    for (enum crash kind = 0; kind < CRASH_KINDS; kind++) {
        for (unsigned again = 0; again < (kind == CRASH_SOME ? 20u : 1u); again++) {
            uint64_t operations = 0;
            while (crash_after(operations, kind, seen)) {
                operations++;
            }
            cr_assert_gt(operations, 30u);
        }
    }
    for (unsigned i = 0; i < STEPS; i++) {
        cr_assert_gt(seen[i], 0u, "%u", i);
    }
}

Test(repair, a_disk_that_fails_is_said_to)
{
    for (uint64_t operations = 0; operations < 3; operations++) {
        struct stopping_disk stopping;
        struct state_dir current;
        struct repair_mark mark;
        struct repair_plan plan;
        stopping_disk_init(&stopping, disk, operations);
        cr_assert_eq(repair_begin(&stopping.base, DIR, false, &current, &mark, &plan, detail, sizeof detail), ERR_IO);
        cr_assert_not_null(strstr(detail, DIR));
    }
    sim_disk_set_capacity(sim, sim_disk_used(sim) + 100);
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), ERR_NO_SPACE);
    expect_mark(REPAIR_NONE, false, "");
}

/* ---- Full disks ---- */

#define CAPACITY (1 * MIB)

/* Somebody who takes at once whatever comes free. */
static uint64_t take_the_rest(void *arg)
{
    (void)arg;
    return CAPACITY - sim_disk_used(sim);
}

static void fill(void)
{
    sim_disk_set_capacity(sim, CAPACITY);
    sim_disk_share(sim, take_the_rest, NULL);
}

static void make_room(void)
{
    sim_disk_set_capacity(sim, 0);
    sim_disk_share(sim, NULL, NULL);
}

/* Each start has kept the space for what comes next; what comes after that is the next start's. */
Test(repair, a_full_disk_keeps_no_node_from_being_repaired)
{
    struct repair_mark mark;
    bool done = false;
    cr_assert_not(begin(false).patient);
    fill();
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0, "damage is found");
    expect_mark(REPAIR_NEEDED, true, REASON);
    cr_assert(begin(false).patient, "it starts without room for the next mark");
    make_room();
    cr_assert(begin(false).patient);
    fill();
    cr_assert_eq(repair_switch(disk, DIR, COPY, true, &done), 0, "the copy has taken the last byte");
    cr_assert(done);
    cr_assert(begin(false).discard);
    mark = mark_now();
    cr_assert_eq(repair_rejoined(disk, DIR, &mark), 0, "the new log has taken the last byte");
    expect_mark(REPAIR_RETURNING, true, REASON);
    struct state_dir current = current_now();
    cr_assert(current.fresh);
    make_room();
    sim_disk_set_capacity(sim, sim_disk_used(sim));
    cr_assert_eq(state_dir_settle(disk, DIR, &current), 0, "what goes makes room");
    cr_assert_eq(repair_mark_clear(disk, DIR), 0);
    expect_mark(REPAIR_NONE, false, "");
}

/* What is not noted would be forgotten by the next start: it is to be told again. */
Test(repair, what_the_leader_says_of_its_vote_needs_room)
{
    cr_assert_not(begin(false).patient);
    fill();
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0, "with what was kept");
    cr_assert_eq(repair_note_vote(disk, DIR, false), ERR_NO_SPACE);
    struct repair_mark mark = mark_now();
    cr_assert_eq(repair_vote(&mark), REBUILD_VOTE_ASKED);
    make_room();
    cr_assert_eq(repair_note_vote(disk, DIR, false), 0);
    sim_disk_crash_losing_all(sim);
    mark = mark_now();
    cr_assert_eq(repair_vote(&mark), REBUILD_VOTE_NONE);
}

/* Damage that is found by a start itself, in a state that has not been settled since the disk was full. */
Test(repair, a_full_disk_keeps_no_fresh_copy_from_being_given_up)
{
    cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0);
    cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
    cr_assert(begin(false).discard);
    fill();
    cr_assert_eq(repair_failed(disk, DIR, "the copy is damaged", true), 0);
    cr_assert(begin(false).patient);
    cr_assert_str_eq(current_now().name, "state");
}

Test(repair, what_is_kept_for_a_mark_is_no_mark)
{
    make_disk(true);
    cr_assert_eq(repair_mark_reserve(disk, DIR), 0);
    expect_mark(REPAIR_NONE, false, "");
    cr_assert(begin(true).patient, "it is still a new node");
    make_disk(false);
    cr_assert_not(begin(false).patient);
    cr_assert_not(begin(false).patient);
    expect_mark(REPAIR_NONE, false, "");
    cr_assert_str_eq(current_now().name, "state");
}

/* Whatever cannot be read, or is no file, is damage of the file that has the name, and is made anew. */
Test(repair, a_start_gets_over_files_that_cannot_be_read_or_are_none)
{
    static const char *const names[] = {DIR "/current", DIR "/repair", DIR "/current.new", DIR "/repair.new"};
    for (unsigned i = 0; i < 8; i++) {
        struct state_dir current;
        struct repair_mark mark;
        struct repair_plan plan;
        const char *name = names[i % 4];
        make_disk(false);
        cr_assert_eq(state_dir_switch(disk, DIR, COPY), 0);
        cr_assert_eq(repair_mark_needed(disk, DIR, REASON, true, false), 0);
        cr_assert_eq(repair_begin(disk, DIR, false, &current, &mark, &plan, detail, sizeof detail), 0, "%s", detail);
        if (i < 4) {
            cr_assert_eq(sim_disk_lose_sector(sim, name, 0), 0);
        } else {
            cr_assert_eq(disk->ops->remove(disk, name), 0);
            cr_assert_eq(disk->ops->make_dir(disk, name), 0);
        }
        cr_assert_eq(repair_begin(disk, DIR, false, &current, &mark, &plan, detail, sizeof detail), 0, "%s: %s", name,
                     detail);
        cr_assert(plan.patient || i % 4 > 1, "%s", name);
        cr_assert_eq(mark.state, REPAIR_NEEDED, "%s", name);
    }
}
